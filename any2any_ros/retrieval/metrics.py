"""Moved to any2any_ros.metrics; this name goes with the next release."""

import warnings

from any2any_ros.metrics import *  # noqa: F403

warnings.warn("any2any_ros.retrieval.metrics has moved to any2any_ros.metrics", DeprecationWarning, stacklevel=2)
