"""Moved to any2any_ros.learning.calmrl; this name goes with the next release."""

import warnings

from any2any_ros.learning.calmrl import *  # noqa: F403

warnings.warn("any2any_ros.methods.calmrl has moved to any2any_ros.learning.calmrl", DeprecationWarning, stacklevel=2)
