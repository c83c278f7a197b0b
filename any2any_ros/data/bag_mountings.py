"""Where a bag says that its sensors are mounted: by /tf_static, or by a transform in /tf that does not change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.data.bag_poses import PoseSource
from any2any_ros.data.bag_reader import BagReader
from any2any_ros.data.bag_transforms import fault, row_of, static_transforms, transforms
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry.transforms import TransformBuffer
from any2any_ros.geometry.upright import GROUND
from any2any_ros.samples import NS

TIMES = 50  # at which a transform of /tf is looked at
STILL = 0.02  # largest change of a number of a transform, m or sine of an angle, that is none


def mountings(reader: BagReader, source: PoseSource, robot: str, frames: Mapping[str, str]) -> dict[str, Float64]:
    """Return the pose (4, 4) of each sensor in the robot's frame, where the bag says it.

    robot: the frame of the robot. frames: of the sensors, by name.
    """
    known = static_transforms(reader, source.name)
    found = {m: known.pose(robot, frame) for m, frame in frames.items()}
    if any(frame and found[m] is None for m, frame in frames.items()):
        times = _add_moving(known, reader)
        found |= {m: _still(known, robot, frames[m], times) for m, pose in found.items() if pose is None}
    return {m: pose for m, pose in found.items() if pose is not None}


def heights(reader: BagReader, source: PoseSource, frames: Mapping[str, str]) -> dict[str, float]:
    """Return the height of each sensor above the ground, m, where /tf_static knows the robot's frame on the ground."""
    known = static_transforms(reader, source.name)
    found = {m: known.pose(GROUND, frame) for m, frame in frames.items()}
    return {m: float(pose[2, 3]) for m, pose in found.items() if pose is not None}


def _add_moving(buffer: TransformBuffer, reader: BagReader) -> list[int]:
    """Add the transforms of /tf to a buffer; return some times, ns, between the first and the last of them."""
    first, last = None, 0
    for _, _, transform in transforms(reader, "/tf"):
        row = row_of(transform.transform.translation, transform.transform.rotation)
        if not fault(row):
            stamp = transform.header.stamp.sec * NS + transform.header.stamp.nanosec
            buffer.add(transform.header.frame_id, transform.child_frame_id, row, stamp)
            first, last = stamp if first is None else min(first, stamp), max(last, stamp)
    return [] if first is None else np.linspace(first, last, TIMES).astype(np.int64).tolist()


def _still(buffer: TransformBuffer, robot: str, sensor: str, times: list[int]) -> Float64 | None:
    """Return the pose (4, 4) of a sensor that is the same at all times; None where it is not, or is not known."""
    try:
        poses = buffer.lookup(robot, sensor, times)
    except Any2AnyError:
        return None
    poses = poses[~np.isnan(poses).any(axis=(1, 2))]
    return poses[0] if len(poses) and np.ptp(poses, axis=0).max() < STILL else None
