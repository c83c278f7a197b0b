"""Moved to any2any_ros.fusion.any2any; this name goes with the next release."""

import warnings

from any2any_ros.fusion.any2any import *  # noqa: F403

warnings.warn("any2any_ros.methods.any2any has moved to any2any_ros.fusion.any2any", DeprecationWarning, stacklevel=2)
