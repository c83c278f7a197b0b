"""A bird's-eye image: how much stands in each cell around a sensor, in four levels, and packed into 3 kB.

The image is (SIZE, SIZE) uint8, with the sensor in its middle. The row counts to the left (y), the column forward (x).
Cells outside the circle around the sensor are 0, because they leave the image when the sensor turns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Flags, Floats

Levels = NDArray[np.uint8]

SIZE = 125  # cells a side
HALF = SIZE / 2
LEVELS = np.array([0, 1, 3, 6])  # voxels above the ground from which on a cell has level 0, 1, 2, 3
SLABS = 40  # voxels, one above the other, in a cell
LOWEST = 10  # voxels below the sensor that are seen; lower points are left out, and so are higher ones than the rest
CHUNK = 1 << 14  # points processed together, so that all intermediate arrays fit into the cache of one core
ASIDE = 1024  # cells
FOOTPRINT, SQUARES = 5, SIZE // 5  # cells a side of a square that has one ground; such squares a side


def _circle() -> Flags:
    across = np.arange(SIZE) + 0.5 - HALF
    return np.asarray(np.hypot(across[:, None], across) <= HALF)


INSIDE = _circle()
_CELLS = np.flatnonzero(INSIDE)
_SQUARE = np.add.outer(np.arange(SIZE) // FOOTPRINT * SQUARES, np.arange(SIZE) // FOOTPRINT).ravel()
PACKED = -(-len(_CELLS) // 4)  # bytes of a packed image: four cells in a byte
NONE: Levels = np.empty(0, dtype=np.uint8)  # stands for "no image" where one image is expected


def of_points(points: Floats, cell: float) -> tuple[Levels, int]:
    """Return the image (SIZE, SIZE) of points (N, >= 3), x forward, y left, z up, metres, in the sensor's frame; and
    how many of them it shows.

    cell: side of a cell, and of a voxel, in metres. A cell counts the voxels that hold a point and lie above the
    ground, which is the lowest voxel of a square of FOOTPRINT cells a side, and the voxel above it. So the height of
    the sensor need not be known, and a road may rise.
    """
    ground, parts = np.full(SQUARES * SQUARES, SLABS, dtype=np.int32), []
    for start in range(0, len(points), CHUNK):
        x, y, z = np.ascontiguousarray(points[start : start + CHUNK, :3].T, dtype=np.float32)
        column, row, slab = _voxel(x, cell, HALF), _voxel(y, cell, HALF), _voxel(z, cell, LOWEST)
        seen = (
            (column.view("u4") < SIZE) & (row.view("u4") < SIZE) & (slab.view("u4") < SLABS)
        )  # negative ones are large
        place, slab = (row * np.int32(SIZE) + column)[seen], slab[seen]
        np.minimum.at(ground, _SQUARE[place], slab)
        parts.append((place, slab))
    filled = np.zeros(SIZE * SIZE * SLABS, dtype=np.uint8)
    for place, slab in parts:
        filled[(place * np.int32(SLABS) + slab)[slab > ground[_SQUARE[place]] + 1]] = 1
    # Eight voxels are added at a time: each byte of a sum counts to SLABS / 8 at most, and the product adds the bytes.
    columns = filled.view(np.uint64).reshape(-1, SLABS // 8).sum(axis=1)
    counts = (columns * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return of_counts(counts.reshape(SIZE, SIZE)), sum(len(place) for place, _ in parts)


def _voxel(position: Array, cell: float, middle: float) -> NDArray[np.int32]:
    """Return the number of the cell (n,) along one axis; middle: that of position 0. What is nowhere has a number that
    no image has."""
    with np.errstate(invalid="ignore", over="ignore"):
        # Numbers are cut towards 0, so all of them are moved above it first.
        return (position * np.float32(1 / cell) + np.float32(middle + ASIDE)).astype(np.int32) - np.int32(ASIDE)


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
