"""Poses and evidence, for the tests of trust/bayes_filter.py."""

import numpy as np

from any2any_ros.trust.bayes_filter import FilterConfig

SAME_PLACE = 5.0
CONFIG = FilterConfig()


def at(*positions):
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :2, 3] = np.reshape(positions, (-1, 2))
    return poses


def road(places, apart=1.0):
    return at(*[(apart * i, 0.0) for i in range(places)])


def forward(metres):
    return at((metres, 0.0))[0]


def pointing(row, sure=0.9, places=50):
    """Return evidence that is `sure` of one row and even otherwise."""
    p = np.full(places, (1 - sure) / (places - 1))
    p[row] = sure
    return np.arange(places), np.log(p)


def vars_of(found):
    return found.best, found.probability, found.unmapped, found.log_posterior.tolist()
