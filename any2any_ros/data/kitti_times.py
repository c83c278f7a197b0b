"""The times of the frames of a drive, from the files that its layout has for them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from any2any_ros import limits, reading
from any2any_ros.arrays import Float64, Int64
from any2any_ros.data.drive import LATEST
from any2any_ros.data.kitti_layout import is_time, times
from any2any_ros.data.kitti_poses import COPY, enough, numbers
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS

START = NS  # ns, the stamp of time 0: for ROS a stamp of 0 means that there is no stamp
RAW_PERIOD = 0.1  # s between frame numbers: the sensors of KITTI run at 10 Hz
DATES = tuple(f"{name}/timestamps.txt" for name in (
    "velodyne_points", "image_02", "image_03", "image_00", "image_01", "oxts"
))  # fmt: skip


def stamps_of(home: Path, frames: list[str]) -> Int64:
    """Return the time of each frame in ns, increasing.

    From the names of the files, from times.txt (s), from timestamps.txt (dates), or from the frame number at 10 Hz; the
    last three count from START. Raises Any2AnyError when a file is damaged, and when a frame has no time.
    """
    stamps = times(frames) if is_time(frames[0]) else _numbered(home, np.array([int(frame) for frame in frames]))
    if (np.diff(stamps) <= 0).any():
        raise Any2AnyError(f"Cannot use the drive {home}", "its times do not increase", "Check times.txt")
    return stamps


def _numbered(home: Path, number: Int64) -> Int64:
    file, dates = home / "times.txt", [home / name for name in DATES if (home / name).exists()]
    if file.exists():
        seconds = numbers(file, 1)[:, 0]
        enough(home, "times", len(seconds), int(number.max()) + 1)
        seconds = seconds[number]
    elif dates:
        file = dates[0]
        seconds = _dated(home, dates, number)
    else:
        seconds = np.asarray(number * RAW_PERIOD, dtype=np.float64)
    wrong = seconds[~((seconds >= 0) & (seconds < LATEST))]
    if wrong.size:
        raise Any2AnyError(f"Cannot read {file}", f"{wrong[0]:g} s is no time since the start of the drive", COPY)
    return np.asarray(START + np.round(seconds * NS).astype(np.int64))


def _dated(home: Path, files: list[Path], number: Int64) -> Float64:
    """Return the seconds of the frames since the first date. Where a sensor has no date, another one's counts."""
    days: dict[int, datetime] = {}
    for file in reversed(files):
        days |= _dates(file)
    missing = [int(i) for i in number if int(i) not in days]
    if missing:
        why = f"frame {missing[0]} and {len(missing) - 1} others have no time in {', '.join(DATES)}"
        raise Any2AnyError(f"The drive at {home} is not whole", why, COPY)
    first = days[min(days)]
    try:
        return np.array([(days[int(i)] - first).total_seconds() for i in number])
    except TypeError as error:  # some of the dates have a time zone
        raise Any2AnyError(f"Cannot read {files[0]}", str(error), COPY) from error


def _dates(file: Path) -> dict[int, datetime]:
    """Return the date of each frame; a blank line is one whose sample is missing."""
    try:
        lines = reading.content(file, limits.LINES_BYTES).decode("utf-8").splitlines()
        return {i: datetime.fromisoformat(line[:26]) for i, line in enumerate(lines) if line.strip()}
    except (OSError, ValueError) as error:
        raise Any2AnyError(f"Cannot read {file}", str(error), COPY) from error
