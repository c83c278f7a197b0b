"""Images by a pretrained network with weights on the disk: CLIP, SigLIP, DINOv2, DINOv3, ViT or ResNet.

    any2any build-map DRIVE MAP --encoder camera=vision --set camera.model=FOLDER

FOLDER holds the network as the Hugging Face hub gives it, or as `any2any export` wrote it. Images are prepared as its
preprocessor_config.json says. CLIP and SigLIP share an embedding space with `language` of the same weights.
`vision_depth` shows the network depth as colours, as EMMA does with ResNet-152.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.encoders.networks.encoder import NetworkEncoder
from any2any_ros.encoders.networks.huggingface import image_module, load_part
from any2any_ros.encoders.networks.preprocessing import PREPROCESSOR, Preprocessing
from any2any_ros.errors import Any2AnyError

# family -> the transformers class of its vision part, and the output that is the embedding
FAMILIES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "clip": ("CLIPVisionModelWithProjection", lambda out: out.image_embeds),
    "siglip": ("SiglipVisionModel", lambda out: out.pooler_output),
    "dinov2": ("Dinov2Model", lambda out: out.last_hidden_state[:, 0]),
    "dinov3_vit": ("DINOv3ViTModel", lambda out: out.last_hidden_state[:, 0]),
    "vit": ("ViTModel", lambda out: out.last_hidden_state[:, 0]),
    "resnet": ("ResNetModel", lambda out: out.pooler_output.flatten(1)),
}
JOINT = ("clip", "siglip")  # trained together with a text encoder
MIN_PIXELS = 16  # measured depths in a usable depth image


class VisionEncoder(NetworkEncoder):
    """The network's embedding of an image. Cost: the network's, and 2 ms to prepare the image."""

    plug = "vision"
    modality = "camera"
    accepts = "image"
    topic = "camera/image_raw"
    families = tuple(FAMILIES)
    joint: ClassVar[tuple[str, ...]] = JOINT
    free_axes: ClassVar = {"pixels": (0,)}

    @cached_property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing.read(self.weights.read(PREPROCESSOR))

    def module(self) -> Any:
        name, vector = FAMILIES[self.weights.family]
        return image_module(load_part(name, self.weights), vector, self.preprocessing)

    def inputs(self, batch: Sequence[NDArray[Any]]) -> dict[str, Any]:
        """Return pixels (N, 3, H, W) uint8 for images (H', W', 3) uint8, RGB, of any size."""
        return {"pixels": np.stack([self.preprocessing.prepare(image).transpose(2, 0, 1) for image in batch])}


class ColouredDepthEncoder(VisionEncoder):
    """The network's embedding of a depth image shown in colours: near is blue, far is red, unmeasured is black."""

    plug = "vision_depth"
    modality = "depth"
    accepts = "depth"
    topic = "camera/depth/image_rect_raw"
    joint = ()

    def inputs(self, batch: Sequence[NDArray[Any]]) -> dict[str, Any]:
        """Return pixels (N, 3, H, W) uint8 for depth images (H', W') in metres, NaN where nothing was measured."""
        return super().inputs([coloured(depth) for depth in batch])


def coloured(depth: Array) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) uint8, RGB, of depths (H, W) in metres. Raises Any2AnyError when it is empty."""
    import cv2

    measured = np.isfinite(depth)
    if measured.sum() < MIN_PIXELS:
        raise Any2AnyError("Cannot use a depth image", "it is empty", "Check the depth camera and its range")
    near, far = float(depth[measured].min()), float(depth[measured].max())
    scaled = np.where(measured, (depth - near) / max(far - near, 1e-6) * 255, 0).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(scaled, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    return np.asarray(np.where(measured[..., None], colours, 0), dtype=np.uint8)
