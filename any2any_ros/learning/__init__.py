"""How heads and models are fitted, one method a file. A robot's node imports nothing from here."""
