"""The driven path: how far it is from the middle of the street, and on which side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from any2any_ros.sim.town import TownConfig
from any2any_ros.sim.town.route import Lap, corners, drive, streets

CONFIG = TownConfig(places=360, squares=3, reverse_every=2, offset=0.5)


def to_the_left(way: Lap) -> np.ndarray:
    """Return how far each frame is to the left of its street's middle, in the direction of driving (m)."""
    network = streets(corners(CONFIG))
    aside = []
    for pose, index, opposite in zip(way.poses, way.street, way.opposite, strict=True):
        street = network[index]
        along = np.subtract(street.end, street.start) / street.length * (-1 if opposite else 1)
        away = pose[:2, 3] - np.array(street.start)
        aside.append(along[0] * away[1] - along[1] * away[0])
    return np.array(aside)


def between_corners(way: Lap) -> np.ndarray:
    """Return which frames are farther than 8 m from both ends of their street."""
    network = streets(corners(CONFIG))
    ends = np.array([[network[i].start, network[i].end] for i in way.street])
    return np.linalg.norm(way.poses[:, None, :2, 3] - ends, axis=2).min(axis=1) > 8


@pytest.mark.parametrize("lap", [0, 1])
def test_both_laps_keep_right_by_the_width_of_a_lane(lap):
    middle, right = (drive(replace(CONFIG, lane=lane), lap) for lane in (0.0, 1.2))
    clear = between_corners(middle) & between_corners(right)
    assert clear.sum() > 40
    assert np.abs(to_the_left(middle)[clear]).max() < 0.5 + 0.1
    assert to_the_left(right)[clear].mean() == pytest.approx(to_the_left(middle)[clear].mean() - 1.2, abs=0.15)


def test_opposite_directions_are_two_lanes_apart():
    config = replace(CONFIG, lane=1.2, offset=0.0)
    first, second = drive(config, 0), drive(config, 1)
    clear = between_corners(second)
    apart = np.linalg.norm(second.poses[:, None, :2, 3] - first.track, axis=2).min(axis=1)
    assert apart[clear & second.opposite].mean() == pytest.approx(2.4, abs=0.2)
    assert apart[clear & ~second.opposite].mean() < 0.3
