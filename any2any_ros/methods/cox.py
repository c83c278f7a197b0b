"""Moved to any2any_ros.learning.cox; this name goes with the next release."""

import warnings

from any2any_ros.learning.cox import *  # noqa: F403

warnings.warn("any2any_ros.methods.cox has moved to any2any_ros.learning.cox", DeprecationWarning, stacklevel=2)
