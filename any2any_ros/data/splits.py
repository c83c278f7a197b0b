"""Decides by place which references are right for a query, and how frames are split for calibration and test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from any2any_ros.arrays import Flags, Float64, Names, Rows
from any2any_ros.data.drive import travelled
from any2any_ros.errors import Any2AnyError

STEPS = 0.1  # of a stretch of the path: the way is measured in steps of this share


def ground_distance(queries: Float64, references: Float64) -> Float64:
    """Return the distances (Q, R) on the ground (x, y), in metres, between poses (Q, 4, 4) and (R, 4, 4)."""
    difference = queries[:, None, :2, 3] - references[None, :, :2, 3]
    return np.asarray(np.linalg.norm(difference, axis=-1))


def positives(queries: Float64, references: Float64, hit_radius: float) -> Flags:
    """Return (Q, R): which references lie within `hit_radius` metres of each query. No pose (NaN) is within it."""
    return ground_distance(queries, references) < hit_radius


def same_drive(poses: Float64, path_gap: float, earlier: bool = False) -> Flags:
    """Return (N, N): which frames may be answers to which frames of the same drive.

    They must be more than `path_gap` metres of driving apart. earlier: only frames that were driven before.
    """
    path = travelled(poses, path_gap * STEPS)
    ahead = path[:, None] - path[None, :]
    return np.asarray((ahead if earlier else np.abs(ahead)) > path_gap)


def apart(poses: Float64, others: Float64, distance: float) -> Flags:
    """Return (N,): which poses are at least `distance` metres from all `others`, so that they show other places."""
    if len(others) == 0:
        return np.ones(len(poses), dtype=bool)
    return np.asarray(ground_distance(poses, others).min(axis=1) >= distance)


def blocks(poses: Float64, length: float, parts: int = 2) -> Rows:
    """Return (N,): the part (0 .. parts - 1) of each frame. The parts take turns every `length` metres of driving."""
    return np.asarray((travelled(poses, length * STEPS) // length).astype(np.intp) % parts)


def squares(poses: Float64, length: float) -> Rows:
    """Return (N,): the number of the square on the ground, `length` metres wide, in which each frame lies."""
    corner = np.floor(poses[:, :2, 3] / length)
    return np.asarray(np.unique(corner, axis=0, return_inverse=True)[1].ravel(), dtype=np.intp)


def by_instance(labels: Names, instances: Names, shares: Sequence[float], seed: int = 0) -> Rows:
    """Return (N,): the part of each row. No object is in two parts, and each class is in as many parts as possible.

    labels, instances (N,): class and object of each row. shares (P,): of the parts, for instance (0.5, 0.25, 0.25). The
    objects of a class are shuffled by `seed` and shared out by largest remainder; a single object goes to the first
    part. Raises Any2AnyError for shares that are not positive.
    """
    weight = np.asarray(shares, dtype=float)
    if weight.ndim != 1 or len(weight) < 1 or not (weight > 0).all():
        raise Any2AnyError("Cannot deal out the objects", f"the shares are {list(shares)}", "Give positive shares")
    part = np.zeros(len(labels), dtype=np.intp)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        objects = rng.permutation(np.unique(instances[labels == label]))
        for p, names in enumerate(np.split(objects, np.cumsum(_counts(len(objects), weight))[:-1])):
            part[(labels == label) & np.isin(instances, names)] = p
    return part


def _counts(count: int, weight: Float64) -> Rows:
    """Return how many of `count` objects each part (P,) gets: the whole numbers nearest to its share."""
    exact = count * weight / weight.sum()
    counts = np.floor(exact).astype(np.intp)
    largest_remainders = np.argsort(counts - exact, kind="stable")[: count - counts.sum()]
    counts[largest_remainders] += 1
    return np.asarray(counts)
