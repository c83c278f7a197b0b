"""Simulated towns as sets of frames, with the images and pictures that the real sets have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from real_sets.kitti_bev import OfImages, cloud_of, image_counts
from real_sets.real_set import Frames, RealSet, answerable

from any2any_ros.arrays import Array, Rows
from any2any_ros.data import splits
from any2any_ros.data.sources import ON_ROADS, DriveSource
from any2any_ros.encoders.birds_eye import BirdsEyeEncoder
from any2any_ros.progress import Counted, Progress
from any2any_ros.sim.simulated import mapper
from any2any_ros.sim.town.camera import Camera
from any2any_ros.sim.town.lidar import Lidar
from any2any_ros.sim.town.route import drive
from any2any_ros.sim.town.settings import TownConfig
from any2any_ros.sim.town.world import World, build_world

EVERY = 2  # of the frames of the second lap one in so many is a query; neighbours show nearly the same
LIDAR, CAMERA = "lidar", "camera"
WIDTH = 96  # px, of pictures: those of the picture sets are 64 to 100 pixels wide


@dataclass(frozen=True, eq=False)
class Town:
    """One town: the images of its clouds, its pictures, and what `birds_eye` makes of the clouds with their heights.

    lidar, camera: frames of both laps; the first lap is the map. For the camera, queries on streets that are driven in
    the opposite direction are left out, as in the picture sets. A sensor that was not asked for has no samples.
    heights (N, D): of all frames of `lidar`.
    """

    lidar: RealSet
    camera: RealSet
    heights: Array


def simulate(config: TownConfig, sensors: Sequence[str], workers: int, progress: Progress[Any]) -> Town:
    """Return a town as these sensors see it: LIDAR, CAMERA, or both. workers: processes."""
    sensors, count = tuple(sensors), len(range(0, config.places, EVERY))
    jobs = [(config, 0, i, sensors) for i in range(config.places)]
    jobs += [(config, 1, EVERY * i, sensors) for i in range(count)]
    with mapper(workers) as do:
        said = f"driving through town {config.seed}"
        frames = list(progress(Counted(do(_frame, jobs, chunksize=8), len(jobs)), said))
    counts, heights, pictures = zip(*frames, strict=True)
    laps = [drive(config, lap) for lap in (0, 1)]
    poses = np.concatenate([laps[0].poses, laps[1].poses[::EVERY]])
    queries = np.arange(config.places, len(jobs))
    same_way = queries[~laps[1].opposite[::EVERY]]

    def real(modality: str, reader: Any, asked: Rows) -> RealSet:
        frames = Frames(f"town-{config.seed}", poses, {modality: reader}, np.arange(len(jobs)))
        return _set(config, frames, asked)

    lidar = real(LIDAR, lambda i: cloud_of(counts[i]), queries)
    return Town(lidar, real(CAMERA, lambda i: pictures[i], same_way), np.array(heights))


def _set(config: TownConfig, frames: Frames, queries: Rows) -> RealSet:
    references = np.arange(config.places)
    right = splits.positives(frames.poses[queries], frames.poses[references], ON_ROADS.hit_radius)
    queries, right, allowed = answerable(right, np.ones(right.shape, dtype=bool), queries)
    protocol = f"frames of the second lap against all of the first; a hit is within {ON_ROADS.hit_radius:g} m"
    recording = DriveSource(frames, ON_ROADS)
    return RealSet("town", str(config.seed), "ours", protocol, recording, queries, references, right, allowed,
                   adapted=OfImages.adapt)  # fmt: skip


@lru_cache(maxsize=2)
def _sensors(config: TownConfig, lap: int) -> tuple[World, Lidar, Camera]:
    """Build a lap's world and sensors, once in each process."""
    world = build_world(config, lap)
    return world, Lidar(config, world.scene, world.condition.wet), Camera(config, world.scene, world.condition)


def _frame(job: tuple[TownConfig, int, int, tuple[str, ...]]) -> tuple[Any, Any, Any]:
    """Return the counts of a scan made as KITTI's images are, the vector of the scan, and the picture, RGB."""
    config, lap, frame, sensors = job
    world, lidar, camera = _sensors(config, lap)
    counts, vector, picture = None, np.zeros(1, dtype=np.float32), None
    scan, shot = (np.random.default_rng([config.seed, k, lap, frame]) for k in (10, 11))
    if LIDAR in sensors:
        cloud = lidar.scan(world.lap.poses[frame], scan)
        counts, vector = image_counts(cloud).astype(np.uint8), BirdsEyeEncoder().encode(cloud)
    if CAMERA in sensors:
        picture = _small(camera.shoot(world.lap.poses[frame], shot))
    return counts, vector, picture


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3), BGR, as RGB and WIDTH pixels wide if it is wider."""
    height, width = picture.shape[:2]
    size = min(WIDTH, width), round(height * min(WIDTH, width) / width)
    return np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)[..., ::-1], dtype=np.uint8)


def heights_parts(town: Town) -> Sequence[tuple[str, Array]]:
    """Return the vectors (N, D) of the parts of `birds_eye`, from clouds with heights."""
    first = BirdsEyeEncoder().parts[0]
    return (("spectral", town.heights[:, :first]), ("polar", town.heights[:, first:]),
            ("spectral + polar", town.heights))  # fmt: skip
