"""How recordings are written, an old and a new one, and maps of them, for writers.py."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import kitti_files
import numpy as np
from tqdm import tqdm
from written_maps import Write, scratch

from any2any_ros.data import bags, kitti
from any2any_ros.sim import tabletop, town
from any2any_ros.sim.tabletop import TabletopConfig
from any2any_ros.sim.town import TownConfig
from any2any_ros.sim.town import folder as town_folder
from any2any_ros.workflows import build_map
from any2any_ros.workflows.build_map import MapOptions


@functools.cache
def raw_drive() -> Path:
    """Return a KITTI folder: 12 frames 20 m apart, each with a picture and a scan."""
    folder, draw = scratch() / "2011_09_26_drive_0001_sync", np.random.default_rng(0)
    rows = [kitti_files.oxts_row(49.0, 8.4 + 2.7e-4 * i, 0.0) for i in range(12)]
    kitti_files.write_raw(folder, range(12), rows)
    for scan in sorted(folder.glob("velodyne_points/data/*.bin")):
        draw.uniform(-30, 30, size=(400, 4)).astype(np.float32).tofile(scan)
    for picture in sorted(folder.glob("image_02/data/*.png")):
        cv2.imwrite(str(picture), draw.integers(0, 255, (40, 96, 3), dtype=np.uint8))
    return folder


@functools.cache
def prepare_drive() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_bag("mcap")(Path(folder), 0)  # the types of messages are compiled then


def build(home: Path, number: int) -> None:
    options = MapOptions(name=str(number), scans=True, keyframe=100.0 - 50.0 * number)
    build_map.write_map(raw_drive(), home / "map", {"lidar": "lidar"}, options)


def write_bag(storage_name: str) -> Write:
    return lambda home, number: bags.write(kitti.read(raw_drive()), home / "bag", storage_name)


def remember(owner: Any, name: str, key: Callable[..., Any]) -> None:
    """Let a function compute each result once, also for the copies of this process that are made later."""
    compute, results = getattr(owner, name), dict[Any, Any]()

    def remembering(*arguments: Any) -> Any:
        at = key(*arguments)
        if at not in results:
            results[at] = compute(*arguments)
        return results[at]

    setattr(owner, name, remembering)


tqdm.get_lock()  # otherwise every copy of this process would make one, and leave it when it is killed
TINY_TOWN = TownConfig(places=24, squares=2, reverse_every=2, speed=40, points=1000, width=64, height=16)


def simulate_town(home: Path, number: int) -> None:
    town.write(home / "town", replace(TINY_TOWN, seed=number), workers=1, progress=False, overwrite=True)


@functools.cache
def prepare_town() -> None:
    """Render the frames of both towns, which the copies of this process then only write."""
    for sensor, name in ((town_folder.Lidar, "scan"), (town_folder.Camera, "shoot")):
        remember(sensor, name, lambda self, pose, rng: (id(self), pose.tobytes()))
    remember(town_folder, "_world", lambda config, lap: (config, lap))
    remember(town_folder, "record", lambda config, world, lap: (config, lap))
    remember(town_folder, "look_around", lambda scene, things, pose: (id(scene), pose.tobytes()))
    with tempfile.TemporaryDirectory() as folder:
        for number in (0, 1):
            simulate_town(Path(folder), number)


def simulate_tabletop(home: Path, number: int) -> None:
    config = TabletopConfig(classes=3, instances=1, views=2, descriptions=1, utterances=0, focal=90.0, seed=number)
    tabletop.write(home / "table", config, workers=1, progress=False, overwrite=True)
