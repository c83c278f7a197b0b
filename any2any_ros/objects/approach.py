"""Where a robot stands to fetch an object: on the side from which it was seen, facing it."""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.objects.remembered_object import RememberedObject

NEAR = 1e-6  # m: a camera right above the object looks from no side


def stand(target: RememberedObject, seen_from: Float64, distance: float) -> Float64:
    """Return the pose (4, 4) of a robot's base in the map: x forward, towards the object; height 0.

    seen_from (3,): of the camera. distance: metres from the box of the object to the base. Whether the floor there is
    free is for the planner of the robot to say.
    """
    away = (seen_from - target.centre)[:2]
    length = np.linalg.norm(away)
    side = away / length if length > NEAR else np.array([-1.0, 0.0])
    half = np.abs(side) @ ((target.high - target.low)[:2] / 2)
    pose = np.eye(4)
    pose[:2, 3] = target.centre[:2] + side * (half + distance)
    pose[:2, 0], pose[:2, 1] = -side, [side[1], -side[0]]
    return pose
