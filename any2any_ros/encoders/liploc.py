"""LIP-Loc: LiDAR and camera in one space, by two vision transformers (Puligilla et al. 2024, "LIP-Loc").

    any2any build-map DRIVE MAP --encoder lidar=liploc --set lidar.model=best.pth
    any2any build-map DRIVE MAP --encoder camera=liploc_camera --set camera.model=best.pth

The checkpoint is one that LIP-Loc's own training wrote with a ViT backbone, or `any2any train liploc` (docs/liploc.md).
A cloud becomes a range image of 64 x 900, +3 to -25 degrees; as there, the network sees its upper half, straight ahead,
where the camera looks, too. How large its pictures are, and what else it sees, is read off the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.config import setting
from any2any_ros.encoders import _liploc_network
from any2any_ros.encoders._liploc_network import View
from any2any_ros.encoders._network import NetworkConfig, NetworkEncoder
from any2any_ros.errors import Any2AnyError

ROWS, COLUMNS = 64, 900
UP, DOWN = np.radians(3.0), np.radians(-25.0)
FARTHEST = 50.0  # m
LEVELS = 5.1  # grey levels a metre
EMPTY = 251  # what LIP-Loc's -1 becomes as a byte; its networks have learnt it
FEWEST = 100  # points in range that make a picture
CHUNK = 1 << 14  # points looked at together: all that is worked out for them stays in a core's own cache


@dataclass(frozen=True)
class LipLocConfig(NetworkConfig):
    """Settings of LIP-Loc."""

    ahead: bool = setting(True, "the network was trained on what lies ahead, not on the whole circle")


class LipLocEncoder(NetworkEncoder):
    """256 dimensions of a cloud, comparable with `liploc_camera`'s. Cost: a ViT-S and 3 ms. Invariant to: nothing."""

    plug: ClassVar[str] = "liploc"
    modality: ClassVar[str] = "lidar"
    accepts: ClassVar[str] = "cloud"
    topic: ClassVar[str] = "lidar/points"
    Config: ClassVar[type[LipLocConfig]] = LipLocConfig
    families: ClassVar[tuple[str, ...]] = ("liploc",)
    free: ClassVar[dict[str, tuple[int, ...]]] = {"pixels": (0,)}
    joint: ClassVar[tuple[str, ...]] = ("liploc",)
    half: ClassVar[str] = "lidar"
    config: LipLocConfig

    def module(self) -> Any:
        every = _liploc_network.read(self.weights.checkpoint)
        self.view = _liploc_network.view(every, self.half, self.weights.checkpoint)  # not read again for it
        return _liploc_network.tower(_liploc_network.half_of(every, self.half, self.weights.checkpoint))

    @cached_property
    def view(self) -> View:
        """What the network sees: an export says it, a checkpoint shows it."""
        if self.weights.onnx is not None:
            return View(**self.weights.config.get("view", {}))
        checkpoint = self.weights.checkpoint
        return _liploc_network.view(_liploc_network.read(checkpoint), self.half, checkpoint)

    def described(self) -> dict[str, Any]:
        return super().described() | {"view": asdict(self.view)}

    def inputs(self, given: Sequence[NDArray[Any]]) -> dict[str, Any]:
        """Return pixels (N, 3, H, W) uint8, 224 x 224 in LIP-Loc, for clouds (P, >= 3) in the LiDAR's frame, metres."""
        return {"pixels": np.stack([squeezed(self._picture(sample), self.view) for sample in given])}

    def _picture(self, points: NDArray[np.float32]) -> NDArray[np.uint8]:
        image = range_image(points)
        return shown(ahead(image, self.view) if self.config.ahead else image)


class LipLocCameraEncoder(LipLocEncoder):
    """256 dimensions of a picture, comparable with `liploc`'s. Cost: a ViT-S and 1 ms."""

    plug: ClassVar[str] = "liploc_camera"
    modality: ClassVar[str] = "camera"
    accepts: ClassVar[str] = "image"
    topic: ClassVar[str] = "camera/image_raw"
    half: ClassVar[str] = "camera"

    def _picture(self, points: NDArray[Any]) -> NDArray[np.uint8]:
        return points


def range_image(points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return (64, 900): 5.1 grey levels a metre, EMPTY where nothing is, straight ahead in the middle."""
    nearest = np.full(ROWS * COLUMNS, np.inf)
    seen = 0
    for start in range(0, len(points), CHUNK):
        cell, distance = _cells(points[start : start + CHUNK])
        np.minimum.at(nearest, cell, distance)
        seen += len(cell)
    if seen < FEWEST:
        raise Any2AnyError(
            "Cannot use a point cloud", f"{seen} of its points lie within {FARTHEST:g} m", "Check the LiDAR"
        )
    levels = np.where(nearest < FARTHEST, nearest * LEVELS, EMPTY)
    return levels.astype(np.uint8).reshape(ROWS, COLUMNS)


def _cells(points: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the pixel of each point in range, row by row, and its distance in metres."""
    x, y, z = points[:, :3].T.astype(np.float64, order="C")
    distance = np.sqrt(x * x + y * y + z * z)
    near = (distance > 0) & (distance < FARTHEST)
    x, y, z, distance = x[near], y[near], z[near], distance[near]
    across = 0.5 * (1 - np.arctan2(y, x) / np.pi) * COLUMNS
    down = (1 - (np.arcsin(z / distance) - DOWN) / (UP - DOWN)) * ROWS
    column = np.clip(np.floor(across), 0, COLUMNS - 1)
    row = np.clip(np.floor(down), 0, ROWS - 1)
    return (row * COLUMNS + column).astype(np.intp), distance


def ahead(image: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Return the upper rows and the middle columns of a range image (64, 900) that a network sees."""
    left = (COLUMNS - view.columns) // 2
    return image[: view.rows, left : left + view.columns]


def shown(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a range image as a grey picture (H, W, 3)."""
    return np.repeat(image[..., None], 3, axis=2)


def squeezed(picture: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Return (3, H, W) for a picture (H', W', 3) of any shape: LIP-Loc squeezes."""
    import cv2

    small = cv2.resize(picture, (view.width, view.height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(small.transpose(2, 0, 1))
