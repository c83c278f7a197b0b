"""Reads KITTI folders: odometry sequences, raw drives, and other folders of this layout, such as the simulated town.

Three more files are read beside KITTI's own: captions.txt (a line for each frame, empty = no caption), audio.wav (it
starts at time 0; the sound of frame i begins at frame i-1), and thermal/ (PNG of one channel, 8 or 16 bits).
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros import samples
from any2any_ros.arrays import Array, Float64, Int64
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS, Sound

# From KITTI's camera axes (x right, y down, z forward) to the ROS axes of REP-103 (x forward, y left, z up).
ROS_FROM_CAMERA = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
CLOUDS = ("velodyne", "velodyne_points/data")
PICTURES = ("image_2", "image_02/data", "image_02")
THERMAL = ("thermal", "thermal/data")
START = NS  # ns, the stamp of time 0: for ROS a stamp of 0 means that there is no stamp
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
        with _recording(self.sound) as recording:
            rate = recording.getframerate()
            first, last = (round((t - START) * rate / NS) for t in (self.heard_from_ns[i], self.stamps_ns[i]))
            first = min(first, recording.getnframes())
            recording.setpos(first)
            data, frame = recording.readframes(last - first), 2 * recording.getnchannels()
        raw = np.frombuffer(data[: len(data) - len(data) % frame], dtype="<i2")
        mono = raw.reshape(-1, frame // 2).mean(axis=1, dtype=np.float32)
        return Sound(mono / np.float32(32768), rate) if mono.size else None


def _recording(file: Path) -> wave.Wave_read:
    try:
        recording = wave.open(str(file), "rb")  # noqa: SIM115 - the caller closes it
    except (wave.Error, EOFError, OSError) as error:
        raise Any2AnyError(f"Cannot read the sound {file}", str(error) or "it is cut short", "Copy it again") from error
    if recording.getsampwidth() != 2:
        recording.close()
        raise Any2AnyError(
            f"Cannot read the sound {file}", f"its samples have {8 * recording.getsampwidth()} bits", "Convert it to 16"
        )
    return recording


def points(file: Path) -> Array:
    """Return a Velodyne scan (N, 4): x forward, y left, z up in metres, and reflectance.

    Raises Any2AnyError for a file that is cut short.
    """
    data = np.fromfile(file, dtype=np.uint8)
    if data.size == 0 or data.size % 16:
        raise Any2AnyError(
            f"Cannot read the scan {file}",
            f"its {data.size} bytes are not whole points of 16 bytes",
            "Copy or download it again",
        )
    return data.view("<f4").reshape(-1, 4)


def picture(file: Path) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) uint8, RGB. Raises Any2AnyError for a file that is no picture."""
    pixels = samples.decode_image(np.fromfile(file, dtype=np.uint8))
    if pixels is None:
        raise Any2AnyError(f"Cannot read the picture {file}", "it is no whole PNG or JPEG", "Copy or download it again")
    return pixels


def thermal(file: Path) -> Array:
    """Return a thermal picture (H, W) in the counts of the camera. Raises Any2AnyError for any other file."""
    counts = samples.decode_thermal(np.fromfile(file, dtype=np.uint8))
    if counts is None:
        raise Any2AnyError(
            f"Cannot read the thermal picture {file}", "it is no whole PNG of one channel", "Copy or record it again"
        )
    return counts


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
        _poses(root, folder, sequence, frames),
        tuple(frames),
        files,
        _captions(folder, frames),
        sound if sound.exists() else None,
        np.concatenate([[START], stamps[:-1]]),
    )


def _listed(folder: Path, folders: tuple[str, ...], *endings: str) -> dict[str, Path]:
    """Return frame -> file of the first of `folders` that holds files with these endings."""
    for name in folders:
        files = {p.stem: p for p in (folder / name).glob("*") if p.suffix in endings and p.stem.isdigit()}
        if files:
            return files
    return {}


def _stamps(folder: Path, frames: list[str]) -> Int64:
    """Return the time of each frame in ns: from times.txt (s), timestamps.txt (dates), or the frame number at 10 Hz."""
    number = [int(frame) for frame in frames]
    seconds = folder / "times.txt"
    dates = next((p for p in (folder / "velodyne_points/timestamps.txt", folder / "image_02/timestamps.txt")
                  if p.exists()), None)  # fmt: skip
    if seconds.exists():
        times = _numbers(seconds, 1)[:, 0]
    elif dates is not None:
        times = _seconds(dates)
    else:
        times = RAW_PERIOD * np.arange(max(number) + 1, dtype=np.float64)
    _enough(folder, "times", len(times), max(number) + 1)
    return START + np.asarray(np.round(times[number] * NS), dtype=np.int64)


def _seconds(dates: Path) -> Float64:
    """Return the seconds (N,) since the first date of a file that has one date in each line."""
    try:
        days = [datetime.fromisoformat(line[:26]) for line in dates.read_text().splitlines() if line]
    except ValueError as error:
        raise Any2AnyError(f"Cannot read {dates}", str(error), "Copy or download it again") from error
    return np.array([(day - days[0]).total_seconds() for day in days])


def _poses(root: Path, folder: Path, sequence: str | None, frames: list[str]) -> Float64:
    """Return the poses (N, 4, 4) of the LiDAR in ROS axes; NaN without ground truth."""
    number = [int(frame) for frame in frames]
    truth = root / "poses" / f"{sequence}.txt"
    if sequence and truth.exists():
        rows = _numbers(truth, 12)
        _enough(truth, "poses", len(rows), max(number) + 1)
        poses = np.tile(np.eye(4), (len(number), 1, 1))
        poses[:, :3] = rows[number].reshape(-1, 3, 4)
        return np.asarray(ROS_FROM_CAMERA @ poses @ _camera_from_lidar(folder))
    oxts = sorted((folder / "oxts" / "data").glob("*.txt"))
    if oxts:
        _enough(folder / "oxts", "poses", len(oxts), max(number) + 1)
        return _inertial(np.concatenate([_numbers(p, 30)[:1] for p in oxts]))[number]
    return np.full((len(frames), 4, 4), np.nan)


def _camera_from_lidar(folder: Path) -> Float64:
    """Return the calibration Tr (4, 4); without one, only the change of axes."""
    calib = folder / "calib.txt"
    rows = calib.read_text().splitlines() if calib.exists() else []
    values = next((line.split()[1:] for line in rows if line.split(":")[0] in ("Tr", "Tr_velo_cam")), None)
    if values is None:
        return np.asarray(ROS_FROM_CAMERA.T)
    try:
        return np.vstack([np.array(values, dtype=np.float64).reshape(3, 4), [0, 0, 0, 1]])
    except ValueError as error:
        raise Any2AnyError(f"Cannot read {calib}", f"Tr is no 12 numbers: {error}", "Copy it again") from error


def _inertial(oxts: Float64) -> Float64:
    """Return poses (N, 4, 4) from the OXTS rows of KITTI (N, 30): latitude, longitude, altitude, roll, pitch, yaw, …

    Positions are Mercator projections. The axes of the inertial unit are those of ROS. The map's origin is the position
    of the first row, and its x axis points east.
    """
    from scipy.spatial.transform import Rotation

    latitude, longitude, altitude = oxts[:, :3].T
    scale = np.cos(np.radians(latitude[0])) * 6378137.0
    poses = np.tile(np.eye(4), (len(oxts), 1, 1))
    poses[:, :3, :3] = Rotation.from_euler("ZYX", oxts[:, [5, 4, 3]]).as_matrix()
    poses[:, 0, 3] = scale * np.radians(longitude)
    poses[:, 1, 3] = scale * np.log(np.tan(np.pi / 4 + np.radians(latitude) / 2))
    poses[:, 2, 3] = altitude
    poses[:, :3, 3] -= poses[0, :3, 3]
    return poses


def _captions(folder: Path, frames: list[str]) -> dict[str, str]:
    file = folder / "captions.txt"
    if not file.exists():
        return {}
    # Not splitlines(): a caption may hold other characters that end a line in Unicode.
    lines = file.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
    _enough(file, "captions", len(lines), max(int(f) for f in frames) + 1)
    return {f: lines[int(f)].strip() for f in frames if lines[int(f)].strip()}


def _numbers(file: Path, columns: int) -> Float64:
    try:
        rows = np.loadtxt(file, dtype=np.float64, ndmin=2)
    except ValueError as error:
        raise Any2AnyError(f"Cannot read {file}", str(error), "Copy or download it again") from error
    if rows.shape[1] < columns:
        raise Any2AnyError(f"Cannot read {file}", f"{rows.shape[1]} numbers a line, not {columns}", "Copy it again")
    return np.asarray(rows)


def _enough(owner: Path, what: str, have: int, need: int) -> None:
    if have < need:
        raise Any2AnyError(f"The drive at {owner} is not whole", f"{have} {what} for {need} frames", "Copy it again")
