"""How an image is prepared for a pretrained network, read from its preprocessor_config.json.

The result equals that of transformers' own image processors (a test compares them), but transformers is not needed on
the robot. Pillow resizes the images, because the networks were trained with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import declared
from any2any_ros.errors import Any2AnyError

PREPROCESSOR = "preprocessor_config.json"
FILTERS = range(6)  # Pillow's
LARGEST_SIDE = 4096  # pixels
UNCROPPED = 384  # the processor of ResNet and ConvNeXt does not crop images of at least this size

Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Preprocessing:
    """How an image is resized, cropped and standardised.

    shortest: length of the shorter side after resizing, in pixels; 0: resize to `size`, whatever the aspect ratio.
    crop: size of the part that is cut from the middle. resample: Pillow's resampling filter. mean, std: of the three
    colours in [0, 1].
    """

    shortest: int
    size: Size
    crop: Size
    resample: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        declared.check(self)
        sides = self.crop if self.shortest else (*self.size, *self.crop)
        if not 0 <= self.shortest <= LARGEST_SIDE or not all(1 <= side <= LARGEST_SIDE for side in sides):
            raise ValueError(f"its images would have sides of {self.shortest}, {self.size} and {self.crop} pixels")
        if self.resample not in FILTERS or len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError("there is no such resampling filter, or no mean and std of three colours")

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Read the content of a preprocessor_config.json, in its current form or an older one.

        Raises Any2AnyError when a value is missing or of the wrong type.
        """
        try:
            shortest, whole, crop = _sizes(values)
            return cls(
                shortest, whole, crop, int(values.get("resample", 2)),
                tuple(map(float, values["image_mean"])), tuple(map(float, values["image_std"])),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise Any2AnyError(
                f"Cannot tell how the network wants its images ({PREPROCESSOR})", f"{type(error).__name__}: {error}",
                "Fetch the model again, with all of its files",
            ) from error  # fmt: skip

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return an image (H', W', 3) uint8, RGB, resized and cropped to (H, W, 3)."""
        from PIL import Image

        height, width = self._resized(*image.shape[:2])
        small = Image.fromarray(image).resize((width, height), resample=self.resample)
        return _crop_middle(np.asarray(small, dtype=np.uint8), self.crop)

    def _resized(self, height: int, width: int) -> Size:
        if not self.shortest:
            return self.size
        if height <= width:
            return self.shortest, int(self.shortest * width / height)
        return int(self.shortest * height / width), self.shortest


def standardiser(mean: Sequence[float], std: Sequence[float]) -> Any:
    """Return the torch module pixels (N, 3, H, W) in [0, 255] -> (pixels / 255 - mean) / std, in the module's dtype."""
    import torch

    class Standardiser(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, values in (("mean", mean), ("std", std)):
                self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1))

        def forward(self, pixels: Any) -> Any:
            return (pixels.to(self.mean.dtype) / 255 - self.mean) / self.std

    return Standardiser()


def _sizes(values: Mapping[str, Any]) -> tuple[int, Size, Size]:
    """Return `shortest`, `size` and `crop`."""
    size, crop = values["size"], values.get("crop_size")
    cropped = bool(values.get("do_center_crop"))
    shortest = size if isinstance(size, int) and cropped else 0
    if isinstance(size, dict) and "shortest_edge" in size:
        shortest = size["shortest_edge"]
    # ConvNeXt's processor resizes to a larger image and crops its middle.
    if values.get("crop_pct") and shortest < UNCROPPED:
        shortest, crop, cropped = int(shortest / values["crop_pct"]), shortest, True
    whole = (0, 0) if shortest else _pair(size)
    return shortest, whole, _pair(crop) if cropped else whole


def _pair(size: Any) -> Size:
    return (int(size), int(size)) if isinstance(size, int) else (int(size["height"]), int(size["width"]))


def _crop_middle(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Cut `size` from the middle of an image; pad with black where the image is smaller."""
    (height, width), (h, w) = image.shape[:2], size
    padded = np.pad(image, ((0, max(0, h - height)), (0, max(0, w - width)), (0, 0)))
    top, left = max(0, height - h) // 2, max(0, width - w) // 2
    return padded[top : top + h, left : left + w]
