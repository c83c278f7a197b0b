"""A table with objects on it, in a map frame whose floor is at z = 0, as triangles; and one object's own portraits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from any2any_ros.sim.tabletop.camera import Camera, Light, Shot, Window, looking
from any2any_ros.sim.tabletop.catalogue import RGB, SHADES, Body
from any2any_ros.sim.tabletop.objects import Place, build
from any2any_ros.sim.tabletop.patterns import SURFACE, Pattern
from any2any_ros.sim.tabletop.settings import CameraConfig, TabletopConfig
from any2any_ros.sim.town.mesh import Mesh, Scene

TOP = 0.75  # m, of the table above the floor
LENGTH, WIDTH, THICK = 1.5, 0.9, 0.04  # m, along the map's x and y
TABLE, ROOM = -1, -2  # whose surface it is, when it is no object's
# What a table is made of.
TABLES: tuple[tuple[Pattern, RGB], ...] = (
    (Pattern.WOOD, (0.36, 0.22, 0.12)), (Pattern.WOOD, (0.16, 0.09, 0.05)), (Pattern.WOOD, (0.55, 0.42, 0.27)),
    (Pattern.PLAIN, SHADES["white"]), (Pattern.PLAIN, (0.30, 0.31, 0.32)), (Pattern.PLAIN, (0.12, 0.16, 0.14)),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Laid:
    """A table that is laid: its triangles, and the corners (V, 3) of each object on it."""

    scene: Scene
    corners: tuple[NDArray[np.float64], ...]

    def cover(self, rng: np.random.Generator) -> None:
        """Give the table another top."""
        pattern, colour = TABLES[int(rng.integers(len(TABLES)))]
        mine = self.scene.surfaces["thing"] == TABLE
        self.scene.surfaces["kind"][mine] = pattern
        self.scene.surfaces["colour"][mine] = np.array(colour) * rng.uniform(0.8, 1.2)
        self.scene.surfaces["salt"][mine] = int(rng.integers(9973))


def lay(bodies: Sequence[Body], places: Sequence[Place], middle: tuple[float, float] = (0.0, 0.0)) -> Laid:
    """Stand the bodies on a table whose middle is at (x, y) of the map."""
    mesh = Mesh(columns=SURFACE)
    _furniture(mesh, *middle)
    ends = [mesh.size]
    for row, (body, place) in enumerate(zip(bodies, places, strict=True)):
        build(mesh, body, row, place)
        ends.append(mesh.size)
    vertices = mesh.vertices
    return Laid(mesh.finish(), tuple(vertices[a:b].astype(float) for a, b in pairwise(ends)))


def _furniture(mesh: Mesh, x: float, y: float) -> None:
    """Add the floor, a wall-less room, and the table."""
    mesh.begin(ROOM, x, y, 0.0)
    floor = mesh.surface(Pattern.PLAIN, (0.24, 0.23, 0.22))
    mesh.quad([[-6, -6, 0], [6, -6, 0], [6, 6, 0], [-6, 6, 0]], floor)
    mesh.begin(TABLE, x, y, 0.0)
    top = mesh.surface(Pattern.WOOD, TABLES[0][1], origin=(x, y, TOP), period=0.004, gloss=0.05)
    mesh.box((0, 0, TOP - THICK), (LENGTH, WIDTH, THICK), top)
    for sx in (-1, 1):
        for sy in (-1, 1):
            leg = sx * (LENGTH / 2 - 0.06), sy * (WIDTH / 2 - 0.06), 0.0
            mesh.box(leg, (0.05, 0.05, TOP - THICK), top)


class Portraits:
    """Pictures of one object, alone on a table."""

    def __init__(self, config: TabletopConfig, body: Body) -> None:
        self._config, self._body = config, body
        self._laid = lay([body], [Place(z=TOP)])
        self._camera = Camera(CameraConfig(focal=config.focal))

    def take(self, view: int) -> Shot:
        """Return the crop around the object of one view: its own heading, distance, light and table."""
        rng = np.random.default_rng([self._config.seed, 2, self._body.salt, view])
        self._laid.cover(rng)
        pose = self._viewpoint(view, rng)
        window = self._window(pose, rng)
        return self._camera.shoot(self._laid.scene, pose, Light.draw(rng), rng, window)

    def _viewpoint(self, view: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return a camera pose (4, 4) all around, a few degrees from where its turn would be."""
        c = self._config
        heading = (
            2 * np.pi * (view + rng.uniform(-0.3, 0.3)) / c.views + np.random.default_rng(self._body.salt).random()
        )
        height = np.radians(rng.uniform(18, 58))
        away = rng.uniform(min(c.nearest, c.farthest), c.farthest)
        middle = self._laid.corners[0].mean(axis=0)
        direction = np.array([np.cos(heading) * np.cos(height), np.sin(heading) * np.cos(height), np.sin(height)])
        aside = rng.uniform(-0.06, 0.06, 3)
        return looking(middle + away * direction, middle + aside, rng.normal(0, 0.03))

    def _window(self, pose: NDArray[np.float64], rng: np.random.Generator) -> Window:
        """Return the object's box in the picture, with some table around, as a detector would find it."""
        return box_around(self._camera, self._laid.corners[0], pose, self._config.margin, rng.uniform(-0.05, 0.05, 4))


def box_around(camera: Camera, corners: NDArray[np.float64], pose: NDArray[np.float64], margin: float,
               error: NDArray[np.float64] | None = None) -> Window:  # fmt: skip
    """Return the window of points (V, 3) with `margin` of its size around, each side off by a share `error` (4,)."""
    seen = camera.pixels(corners, pose)
    low, high = seen.min(axis=0), seen.max(axis=0)
    size = np.maximum(high - low, 4)
    off = np.zeros(4) if error is None else error
    low, high = low - (margin + off[:2]) * size, high + (margin + off[2:]) * size
    limit = np.array([camera.config.width, camera.config.height])
    low = np.clip(np.floor(low), 0, limit - 8)
    high = np.clip(np.ceil(high), low + 8, limit)
    left, top, right, bottom = (int(v) for v in (*low, *high))
    return left, top, right - left, bottom - top
