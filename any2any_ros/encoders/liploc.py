"""LIP-Loc: LiDAR and camera in one embedding space, by two vision transformers (Puligilla et al. 2024, "LIP-Loc").

    any2any build-map DRIVE MAP --encoder lidar=liploc --set lidar.model=best.pth
    any2any build-map DRIVE MAP --encoder camera=liploc_camera --set camera.model=best.pth

The checkpoint was written by LIP-Loc's own training with a ViT backbone, or by `any2any train liploc` (docs/liploc.md).
A cloud becomes a range image of 64 x 900 pixels, from +3 to -25 degrees. As in LIP-Loc, the network sees its upper half
straight ahead, where the camera looks too. The size of the network's images, and any other part of the range image that
it sees, are read from the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Float64, Rows
from any2any_ros.config import setting
from any2any_ros.encoders.networks import liploc_network
from any2any_ros.encoders.networks.encoder import NetworkEncoder
from any2any_ros.encoders.networks.liploc_network import View
from any2any_ros.encoders.networks.settings import NetworkConfig
from any2any_ros.errors import Any2AnyError

ROWS, COLUMNS = liploc_network.SCAN
UP, DOWN = np.radians(3.0), np.radians(-25.0)
FARTHEST = 50.0  # m
LEVELS_PER_METRE = 5.1  # grey levels
EMPTY = 251  # grey level of a pixel without a point: LIP-Loc's -1 as a byte, which its networks were trained with
MIN_POINTS = 100  # in range
CHUNK = 1 << 14  # points processed together, so that all intermediate arrays fit into the cache of one core


@dataclass(frozen=True)
class LipLocConfig(NetworkConfig):
    """Settings of LIP-Loc."""

    ahead: bool = setting(True, "use only the part of the range image straight ahead, as in the network's training")


class LipLocEncoder(NetworkEncoder):
    """256 dimensions of a cloud, comparable with `liploc_camera`'s. Cost: a ViT-S and 3 ms. Keeps the heading."""

    plug = "liploc"
    modality = "lidar"
    accepts = "cloud"
    topic = "lidar/points"
    Config = LipLocConfig
    families = ("liploc",)
    joint = ("liploc",)
    free_axes: ClassVar = {"pixels": (0,)}
    tower: ClassVar[str] = "lidar"
    config: LipLocConfig

    def module(self) -> Any:
        checkpoint = self.weights.checkpoint
        parameters = liploc_network.read(checkpoint)
        self.view = liploc_network.read_view(parameters, self.tower, checkpoint)  # so that it is not read again
        return liploc_network.build_tower(liploc_network.select_tower(parameters, self.tower, checkpoint))

    @cached_property
    def view(self) -> View:
        """What the network sees: from the config.json of an export, or from the checkpoint."""
        if self.weights.onnx is not None:
            return liploc_network.exported_view(self.weights.config, self.weights.folder)
        checkpoint = self.weights.checkpoint
        return liploc_network.read_view(liploc_network.read(checkpoint), self.tower, checkpoint)

    def exported_config(self) -> dict[str, Any]:
        return super().exported_config() | {"view": asdict(self.view)}

    def inputs(self, batch: Sequence[NDArray[Any]]) -> dict[str, Any]:
        """Return pixels (N, 3, H, W) uint8, in LIP-Loc 224 x 224.

        batch: clouds (P, >= 3) in the LiDAR's frame, metres. Raises Any2AnyError when too few points are in range.
        """
        return {"pixels": np.stack([resized(self._image(sample), self.view) for sample in batch])}

    def _image(self, sample: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the image (H', W', 3) of a cloud."""
        image = range_image(sample)
        return grey(window(image, self.view) if self.config.ahead else image)


class LipLocCameraEncoder(LipLocEncoder):
    """256 dimensions of an image, comparable with `liploc`'s. Cost: a ViT-S and 1 ms."""

    plug = "liploc_camera"
    modality = "camera"
    accepts = "image"
    topic = "camera/image_raw"
    tower = "camera"

    def _image(self, sample: NDArray[Any]) -> NDArray[np.uint8]:
        return sample


def range_image(points: Array) -> NDArray[np.uint8]:
    """Return the range image (64, 900) of points (N, >= 3): 5.1 grey levels a metre, EMPTY where there is no point.

    Straight ahead is in the middle. Raises Any2AnyError when too few points are in range.
    """
    nearest = np.full(ROWS * COLUMNS, np.inf)
    count = 0
    for start in range(0, len(points), CHUNK):
        pixel, distance = _pixels(points[start : start + CHUNK])
        np.minimum.at(nearest, pixel, distance)
        count += len(pixel)
    if count < MIN_POINTS:
        raise Any2AnyError(
            "Cannot use a point cloud", f"{count} of its points lie within {FARTHEST:g} m", "Check the LiDAR"
        )
    levels = np.where(nearest < FARTHEST, nearest * LEVELS_PER_METRE, EMPTY)
    return levels.astype(np.uint8).reshape(ROWS, COLUMNS)


def _pixels(points: Array) -> tuple[Rows, Float64]:
    """Return the pixel of each point in range, counted row by row, and its distance in metres."""
    x, y, z = points[:, :3].T.astype(np.float64, order="C")
    distance = np.sqrt(x * x + y * y + z * z)
    near = (distance > 0) & (distance < FARTHEST)
    x, y, z, distance = x[near], y[near], z[near], distance[near]
    across = 0.5 * (1 - np.arctan2(y, x) / np.pi) * COLUMNS
    down = (1 - (np.arcsin(z / distance) - DOWN) / (UP - DOWN)) * ROWS
    column = np.clip(np.floor(across), 0, COLUMNS - 1)
    row = np.clip(np.floor(down), 0, ROWS - 1)
    return (row * COLUMNS + column).astype(np.intp), distance


def window(image: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Return the upper rows and the middle columns of a range image (64, 900) that a network sees."""
    left = (COLUMNS - view.columns) // 2
    return image[: view.rows, left : left + view.columns]


def grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a range image (H, W) as an image (H, W, 3) with three equal channels."""
    return np.repeat(image[..., None], 3, axis=2)


def resized(image: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Return (3, H, W) for an image (H', W', 3) of any shape. The aspect ratio changes, as in LIP-Loc."""
    import cv2

    small = cv2.resize(image, (view.width, view.height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(small.transpose(2, 0, 1))
