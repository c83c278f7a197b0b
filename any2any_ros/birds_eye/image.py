"""A bird's-eye image: how much stands in each cell around a sensor, in four levels, and packed into 3 kB.

The image is (SIZE, SIZE) uint8, with the sensor in its middle. The row counts to the left (y), the column forward (x).
Cells outside the circle around the sensor are 0, because they leave the image when the sensor turns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Flags, Floats, Rows

Levels = NDArray[np.uint8]

SIZE = 125  # cells a side
HALF = SIZE / 2
LEVELS = np.array([0, 1, 3, 6])  # voxels above the ground from which on a cell has level 0, 1, 2, 3
SLABS = 40  # voxels, one above the other, in a cell
LOWEST = 10  # voxels below the sensor that are seen; lower points are left out, and so are higher ones than the rest
CHUNK = 1 << 15  # points processed together, so that all intermediate arrays fit into the cache of one core
EACH_BYTE = np.uint64(0x0101010101010101)  # times this, the highest byte of a number is the sum of its eight
FOOTPRINT, SQUARES = 5, SIZE // 5  # cells a side of a square that has one ground; such squares a side


def _circle() -> Flags:
    across = np.arange(SIZE) + 0.5 - HALF
    return np.asarray(np.hypot(across[:, None], across) <= HALF)


INSIDE = _circle()
_CELLS = np.flatnonzero(INSIDE)
PACKED = -(-len(_CELLS) // 4)  # bytes of a packed image: four cells in a byte
NONE: Levels = np.empty(0, dtype=np.uint8)  # stands for "no image" where one image is expected


def of_points(points: Floats, cell: float) -> tuple[Levels, int]:
    """Return the image (SIZE, SIZE) of points (N, >= 3), x forward, y left, z up, metres, in the sensor's frame; and
    how many of them it shows.

    cell: side of a cell, and of a voxel, in metres. A cell counts the voxels that hold a point and lie above the
    ground, which is the lowest voxel of a square of FOOTPRINT cells a side, and the voxel above it. So the height of
    the sensor need not be known, and a road may rise.
    """
    filled, shown = np.zeros(SIZE * SIZE * SLABS, dtype=np.uint8), 0
    for start in range(0, len(points), CHUNK):
        voxels = _voxels(points[start : start + CHUNK], cell)
        filled[voxels] = 1
        shown += len(voxels)
    # Eight voxels, a byte each, are one number: so they are combined and counted eight at a time.
    cells = filled.view(np.uint64).reshape(SQUARES, FOOTPRINT, SQUARES, FOOTPRINT, SLABS // 8)
    squares = np.bitwise_or.reduce(np.bitwise_or.reduce(cells, axis=1), axis=2)
    ground = np.argmax(squares.view(np.uint8), axis=-1)
    cells &= (np.arange(SLABS) > ground[..., None] + 1).view(np.uint64)[:, None, :, None]
    eight = sum(cells.reshape(-1, SLABS // 8).T)  # no byte of it is larger than SLABS // 8
    return of_counts((eight * EACH_BYTE >> 56).reshape(SIZE, SIZE)), shown


def _voxels(points: Floats, cell: float) -> Rows:
    """Return the voxels (n,) that points (N, >= 3) lie in; those outside of all voxels are left out."""
    x, y, z = (np.asarray(points)[:, i] for i in range(3))
    with np.errstate(invalid="ignore", over="ignore"):
        x, y, z = x / cell + HALF, y / cell + HALF, z / cell + LOWEST
        seen = (x >= 0) & (x < SIZE) & (y >= 0) & (y < SIZE) & (z >= 0) & (z < SLABS)
        column, row, slab = (values.astype(np.int32) for values in (x, y, z))  # any number where not seen
    voxels: Rows = ((row * SIZE + column) * SLABS + slab)[np.flatnonzero(seen)]
    return voxels.astype(np.intp)


def of_counts(counts: NDArray[Any]) -> Levels:
    """Return the image (SIZE, SIZE) of how many voxels above the ground each cell has (SIZE, SIZE)."""
    levels = np.searchsorted(LEVELS[1:], counts, side="right").astype(np.uint8)
    return np.asarray(np.where(INSIDE, levels, 0), dtype=np.uint8)


def of_positions(x: Array, y: Array, cell: float) -> Levels:
    """Return the image (SIZE, SIZE) of points on a plane, such as those of a laser scan: level 1 where there is one.

    x forward and y left (N,), metres, in the sensor's frame. cell: side of a cell in metres.
    """
    image = np.zeros((SIZE, SIZE), dtype=np.uint8)
    column, row = np.floor(x / cell + HALF), np.floor(y / cell + HALF)
    seen = (column >= 0) & (column < SIZE) & (row >= 0) & (row < SIZE)
    image[row[seen].astype(np.intp), column[seen].astype(np.intp)] = 1
    return np.asarray(np.where(INSIDE, image, 0), dtype=np.uint8)


def pack(image: Levels) -> Levels:
    """Return the image (SIZE, SIZE) as bytes (PACKED,)."""
    cells = np.zeros(4 * PACKED, dtype=np.uint8)
    cells[: len(_CELLS)] = image.ravel()[_CELLS]
    four = cells.reshape(-1, 4)
    return np.asarray(four[:, 0] | four[:, 1] << 2 | four[:, 2] << 4 | four[:, 3] << 6, dtype=np.uint8)


def unpack(packed: Levels) -> Levels:
    """Return the image (SIZE, SIZE) of bytes (PACKED,)."""
    four = packed[:, None] >> np.array([0, 2, 4, 6], dtype=np.uint8) & 3
    image = np.zeros(SIZE * SIZE, dtype=np.uint8)
    image[_CELLS] = four.ravel()[: len(_CELLS)]
    return image.reshape(SIZE, SIZE)
