"""A picture of one object without weights: what colours it has, in words and in numbers, and how its edges run.

The camera's encoder of places takes the mean colour out as the light's own; of an object it is the first thing people
say. So colours here are absolute: shares of the eleven basic colour terms (Berlin & Kay 1969) in three bands from top
to bottom, and a soft histogram in Lab. A picture with an alpha channel is masked by it; of one without, the middle
counts more than the rim, and what looks like the rim counts little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._fingerprint import fingerprint, unit
from any2any_ros.errors import Any2AnyError

CELL, BLOCK, BINS = 16, 32, 9
# sRGB of the basic colour terms, lit and in the shade.
TERMS: dict[str, tuple[int, ...]] = {
    "black": (0x0C0C0C, 0x262626), "grey": (0x606060, 0x8A8A8A, 0xA8A8A8), "white": (0xD8D8D8, 0xFAFAFA),
    "red": (0xC8202A, 0x7A1018), "orange": (0xE87818, 0xA85010), "yellow": (0xF0D030, 0xB09018),
    "green": (0x2C8C3C, 0x174820, 0x90C860), "blue": (0x2050B8, 0x142850, 0x88B8E0), "purple": (0x6C3494, 0x3C1C54),
    "pink": (0xE888B0, 0xB06080), "brown": (0x6C4424, 0x3A2210, 0xB88C5C),
}  # fmt: skip
LEVELS, HUES, REACH = 4, 7, 70.0  # of the Lab histogram: bins of L, bins each of a and b, up to ±REACH
BANDS = 3
LIGHTNESS = np.array([0.7, 1, 1], dtype=np.float32)  # light and shade say less than a and b


@dataclass(frozen=True)
class CropConfig(Settings):
    """Settings of the descriptor of object pictures."""

    size: int = setting(96, "of the small picture that edges are taken from", unit="px", minimum=32, maximum=512)
    colour: float = setting(1.0, "weight of the colours beside the edges", minimum=0, maximum=10)
    edges: float = setting(1.0, "weight of the edges", minimum=0, maximum=10)
    softness: float = setting(14.0, "distance in Lab over which one colour becomes another", minimum=1, maximum=100)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.colour and not self.edges:
            raise Any2AnyError(
                "The settings of the crop descriptor leave nothing to see", "colour and edges are both 0", "Raise one"
            )


class CropEncoder:
    """Cost: 4-6 ms. Invariant to: size of the picture, small shifts; little to light; not to the side it is seen."""

    plug: ClassVar[str] = "crop"
    modality: ClassVar[str] = "camera"
    accepts: ClassVar[str] = "image"
    topic: ClassVar[str] = "object/image_raw"
    keeps: ClassVar[int] = 1
    revision: ClassVar[int] = 1
    Config: ClassVar[type[CropConfig]] = CropConfig

    def __init__(self, config: CropConfig = CropConfig()) -> None:
        import cv2

        self.config = config
        self._side = config.size // CELL * CELL  # HOG wants whole cells
        side, block, cell = (self._side, self._side), (BLOCK, BLOCK), (CELL, CELL)
        self._hog: Any = cv2.HOGDescriptor(side, block, cell, cell, BINS)
        codes = [code for shades in TERMS.values() for code in shades]
        rgb = np.array([[code >> 16, code >> 8 & 255, code & 255] for code in codes], dtype=np.uint8)
        self._prototypes = _lab(rgb[None])[0] * LIGHTNESS  # (P, 3)
        self._term = np.repeat(np.eye(len(TERMS)), [len(s) for s in TERMS.values()], axis=0).astype(np.float32)
        y, x = np.mgrid[-1 : 1 : self._side * 1j, -1 : 1 : self._side * 1j]
        self._middle = np.exp(-1.2 * (x**2 + y**2)).astype(np.float32)

    @property
    def dimension(self) -> int:
        return int(self._hog.getDescriptorSize()) + len(TERMS) * BANDS + LEVELS * HUES**2

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.plug, self.revision, self.config)

    def gather(self, sample: NDArray[np.uint8], stamp_ns: int) -> NDArray[np.uint8]:
        return sample

    def encode(self, sample: NDArray[np.uint8]) -> Array:
        """Return (dimension,) for a picture (H, W, 3 or 4) uint8, RGB or RGBA; raise on one that shows nothing."""
        import cv2

        whole = _masked(sample) if sample.shape[2] == 4 else sample
        small = cv2.resize(whole, (self._side, self._side), interpolation=cv2.INTER_AREA)
        lab = _lab(small[..., :3])
        if np.ptp(lab[..., 0]) < 0.8 and np.ptp(lab[..., 1:], axis=(0, 1)).max() < 2:
            raise _unusable("it is one even colour from edge to edge", "Check the camera, and what cuts the object out")
        weight = self._weight(lab, small[..., 3] if small.shape[2] == 4 else None)
        c = self.config
        colours = unit(np.concatenate([unit(self._terms(lab, weight)), unit(self._histogram(lab, weight))]))
        return unit(np.concatenate([c.edges * unit(self._edges(lab[..., 0], weight)), c.colour * colours]))

    def _weight(self, lab: Array, alpha: NDArray[Any] | None) -> Array:
        """Return how much each pixel (S, S) is the object's: by its mask, or by its place and how unlike the rim."""
        if alpha is not None:
            return np.asarray(alpha / np.float32(255), dtype=np.float32)
        rim = np.concatenate([lab[:4].reshape(-1, 3), lab[-4:].reshape(-1, 3), lab[:, :4].reshape(-1, 3),
                              lab[:, -4:].reshape(-1, 3)])  # fmt: skip
        usual = np.median(rim, axis=0)
        spread = np.maximum(np.median(np.abs(rim - usual), axis=0) * 1.5, 4.0) * [
            2.0,
            1.0,
            1.0,
        ]  # shadows are the rim's
        unlike = 1 - np.exp(-0.12 * (((lab - usual) / spread) ** 2).sum(axis=-1))
        return np.asarray(self._middle * (0.08 + unlike), dtype=np.float32)

    def _terms(self, lab: Array, weight: Array) -> Array:
        """Return the roots of the shares of each colour term in each band (BANDS * terms,)."""
        pixels = lab[::2, ::2].reshape(-1, 3) * LIGHTNESS
        # Squared distances to the prototypes but for the pixel's own part, which is the same for all of them.
        away = (self._prototypes**2).sum(axis=1) - 2 * np.einsum("nk,pk->np", pixels, self._prototypes)
        away -= away.min(axis=1, keepdims=True)
        closeness = np.exp(away * np.float32(-0.5 / self.config.softness**2))
        shares = (closeness / closeness.sum(axis=1, keepdims=True)) @ self._term * weight[::2, ::2].reshape(-1, 1)
        bands = [band.sum(axis=0) for band in np.array_split(shares, BANDS)]
        return np.sqrt(np.concatenate(bands) / max(float(weight.sum()), 1e-9)).astype(np.float32)

    def _histogram(self, lab: Array, weight: Array) -> Array:
        """Return the roots of a histogram over L, a, b, in which a pixel counts in all bins beside it."""
        scaled = np.stack([lab[..., 0] / 100 * (LEVELS - 1),
                           *((lab[..., i] / REACH + 1) / 2 * (HUES - 1) for i in (1, 2))], axis=-1)  # fmt: skip
        top = np.array([LEVELS - 1, HUES - 1, HUES - 1])
        at = np.clip(scaled.reshape(-1, 3), 0, top - 1e-4)
        low = at.astype(np.intp)
        share, out = at - low, np.zeros(LEVELS * HUES**2)
        first = np.ravel_multi_index(tuple(low.T), (LEVELS, HUES, HUES))
        for corner in np.ndindex(2, 2, 2):
            i, j, k = (share[:, axis] if up else 1 - share[:, axis] for axis, up in enumerate(corner))
            step = (corner[0] * HUES + corner[1]) * HUES + corner[2]
            out += np.bincount(first + step, i * j * k * weight.ravel(), len(out))
        return np.sqrt(out / max(float(out.sum()), 1e-9)).astype(np.float32)

    def _edges(self, light: Array, weight: Array) -> Array:
        """Return the HOG of the picture, its background blended into its mean."""
        keep = np.clip(weight / max(float(np.percentile(weight, 95)), 1e-9), 0, 1)
        mean = float((light * weight).sum() / max(float(weight.sum()), 1e-9))
        picture = np.clip((mean + (light - mean) * np.sqrt(keep)) * 2.55, 0, 255).astype(np.uint8)
        return np.asarray(self._hog.compute(picture), dtype=np.float32).ravel()


def _masked(sample: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return RGBA with the mask's own mean outside of it: the background must not bleed in when it is made smaller."""
    mine = sample[..., 3] > 127
    if not mine.any():
        raise _unusable("its mask is empty", "Check what cuts the object out")
    out = sample.copy()
    out[~mine, :3] = sample[mine, :3].mean(axis=0)
    out[..., 3] = np.where(mine, 255, 0)
    return out


def _lab(rgb: NDArray[Any]) -> Array:
    """Return L in [0, 100], a and b, (H, W, 3) float32."""
    import cv2

    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb, dtype=np.float32) / 255, cv2.COLOR_RGB2LAB))


def _unusable(why: str, remedy: str) -> Any2AnyError:
    return Any2AnyError("Cannot use a picture of an object", why, remedy)
