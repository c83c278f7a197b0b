"""Descriptors of LiDAR that need no more than a bird's-eye image: how many points stand in each cell.

An image (SIZE, SIZE) uint8 has the sensor in its middle, cells of 0.4 m, and 0 outside of the circle of 25 m. The row
counts to the left, the column forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_sets.kitti_bev import CELL

from any2any_ros.arrays import Array, Float64, unit
from any2any_ros.birds_eye import image, spectrum
from any2any_ros.birds_eye.image import HALF, INSIDE, SIZE
from any2any_ros.encoders.lidar import LidarEncoder
from order.descriptors import Descriptor, Samples, cosine

Grid = NDArray[np.uint8]

RINGS, SECTORS = 20, 60  # of Scan Context
TURNS = 24  # headings at which a small image is tried
SMALL = 25  # cells a side of a small image
CHUNK = 32  # queries that are compared together

_ACROSS = np.arange(SIZE) + 0.5 - HALF
_Y, _X = np.meshgrid(_ACROSS, _ACROSS, indexing="ij")  # cells to the left, and forward
_RING = np.minimum(np.hypot(_X, _Y) * (RINGS / HALF), RINGS - 1).astype(np.intp)
_SECTOR = np.floor(np.arctan2(_Y, _X) * (SECTORS / (2 * np.pi))).astype(np.intp) % SECTORS
_POLAR = LidarEncoder()


def points(counted: Grid) -> Array:
    """Return a cloud (N, 3) float32 in metres with as many points in the middle of each cell as were counted; z = 0."""
    row, column = np.nonzero(counted)
    cloud = np.zeros((len(row), 3), dtype=np.float32)
    cloud[:, 0], cloud[:, 1] = _X[row, column] * CELL, _Y[row, column] * CELL
    return np.repeat(cloud, counted[row, column], axis=0)


def polar(counted: Grid) -> Array:
    return np.asarray(_POLAR.encode(points(counted)))


def spectral(counted: Grid) -> Array:
    levels = image.of_counts(counted)
    return spectrum.descriptor(spectrum.polar(spectrum.transform(spectrum.bright(levels))))


def both(counted: Grid) -> Array:
    """Return the spectral and the polar part, each of length 1."""
    return np.concatenate([unit(spectral(counted)[None])[0], unit(polar(counted)[None])[0]])


def ring_key(counted: Grid) -> Array:
    """Return the share of the cells of each ring (RINGS,) in which something stands."""
    cells, taken = (np.bincount(_RING[where], minlength=RINGS) for where in (INSIDE, INSIDE & (counted > 0)))
    return np.asarray(taken / cells, dtype=np.float32)


def scan_context(queries: Samples, references: Samples) -> Array:
    """Return the cosine of two polar grids whose columns have one length, at the best of SECTORS turns."""
    known = _columns(references)
    parts = [_columns(queries[i : i + CHUNK]) for i in range(0, len(queries), CHUNK)]
    return np.concatenate([_best_turn(part, known) for part in parts])


def _columns(images: Sequence[Grid]) -> Any:
    """Return the transforms along the sectors (SECTORS // 2 + 1, N, RINGS), complex, of grids of length 1."""
    grids = np.zeros((len(images), RINGS, SECTORS), dtype=np.float32)
    for grid, counted in zip(grids, images, strict=True):
        row, column = np.nonzero(counted)
        np.maximum.at(grid, (_RING[row, column], _SECTOR[row, column]), counted[row, column])
    for axis in (1, (1, 2)):  # first the columns, then the grid
        grids /= np.maximum(np.linalg.norm(grids, axis=axis, keepdims=True), 1e-6)
    return np.moveaxis(np.fft.rfft(grids, axis=2).astype(np.complex64), 2, 0)


def _best_turn(queries: Any, references: Any) -> Array:
    products = queries.conj() @ references.transpose(0, 2, 1)
    return np.asarray(np.fft.irfft(products, n=SECTORS, axis=0).max(axis=0), dtype=np.float32)


def turned(queries: Samples, references: Samples) -> Array:
    """Return the correlation of small images, at the best of TURNS headings."""
    import cv2

    known = unit(np.array([_small(counted) for counted in references])).T
    best = np.full((len(queries), known.shape[1]), -1, dtype=np.float32)
    for degrees in np.arange(TURNS) * (360 / TURNS):
        turn = cv2.getRotationMatrix2D((HALF - 0.5, HALF - 0.5), degrees, 1.0)
        asked = np.array([_small(np.asarray(cv2.warpAffine(c, turn, (SIZE, SIZE)), np.uint8)) for c in queries])
        best = np.maximum(best, unit(asked) @ known)
    return best


def _small(counted: Grid) -> Array:
    """Return the roots of the mean counts of squares (SMALL * SMALL,), less their mean."""
    squares = counted.reshape(SMALL, SIZE // SMALL, SMALL, SIZE // SMALL).mean(axis=(1, 3), dtype=np.float32)
    return np.asarray(np.sqrt(squares) - np.sqrt(squares).mean(), dtype=np.float32).ravel()


def principal_axes(counted: Grid) -> Array:
    """Return the roots of the counts on a polar grid (8 * 16,) around the centre of gravity, turned to its axes."""
    row, column = np.nonzero(counted)
    weight = counted[row, column].astype(np.float64)
    place = np.stack([_X[row, column], _Y[row, column]], axis=1)
    place -= np.average(place, axis=0, weights=weight)
    place = place @ _axes(place, weight)
    ring = np.minimum(np.hypot(*place.T) * (8 / HALF), 7).astype(np.intp)
    sector = np.floor(np.arctan2(place[:, 1], place[:, 0]) * (16 / (2 * np.pi))).astype(np.intp) % 16
    return np.sqrt(np.bincount(ring * 16 + sector, weight, minlength=128)).astype(np.float32)


def _axes(place: Float64, weight: Float64) -> Float64:
    """Return the principal axes (2, 2) as columns, main axis first; each points to where the points reach farther."""
    axes = np.linalg.eigh(np.cov(place.T, aweights=weight))[1][:, ::-1]
    skew = ((place @ axes) ** 3 * weight[:, None]).sum(axis=0)
    return np.asarray(axes * np.where(skew < 0, -1, 1))


def count_histogram(counted: Grid) -> Array:
    """Return the roots of how many cells have 1, 2 … 10 points or more (10,): low things have few, walls have many."""
    counts = np.minimum(counted[counted > 0], 10)
    return np.sqrt(np.bincount(counts, minlength=11)[1:]).astype(np.float32)


def radial_spectrum(counted: Grid) -> Array:
    """Return the root of the mean magnitude of the image's transform at each frequency (60,), of all directions."""
    magnitude = np.abs(spectrum.transform(spectrum.bright(image.of_counts(counted))))
    rows = np.fft.fftfreq(magnitude.shape[0], 1 / magnitude.shape[0])
    radius = np.hypot(rows[:, None], np.arange(magnitude.shape[1])).astype(np.intp).ravel()
    sums, cells = np.bincount(radius, magnitude.ravel()), np.bincount(radius)
    return np.sqrt(sums / cells)[:60].astype(np.float32)


DESCRIPTORS = (
    Descriptor("spectral", "first part of `birds_eye`: Fourier-Mellin, no heading, no shift", cosine(spectral)),
    Descriptor("polar", "`lidar`, the second part: polar grid, magnitudes along the rings", cosine(polar)),
    Descriptor("spectral + polar", "both parts side by side, without alignment", cosine(both)),
    Descriptor("scan context", "polar grid of the largest counts, best of 60 turns", scan_context),
    Descriptor("ring key", "how full each of 20 rings is", cosine(ring_key)),
    Descriptor("small image", "25 x 25 squares, best of 24 turns", turned),
    Descriptor("principal axes", "polar grid turned to the main axis, as M2DP does", cosine(principal_axes)),
    Descriptor("count histogram", "how many cells hold 1 to 10 points", cosine(count_histogram)),
    Descriptor("radial spectrum", "mean magnitude of each frequency", cosine(radial_spectrum)),
)
