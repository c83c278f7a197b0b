"""Recordings: KITTI folders, laser logs, bags, GoLD folders, and single pictures, scans and sounds."""

from __future__ import annotations

import gzip
import io
import wave
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from any2any_ros.data import bag_poses, bags, carmen, gold, kitti, wav
from any2any_ros.data.bag_reading import open_reader
from any2any_ros.data.sources import open_recording

from . import folders
from .boundary import Boundary
from .choices import Choices
from .folders import Files, mutated_files, on_disk
from .samples_in import encoder
from .sensor_messages import picture, wrong_sample

FRAMES = 3
LINE = "FLASER 8 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 {0} 0.5 0.1 {0} 0.5 0.1 {0} host {0}\n"
LOG = ("# message formats defined: PARAM SYNC ODOM FLASER\n" + "".join(LINE.format(i) for i in range(5))).encode()


# --- files ------------------------------------------------------------------------------------------------------------


def sound_file(channels: int = 1, rate: int = 8000, seconds: float = 1.5) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        samples = np.random.default_rng(0).integers(-9000, 9000, int(rate * seconds) * channels)
        file.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def _png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


@cache
def _kitti() -> Files:
    draw, files = np.random.default_rng(0), {}
    for i in range(FRAMES):
        files[f"sequences/00/velodyne/{i:06d}.bin"] = draw.normal(0, 9, (200, 4)).astype("<f4").tobytes()
        files[f"sequences/00/image_2/{i:06d}.png"] = _png(draw.integers(0, 255, (12, 40, 3)).astype(np.uint8))
        files[f"sequences/00/thermal/{i:06d}.png"] = _png(draw.integers(28000, 30000, (12, 16)).astype(np.uint16))
    files["sequences/00/times.txt"] = "".join(f"{0.5 * i:e}\n" for i in range(FRAMES)).encode()
    files["sequences/00/calib.txt"] = b"P0: 1 0 0 0 0 1 0 0 0 0 1 0\nTr: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27\n"
    files["sequences/00/captions.txt"] = b"a red mill\n\nhouses and a church\n"
    files["sequences/00/audio.wav"] = sound_file()
    files["poses/00.txt"] = "".join(f"1 0 0 {3 * i} 0 1 0 0 0 0 1 0\n" for i in range(FRAMES)).encode()
    return files


@cache
def _raw() -> Files:
    whole = _kitti()
    files: Files = {}
    for i in range(FRAMES):
        files[f"velodyne_points/data/{i:010d}.bin"] = whole[f"sequences/00/velodyne/{i:06d}.bin"]
        files[f"image_02/data/{i:010d}.png"] = whole[f"sequences/00/image_2/{i:06d}.png"]
        numbers = " ".join(map(str, [49.0 + 1e-5 * i, 8.4, 110.0, 0.01, -0.02, 1.5, *[0.0] * 24]))
        files[f"oxts/data/{i:010d}.txt"] = numbers.encode()
    dates = "".join(f"2011-09-26 13:02:2{i}.000000000\n" for i in range(FRAMES))
    files["velodyne_points/timestamps.txt"] = files["image_02/timestamps.txt"] = dates.encode()
    return files


@cache
def _kitti_360() -> Files:
    whole, name = _kitti(), "2013_05_28_drive_0000_sync"
    files: Files = {}
    for i in range(FRAMES):
        scan, pixels = (whole[f"sequences/00/{file}"] for file in (f"velodyne/{i:06d}.bin", f"image_2/{i:06d}.png"))
        files[f"data_3d_raw/{name}/velodyne_points/data/{i:010d}.bin"] = scan
        files[f"data_2d_raw/{name}/image_00/data_rect/{i:010d}.png"] = pixels
    poses = "".join(f"{i} 1 0 0 {3 * i} 0 1 0 0 0 0 1 0\n" for i in range(FRAMES))
    files[f"data_poses/{name}/poses.txt"] = poses.encode()
    files["calibration/calib_cam_to_pose.txt"] = b"image_00: 0 0 1 0 1 0 0 0 0 1 0 0\n"
    files["calibration/calib_cam_to_velo.txt"] = b"0 0 1 0 -1 0 0 0 0 -1 0 0\n"
    return files


@cache
def _mulran() -> Files:
    files, whole = {}, _kitti()
    stamps = [1_561_000_444_000_000_000 + i * 10**9 for i in range(FRAMES)]
    for i, stamp in enumerate(stamps):
        files[f"Ouster/{stamp}.bin"] = whole[f"sequences/00/velodyne/{i:06d}.bin"]
        files[f"cam0/data/{stamp + 10**7}.png"] = whole[f"sequences/00/image_2/{i:06d}.png"]
    poses = "".join(f"{stamp},1,0,0,{3 * i},0,1,0,0,0,0,1,0\n" for i, stamp in enumerate(stamps))
    files["global_pose.csv"] = poses.encode()
    return files


@cache
def bag_files(storage: str) -> Files:
    folder = folders.scratch() / f"made-{storage}"
    folders.write(_kitti(), folder / "drive")
    return folders.read(bags.write(kitti.read(folder / "drive", "00"), folder / "bag", storage))


@cache
def _gold() -> Files:
    draw, files = np.random.default_rng(0), {}
    for item in ("mug_1_1", "mug_2_10", "allen_wrench_5_2"):
        label, number, _ = item.rsplit("_", 2)
        place = f"{label}/{label}_{number}/{item}.png"
        files[f"images/RGB_cropped/{place}"] = _png(draw.integers(0, 255, (40, 44, 3)).astype(np.uint8))
        files[f"images/depth_cropped/{place}"] = _png(draw.integers(700, 900, (40, 44)).astype(np.uint16))
    files["text.tsv"] = (
        b"hit_id\tworker_id\tworktime_s\titem_id\ttext\nh1\tann\t12\tmug_1_1\ta blue mug\nh2\tb\t9\tmug_2_10\ta cup\n"
    )
    table = b"hit_id\tworker_id\tworktime_s\titem_id\twav\ttranscription\nh4\tann\t7\tmug_1_1\tmug_1_1_1\tthe mug\n"
    files["speech.tsv.gz"] = gzip.compress(table, mtime=0)
    files["speech/mug_1_1_1.wav"] = sound_file(2, 16000, 0.3)
    return files


# --- reading them -----------------------------------------------------------------------------------------------------


def _samples(drive: Any) -> list[tuple[str, Any]]:
    return [(m, drive.sample(m, i)) for i in range(len(drive)) for m in drive.modalities]


def _read_kitti(folder: Path, sequence: str | None = "00") -> Any:
    drive = kitti.read(folder, sequence)
    return drive, _samples(drive)


def _read_log(folder: Path, name: str) -> Any:
    drive = carmen.read(folder / name)
    return drive, _samples(drive)


KIND = {"camera": "image", "lidar": "points", "audio": "sound", "laser_scan": "scan", "speech": "sound"}


def _wrong_drive(given: Any, result: Any) -> str:
    drive, samples = result
    ids, stamps, poses = drive.ids(), drive.stamps_ns, drive.poses
    if not len(set(ids)) == len(ids) == len(stamps) == len(poses) == len(drive) > 0:
        return "not one id, stamp and pose a frame"
    if (np.diff(stamps) <= 0).any() or stamps[0] < 0 or stamps[-1] >= 2**31 * 10**9:
        return f"stamps {stamps}"
    turned = poses[:, :3, :3]
    known = ~np.isnan(poses).all(axis=(1, 2))
    straight = np.allclose(turned[known] @ turned[known].swapaxes(1, 2), np.eye(3), atol=0.1)
    if not straight or not np.isfinite(poses[known]).all():
        return f"poses {poses}"
    return next(filter(None, (wrong_sample(KIND.get(m, m), s) for m, s in samples if s is not None)), "")


def encoders() -> dict[str, Any]:
    """Return an encoder of every modality that a recording may have."""
    return {m: encoder(m) for m in ("audio", "camera", "laser_scan", "lidar", "text", "thermal")}


def _read_bag(folder: Path) -> Any:
    recording = open_recording(folder)
    return recording.observe({m: e for m, e in encoders().items() if m in recording.modalities}, 0.0)


def _read_all_messages(folder: Path) -> Any:
    with open_reader(folder) as reader:
        stamps = np.array([10**9, 2 * 10**9])
        poses = bag_poses.read(reader, bag_poses.PoseSource()).trajectory.at(stamps).poses
    return poses, list(bags.clouds(folder, "/lidar/points", stamps))


def _wrong_clouds(given: Any, result: Any) -> str:
    poses, clouds = result
    known = ~np.isnan(poses).all(axis=(1, 2))
    if not np.isfinite(poses[known]).all():
        return f"poses {poses}"
    return next(filter(None, (wrong_sample("cloud", points) for _, points in clouds)), "")


def wrong_observations(given: Any, places: Any) -> str:
    """Return what is wrong with the places of a recording; "" for nothing."""
    for column in places.embeddings.values():
        if not (np.isfinite(column).all(axis=1) | np.isnan(column).all(axis=1)).all():
            return "an embedding that is finite in part"
    return "" if (np.diff(places.stamps_ns) >= 0).all() else f"stamps {places.stamps_ns}"


def _read_gold(folder: Path) -> Any:
    found = gold.read(folder)
    return [(m, gold.sample(view, m, j)) for view in found.views for m in gold.MODALITIES for j in range(2)]


def _wrong_gold(given: Any, samples: Any) -> str:
    return next(filter(None, (wrong_sample(KIND.get(m, m), s) for m, s in samples if s is not None)), "")


def _read_picture(folder: Path) -> Any:
    file = folder / "picture.png"
    return file, [("image", kitti.picture(file)), ("image", gold.picture(file))]


def _read_counts(folder: Path) -> Any:
    file = folder / "counts.png"
    return file, [("thermal", kitti.thermal(file)), ("depth", gold.depth(file))]


def _wrong_picture(given: Any, result: Any) -> str:
    return next(filter(None, (wrong_sample(kind, sample) for kind, sample in result[1])), "")


def _wrong_points(given: Any, points: Any) -> str:
    return "" if points.ndim == 2 and points.shape[1] == 4 and len(points) else f"points {points.shape}"


def _bag_files(storage: str, choices: Choices) -> Files:
    return bag_files(storage)


def _folder(name: str, files: Any, cross: Any, wrong: Any, **more: Any) -> Boundary:
    """Return a boundary whose input is a folder. files: makes the valid one."""
    return Boundary(name, files, on_disk(cross), wrong, mutated_files, **more)


SLOW = {"milliseconds": 30, "seconds": 3.0, "megabytes": 128, "least": 1500}
LOGS = {"house.log": LOG, "house.log.gz": gzip.compress(LOG, 1, mtime=0)}

BOUNDARIES = (
    _folder("KITTI odometry", lambda c: _kitti(), _read_kitti, _wrong_drive, milliseconds=4),
    _folder("KITTI raw", lambda c: _raw(), partial(_read_kitti, sequence=None), _wrong_drive, milliseconds=3),
    _folder("KITTI-360", lambda c: _kitti_360(), partial(_read_kitti, sequence=None), _wrong_drive, milliseconds=6),
    _folder("MulRan", lambda c: _mulran(), partial(_read_kitti, sequence=None), _wrong_drive, milliseconds=4),
    *(
        _folder(f"laser log, {n}", lambda c, n=n: {n: LOGS[n]}, partial(_read_log, name=n), _wrong_drive)
        for n in LOGS
    ),
    *(_folder(f"bag, {s}", partial(_bag_files, s), _read_bag, wrong_observations, **SLOW) for s in bags.STORAGES),
    *(
        _folder(f"bag, {s}, poses and clouds", partial(_bag_files, s), _read_all_messages, _wrong_clouds, **SLOW)
        for s in bags.STORAGES
    ),
    _folder("GoLD folder", lambda c: _gold(), _read_gold, _wrong_gold, milliseconds=3),
    _folder(
        "sound file", lambda c: {"a.wav": sound_file(c.one(1, 2, 3), c.one(8000, 44100), 0.05)},
        lambda folder: wav.read(folder / "a.wav"), lambda given, sound: wrong_sample("sound", sound),
    ),
    _folder("picture file", lambda c: {"picture.png": picture(c)}, _read_picture, _wrong_picture),
    _folder(
        "counts file", lambda c: {"counts.png": _png(c.arrays.integers(0, 60000, (5, 7)).astype(c.one("u1", "u2")))},
        _read_counts, _wrong_picture,
    ),
    _folder(
        "scan file", lambda c: {"a.bin": c.arrays.normal(0, 9, (c.randint(1, 50), 4)).astype("<f4").tobytes()},
        lambda folder: kitti.points(folder / "a.bin"), _wrong_points,
    ),
)  # fmt: skip
