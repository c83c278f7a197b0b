"""Which references count as right, and which frames may meet in calibration and test: always by place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Flags, Float64
from any2any_ros.data.drive import travelled
from any2any_ros.errors import Any2AnyError


def ground_distance(queries: Float64, references: Float64) -> NDArray[np.float64]:
    """Return the distances (Q, R) in metres on the ground (x, y) between poses (Q, 4, 4) and (R, 4, 4)."""
    difference = queries[:, None, :2, 3] - references[None, :, :2, 3]
    return np.asarray(np.linalg.norm(difference, axis=-1))


def positives(queries: Float64, references: Float64, hit_radius: float) -> Flags:
    """Return (Q, R): which references lie within `hit_radius` metres of each query; none where a pose is NaN."""
    return ground_distance(queries, references) < hit_radius


def same_drive(poses: Float64, path_gap: float, earlier: bool = False) -> Flags:
    """Return (N, N): which frames of one drive may answer each: `path_gap` metres of driving apart, or before it."""
    path = travelled(poses)
    ahead = path[:, None] - path[None, :]
    return np.asarray((ahead if earlier else np.abs(ahead)) > path_gap)


def apart(poses: Float64, others: Float64, distance: float) -> Flags:
    """Return (N,): which poses lie at least `distance` metres from every one of `others`: another place."""
    if len(others) == 0:
        return np.ones(len(poses), dtype=bool)
    return np.asarray(ground_distance(poses, others).min(axis=1) >= distance)


def blocks(poses: Float64, length: float, parts: int = 2) -> NDArray[np.intp]:
    """Return (N,): which of `parts` each frame belongs to, in turns of `length` metres driven."""
    return np.asarray((travelled(poses) // length).astype(np.intp) % parts)


def squares(poses: Float64, length: float) -> NDArray[np.intp]:
    """Return (N,): which square of the ground, `length` metres wide, each frame lies in, numbered from 0."""
    corner = np.floor(poses[:, :2, 3] / length)
    return np.asarray(np.unique(corner, axis=0, return_inverse=True)[1].ravel(), dtype=np.intp)


def by_instance(
    labels: NDArray[np.str_], instances: NDArray[np.str_], shares: Sequence[float], seed: int = 0
) -> NDArray[np.intp]:
    """Return (N,): which part each row belongs to, so that no object is in two and each class in as many as it can.

    labels, instances (N,): class and object of each row. shares (P,): of the parts, e.g. (0.5, 0.25, 0.25); a class's
    objects are dealt by largest remainder after a shuffle by `seed`, and of one object the first part gets it.
    """
    weight = np.asarray(shares, dtype=float)
    if weight.ndim != 1 or len(weight) < 1 or not (weight > 0).all():
        raise Any2AnyError("Cannot deal out the objects", f"the shares are {list(shares)}", "Give positive shares")
    part = np.zeros(len(labels), dtype=np.intp)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        objects = rng.permutation(np.unique(instances[labels == label]))
        for p, names in enumerate(np.split(objects, np.cumsum(_dealt(len(objects), weight))[:-1])):
            part[(labels == label) & np.isin(instances, names)] = p
    return part


def _dealt(count: int, weight: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return how many of `count` things each part (P,) gets: whole numbers nearest to their shares."""
    exact = count * weight / weight.sum()
    given = np.floor(exact).astype(np.intp)
    first = np.argsort(given - exact, kind="stable")[: count - given.sum()]
    given[first] += 1
    return np.asarray(given)
