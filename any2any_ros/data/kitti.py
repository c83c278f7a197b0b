"""Reads KITTI folders, and other folders of these layouts (kitti_layout.py), such as the simulated town.

Three more files are read beside KITTI's own: captions.txt (a line for each frame, empty = no caption), audio.wav (it
starts at time 0; the sound of frame i begins at frame i-1), and thermal/ (PNG of one channel, 8 or 16 bits).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros import limits, reading, samples
from any2any_ros.arrays import Array, Float64, Int64
from any2any_ros.data import kitti_layout, kitti_poses, other_poses, pictures, wav
from any2any_ros.data.kitti_poses import COPY, enough
from any2any_ros.data.kitti_times import START, stamps_of
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Sound

POINT = 4  # floats of a point: x, y, z, reflectance; nuScenes has a fifth, the number of the beam
RINGS = 256  # more than a LiDAR has beams
SAMPLE = 20  # scans whose sizes tell how many floats their points have
BY_COLUMNS = ("velodyne_left", "velodyne_right")  # folders of Oxford RobotCar, whose scans have all x first, then all y


@dataclass(frozen=True, eq=False)
class KittiDrive:
    """One sequence as a drive (data/drive.py).

    files: modality -> frame -> file. captions: frame -> text. heard_from_ns (N,): where the sound of each frame begins.
    floats: of a point of its scans.
    """

    name: str
    stamps_ns: Int64
    poses: Float64
    frames: tuple[str, ...]
    files: Mapping[str, Mapping[str, Path]]
    captions: Mapping[str, str]
    sound: Path | None
    heard_from_ns: Int64
    floats: int = POINT

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
        return points(file, self.floats) if modality == "lidar" else READERS[modality](file)

    def odometry(self, i: int) -> None:
        return None

    def _sound_of(self, i: int) -> Sound | None:
        if self.sound is None:
            return None
        start, end = (int(t) - START for t in (self.heard_from_ns[i], self.stamps_ns[i]))
        heard = wav.read(self.sound, start, end)
        return heard if heard.samples.size else None


def points(file: Path, floats: int = POINT) -> Array:
    """Return a Velodyne scan (N, 4): x forward, y left, z up in metres, and reflectance.

    floats: of a point. Raises Any2AnyError for a file that is cut short.
    """
    size = 4 * floats
    data = _bytes_of(file, size * limits.POINTS)
    if data.size == 0 or data.size % size:
        raise Any2AnyError(
            f"Cannot read the scan {file}",
            f"its {data.size} bytes are not whole points of {size} bytes",
            "Copy or download it again",
        )
    values = data.view("<f4")
    if file.parent.name in BY_COLUMNS:
        return np.ascontiguousarray(values.reshape(floats, -1).T)
    return np.ascontiguousarray(values.reshape(-1, floats)[:, :POINT])


def _floats_of(scans: Iterable[Path]) -> int:
    """Return how many floats a point of these scans has: five where four do not fit, or where the fifth of the first
    scan is the number of a beam in each point."""
    files = list(islice(scans, SAMPLE))
    sizes = [file.stat().st_size for file in files]
    if not files or any(size % 20 for size in sizes):
        return POINT
    if any(size % 16 for size in sizes):
        return 5
    fifth = _bytes_of(files[0], 20 * limits.POINTS).view("<f4")[4::5]
    with np.errstate(invalid="ignore"):
        rings = fifth.size and fifth.any() and ((fifth >= 0) & (fifth < RINGS) & (fifth == np.floor(fifth))).all()
    return 5 if rings else POINT


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


READERS: dict[str, Callable[[Path], Any]] = {"camera": picture, "thermal": thermal}


def read(root: Path, sequence: str | None = None) -> KittiDrive:
    """Read one drive: `sequence` of a folder of several, or `root`, or the only one in it.

    Poses are those of the LiDAR, or of the inertial unit in a raw drive. Raises Any2AnyError when there is no drive,
    when there are several, and when a file of it is damaged or too short.
    """
    home = kitti_layout.home_of(root, sequence).absolute()
    files = kitti_layout.files_of(home)
    frames = sorted(set().union(*files.values()), key=int)
    timed = kitti_layout.is_time(frames[0])
    stamps = stamps_of(home, frames)
    rows = list(range(len(frames))) if timed else [int(frame) for frame in frames]
    poses, sound = kitti_poses.poses_of(home, rows), home / "audio.wav"
    return KittiDrive(
        home.name if home.name != ".." else home.resolve().name,
        stamps,
        other_poses.poses_of(home, stamps, rows) if poses is None else poses,
        tuple(frames),
        files,
        _captions(home, dict(zip(frames, rows, strict=True))),
        sound if sound.exists() and not timed else None,
        np.concatenate([[START], stamps[:-1]]),
        _floats_of(files["lidar"].values()),
    )


def _captions(folder: Path, rows: Mapping[str, int]) -> dict[str, str]:
    """Return the captions of the frames. rows: frame -> line of the file."""
    file = folder / "captions.txt"
    if not file.exists():
        return {}
    # Not splitlines(): a caption may hold other characters that end a line in Unicode.
    text = _bytes_of(file, limits.LINES_BYTES).tobytes().decode("utf-8", errors="replace")
    lines = text.removesuffix("\n").split("\n")
    enough(file, "captions", len(lines), max(rows.values()) + 1)
    return {frame: lines[row].strip() for frame, row in rows.items() if lines[row].strip()}
