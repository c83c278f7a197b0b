"""Moved to any2any_ros.learning.emma; this name goes with the next release."""

import warnings

from any2any_ros.learning.emma import *  # noqa: F403

warnings.warn("any2any_ros.methods.emma has moved to any2any_ros.learning.emma", DeprecationWarning, stacklevel=2)
