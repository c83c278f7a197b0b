"""Reads KITTI folders: odometry sequences, raw drives, and other folders of this layout, such as the simulated town.

Three more files are read beside KITTI's own: captions.txt (a line for each frame, empty = no caption), audio.wav (it
starts at time 0; the sound of frame i begins at frame i-1), and thermal/ (PNG of one channel, 8 or 16 bits).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros import limits, reading, samples
from any2any_ros.arrays import Array, Float64, Int64
from any2any_ros.data import pictures, wav
from any2any_ros.data.drive import LATEST
from any2any_ros.data.kitti_poses import COPY, enough, numbers, poses_of
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS, Sound

CLOUDS = ("velodyne", "velodyne_points/data")
PICTURES = ("image_2", "image_02/data", "image_02")
THERMAL = ("thermal", "thermal/data")
START = NS  # ns, the stamp of time 0: for ROS a stamp of 0 means that there is no stamp
NUMBER = re.compile(r"[0-9]{1,10}")  # the name of a frame's file, without its ending
RAW_PERIOD = 0.1  # s between frame numbers: the sensors of KITTI run at 10 Hz


@dataclass(frozen=True, eq=False)
class KittiDrive:
    """One sequence as a drive (data/drive.py).

    files: modality -> frame -> file. captions: frame -> text. heard_from_ns (N,): where the sound of each frame begins.
    """

    name: str
    stamps_ns: Int64
    poses: Float64
    frames: tuple[str, ...]
    files: Mapping[str, Mapping[str, Path]]
    captions: Mapping[str, str]
    sound: Path | None
    heard_from_ns: Int64

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def modalities(self) -> tuple[str, ...]:
        modalities = [m for m, files in self.files.items() if files]
        modalities += ["text"] if self.captions else []
        modalities += ["audio"] if self.sound else []
        return tuple(sorted(modalities))

    def ids(self) -> tuple[str, ...]:
        return tuple(f"{self.name}/{frame}" for frame in self.frames)

    def take(self, rows: ArrayLike) -> KittiDrive:
        index = np.arange(len(self))[np.asarray(rows)]
        heard_from = np.concatenate([self.heard_from_ns[index[:1]], self.stamps_ns[index[:-1]]])
        return replace(
            self,
            stamps_ns=self.stamps_ns[index],
            poses=self.poses[index],
            frames=tuple(self.frames[i] for i in index),
            heard_from_ns=heard_from,
        )

    def sample(self, modality: str, i: int) -> Any | None:
        frame = self.frames[i]
        if modality == "text":
            return self.captions.get(frame)
        if modality == "audio":
            return self._sound_of(i)
        file = self.files.get(modality, {}).get(frame)
        if file is None:
            return None
        return READERS[modality](file)

    def _sound_of(self, i: int) -> Sound | None:
        if self.sound is None:
            return None
        start, end = (int(t) - START for t in (self.heard_from_ns[i], self.stamps_ns[i]))
        heard = wav.read(self.sound, start, end)
        return heard if heard.samples.size else None


def points(file: Path) -> Array:
    """Return a Velodyne scan (N, 4): x forward, y left, z up in metres, and reflectance.

    Raises Any2AnyError for a file that is cut short.
    """
    data = _bytes_of(file, 16 * limits.POINTS)
    if data.size == 0 or data.size % 16:
        raise Any2AnyError(
            f"Cannot read the scan {file}",
            f"its {data.size} bytes are not whole points of 16 bytes",
            "Copy or download it again",
        )
    return data.view("<f4").reshape(-1, 4)


def picture(file: Path) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) uint8, RGB. Raises Any2AnyError for a file that is no picture."""
    return pictures.read(file, samples.decode_image)


def thermal(file: Path) -> Array:
    """Return a thermal picture (H, W) in the counts of the camera. Raises Any2AnyError for any other file."""
    return pictures.read(file, samples.decode_thermal, "PNG of one channel")


def _bytes_of(file: Path, most: int) -> NDArray[np.uint8]:
    try:
        return reading.values(file, "u1", most)
    except (OSError, ValueError) as error:  # no permission, or a folder; too large
        raise Any2AnyError(f"Cannot read {file}", str(error), COPY) from error


READERS: dict[str, Callable[[Path], Any]] = {"lidar": points, "camera": picture, "thermal": thermal}


def sequences(root: Path) -> tuple[str, ...]:
    """Return the names of the sequences of an odometry folder; () for a folder that is one drive."""
    return tuple(sorted(p.name for p in (root / "sequences").glob("*") if p.is_dir()))


def read(root: Path, sequence: str | None = None) -> KittiDrive:
    """Read one sequence of an odometry folder, or a folder that is one drive (`sequence` None).

    Poses are those of the LiDAR, or of the inertial unit in a raw drive. Raises Any2AnyError when there is no drive,
    and when a file of it is damaged or too short.
    """
    folder = root / "sequences" / sequence if sequence else root
    files = {
        "lidar": _listed(folder, CLOUDS, ".bin"),
        "camera": _listed(folder, PICTURES, ".png", ".jpg"),
        "thermal": _listed(folder, THERMAL, ".png"),
    }
    frames = sorted(set().union(*files.values()), key=int)
    if not frames:
        have = sequences(root)
        hint = f"Choose a sequence: {', '.join(have)}" if have else "Check the path"
        raise Any2AnyError(f"{folder} is no KITTI drive", f"no {CLOUDS[0]}/*.bin nor {PICTURES[0]}/*.png in it", hint)
    name = sequence or folder.resolve().name
    stamps = _stamps(folder, frames)
    if (np.diff(stamps) <= 0).any():
        raise Any2AnyError(f"Cannot use the drive {folder}", "its times do not increase", "Check times.txt")
    sound = folder / "audio.wav"
    return KittiDrive(
        name,
        stamps,
        poses_of(root, folder, sequence, frames),
        tuple(frames),
        files,
        _captions(folder, frames),
        sound if sound.exists() else None,
        np.concatenate([[START], stamps[:-1]]),
    )


def _listed(folder: Path, folders: tuple[str, ...], *endings: str) -> dict[str, Path]:
    """Return frame -> file of the first of `folders` that holds files with these endings."""
    for name in folders:
        files = {p.stem: p for p in (folder / name).glob("*") if p.suffix in endings and NUMBER.fullmatch(p.stem)}
        if files:
            return files
    return {}


def _stamps(folder: Path, frames: list[str]) -> Int64:
    """Return the time of each frame in ns: from times.txt (s), timestamps.txt (dates), or the frame number at 10 Hz."""
    number = [int(frame) for frame in frames]
    seconds = folder / "times.txt"
    dates = next((p for p in (folder / "velodyne_points/timestamps.txt", folder / "image_02/timestamps.txt")
                  if p.exists()), None)  # fmt: skip
    if not seconds.exists() and dates is None:
        return START + np.array([round(i * RAW_PERIOD * NS) for i in number], dtype=np.int64)
    file = dates if dates is not None and not seconds.exists() else seconds
    times = _seconds(file) if file is dates else numbers(file, 1)[:, 0]
    enough(folder, "times", len(times), max(number) + 1)
    wrong = times[~((times >= 0) & (times < LATEST))]
    if wrong.size:
        raise Any2AnyError(f"Cannot read {file}", f"{wrong[0]:g} s is no time since the start of the drive", COPY)
    return START + np.asarray(np.round(times[number] * NS), dtype=np.int64)


def _seconds(dates: Path) -> Float64:
    """Return the seconds (N,) since the first date of a file that has one date in each line."""
    try:
        lines = reading.content(dates, limits.LINES_BYTES).decode("utf-8").splitlines()
        days = [datetime.fromisoformat(line[:26]) for line in lines if line]
        return np.array([(day - days[0]).total_seconds() for day in days])
    except (OSError, ValueError, TypeError) as error:  # TypeError: some of the dates have a time zone
        raise Any2AnyError(f"Cannot read {dates}", str(error), COPY) from error


def _captions(folder: Path, frames: list[str]) -> dict[str, str]:
    file = folder / "captions.txt"
    if not file.exists():
        return {}
    # Not splitlines(): a caption may hold other characters that end a line in Unicode.
    lines = (
        _bytes_of(file, limits.LINES_BYTES).tobytes().decode("utf-8", errors="replace").removesuffix("\n").split("\n")
    )
    enough(file, "captions", len(lines), max(int(f) for f in frames) + 1)
    return {f: lines[int(f)].strip() for f in frames if lines[int(f)].strip()}
