"""Poses on the ground: (x, y, yaw) in metres and radians, and their errors in the frame of the robot.

After Barfoot, State Estimation for Robotics, 2017, chapter 7, restricted to the plane.
"""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Float64

YAW_OF_A_CIRCLE = np.pi**2 / 3  # variance of a heading of which nothing is known


def of(pose: Float64) -> Float64:
    """Return (3,): the pose (4, 4) seen from above."""
    return np.array([pose[0, 3], pose[1, 3], np.arctan2(pose[1, 0], pose[0, 0])])


def matrix(planar: Float64, height: float = 0.0) -> Float64:
    """Return the pose (4, 4) of a planar one (3,), upright, at a height in metres."""
    pose = np.eye(4)
    pose[:2, :2] = _turn(planar[2])
    pose[:3, 3] = planar[0], planar[1], height
    return pose


def after(first: Float64, second: Float64) -> Float64:
    """Return the pose (3,) that is `second` (3,) in the frame of `first` (3,)."""
    return np.array([*(first[:2] + _turn(first[2]) @ second[:2]), wrapped(first[2] + second[2])])


def between(first: Float64, second: Float64) -> Float64:
    """Return the pose (3,) of `second` in the frame of `first`: after(first, between(first, second)) is `second`."""
    return np.array([*(_turn(first[2]).T @ (second[:2] - first[:2])), wrapped(second[2] - first[2])])


def inverse(planar: Float64) -> Float64:
    """Return the pose (3,) of the old frame in the new one."""
    return between(planar, np.zeros(3))


def wrapped(angle: float) -> float:
    """Return the same angle in [-pi, pi), radians."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def combined(first: Float64, second: Float64) -> tuple[Float64, Float64]:
    """Return gain (3, 3) and covariance (3, 3) of the mean of two estimates with these covariances (3, 3).

    The gain is that of the second one. How far their errors depend on each other is not known, so that the result is no
    better than the better one of them in any direction by luck: covariance intersection (Julier & Uhlmann, ACC 1997).
    """
    inverses = np.linalg.inv(first), np.linalg.inv(second)
    best, gain = first, np.zeros((3, 3))
    for share in np.linspace(0.1, 1.0, 10):
        both = np.linalg.inv((1 - share) * inverses[0] + share * inverses[1])
        if np.linalg.det(both) < np.linalg.det(best):
            best, gain = both, share * both @ inverses[1]
    return gain, best


def transported(covariance: Float64, motion: Float64) -> Float64:
    """Return the covariance (3, 3) of a pose after a motion (3,), in the robot's frame before and after."""
    turn = np.eye(3)
    turn[:2, :2] = _turn(motion[2]).T
    lever = np.eye(3)  # an error of the heading moves the robot across its motion
    lever[:2, 2] = -motion[1], motion[0]
    return np.asarray(turn @ lever @ covariance @ lever.T @ turn.T)


def _turn(angle: float) -> Float64:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
