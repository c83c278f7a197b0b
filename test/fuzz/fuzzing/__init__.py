"""The boundaries between this program and what it does not trust, and the machine that throws inputs at them."""
