"""LIP-Loc: LiDAR and camera in one space, by two vision transformers (Puligilla et al. 2024, "LIP-Loc").

    any2any build-map DRIVE MAP --encoder lidar=liploc --set lidar.model=best.pth
    any2any build-map DRIVE MAP --encoder camera=liploc_camera --set camera.model=best.pth

The checkpoint is one that LIP-Loc's own training wrote with a ViT backbone. A cloud becomes a range image of 64 x 900,
+3 to -25 degrees; as there, the network sees its upper half, straight ahead, where the camera looks, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.config import setting
from any2any_ros.encoders._network import NetworkConfig, NetworkEncoder
from any2any_ros.encoders._pictures import standardiser
from any2any_ros.encoders._vit import vit
from any2any_ros.errors import Any2AnyError

ROWS, COLUMNS = 64, 900
UP, DOWN = np.radians(3.0), np.radians(-25.0)
FARTHEST = 50.0  # m
LEVELS = 5.1  # grey levels a metre
EMPTY = 251  # what LIP-Loc's -1 becomes as a byte; its networks have learnt it
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's colours
FEWEST = 100  # points in range that make a picture


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
        return tower(self.weights.checkpoint, self.half)

    def inputs(self, given: Sequence[NDArray[Any]]) -> dict[str, Any]:
        """Return pixels (N, 3, 224, 224) uint8 for clouds (P, >= 3) in the LiDAR's frame, metres."""
        return {"pixels": np.stack([_square(self._picture(points)) for points in given])}

    def _picture(self, points: NDArray[np.float32]) -> NDArray[np.uint8]:
        image = range_image(points)
        third = COLUMNS // 3
        image = image[: ROWS // 2, third : 2 * third] if self.config.ahead else image
        return np.repeat(image[..., None], 3, axis=2)


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
    points = points[:, :3].astype(np.float64)
    distance = np.linalg.norm(points, axis=1)
    near = (distance > 0) & (distance < FARTHEST)
    points, distance = points[near], distance[near]
    if len(points) < FEWEST:
        raise Any2AnyError(
            "Cannot use a point cloud", f"{len(points)} of its points lie within {FARTHEST:g} m", "Check the LiDAR"
        )
    across = 0.5 * (1 - np.arctan2(points[:, 1], points[:, 0]) / np.pi) * COLUMNS
    down = (1 - (np.arcsin(points[:, 2] / distance) - DOWN) / (UP - DOWN)) * ROWS
    column = np.clip(np.floor(across), 0, COLUMNS - 1).astype(np.intp)
    row = np.clip(np.floor(down), 0, ROWS - 1).astype(np.intp)
    nearest_last = np.argsort(-distance, kind="stable")
    image = np.full((ROWS, COLUMNS), EMPTY, dtype=np.uint8)
    image[row[nearest_last], column[nearest_last]] = (distance[nearest_last] * LEVELS).astype(np.uint8)
    return image


def _square(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (3, 224, 224) for a picture (H, W, 3) of any shape: LIP-Loc squeezes."""
    import cv2

    return np.asarray(cv2.resize(picture, (224, 224), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1))


def tower(checkpoint: Path, half: str) -> Any:
    """Return one half of a LIP-Loc checkpoint, "lidar" or "camera": pixels (N, 3, 224, 224) uint8 -> (N, 256)."""
    from torch import nn

    state = _read(checkpoint, half)

    class Projection(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            size, width = state["projection.projection.weight"].shape
            self.projection, self.fc = nn.Linear(width, size), nn.Linear(size, size)
            self.layer_norm = nn.LayerNorm(size)

        def forward(self, x: Any) -> Any:
            projected = self.projection(x)
            return self.layer_norm(self.fc(nn.functional.gelu(projected)) + projected)

    class Tower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = vit({k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")})
            self.fc = nn.Linear(*reversed(state["fc.weight"].shape))
            self.projection = Projection()
            self.load_state_dict({k: v for k, v in state.items() if not k.startswith("model.")}, strict=False)
            self.standardise = standardiser(MEAN, SPREAD)

        def forward(self, pixels: Any) -> Any:
            return self.projection(self.fc(self.model(self.standardise(pixels))))

    return Tower()


def _read(checkpoint: Path, half: str) -> dict[str, Any]:
    """Return the parameters of one half, without the prefixes that say which."""
    try:
        import torch

        every = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # ImportError, and torch's, pickle's and zipfile's own kinds
        raise Any2AnyError(
            f"Cannot read {checkpoint}", str(error), "Give the .pth that LIP-Loc's training wrote"
        ) from error
    encoder, projection = f"encoder_{half}.", f"projection_{half}."
    state = {k.removeprefix(encoder): v for k, v in every.items() if k.startswith(encoder)}
    state |= {f"projection.{k.removeprefix(projection)}": v for k, v in every.items() if k.startswith(projection)}
    absent = [k for k in ("fc.weight", "projection.projection.weight", "model.pos_embed") if k not in state]
    if absent:
        raise Any2AnyError(
            f"{checkpoint} is no LIP-Loc checkpoint with a ViT", f"it lacks {encoder}{absent[0]}",
            "Train LIP-Loc with exp_largest_vit, or give its .pth",
        )  # fmt: skip
    return state
