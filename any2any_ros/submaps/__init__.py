"""Submaps: the scans of the last metres of driving, put together as one scan that has seen more. Knows no ROS."""
