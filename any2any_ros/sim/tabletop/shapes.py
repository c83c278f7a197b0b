"""The shapes of which objects are built: vertices (V, 3) in metres, and faces (F, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Float64, Int64

Shape = tuple[Float64, Int64]  # vertices, faces

SIDES = 40  # of a round shape


def lathe(profile: ArrayLike, sides: int = SIDES) -> Shape:
    """Return the shape of a line of (radius, height), (P, 2), turned about the vertical axis."""
    import trimesh

    turned = trimesh.creation.revolve(np.asarray(profile, dtype=np.float64), sections=sides)
    return turned.vertices, turned.faces


def box(size: Sequence[float], rounded: float = 0.0) -> Shape:
    """Return a box (length, width, height) that stands on 0. rounded: how far its corners are pulled in, a share."""
    cube = _cube().subdivide().subdivide() if rounded else _cube()
    v = np.array(cube.vertices)
    v *= 1 - rounded * (np.linalg.norm(v, axis=1, keepdims=True) - 0.5)
    return (v + [0, 0, 0.5]) * np.asarray(size), cube.faces


def ball(radii: ArrayLike, centre: ArrayLike = (0.0, 0.0, 0.0)) -> Shape:
    """Return an ellipsoid with three radii."""
    unit_ball = _ball()
    return unit_ball.vertices * np.asarray(radii) + np.asarray(centre), unit_ball.faces


def tube(path: ArrayLike, radius: ArrayLike, sides: int = 14) -> Shape:
    """Return a closed tube along a path (N, 3) that lies in one plane. radius: (N,), or one for all points."""
    p = np.asarray(path, dtype=np.float64)
    r = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(p))
    along = np.gradient(p, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = _normal_of_plane(p)
    up = np.cross(along, side)
    angle = np.arange(sides) * 2 * np.pi / sides
    ring = np.cos(angle)[None, :, None] * side + np.sin(angle)[None, :, None] * up[:, None]
    v = np.concatenate([(p[:, None] + r[:, None, None] * ring).reshape(-1, 3), p[[0, -1]]])
    return v, _tube_faces(len(p), sides)


def _normal_of_plane(path: Float64) -> Float64:
    """Return the normal (3,) of the plane of a path, of length 1; for a straight path, any direction across it."""
    centred = path - path.mean(axis=0)
    return np.asarray(np.linalg.svd(centred, full_matrices=True)[2][2])


def _tube_faces(rings: int, sides: int) -> Int64:
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(sides), indexing="ij")
    a, b = i * sides + j, i * sides + (j + 1) % sides
    c, d = a + sides, b + sides
    walls = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])
    k, first, last = np.arange(sides), rings * sides, (rings - 1) * sides
    caps = [np.stack([np.full(sides, first + e), at + k, at + (k + 1) % sides], -1) for e, at in ((0, 0), (1, last))]
    return np.concatenate([walls, *caps])


def ring(radius: float, thickness: float, stretch: float = 1.0) -> Shape:
    """Return a ring that lies flat. stretch: its width along y, compared with x."""
    angle = np.linspace(0, 2 * np.pi, 25)
    path = np.stack([radius * np.cos(angle), radius * stretch * np.sin(angle), np.full(25, thickness)], -1)
    return tube(path, thickness, sides=8)


def arc(start: float, end: float, points: int = 14) -> Float64:
    """Return points (N, 2) on the circle of radius 1 between two angles in degrees."""
    angle = np.radians(np.linspace(start, end, points))
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def moved(shape: Shape, by: ArrayLike = (0.0, 0.0, 0.0), turn: ArrayLike = (0.0, 0.0, 0.0)) -> Shape:
    """Return a shape turned about the fixed x, y and z axis, in this order (degrees), and then moved."""
    import trimesh

    rotation = trimesh.transformations.euler_matrix(*np.radians(turn), axes="sxyz")[:3, :3]
    return shape[0] @ rotation.T + np.asarray(by), shape[1]


@cache
def _cube() -> Any:
    """Return a cube of side 1 around the origin."""
    import trimesh

    return trimesh.creation.box(extents=(1, 1, 1))


@cache
def _ball() -> Any:
    """Return a fine ball of radius 1 around the origin."""
    import trimesh

    return trimesh.creation.icosphere(subdivisions=3, radius=1)
