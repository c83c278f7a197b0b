"""Turns upright what a sensor sees that leans or hangs upside down, at the height that its encoder expects.

Encoders of clouds and scans take z for up. The mounting of the sensor says where up is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.geometry.mountings import levelled
from any2any_ros.protocols import Encoder
from any2any_ros.samples import Scan

SEES = ("cloud", "timed_cloud", "scan")  # kinds of samples that have an up
GROUND = "base_footprint"  # the frame of a robot on the ground, REP-120
STILL = 1e-3  # a transform whose numbers change by less, in m and as sines of angles, changes nothing
OVER = -0.9  # of the z axis: a scan that hangs upside down is mirrored, one that leans stays as it is


def upright(mounting: Float64, height: float | None = None, expected: float | None = None) -> Float64 | None:
    """Return the transform (4, 4) from the frame of a sensor to an upright one with the same heading.

    mounting (4, 4): of the sensor. height: of the sensor above the ground, m; expected: what its encoder takes for it;
    None: unknown. Return None where nothing changes.
    """
    level = levelled(mounting)
    if level is None:
        return None
    found = np.eye(4)
    found[:3, :3] = level[:3, :3].T @ mounting[:3, :3]
    if height is not None and expected is not None:
        found[2, 3] = height - expected
    return None if np.abs(found - np.eye(4)).max() < STILL else found


def expected_height(encoder: Encoder) -> float | None:
    """Return the height above the ground, m, that an encoder takes for its sensor's; None where it takes none."""
    height = getattr(encoder.config, "sensor_height", None)
    return None if height is None else float(height)


class Upright:
    """An encoder that turns samples upright before it gathers them. All else is that of the encoder itself.

    transform (4, 4): from the sensor's frame to the upright one; None: the samples stay as they are.
    """

    def __init__(self, encoder: Encoder, transform: Float64 | None = None) -> None:
        self._encoder, self.transform = encoder, transform

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def gather(self, sample: Any, stamp_ns: int, odometry: Float64 | None = None) -> Any | None:
        """Collect a sample as the encoder does. odometry (4, 4): of the sensor."""
        if self.transform is not None:
            sample = turned(sample, self.transform)
            odometry = None if odometry is None else odometry @ np.linalg.inv(self.transform)
        if self._encoder.uses_odometry:
            return cast(Any, self._encoder).gather(sample, stamp_ns, odometry)
        return self._encoder.gather(sample, stamp_ns)


def standing(encoder: Encoder, transform: Float64 | None) -> Encoder:
    """Return the encoder of a sensor that leans; itself where nothing changes."""
    return encoder if transform is None else cast(Encoder, Upright(encoder, transform))


def turned(sample: Any, transform: Float64) -> Any:
    """Return a cloud (N, >= 3) moved by a transform (4, 4), or a scan mirrored where it turns it over."""
    if isinstance(sample, Scan):
        over = transform[2, 2] < OVER
        mirrored = replace(sample, angle_min=-sample.angle_min, angle_increment=-sample.angle_increment)
        return mirrored if over else sample
    moved = np.array(sample)
    matrix = transform.astype(moved.dtype)  # else twice as much memory is moved
    if np.abs(transform[:3, :3] - np.eye(3)).max() >= STILL:
        moved[:, :3] = np.ascontiguousarray(moved[:, :3]) @ matrix[:3, :3].T
    moved[:, 2] += matrix[2, 3]  # it moves points up or down only
    return moved
