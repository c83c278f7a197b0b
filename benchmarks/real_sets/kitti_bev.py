"""KITTI's LiDAR as bird's-eye images: counts per cell and poses, without heights (BEVPlace, Luo et al., ICCV 2023).

How the images were made was found by comparing them with three scans of sequence 00; every pixel is equal: points with
|x|, |y|, |z| < 25 m that are at most 1.2 m below the sensor, which leaves the road out; their means in cubes of 0.3 m;
and a pixel counts the means in a column of cells of 0.4 m, up to 10. Coordinates were cut towards zero, so the middle
row and column of pixels are 0.8 m wide.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import reading
from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.birds_eye import image as birds_eye
from any2any_ros.data import splits
from any2any_ros.data.drive import keyframes
from any2any_ros.data.sources import ON_ROADS, DriveSource
from any2any_ros.errors import explained
from any2any_ros.protocols import Encoder, Seen
from real_sets.real_set import Frames, Options, RealSet, answerable, refuse_empty, unreadable

KIND = "kitti_bev"
LAYOUT = "a folder SEQUENCE with bev.npz (array 'bev', N x 151 x 151, uint8) and pose.txt (N lines of 12 numbers)"
LICENCE = "images: MIT (BEVPlace); KITTI: CC BY-NC-SA 3.0"
CELL = 0.4  # m, of a pixel; the sensor is in the middle one
CAPS = (10, 9, 8)  # points at which a cell is white; nearly always 10
SIDE, REACH, LOWEST, CUBE = 151, 25.0, -1.2, 0.3  # pixels; m
HIT = 5.0  # m
# sequence -> first frame after the database, first query, first frame after the queries
PUBLISHED_SPLIT = {
    "00": (3000, 3200, 4541),
    "02": (3400, 3600, 4661),
    "05": (1000, 1200, 2751),
    "06": (600, 800, 1101),
}
KEYFRAME, PATH_GAP = 3.0, 50.0  # m, for other sequences


def find(folder: Path) -> list[Path]:
    """Return the folder if it holds a sequence, or a part of one."""
    return [folder] if (folder / "bev.npz").is_file() else []


def name(path: Path) -> str:
    """Return the name of the sequence."""
    return path.name


def read(path: Path, options: Options = Options()) -> RealSet:
    """Read a sequence. Raises Any2AnyError when a file is missing, or when both do not fit together."""
    images, poses = _images(path), _poses(path)
    if len(images) != len(poses):
        raise unreadable(path, f"it has {len(images)} images and {len(poses)} poses", LAYOUT)
    split = PUBLISHED_SPLIT.get(path.name)
    if split is not None and split[2] != len(images):
        why = f"sequence {path.name} has {split[2]} frames, this folder {len(images)}"
        raise unreadable(path, why, f"{LAYOUT}. The folder is named for the sequence, of which every frame counts")
    rows, queries, references, allowed = _published(split) if split else _revisits(poses)
    right = splits.positives(poses[rows[queries]], poses[rows[references]], HIT)
    queries, right, allowed = answerable(right, allowed, queries)
    refuse_empty(queries, path, f"no query lies within {HIT:g} m of a reference")
    frames = Frames(path.name, poses[rows], {"lidar": lambda i: cloud(images[i])}, rows)
    text = _protocol(split) if split else _other_protocol()
    recording = DriveSource(frames, ON_ROADS)
    return RealSet(
        KIND, path.name, LICENCE, text, recording, queries, references, right, allowed, adapted=OfImages.adapt
    )


class OfImages:
    """An encoder of clouds that makes bird's-eye images: it takes the counts of a cell instead of points with heights.

    Clouds without heights would all be ground to it.
    """

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder

    @classmethod
    def adapt(cls, encoder: Encoder) -> Any:
        """Return the encoder for the clouds of `cloud`; encoders without images take them as they are."""
        return cls(encoder) if encoder.cell else encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def see(self, sample: Array) -> Seen:
        """Return the vector and the image of a cloud (N, 4) that `cloud` has made."""
        described: Seen = self._encoder.described(birds_eye.of_counts(cells(sample)))
        return described


def cells(points: Array) -> Rows:
    """Return how many points of a cloud (N, 4) that `cloud` has made are in each cell of a bird's-eye image."""
    place = np.trunc(points[:, :2] / CELL).astype(np.intp) + birds_eye.SIZE // 2
    seen = ((place >= 0) & (place < birds_eye.SIZE)).all(axis=1)
    counted = np.zeros((birds_eye.SIZE, birds_eye.SIZE), dtype=np.intp)
    np.add.at(counted, (place[seen, 1], place[seen, 0]), 1)
    return counted


def cloud(image: Array) -> Array:
    """Return points (N, 4) float32 for an image (S, S) uint8: as many in the middle of each cell as it counted.

    x forward, y left, metres; z and intensity are 0, because the image has no heights. S is odd.
    """
    return cloud_of(counts(image))


def cloud_of(counted: Rows) -> Array:
    """Return points (N, 4) float32, as `cloud` does, for the counts (S, S) themselves."""
    row, column = np.nonzero(counted)
    middle = counted.shape[0] // 2
    points = np.zeros((len(row), 4), dtype=np.float32)
    for axis, cells in enumerate((middle - row, middle - column)):
        points[:, axis] = np.sign(cells) * (np.abs(cells) + 0.5) * CELL
    return np.repeat(points, counted[row, column], axis=0)


def image_counts(points: Array) -> Rows:
    """Return the counts (SIDE, SIDE) of the image of a cloud (N, >= 3), made as KITTI's images were."""
    near = (np.abs(points[:, :3]) < REACH).all(axis=1) & (points[:, 2] >= LOWEST)
    x_y_z = points[near, :3].astype(np.float64)
    cube, inside = np.unique(_numbered(np.floor(x_y_z / CUBE).astype(int)), return_inverse=True)
    count = np.bincount(inside, minlength=len(cube))
    means = np.stack([np.bincount(inside, x_y_z[:, k]) / count for k in (0, 1)], axis=1)
    cells = SIDE // 2 - np.trunc(means / CELL).astype(int)
    counted = np.zeros((SIDE, SIDE), dtype=np.intp)
    np.add.at(counted, (cells[:, 0], cells[:, 1]), 1)
    return np.minimum(counted, CAPS[0])


def _numbered(cubes: Rows) -> Rows:
    """Return a number (N,) for each of the cubes (N, 3), the same for the same cube."""
    across = 2 * int(REACH / CUBE) + 4
    return np.asarray((cubes[:, 0] * across + cubes[:, 1]) * across + cubes[:, 2])


def counts(image: Array) -> Rows:
    """Return the points of each cell (S, S). The pixel is 255 * min(count, cap) / cap, and the cap is guessed."""
    values = np.unique(image).astype(np.float64)
    errors = {cap: float(np.abs(values - np.round(values * cap / 255) * 255 / cap).max()) for cap in CAPS}
    cap = min(CAPS, key=lambda c: (errors[c] > 1.0, CAPS.index(c)))
    return np.asarray(np.round(image * (cap / 255)), dtype=np.intp)


def _published(split: tuple[int, int, int]) -> tuple[Rows, Rows, Rows, Flags]:
    """Return the frames used, and of these the queries, the references and what is allowed (Q, R)."""
    database, first, end = split
    rows = np.concatenate([np.arange(database), np.arange(first, end)])
    queries, references = np.arange(database, len(rows)), np.arange(database)
    return rows, queries, references, np.ones((len(queries), len(references)), dtype=bool)


def _revisits(poses: Float64) -> tuple[Rows, Rows, Rows, Flags]:
    rows = keyframes(poses, KEYFRAME)
    everything = np.arange(len(rows))
    return rows, everything, everything, splits.same_drive(poses[rows], PATH_GAP, earlier=True)


def _protocol(split: tuple[int, int, int]) -> str:
    database, first, end = split
    return (
        f"BEVPlace's: frames 0 to {database - 1} are the map, frames {first} to {end - 1} the queries, a hit is within "
        f"{HIT:g} m; queries without any right frame are left out"
    )


def _other_protocol() -> str:
    return (
        f"ours, for a sequence that BEVPlace does not list: keyframes {KEYFRAME:g} m apart, a hit is within {HIT:g} m, "
        f"references are earlier keyframes more than {PATH_GAP:g} m of driving away"
    )


def _images(path: Path) -> Array:
    with explained(f"Cannot read {path / 'bev.npz'}", f"The layout is: {LAYOUT}"):
        with np.load(path / "bev.npz", allow_pickle=False) as stored:
            if "bev" not in stored:
                raise ValueError(f"it holds {', '.join(stored) or 'nothing'}, not 'bev'")
            images = np.asarray(stored["bev"])
        square = images.ndim == 3 and images.shape[1] == images.shape[2] and images.shape[1] % 2 == 1
        if not square or images.dtype != np.uint8:
            raise ValueError(f"'bev' is {images.shape} {images.dtype}, not (N, S, S) uint8 with an odd S")
    return images


def _poses(path: Path) -> Float64:
    if not (path / "pose.txt").is_file():
        raise unreadable(path, "it has no pose.txt", LAYOUT)
    with explained(f"Cannot read {path / 'pose.txt'}", f"The layout is: {LAYOUT}"):
        lines = [line.split() for line in reading.text(path / "pose.txt").splitlines() if line.strip()]
        if wrong := [i for i, line in enumerate(lines, start=1) if len(line) != 12]:
            raise ValueError(f"line {wrong[0]} has {len(lines[wrong[0] - 1])} numbers, not 12")
        poses = np.tile(np.eye(4), (len(lines), 1, 1))
        poses[:, :3] = np.array(lines, dtype=np.float64).reshape(-1, 3, 4)
    return poses
