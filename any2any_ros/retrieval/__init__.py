"""From what is alive to a ranking. NumPy and Faiss; no torch, no ROS."""
