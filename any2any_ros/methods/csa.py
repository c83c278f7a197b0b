"""Moved to any2any_ros.learning.csa; this name goes with the next release."""

import warnings

from any2any_ros.learning.csa import *  # noqa: F403

warnings.warn("any2any_ros.methods.csa has moved to any2any_ros.learning.csa", DeprecationWarning, stacklevel=2)
