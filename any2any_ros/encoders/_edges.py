"""Histograms of oriented gradients (HOG, Dalal and Triggs 2005) of small images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array

CELL, BLOCK = 16, 32  # pixels
BINS = 9  # of the gradient's direction


def whole_cells(pixels: int) -> int:
    """Return a length rounded down to a multiple of the cell, which HOG requires."""
    return pixels // CELL * CELL


def hog(width: int, height: int) -> Any:
    """Return OpenCV's HOG descriptor of images of this size, whole cells both ways."""
    import cv2

    return cv2.HOGDescriptor((width, height), (BLOCK, BLOCK), (CELL, CELL), (CELL, CELL), BINS)


class Edges:
    """HOG of the equalised brightness of an image, which shows the directions of its edges.

    size: (width, height) that an image must have, in whole cells. grid: its (columns, rows) of cells.
    """

    def __init__(self, width: int, height: int) -> None:
        import cv2

        self.size = (whole_cells(width), whole_cells(height))
        self.grid = (self.size[0] // CELL, self.size[1] // CELL)
        self._hog = hog(*self.size)
        self._equalise: Any = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(4, 4))

    @property
    def dimension(self) -> int:
        return int(self._hog.getDescriptorSize())

    def describe(self, brightness: NDArray[np.uint8]) -> Array:
        """Return (dimension,) float32 for an image (height, width) uint8."""
        return np.asarray(self._hog.compute(self._equalise.apply(brightness)).ravel())
