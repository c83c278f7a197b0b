"""Which way edges run where in a small picture: a histogram of oriented gradients of its evened-out brightness."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array

CELL, BLOCK = 16, 32  # pixels
BINS = 9


class Edges:
    """HOG (Dalal and Triggs 2005) of pictures of `size` (width, height): `grid` (columns, rows) cells."""

    def __init__(self, width: int, height: int) -> None:
        import cv2

        # HOG wants whole cells.
        self.grid = (width // CELL, height // CELL)
        self.size = (self.grid[0] * CELL, self.grid[1] * CELL)
        block, cell = (BLOCK, BLOCK), (CELL, CELL)
        self._hog: Any = cv2.HOGDescriptor(self.size, block, cell, cell, BINS)
        self._equalise: Any = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(4, 4))

    @property
    def dimension(self) -> int:
        return int(self._hog.getDescriptorSize())

    def describe(self, brightness: NDArray[np.uint8]) -> Array:
        """Return (dimension,) float32 of a picture (height, width) uint8."""
        return np.asarray(self._hog.compute(self._equalise.apply(brightness)).ravel())
