"""What a network sees of a bird's-eye image: the image itself, or a polar grid on which a turn is a shift.

Each view is an array (height, width) float32. Its last axis is the angle, except in the view "cells".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.birds_eye import spectrum
from any2any_ros.birds_eye.image import SIZE, Levels
from any2any_ros.birds_eye.spectrum import TINY

ANGLES, RINGS = 128, 31  # of the polar grid of an image, over a full turn; rings are 2 cells apart
_RADIUS = np.arange(1, 1 + RINGS)[:, None] * 2.0
_ANGLE = np.arange(ANGLES) * (2 * np.pi / ANGLES)
_COLUMN, _ROW = (((SIZE - 1) / 2 + _RADIUS * f(_ANGLE)).astype(np.float32) for f in (np.cos, np.sin))


def cells(levels: Levels) -> Array:
    """Return the brightness of an image (SIZE, SIZE) in cells twice as large (63, 63)."""
    # Every second cell from the first to the last one: so a quarter of a turn maps them onto each other.
    return _scaled(cv2.blur(spectrum.bright(levels), (3, 3), borderType=cv2.BORDER_CONSTANT)[::2, ::2])


def polar(levels: Levels) -> Array:
    """Return the brightness of an image (SIZE, SIZE) on a polar grid (RINGS, ANGLES)."""
    return _scaled(cv2.remap(spectrum.bright(levels), _COLUMN, _ROW, cv2.INTER_LINEAR))


def magnitudes(levels: Levels) -> Array:
    """Return the magnitudes of the Fourier transform of an image (SIZE, SIZE) on a polar grid (28, 180) over half a
    turn, which a shift of the image does not change. Each ring has the same length."""
    rings = spectrum.polar(spectrum.transform(spectrum.bright(levels)))
    pairs = rings[: 2 * spectrum.PAIRS].reshape(spectrum.PAIRS, 2, spectrum.ANGLES).mean(axis=1)
    return np.asarray(pairs / np.maximum(pairs.std(axis=1, keepdims=True), TINY), dtype=np.float32)


def _scaled(view: NDArray[Any]) -> Array:
    return np.asarray(view / np.maximum(view.std(), TINY), dtype=np.float32)


VIEWS: dict[str, Callable[[Levels], Array]] = {"cells": cells, "polar": polar, "magnitudes": magnitudes}
