"""7-Scenes: colour, depth and poses of a camera that is carried through one room (Shotton et al., 2013)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from any2any_ros import reading, samples
from any2any_ros.arrays import Array, Flags, Float64
from any2any_ros.data import pictures
from any2any_ros.data.sources import IN_BUILDINGS, DriveSource
from any2any_ros.errors import Any2AnyError, explained
from real_sets.real_set import Frames, Options, RealSet, answerable, refuse_empty, unreadable

KIND = "sevenscenes_rgbd"
LAYOUT = (
    "a folder with camera-intrinsics.txt (3 x 3) and frames/frame-NNNNNN.color.jpg, .depth.png (uint16, mm) and "
    ".pose.txt (4 x 4, camera to world)"
)
LICENCE = "repository: BSD-2; frames: Microsoft, non-commercial research"
HIT, TURN, GAP = 0.3, 30.0, 12  # m, degrees, frames
PROTOCOL = (
    f"references are more than {GAP} frames earlier, a hit is within {HIT:g} m and {TURN:g} degrees; frames without "
    "any are left out"
)
UNKNOWN = 65535  # of a depth image; and 0
STEP = 4  # pixels; every so many of a depth image become points
AXES = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])  # from forward, left, up to axes of cameras


def find(folder: Path) -> list[Path]:
    """Return the folder if it has frames of 7-Scenes."""
    return [folder] if any((folder / "frames").glob("frame-*.pose.txt")) else []


def name(path: Path) -> str:
    """Return the name of the scene."""
    return path.name


def read(path: Path, options: Options = Options()) -> RealSet:
    """Read a scene. Raises Any2AnyError when a file is missing or damaged."""
    stems = [p.name.removesuffix(".pose.txt") for p in sorted((path / "frames").glob("frame-*.pose.txt"))]
    intrinsics = _matrix(path / "camera-intrinsics.txt", 3)
    poses = np.array([_matrix(path / "frames" / f"{stem}.pose.txt", 4) for stem in stems])
    poses[:, :3, :3] = AXES.T @ poses[:, :3, :3] @ AXES
    poses[:, :3, 3] = poses[:, :3, 3] @ AXES
    number = np.arange(len(stems))
    allowed = number[:, None] - number > GAP
    queries, right, allowed = answerable(_near(poses), allowed, number)
    refuse_empty(queries, path, "no frame shows what another one shows")

    def colour(i: int) -> NDArray[np.uint8]:
        return pictures.read(path / "frames" / f"{stems[i]}.color.jpg", samples.decode_image)

    def cloud(i: int) -> Array:
        return points(pictures.read(path / "frames" / f"{stems[i]}.depth.png", _depth), intrinsics)

    frames = Frames(name(path), poses, {"camera": colour, "lidar": cloud}, number)
    recording = DriveSource(frames, IN_BUILDINGS)
    return RealSet(KIND, name(path), LICENCE, PROTOCOL, recording, queries, number, right, allowed)


def points(depth: Array, intrinsics: Float64) -> Array:
    """Return points (N, 4) float32, axes of REP-103, intensity 0, for a depth image (H, W) in metres, 0: none."""
    v, u = np.nonzero(depth[::STEP, ::STEP] > 0)
    v, u = v * STEP, u * STEP
    far = depth[v, u]
    left = (intrinsics[0, 2] - u) / intrinsics[0, 0] * far
    up = (intrinsics[1, 2] - v) / intrinsics[1, 1] * far
    return np.stack([far, left, up, np.zeros_like(far)], axis=1).astype(np.float32)


def _depth(packed: NDArray[np.uint8]) -> Array | None:
    import cv2

    decoded = cv2.imdecode(packed, cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.ndim != 2 or decoded.dtype != np.uint16:
        return None
    return np.asarray(np.where(decoded == UNKNOWN, 0, decoded) / 1000, dtype=np.float32)


def _near(poses: Float64) -> Flags:
    """Return (N, N): which frames lie within HIT and TURN of each other."""
    step = np.linalg.norm(poses[:, None, :3, 3] - poses[None, :, :3, 3], axis=-1)
    trace = np.einsum("nij,mij->nm", poses[:, :3, :3], poses[:, :3, :3])
    turn = np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))
    return np.asarray((step < HIT) & (turn < TURN))


def _matrix(file: Path, size: int) -> Float64:
    try:
        with explained(f"Cannot read {file}", f"The layout is: {LAYOUT}"):
            values = np.array(reading.text(file).split(), dtype=np.float64)
            if values.size != size * size or not np.isfinite(values).all():
                raise ValueError(f"it has {values.size} numbers, not {size} x {size}")
    except Any2AnyError:
        if not file.is_file():
            raise unreadable(file.parent, f"it has no {file.name}", LAYOUT) from None
        raise
    return values.reshape(size, size)
