"""Simulated towns as bird's-eye images: two drives of each, and pairs of images of the same place.

The images are made as KITTI's were (real_sets/kitti_bev.py), so that only the world differs, not the format.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from real_sets import kitti_bev

from any2any_ros import extras
from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.birds_eye import image
from any2any_ros.birds_eye.image import Levels
from any2any_ros.files import write_atomically
from any2any_ros.progress import Progress, silent
from any2any_ros.sim.town.conditions import CONDITIONS
from any2any_ros.sim.town.settings import TownConfig

LAPS = (0, 1)
SAME = 3.0  # m between two images that are a pair, at most
OTHER = 10.0  # m from which on two images are of different places
FRAMES, STEP, RATE = 240, 3.0, 4.0  # of a lap; m between two; Hz
SHIFT = 5.0  # cells, of a varied image along each axis, at most
LOST = 0.3  # share of the filled cells of a varied image that are emptied, at most
SHADOW = 60.0  # degrees of a varied image that something near hides, at most
_ACROSS = np.arange(image.SIZE) + 0.5 - image.HALF
_BEARING = np.degrees(np.arctan2(_ACROSS[:, None], _ACROSS)) % 360
_RANGE = np.hypot(_ACROSS[:, None], _ACROSS)


@dataclass(frozen=True, eq=False)
class Town:
    """images (N, SIZE, SIZE). ground (N, 2): where each was taken, in metres. lap (N,): on which drive, 0 or 1."""

    name: str
    images: Levels
    ground: Float64
    lap: Rows

    def __len__(self) -> int:
        return len(self.images)

    def apart(self, rows: Rows, others: Rows) -> Float64:
        """Return the distances (n, m) in metres between the images in rows (n,) and in others (m,)."""
        return np.asarray(np.linalg.norm(self.ground[rows][:, None] - self.ground[others], axis=-1))

    def partners(self, rows: Rows, draw: np.random.Generator) -> Rows:
        """Return (n,): for each row an image of the same place, of the other drive where it passed there."""
        near = self.apart(rows, np.arange(len(self))) < SAME
        elsewhere = near & (self.lap[rows][:, None] != self.lap)
        allowed = np.where(elsewhere.any(axis=1, keepdims=True), elsewhere, near)
        return np.array([draw.choice(np.flatnonzero(row)) for row in allowed])

    def negatives(self, rows: Rows, partners: Rows) -> Flags:
        """Return (n, n): which rows and partners show different places."""
        return np.asarray(self.apart(rows, partners) > OTHER)


def image_of_scan(points: Array) -> Levels:
    """Return the image (SIZE, SIZE) of a scan (N, >= 3), made as KITTI's images were."""
    counted = kitti_bev.image_counts(points)[::-1, ::-1].T
    edge = (len(counted) - image.SIZE) // 2
    return image.of_counts(counted[edge:-edge, edge:-edge])


def varied(levels: Levels, draw: np.random.Generator) -> Levels:
    """Return an image (SIZE, SIZE) of the same place: any heading, a shift of up to 2 m along each axis, fewer cells,
    and a shadow."""
    middle = (image.SIZE - 1) / 2
    turn: Float64 = np.array(cv2.getRotationMatrix2D((middle, middle), draw.uniform(0, 360), 1.0), dtype=np.float64)
    turn[:, 2] += draw.uniform(-SHIFT, SHIFT, 2)
    moved = cv2.warpAffine(levels, turn, (image.SIZE, image.SIZE), flags=cv2.INTER_NEAREST)
    kept = draw.random(moved.shape) >= draw.uniform(0, LOST)
    beginning = draw.uniform(0, 360)
    hidden = (_BEARING - beginning) % 360 < draw.uniform(0, SHADOW)
    kept &= ~(hidden & (draw.uniform(10, image.HALF) < _RANGE))
    return np.where(kept & image.INSIDE, moved, 0).astype(np.uint8)


def simulated(seed: int, folder: Path, progress: Progress[int] = silent) -> Town:
    """Return the town of a seed. It is stored in a folder, and read from there the next time."""
    file = folder / f"town-{seed}.npz"
    if not file.exists():
        extras.require("sim", "simulate a town")
        made = driven(town_config(seed), progress)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(
            file, lambda stream: np.savez_compressed(stream, images=made.images, ground=made.ground, lap=made.lap)
        )
    with np.load(file, allow_pickle=False) as stored:
        return Town(f"town {seed}", stored["images"], stored["ground"], stored["lap"])


def town_config(seed: int) -> TownConfig:
    """Return a town whose blocks, likeness of houses and conditions are drawn by its seed."""
    draw = np.random.default_rng([seed, 77])
    return TownConfig(
        seed=seed,
        places=FRAMES,
        squares=int(draw.integers(2, 5)),
        reverse_every=2,
        speed=STEP * RATE,
        rate=RATE,
        likeness=float(draw.uniform(0.3, 0.8)),
        second_lap=CONDITIONS[int(draw.integers(len(CONDITIONS)))],
        offset=2.0,
    )


def driven(config: TownConfig, progress: Progress[int] = silent) -> Town:
    """Drive both laps of a town, and return its images."""
    from any2any_ros.sim.town.lidar import Lidar
    from any2any_ros.sim.town.world import build_world

    images, ground = [], []
    for lap in LAPS:
        world = build_world(config, lap)
        lidar, draw = Lidar(config, world.scene, world.condition.wet), np.random.default_rng([config.seed, 78, lap])
        for i in progress(range(config.places), f"town {config.seed}, lap {lap}"):
            images.append(image_of_scan(lidar.scan(world.lap.poses[i], draw)))
            ground.append(world.lap.poses[i, :2, 3])
    lap_of = np.repeat(LAPS, config.places)
    return Town(f"town {config.seed}", np.array(images), np.array(ground), lap_of)
