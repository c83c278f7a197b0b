"""Real data by published protocols: a kind of data a file, and how methods are measured on it (benchmarks/real.py)."""
