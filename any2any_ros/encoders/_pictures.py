"""Pictures as a pretrained network wants them: its preprocessor_config.json, without transformers on the robot.

Equal to what transformers makes of them, which the tests hold it to; resized by Pillow, as the networks were trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.errors import Any2AnyError

PREPROCESSOR = "preprocessor_config.json"
WHOLE = 384  # ResNet's and ConvNeXt's processor cuts no rim off pictures of that size

Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Recipe:
    """How a picture is prepared: its shorter side is brought to `shortest`, or all of it to `size`; `crop` is cut from
    its middle; mean and spread are those of its colours in [0, 1]."""

    shortest: int
    size: Size
    crop: Size
    resample: int  # Pillow's
    mean: tuple[float, ...]
    spread: tuple[float, ...]

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Recipe:
        """Read a preprocessor_config.json, of today's or of an older form."""
        try:
            size, crop = given["size"], given.get("crop_size")
            cropped = bool(given.get("do_center_crop"))
            shortest = size if isinstance(size, int) and cropped else 0
            if isinstance(size, dict) and "shortest_edge" in size:
                shortest = size["shortest_edge"]
            if given.get("crop_pct") and shortest < WHOLE:  # of ConvNeXt's processor: the middle of a larger picture
                shortest, crop, cropped = int(shortest / given["crop_pct"]), shortest, True
            whole = (0, 0) if shortest else _pair(size)
            return cls(
                shortest, whole, _pair(crop) if cropped else whole, int(given.get("resample", 2)),
                tuple(map(float, given["image_mean"])), tuple(map(float, given["image_std"])),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise Any2AnyError(
                f"Cannot tell how the network wants its pictures ({PREPROCESSOR})", f"{type(error).__name__}: {error}",
                "Fetch the model again, with all of its files",
            ) from error  # fmt: skip

    def prepare(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (H, W, 3) for a picture (H', W', 3) uint8, RGB."""
        from PIL import Image

        height, width = self._resized(*picture.shape[:2])
        small = Image.fromarray(picture).resize((width, height), resample=self.resample)
        return _middle(np.asarray(small, dtype=np.uint8), self.crop)

    def _resized(self, height: int, width: int) -> Size:
        if not self.shortest:
            return self.size
        if height <= width:
            return self.shortest, int(self.shortest * width / height)
        return int(self.shortest * height / width), self.shortest


def standardiser(mean: Sequence[float], spread: Sequence[float]) -> Any:
    """Return the torch module pixels (N, 3, H, W) uint8 -> the same in standard deviations of their colours."""
    import torch

    class Standardiser(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, values in (("mean", mean), ("spread", spread)):
                self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1))

        def forward(self, pixels: Any) -> Any:
            return (pixels.to(self.mean.dtype) / 255 - self.mean) / self.spread

    return Standardiser()


def _pair(size: Any) -> Size:
    return (int(size), int(size)) if isinstance(size, int) else (int(size["height"]), int(size["width"]))


def _middle(picture: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Cut `size` from the middle; black where the picture is smaller."""
    (height, width), (h, w) = picture.shape[:2], size
    padded = np.pad(picture, ((0, max(0, h - height)), (0, max(0, w - width)), (0, 0)))
    top, left = max(0, height - h) // 2, max(0, width - w) // 2
    return padded[top : top + h, left : left + w]
