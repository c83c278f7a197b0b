"""A table with objects as triangles, in a map whose floor is at z = 0; and pictures of one object alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.sim.tabletop.camera import Camera, Light, Shot, Window, looking
from any2any_ros.sim.tabletop.catalogue import RGB, SHADES, Body
from any2any_ros.sim.tabletop.objects import Place, build
from any2any_ros.sim.tabletop.patterns import SURFACE, Pattern
from any2any_ros.sim.tabletop.settings import CameraConfig, TabletopConfig
from any2any_ros.sim.town.mesh import Mesh, Scene

TOP = 0.75  # m, height of the table top above the floor
LENGTH, WIDTH, THICK = 1.5, 0.9, 0.04  # m along x and y of the map, and the thickness of the top
TABLE, ROOM = -1, -2  # number of the "thing" of surfaces that belong to no object
# The tops that a table may have.
TABLES: tuple[tuple[Pattern, RGB], ...] = (
    (Pattern.WOOD, (0.36, 0.22, 0.12)), (Pattern.WOOD, (0.16, 0.09, 0.05)), (Pattern.WOOD, (0.55, 0.42, 0.27)),
    (Pattern.PLAIN, SHADES["white"]), (Pattern.PLAIN, (0.30, 0.31, 0.32)), (Pattern.PLAIN, (0.12, 0.16, 0.14)),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Table:
    """A table with objects: its triangles, and the vertices (V, 3) of each object."""

    scene: Scene
    corners: tuple[Float64, ...]

    def change_top(self, rng: np.random.Generator) -> None:
        """Give the table another top, drawn at random."""
        pattern, colour = TABLES[int(rng.integers(len(TABLES)))]
        top = self.scene.surfaces["thing"] == TABLE
        self.scene.surfaces["kind"][top] = pattern
        self.scene.surfaces["colour"][top] = np.array(colour) * rng.uniform(0.8, 1.2)
        self.scene.surfaces["salt"][top] = int(rng.integers(9973))


def set_table(bodies: Sequence[Body], places: Sequence[Place], middle: tuple[float, float] = (0.0, 0.0)) -> Table:
    """Return a table whose middle is at (x, y) of the map, with the bodies at their places."""
    mesh = Mesh(columns=SURFACE)
    _furniture(mesh, *middle)
    ends = [mesh.size]
    for row, (body, place) in enumerate(zip(bodies, places, strict=True)):
        build(mesh, body, row, place)
        ends.append(mesh.size)
    vertices = mesh.vertices
    return Table(mesh.finish(), tuple(vertices[a:b].astype(float) for a, b in pairwise(ends)))


def _furniture(mesh: Mesh, x: float, y: float) -> None:
    """Add the floor of a room without walls, and the table."""
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
    """Takes pictures of one object that stands alone on a table."""

    def __init__(self, config: TabletopConfig, body: Body) -> None:
        self._config, self._body = config, body
        self._table = set_table([body], [Place(z=TOP)])
        self._camera = Camera(CameraConfig(focal=config.focal))

    def take(self, view: int) -> Shot:
        """Return the crop around the object in one view. Each view has its own direction, distance, light and table."""
        rng = np.random.default_rng([self._config.seed, 2, self._body.salt, view])
        self._table.change_top(rng)
        pose = self._viewpoint(view, rng)
        window = self._window(pose, rng)
        return self._camera.shoot(self._table.scene, pose, Light.draw(rng), rng, window)

    def _viewpoint(self, view: int, rng: np.random.Generator) -> Float64:
        """Return a camera pose (4, 4). The views go around the object, at angles that vary a little."""
        c = self._config
        heading = (
            2 * np.pi * (view + rng.uniform(-0.3, 0.3)) / c.views + np.random.default_rng(self._body.salt).random()
        )
        height = np.radians(rng.uniform(18, 58))
        away = rng.uniform(min(c.nearest, c.farthest), c.farthest)
        middle = self._table.corners[0].mean(axis=0)
        direction = np.array([np.cos(heading) * np.cos(height), np.sin(heading) * np.cos(height), np.sin(height)])
        aside = rng.uniform(-0.06, 0.06, 3)
        return looking(middle + away * direction, middle + aside, rng.normal(0, 0.03))

    def _window(self, pose: Float64, rng: np.random.Generator) -> Window:
        """Return the object's box in the picture with some margin and some error, as a detector would give it."""
        return box_around(self._camera, self._table.corners[0], pose, self._config.margin, rng.uniform(-0.05, 0.05, 4))


def box_around(camera: Camera, corners: Float64, pose: Float64, margin: float,
               error: Float64 | None = None) -> Window:  # fmt: skip
    """Return the window around points (V, 3).

    margin: added on each side, as a share of the size. error (4,): further shares, of left, top, right and bottom.
    """
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
