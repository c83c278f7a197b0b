"""A whole table with several of the objects on it, as a robot's RGB-D camera sees it in passing, and the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from any2any_ros import extras, samples
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS
from any2any_ros.sim.tabletop.camera import Camera, Light, looking
from any2any_ros.sim.tabletop.catalogue import Body, bodies
from any2any_ros.sim.tabletop.objects import Place
from any2any_ros.sim.tabletop.settings import CameraConfig, SceneConfig, TabletopConfig
from any2any_ros.sim.tabletop.table import LENGTH, TOP, WIDTH, Laid, lay

EYE = 1.3  # m above the floor
MIDDLE = (2.0, 1.0)  # of the table in the map, m: the map's origin is elsewhere
GAP = 0.02  # m between two objects
TRIES = 400


@dataclass(frozen=True, eq=False)
class Thing:
    """One object that is there: its instance "mug_2", its class, what it looks like, and where it stands.

    pose (4, 4) float64, map from object: z up, its foot at the origin; low, high (3,): its box in the map, metres.
    """

    instance: str
    label: str
    body: Body
    pose: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frame:
    """What the camera sees at one moment.

    rgb (H, W, 3) uint8; depth (H, W) float32 metres along the optical axis, NaN = hole, registered to rgb and of whole
    millimetres; intrinsics (3, 3); pose (4, 4) float64, map from the camera's optical frame (REP-103: x right, y down,
    z forward); thing (H, W) int32, the truth: row of the scene's things, -1 the table, -2 the room.
    """

    stamp_ns: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    intrinsics: NDArray[np.float64]
    pose: NDArray[np.float64]
    thing: NDArray[np.int32]


class TableScene:
    """The things on the table, and frames of them, rendered as they are asked for; equal for equal seeds."""

    def __init__(self, seed: int, objects: TabletopConfig, config: SceneConfig, camera: CameraConfig) -> None:
        rng = np.random.default_rng([seed, 6])
        chosen = _chosen(bodies(objects), config.objects, rng)
        self._laid, places = _laid_out(chosen, rng)
        self._laid.cover(rng)
        self._light, self._seed = Light.draw(rng, 0.5), seed
        self._camera, self._config = Camera(camera), config
        self._start = rng.uniform(0, 2 * np.pi)
        boxes = [(v.min(axis=0), v.max(axis=0)) for v in self._laid.corners]
        self.things = tuple(
            Thing(body.name, body.kind.label, body, place.pose, *box)
            for body, place, box in zip(chosen, places, boxes, strict=True)
        )

    def __len__(self) -> int:
        return self._config.frames

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(i) for i in range(len(self)))

    def pose(self, i: int) -> NDArray[np.float64]:
        """Return the camera's pose (4, 4) at frame i, map from its optical frame: it walks around the table."""
        c = self._config
        share = i / max(len(self) - 1, 1)
        angle = self._start + np.radians(c.sweep) * share
        sway = 0.02 * np.sin(2 * np.pi * 3 * share)
        away = c.distance + sway
        eye = np.array([MIDDLE[0] + away * np.cos(angle), MIDDLE[1] + away * np.sin(angle), EYE + sway])
        return looking(eye, np.array([*MIDDLE, TOP + 0.05]), sway)

    def frame(self, i: int) -> Frame:
        """Render frame i; stamps begin at 1 s, because ROS takes 0 for none."""
        if not 0 <= i < len(self):
            raise IndexError(f"frame {i} of {len(self)}")
        pose = self.pose(i)
        shot = self._camera.shoot(self._laid.scene, pose, self._light, np.random.default_rng([self._seed, 7, i]))
        depth = samples.valid_depth(shot.depth.astype(np.float32) * np.float32(0.001))
        stamp = NS + round(i / self._config.rate * NS)
        return Frame(stamp, shot.rgb, depth, self._camera.matrix.copy(), pose, shot.thing)


def scene(seed: int, objects: TabletopConfig = TabletopConfig(), config: SceneConfig = SceneConfig(),
          camera: CameraConfig = CameraConfig()) -> TableScene:  # fmt: skip
    """Return a table laid by `seed` with some of the objects that `objects` (its own seed) writes as a folder."""
    extras.require("sim", "simulate a table")
    return TableScene(seed, objects, config, camera)


def _chosen(all_of_them: tuple[Body, ...], count: int, rng: np.random.Generator) -> list[Body]:
    """Return `count` objects; every second one is of a class that is there already, where that is possible."""
    if count > len(all_of_them):
        raise Any2AnyError(
            f"Cannot put {count} objects on the table", f"there are {len(all_of_them)}", "Ask for fewer, or make more"
        )
    left = [all_of_them[i] for i in rng.permutation(len(all_of_them))]
    found: list[Body] = []
    while len(found) < count:
        twin = next((b for b in left if any(b.kind is f.kind for f in found)), None) if len(found) % 2 else None
        found.append(left.pop(left.index(twin)) if twin else left.pop(0))
    return found


def _laid_out(chosen: list[Body], rng: np.random.Generator) -> tuple[Laid, list[Place]]:
    """Stand the objects on the table so that none touches another or hangs over the edge."""
    alone = lay(chosen, [Place()] * len(chosen)).corners
    reach = [float(np.linalg.norm(v[:, :2], axis=1).max()) for v in alone]
    places: list[Place | None] = [None] * len(chosen)
    for row in np.argsort(reach)[::-1]:  # the largest first
        placed = [(p, r) for p, r in zip(places, reach, strict=True) if p is not None]
        places[row] = _free(reach[row], placed, rng)
    final = [p for p in places if p is not None]
    return lay(chosen, final, MIDDLE), final


def _free(reach: float, taken: list[tuple[Place, float]], rng: np.random.Generator) -> Place:
    """Return a free place for something that reaches that far from its middle."""
    for _ in range(TRIES):
        x = MIDDLE[0] + rng.uniform(-1, 1) * (LENGTH / 2 - reach)
        y = MIDDLE[1] + rng.uniform(-1, 1) * (WIDTH / 2 - reach)
        if all(np.hypot(x - p.x, y - p.y) > reach + r + GAP for p, r in taken):
            return Place(x, y, TOP, rng.uniform(-np.pi, np.pi))
    raise Any2AnyError(
        "The objects do not fit on the table", f"no room was found after {TRIES} tries", "Ask for fewer objects"
    )
