"""The two laps through the demo's town: the first becomes the map, the second calibrates and tests it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from any2any_ros.data import kitti, splits
from any2any_ros.data.kitti import KittiDrive
from any2any_ros.data.sources import ON_ROADS

CALIBRATION_SHARE = 1 / 3  # of the town's squares
APART = 2 * ON_ROADS.hit_radius  # m, smallest distance between calibration and test places


@dataclass(frozen=True, eq=False)
class Laps:
    """The drive that becomes the map, and the second lap split by place into calibration and test."""

    mapped: KittiDrive
    calibration: KittiDrive
    test: KittiDrive


def read(folder: Path) -> Laps:
    """Read the laps of the town in `folder`, and split the second one by the town's squares."""
    mapped, driven = kitti.read(folder, "00"), kitti.read(folder, "01")
    square = np.array(json.loads((folder / "town.json").read_text())["laps"]["01"]["square"])
    calibrates = square < round(CALIBRATION_SHARE * (square.max() + 1))
    apart = splits.apart(driven.poses, driven.poses[calibrates], APART)
    return Laps(mapped, driven.take(calibrates), driven.take(~calibrates & apart))
