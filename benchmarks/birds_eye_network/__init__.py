"""A small network on bird's-eye images: towns, views, and training (benchmarks/learned_birds_eye.py)."""
