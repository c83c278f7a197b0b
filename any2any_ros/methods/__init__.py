"""One paper, one file; the rivals in fusion.py. NumPy at module level, nothing heavier."""
