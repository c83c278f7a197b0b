"""Finds the object that a command means, among the objects that the robot has seen."""
