"""Pictures by a pretrained network from the disk: CLIP, SigLIP, DINOv2, DINOv3, ViT, ResNet.

    any2any build-map DRIVE MAP --encoder camera=vision --set camera.model=FOLDER

FOLDER is the network as the Hugging Face hub gives it, or as `any2any export` wrote it. Pictures are prepared as its
preprocessor_config.json says. CLIP and SigLIP share a space with `language` of the same weights. `vision_depth` shows
the network depth in colours, as EMMA does with ResNet-152.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.encoders._network import NetworkEncoder
from any2any_ros.encoders._pictures import PREPROCESSOR, Recipe
from any2any_ros.encoders._transformers import part, pictures
from any2any_ros.errors import Any2AnyError

# network -> the class of transformers that has its vision part, and which of its outputs is the vector
FAMILIES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "clip": ("CLIPVisionModelWithProjection", lambda out: out.image_embeds),
    "siglip": ("SiglipVisionModel", lambda out: out.pooler_output),
    "dinov2": ("Dinov2Model", lambda out: out.last_hidden_state[:, 0]),
    "dinov3_vit": ("DINOv3ViTModel", lambda out: out.last_hidden_state[:, 0]),
    "vit": ("ViTModel", lambda out: out.last_hidden_state[:, 0]),
    "resnet": ("ResNetModel", lambda out: out.pooler_output.flatten(1)),
}
JOINT = ("clip", "siglip")  # trained together with a text encoder
FEWEST = 16  # depths that make a picture


class VisionEncoder(NetworkEncoder):
    """The network's vector of a picture. Cost: the network's, and 2 ms to prepare the picture."""

    plug: ClassVar[str] = "vision"
    modality: ClassVar[str] = "camera"
    accepts: ClassVar[str] = "image"
    topic: ClassVar[str] = "camera/image_raw"
    families: ClassVar[tuple[str, ...]] = tuple(FAMILIES)
    free: ClassVar[dict[str, tuple[int, ...]]] = {"pixels": (0,)}
    joint: ClassVar[tuple[str, ...]] = JOINT

    @cached_property
    def recipe(self) -> Recipe:
        return Recipe.read(self.weights.read(PREPROCESSOR))

    def module(self) -> Any:
        name, vector = FAMILIES[self.weights.family]
        return pictures(part(name, self.weights), vector, self.recipe)

    def inputs(self, given: Sequence[NDArray[Any]]) -> dict[str, Any]:
        """Return pixels (N, 3, H, W) uint8 for pictures (H', W', 3) uint8, RGB, of any size."""
        return {"pixels": np.stack([self.recipe.prepare(picture).transpose(2, 0, 1) for picture in given])}


class ColouredDepthEncoder(VisionEncoder):
    """The network's vector of a depth image, its nearest point blue and its farthest red; black where nothing is."""

    plug: ClassVar[str] = "vision_depth"
    modality: ClassVar[str] = "depth"
    accepts: ClassVar[str] = "depth"
    topic: ClassVar[str] = "camera/depth/image_rect_raw"
    joint: ClassVar[tuple[str, ...]] = ()

    def inputs(self, given: Sequence[NDArray[Any]]) -> dict[str, Any]:
        """Return pixels (N, 3, H, W) uint8 for depth images (H', W') in metres, NaN = nothing measured."""
        return super().inputs([coloured(depth) for depth in given])


def coloured(depth: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) uint8, RGB, of depths (H, W) in metres."""
    import cv2

    there = np.isfinite(depth)
    if there.sum() < FEWEST:
        raise Any2AnyError("Cannot use a depth image", "it is empty", "Check the depth camera and its range")
    near, far = float(depth[there].min()), float(depth[there].max())
    scaled = np.where(there, (depth - near) / max(far - near, 1e-6) * 255, 0).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(scaled, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    return np.asarray(np.where(there[..., None], colours, 0), dtype=np.uint8)
