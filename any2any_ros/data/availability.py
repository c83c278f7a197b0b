"""Which sensors are switched off in an experiment, drawn at random."""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Flags


def sensors_off(rows: int, sensors: int, share: float, draw: np.random.Generator, empty: bool = False) -> Flags:
    """Return which sensors are off (rows, sensors), each with the probability `share` (below 1).

    empty: whether a row may lose all of its sensors. Otherwise such a row is drawn again, so that slightly fewer
    sensors than `share` are off.
    """
    off = np.asarray(draw.random((rows, sensors)) < share)
    while not empty and (bare := off.all(axis=1)).any():
        off[bare] = draw.random((int(bare.sum()), sensors)) < share
    return off
