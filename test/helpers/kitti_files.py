"""Raw drives of KITTI, written for tests."""

from __future__ import annotations

import cv2
import numpy as np

PLACES, SPACING, PERIOD = 24, 6.0, 0.5  # of the fixture `laps`


def write_raw(folder, frames, oxts=None):
    for name in ("velodyne_points", "image_02", "oxts"):
        (folder / name / "data").mkdir(parents=True)
    for frame in frames:
        np.full((30, 4), frame, np.float32).tofile(folder / "velodyne_points" / "data" / f"{frame:010d}.bin")
        cv2.imwrite(str(folder / "image_02" / "data" / f"{frame:010d}.png"), np.full((8, 8, 3), frame, np.uint8))
    for i, row in enumerate(oxts if oxts is not None else ()):
        (folder / "oxts" / "data" / f"{i:010d}.txt").write_text(" ".join(map(str, row)))
    dates = [
        f"2011-09-26 23:59:{58 + 0.1 * i:012.9f}" if i < 20 else f"2011-09-27 00:00:{0.1 * (i - 20):012.9f}"
        for i in range(40)
    ]
    (folder / "velodyne_points" / "timestamps.txt").write_text("\n".join(dates) + "\n")
    return folder


def oxts_row(latitude, longitude, altitude, roll=0.0, pitch=0.0, yaw=0.0):
    return [latitude, longitude, altitude, roll, pitch, yaw, *[0.0] * 24]
