"""Triangles with surfaces, and rays that are cast into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros.arrays import Array, Flags, Float64
from any2any_ros.sim.town.conditions import RGB


class Kind(IntEnum):
    """How a surface is painted."""

    PLAIN = 0
    FACADE = 1
    TILES = 2
    MASONRY = 3
    ROAD = 4
    PAVING = 5
    GRASS = 6
    LEAVES = 7
    STRIPES = 8


class Masonry(IntEnum):
    """What a wall looks like it is built of."""

    PLASTER = 0
    BRICK = 1
    STONE = 2


# One row for each surface. Of a wall or a road: its lower corner `origin`, its horizontal direction `axis`, and in
# metres `length`, `width`, `height`, the distance between windows (`bay`) and between floors (`storey`).
SURFACE = np.dtype(
    [
        ("kind", "i4"),
        ("thing", "i4"),  # row of the thing that it belongs to; -1 for the ground
        ("salt", "i4"),
        ("colour", "f4", 3),
        ("accent", "f4", 3),
        ("reflectance", "f4"),
        ("origin", "f4", 3),
        ("axis", "f4", 2),
        ("length", "f4"),
        ("width", "f4"),
        ("height", "f4"),
        ("bay", "f4"),
        ("storey", "f4"),
        ("masonry", "i4"),  # of Masonry
        ("windows", "i4"),  # kind of windows
        ("blind", "?"),  # a side wall with few windows
        ("shop", "i4"),  # 0 none, 1 open, 2 closed
        ("marks", "i4"),  # of a road: 0 none, 1 lines, 2 lines and zebra crossings
    ]
)


@dataclass
class Mesh:
    """A mesh that grows. All that is added belongs to the thing of the last `begin`, and is given in its frame.

    columns: of a surface. Those of another world need kind, colour, thing and reflectance, too.
    """

    thing: int = -1
    _place: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    _vertices: list[Array] = field(default_factory=list)
    _faces: list[NDArray[np.int32]] = field(default_factory=list)
    _face_surface: list[NDArray[np.int32]] = field(default_factory=list)
    _surfaces: list[NDArray[np.void]] = field(default_factory=list)
    _count: int = 0
    columns: np.dtype[Any] = SURFACE

    def begin(self, thing: int, x: float, y: float, yaw: float, z: float = 0.0) -> None:
        """From now on add to the thing of this number, whose frame is at (x, y, z), turned by `yaw` radians."""
        self.thing, self._place = thing, (x, y, z, yaw)

    def surface(self, kind: IntEnum, colour: RGB, *, reflectance: float = 0.3, **values: object) -> int:
        """Add a surface and return its number. values: further columns of the surface, by name."""
        row = np.zeros((), dtype=self.columns)
        row["kind"], row["colour"], row["thing"], row["reflectance"] = kind, colour, self.thing, reflectance
        for name, value in values.items():
            row[name] = value
        self._surfaces.append(row)
        return len(self._surfaces) - 1

    def plain(self, colour: RGB, reflectance: float = 0.3, salt: int = 0) -> int:
        """Add a surface of one colour and return its number."""
        return self.surface(Kind.PLAIN, colour, reflectance=reflectance, salt=salt)

    def add(self, vertices: ArrayLike, faces: ArrayLike, surface: int) -> None:
        """Add vertices (V, 3) and faces (F, 3) of one surface."""
        v, f = self._to_world(vertices).astype(np.float32), np.asarray(faces, dtype=np.int32)
        self._vertices.append(v)
        self._faces.append(f + np.int32(self._count))
        self._face_surface.append(np.full(len(f), surface, dtype=np.int32))
        self._count += len(v)

    def quad(self, corners: ArrayLike, surface: int) -> None:
        """Add a flat quadrilateral, corners (4, 3) in order."""
        self.add(corners, [[0, 1, 2], [0, 2, 3]], surface)

    def wall(self, a: tuple[float, float], b: tuple[float, float], low: float, high: float, kind: Kind,
             **columns: object) -> None:  # fmt: skip
        """Add an upright wall from a to b (x, y), with a surface of its own. columns: further ones of the surface."""
        start, end = self._to_world([[*a, low], [*b, low]])
        length = float(np.hypot(*(end - start)[:2]))
        row: dict[str, Any] = {
            "origin": start,
            "axis": (end - start)[:2] / length,
            "length": length,
            "height": high - low,
            **columns,
        }
        surface = self.surface(kind, **row)
        self.quad([[*a, low], [*b, low], [*b, high], [*a, high]], surface)

    def box(self, centre: Sequence[float], size: Sequence[float], surface: int, yaw: float = 0.0) -> None:
        """Add a box. centre: of its bottom. size: length, width, height. It is turned by `yaw` radians."""
        cube = _cube()
        v = (cube.vertices + np.array([0, 0, 0.5])) * size
        self.add(turned(v, yaw) + centre, cube.faces, surface)

    def cylinder(self, centre: Sequence[float], radius: float, height: float, surface: int, sides: int = 6,
                 top: float | None = None) -> None:  # fmt: skip
        """Add an upright prism. centre: of its bottom. top: radius of its upper end (0 for a cone)."""
        angle = np.arange(sides) * 2 * np.pi / sides
        ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(sides)], axis=1)
        upper = ring * (radius if top is None else top) + [0, 0, height]
        v = np.vstack([ring * radius, upper, [[0, 0, height]]]) + centre
        i, j = np.arange(sides), (np.arange(sides) + 1) % sides
        cap = np.full(sides, 2 * sides)
        faces = np.vstack(
            [np.stack(t, axis=1) for t in ((i, j, sides + j), (i, sides + j, sides + i), (sides + i, sides + j, cap))]
        )
        self.add(v, faces, surface)

    def blob(self, centre: ArrayLike, radii: ArrayLike, surface: int, rng: np.random.Generator, keep: float) -> None:
        """Add a ragged ball of leaves. keep: share of its faces that are drawn, so that one can look through it."""
        ball = _ball()
        v = ball.vertices * radii * rng.uniform(0.75, 1.2, (len(ball.vertices), 1)) + centre
        faces = ball.faces[rng.random(len(ball.faces)) < keep]
        if len(faces):
            self.add(v, faces, surface)

    @property
    def vertices(self) -> Array:
        """All vertices so far (V, 3), in the world frame."""
        return np.concatenate(self._vertices)

    @property
    def size(self) -> int:
        """Number of vertices so far."""
        return self._count

    def _to_world(self, points: ArrayLike) -> Float64:
        x, y, z, yaw = self._place
        return np.asarray(turned(points, yaw) + np.array([x, y, z]))

    def finish(self) -> Scene:
        """Return the scene made of everything added."""
        return Scene(
            self.vertices,
            np.concatenate(self._faces),
            np.concatenate(self._face_surface),
            np.stack(self._surfaces),
        )


@cache
def _cube() -> Any:
    """Return a cube of side 1 around the origin."""
    import trimesh

    return trimesh.creation.box(extents=(1, 1, 1))


@cache
def _ball() -> Any:
    """Return a coarse ball of radius 1 around the origin."""
    import trimesh

    return trimesh.creation.icosphere(subdivisions=1, radius=1)


def turned(points: ArrayLike, yaw: float) -> Float64:
    """Return points (N, 3) turned about the vertical axis by `yaw` radians."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.asarray(np.asarray(points) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]]))


def turn(vectors: Array, matrix: ArrayLike) -> Array:
    """Return matrix (3, 3) or (3,) times vectors (N, 3). It does not use BLAS, whose sums depend on the threads."""
    rows = np.asarray(matrix, dtype=np.float32)
    return np.asarray(np.einsum("nk,...k->n...", vectors, rows))


@dataclass(frozen=True, eq=False)
class Hits:
    """What N rays hit. distance (N,): m, inf = nothing. face (N,): -1 = nothing."""

    distance: Array
    face: NDArray[np.int32]

    @property
    def hit(self) -> Flags:
        return self.face >= 0


class Scene:
    """Triangles, ready for rays. normals (F, 3); surface (F,): the row of each triangle in `surfaces`."""

    def __init__(
        self,
        vertices: Array,
        faces: NDArray[np.int32],
        surface: NDArray[np.int32],
        surfaces: NDArray[np.void],
    ) -> None:
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh

        corners = vertices[faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        self.normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        self.surface, self.surfaces = surface, surfaces
        self._embree = rtcore_scene.EmbreeScene()
        TriangleMesh(self._embree, vertices, faces)

    def cast(self, origins: Array, directions: Array) -> Hits:
        """Cast rays: origins (3,) or (N, 3), directions (N, 3) of length 1, in the world frame."""
        start = np.ascontiguousarray(np.broadcast_to(origins, directions.shape), dtype=np.float32)
        answer = self._embree.run(start, np.ascontiguousarray(directions), query="INTERSECT", output=True)
        face = answer["primID"]
        return Hits(np.where(face >= 0, answer["tfar"], np.float32(np.inf)), face)

    def blocked(self, origins: Array, direction: Array) -> Flags:
        """Return (N,): whether something is in `direction` (3,) of the origins (N, 3)."""
        rays = np.ascontiguousarray(np.broadcast_to(direction, origins.shape), dtype=np.float32)
        return np.asarray(self._embree.run(np.ascontiguousarray(origins), rays, query="OCCLUDED") >= 0)
