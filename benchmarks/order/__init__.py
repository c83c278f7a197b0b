"""Simple descriptors, real and simulated drives, and whether both put the descriptors into the same order."""
