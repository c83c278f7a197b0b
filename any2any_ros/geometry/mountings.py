"""Where sensors are mounted on the robot, and what that says of its pose.

A mounting is the pose (4, 4) of a sensor in the robot's frame. What two sensors see alike tells how one of them stands
in the frame of the other. With both mountings this is the pose of one robot in the frame of the other.
"""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Float64

SAME = 0.1  # m, and sine of an angle: two mountings that differ by less are one
UPRIGHT = 0.5  # length of an x axis seen from above, from which on it tells the heading of its sensor


def levelled(mounting: Float64) -> Float64 | None:
    """Return a mounting (4, 4) seen from above: x, y and heading of the sensor, at height 0, without roll and pitch.

    The heading is that of the sensor's x axis. None where that axis points up or down.
    """
    x, y = mounting[:2, 0]
    level = np.eye(4)
    length = float(np.hypot(x, y))
    if length < UPRIGHT:
        return None
    level[:2, :2] = np.array([[x, -y], [y, x]]) / length
    level[:2, 3] = mounting[:2, 3]
    return level


def differ(one: Float64, other: Float64) -> bool:
    """Return whether two mountings (4, 4), seen from above, are not the same."""
    first, second = levelled(one), levelled(other)
    return first is not None and second is not None and bool(np.abs(first - second).max() > SAME)


def moved_robot(reference: Float64 | None, sensor: Float64, query: Float64 | None) -> Float64:
    """Return the pose (4, 4) of the robot in the frame of the robot that made the reference.

    sensor (4, 4): pose of the query's sensor in the frame of the reference's, on the ground. reference, query: the
    mountings (4, 4) of both sensors. Where that of the query is unknown, it counts as mounted like the reference's;
    where that of the reference is, both count as mounted where the robot's frame is.
    """
    if reference is None:
        return sensor
    place, robot = levelled(reference), levelled(reference if query is None else query)
    if place is None or robot is None:
        return sensor
    return np.asarray(place @ sensor @ np.linalg.inv(robot))
