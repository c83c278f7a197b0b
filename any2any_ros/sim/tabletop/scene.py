"""A table with several objects, as the RGB-D camera of a passing robot sees it; and the truth about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from any2any_ros import extras, samples
from any2any_ros.arrays import Array, Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS
from any2any_ros.sim.tabletop.camera import Camera, Light, looking
from any2any_ros.sim.tabletop.catalogue import Body, bodies
from any2any_ros.sim.tabletop.objects import Place
from any2any_ros.sim.tabletop.settings import CameraConfig, SceneConfig, TabletopConfig
from any2any_ros.sim.tabletop.table import LENGTH, TOP, WIDTH, Table, set_table

EYE = 1.3  # m, height of the camera above the floor
MIDDLE = (2.0, 1.0)  # m, middle of the table in the map; not the origin, so that mistakes show
GAP = 0.02  # m, smallest gap between two objects
TRIES = 400  # to find a free place for an object


@dataclass(frozen=True, eq=False)
class Thing:
    """One object on the table: its instance "mug_2", its class, its looks, and where it stands.

    pose (4, 4): map from object, z up, origin at its foot. low, high (3,): corners of its box in the map, m.
    """

    instance: str
    label: str
    body: Body
    pose: Float64
    low: Float64
    high: Float64


@dataclass(frozen=True, eq=False)
class Frame:
    """What the camera sees at one moment.

    rgb (H, W, 3). depth (H, W): m along the optical axis, in whole millimetres, NaN = hole, pixel by pixel as rgb.
    intrinsics (3, 3). pose (4, 4): map from the optical frame (REP-103: x right, y down, z forward). thing (H, W): the
    truth, the number of a thing of the scene, -1 for the table, -2 for the room.
    """

    stamp_ns: int
    rgb: NDArray[np.uint8]
    depth: Array
    intrinsics: Float64
    pose: Float64
    thing: NDArray[np.int32]


class TableScene:
    """The things on a table, and frames of them, each rendered when it is asked for. Equal seeds give equal scenes."""

    def __init__(self, seed: int, objects: TabletopConfig, config: SceneConfig, camera: CameraConfig) -> None:
        rng = np.random.default_rng([seed, 6])
        selected = _select(bodies(objects), config.objects, rng)
        self._table, places = _arrange(selected, rng)
        self._table.change_top(rng)
        self._light, self._seed = Light.draw(rng, 0.5), seed
        self._camera, self._config = Camera(camera), config
        self._start = rng.uniform(0, 2 * np.pi)
        boxes = [(v.min(axis=0), v.max(axis=0)) for v in self._table.corners]
        self.things = tuple(
            Thing(body.name, body.kind.label, body, place.pose, *box)
            for body, place, box in zip(selected, places, boxes, strict=True)
        )

    def __len__(self) -> int:
        return self._config.frames

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(i) for i in range(len(self)))

    def pose(self, i: int) -> Float64:
        """Return the pose (4, 4) of the camera at frame i, map from the optical frame. It moves around the table."""
        c = self._config
        share = i / max(len(self) - 1, 1)
        angle = self._start + np.radians(c.sweep) * share
        sway = 0.02 * np.sin(2 * np.pi * 3 * share)
        away = c.distance + sway
        eye = np.array([MIDDLE[0] + away * np.cos(angle), MIDDLE[1] + away * np.sin(angle), EYE + sway])
        return looking(eye, np.array([*MIDDLE, TOP + 0.05]), sway)

    def frame(self, i: int) -> Frame:
        """Return frame i. Stamps begin at 1 s: for ROS a stamp of 0 means that there is none.

        Raises IndexError when there is no frame i.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"frame {i} of {len(self)}")
        pose = self.pose(i)
        shot = self._camera.shoot(self._table.scene, pose, self._light, np.random.default_rng([self._seed, 7, i]))
        depth = samples.valid_depth(shot.depth.astype(np.float32) * np.float32(0.001))
        stamp = NS + round(i / self._config.rate * NS)
        return Frame(stamp, shot.rgb, depth, self._camera.matrix.copy(), pose, shot.thing)


def scene(seed: int, objects: TabletopConfig = TabletopConfig(), config: SceneConfig = SceneConfig(),
          camera: CameraConfig = CameraConfig()) -> TableScene:  # fmt: skip
    """Return a table, drawn by `seed`, with some of the objects that `objects` (with its own seed) writes as a folder.

    Raises Any2AnyError when the objects do not fit on the table, and when the extra `sim` is not installed.
    """
    extras.require("sim", "simulate a table")
    return TableScene(seed, objects, config, camera)


def _select(candidates: tuple[Body, ...], count: int, rng: np.random.Generator) -> list[Body]:
    """Return `count` objects. Where possible, every second one is of a class that is already there."""
    if count > len(candidates):
        raise Any2AnyError(
            f"Cannot put {count} objects on the table", f"there are {len(candidates)}", "Ask for fewer, or make more"
        )
    left = [candidates[i] for i in rng.permutation(len(candidates))]
    selected: list[Body] = []
    while len(selected) < count:
        similar = (b for b in left if any(b.kind is other.kind for other in selected))
        twin = next(similar, None) if len(selected) % 2 else None
        selected.append(left.pop(left.index(twin)) if twin else left.pop(0))
    return selected


def _arrange(objects: list[Body], rng: np.random.Generator) -> tuple[Table, list[Place]]:
    """Put the objects on the table so that none touches another one or stands over the edge."""
    alone = set_table(objects, [Place()] * len(objects)).corners
    reach = [float(np.linalg.norm(v[:, :2], axis=1).max()) for v in alone]
    places: list[Place | None] = [None] * len(objects)
    for row in np.argsort(reach)[::-1]:  # the largest first
        placed = [(p, r) for p, r in zip(places, reach, strict=True) if p is not None]
        places[row] = _free_place(reach[row], placed, rng)
    final = [p for p in places if p is not None]
    return set_table(objects, final, MIDDLE), final


def _free_place(reach: float, taken: list[tuple[Place, float]], rng: np.random.Generator) -> Place:
    """Return a free place for an object that reaches `reach` metres from its middle."""
    for _ in range(TRIES):
        x = MIDDLE[0] + rng.uniform(-1, 1) * (LENGTH / 2 - reach)
        y = MIDDLE[1] + rng.uniform(-1, 1) * (WIDTH / 2 - reach)
        if all(np.hypot(x - p.x, y - p.y) > reach + r + GAP for p, r in taken):
            return Place(x, y, TOP, rng.uniform(-np.pi, np.pi))
    raise Any2AnyError(
        "The objects do not fit on the table", f"no room was found after {TRIES} tries", "Ask for fewer objects"
    )
