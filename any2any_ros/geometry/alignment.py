"""Aligns bird's-eye images: the pose of one sensor in the frame of another, and how much the two see alike.

For each pair: two headings from the polar spectra, each with its opposite. For each of the four, the query's image is
turned and correlated with the reference's in the frequency domain: at the lowest frequencies, which choose the heading,
and then at more. The height of the peak is the score, and its place is the shift. `fine` aligns one pair once more, at
all frequencies and at headings around the one found. (birds_eye/spectrum.py says why this works.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import fft

from any2any_ros.arrays import Array, Float64, Rows
from any2any_ros.birds_eye import spectrum
from any2any_ros.birds_eye.image import SIZE, Levels
from any2any_ros.birds_eye.spectrum import ANGLES, PADDED, TINY, Complex
from any2any_ros.config import Settings, setting

STEP = 180.0 / ANGLES  # degrees between two angles of the polar grid
TURN = 2  # steps between the headings at which the query's image is turned, so that the same ones serve many references
APART = 6  # steps between two headings that are tried, at least
NEAR = np.array([-1.0, 0.0, 1.0])  # degrees around a heading that are tried at last
BAND, GRID = 32, 80  # frequencies of the first alignment, and steps a side of its grid of shifts
ROUGH_BAND, ROUGH_GRID = 16, 40  # the same of the choice among headings
SMOOTH = 0.9  # cells, standard deviation of the blur before every second cell is left out
MIDDLE = (SIZE - 1) / 2  # row and column of the middle of an image


@dataclass(frozen=True)
class AlignmentConfig(Settings):
    """How bird's-eye images are aligned."""

    candidates: int = setting(10, "best places whose images are aligned; 0: none", minimum=0, maximum=100)
    headings: int = setting(2, "headings that are tried, each with its opposite", minimum=1, maximum=12)
    shift: int = setting(30, "largest shift that is tried, in cells", minimum=1, maximum=35)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What alignment needs of one image (SIZE, SIZE).

    low: its transform at low frequencies, of length 1. rings: the transform of its polar grid along the angle, each
    ring of length 1. turned: `low` of the turned image, by heading in steps.
    """

    image: Levels
    low: Complex
    rings: Complex
    turned: dict[int, Complex] = field(default_factory=dict)

    @cached_property
    def brightness(self) -> Array:
        """(SIZE, SIZE)"""
        return spectrum.bright(self.image)

    @cached_property
    def smooth(self) -> Array:
        """The brightness without frequencies that every second cell cannot show."""
        import cv2

        return np.asarray(cv2.GaussianBlur(self.brightness, (0, 0), SMOOTH))


@dataclass(frozen=True)
class Aligned:
    """How a query fits a reference. score: up to 1. heading: of the query in the reference's frame, degrees, counter-
    clockwise. x, y: its position there, in cells, forward and left."""

    score: float
    heading: float
    x: float
    y: float

    def pose(self, cell: float) -> Float64:
        """Return the pose (4, 4) of the query's sensor in the frame of the reference's. cell: in metres."""
        pose, angle = np.eye(4), np.radians(self.heading)
        pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        pose[:2, 3] = self.x * cell, self.y * cell
        return pose


class Aligner:
    """Aligns images. It holds nothing of them."""

    def __init__(self, config: AlignmentConfig = AlignmentConfig()) -> None:
        self.config = config

    def prepare(self, image: Levels) -> Prepared:
        """Return what alignment needs of an image (SIZE, SIZE)."""
        transformed = spectrum.transform(spectrum.bright(image))
        rings = spectrum.polar(transformed)
        length = np.maximum(np.linalg.norm(rings, axis=1, keepdims=True), TINY)
        return Prepared(image, _low(transformed), fft.rfft(rings / length, axis=1))

    def align(self, query: Prepared, references: Sequence[Prepared]) -> list[Aligned]:
        """Return how the query fits each reference."""
        if not references:
            return []
        headings = self._headings(query, references)
        turned_query = np.conj(np.stack([_turned(query, heading) for heading in headings.ravel().tolist()]))
        product = turned_query * np.repeat(np.stack([r.low for r in references]), headings.shape[1], axis=0)
        rough = _peaks(_widened(_narrowed(product, ROUGH_BAND), ROUGH_GRID), self.config.shift)
        best = rough.score.reshape(headings.shape).argmax(axis=1) + np.arange(len(references)) * headings.shape[1]
        peaks = _peaks(_widened(product[best], GRID), self.config.shift)
        columns = (peaks.score, headings.ravel()[best] * STEP, peaks.x, peaks.y)
        return [Aligned(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def _headings(self, query: Prepared, references: Sequence[Prepared]) -> Rows:
        """Return the headings (R, 2 * headings), in steps, that are tried for each reference."""
        rings = np.stack([r.rings for r in references])
        alike = fft.irfft((np.conj(query.rings) * rings).sum(axis=1), n=ANGLES, axis=1)
        found = np.empty((len(references), self.config.headings), dtype=np.intp)
        every, around = np.arange(len(references))[:, None], np.arange(-APART, APART + 1)
        for i in range(self.config.headings):
            found[:, i] = alike.argmax(axis=1)
            alike[every, (found[:, [i]] + around) % ANGLES] = -np.inf
        found -= found % TURN
        return np.concatenate([found, found + ANGLES], axis=1)

    def fine(self, query: Prepared, reference: Prepared, coarse: Aligned) -> Aligned:
        """Return the alignment at all frequencies, at headings around that of `coarse`. The score stays as it is."""
        fixed = spectrum.transform(spectrum.bright(reference.image))
        images = [turned(query.brightness, coarse.heading + step) for step in NEAR]
        peaks = _peaks(np.stack([np.conj(spectrum.transform(image)) * fixed for image in images]), self.config.shift)
        best = int(peaks.score.argmax())
        between = float(_vertex(*peaks.score)[0]) if best == 1 else 0.0
        heading = coarse.heading + float(NEAR[best]) + between * float(NEAR[1] - NEAR[0])
        return Aligned(coarse.score, heading, float(peaks.x[best]), float(peaks.y[best]))


def _turned(query: Prepared, heading: int) -> Complex:
    """Return the low frequencies of the query's image, turned by a heading in steps."""
    if heading >= ANGLES:
        return np.conj(_turned(query, heading - ANGLES)) * HALF_TURN
    if heading not in query.turned:
        half = turned(query.smooth, heading * STEP, every=2)
        query.turned[heading] = _low(fft.rfft2(half, s=(PADDED // 2, PADDED // 2)))
    return query.turned[heading]


def _low(transformed: Complex) -> Complex:
    """Return the low frequencies (2 * BAND, BAND + 1) of a transform, divided by their length."""
    low = np.concatenate([transformed[:BAND], transformed[-BAND:]])[:, : BAND + 1]
    # All columns but the first stand for two of the whole transform.
    energy = 2 * np.vdot(low, low).real - np.vdot(low[:, 0], low[:, 0]).real
    return np.asarray(low / np.float32(max(energy, TINY) ** 0.5))


def _half_turn() -> Complex:
    """Return the factors (2 * BAND, BAND + 1) by which half a turn differs from the complex conjugate, because the
    middle of an image is not where its transform has its origin."""
    row, column = np.r_[0:BAND, -BAND:0], np.arange(BAND + 1)
    turn = np.exp(-2j * np.pi * (row[:, None] + column) * (2 * MIDDLE) / PADDED)
    return np.asarray(turn, dtype=np.complex64)


def turned(brightness: Array, heading: float, every: int = 1) -> Array:
    """Return the brightness (SIZE, SIZE) after what it shows has turned counter-clockwise by a heading in degrees.

    every: 2: only every second row and column.
    """
    import cv2  # slow to import, and only maps with images need it

    angle = np.radians(heading)
    cos, sin = np.cos(angle), np.sin(angle)
    back = np.array(
        [[every * cos, every * sin, (1 - cos - sin) * MIDDLE], [-every * sin, every * cos, (1 + sin - cos) * MIDDLE]]
    )
    side = -(-SIZE // every)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(brightness, back, (side, side), flags=flags), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Peaks:
    """The highest correlation (N,) of each pair of images, and the shift (N,) at which it is, in cells."""

    score: Float64
    x: Float64
    y: Float64


def _narrowed(low: Complex, band: int) -> Complex:
    """Return the lowest frequencies (N, 2 * band, band + 1) of low ones."""
    return np.concatenate([low[:, :band, : band + 1], low[:, -band:, : band + 1]], axis=1)


def _widened(low: Complex, grid: int) -> Complex:
    """Return low frequencies (N, 2 * band, band + 1) as transforms of grids (N, grid, grid // 2 + 1)."""
    band = low.shape[2] - 1
    wide = np.zeros((len(low), grid, grid // 2 + 1), dtype=np.complex64)
    wide[:, :band, : band + 1], wide[:, -band:, : band + 1] = low[:, :band], low[:, band:]
    return wide


def _peaks(product: Complex, reach: int) -> _Peaks:
    """Return the peaks of correlations, from products of transforms (N, grid, grid // 2 + 1). reach: the largest shift,
    in cells."""
    grid = product.shape[1]
    alike = fft.irfft2(product, s=(grid, grid), overwrite_x=True) * np.float32(grid * grid)
    step = PADDED / grid
    near = np.arange(-int(reach / step), int(reach / step) + 1)
    top = alike[:, near[:, None], near].reshape(len(alike), -1).argmax(axis=1)
    every, row, column = np.arange(len(alike)), near[top // len(near)], near[top % len(near)]
    score = alike[every, row, column]
    x, more_x = _vertex(alike[every, row, column - 1], score, alike[every, row, column + 1])
    y, more_y = _vertex(alike[every, row - 1, column], score, alike[every, row + 1, column])
    return _Peaks((score + more_x + more_y).astype(np.float64), (column + x) * step, (row + y) * step)


def _vertex(before: Array, at: Array, after: Array) -> tuple[Float64, Float64]:
    """Return where the parabola through three values has its vertex, in steps from the middle one, and how much higher
    it is than the middle one; arrays of one shape."""
    bend = np.minimum(before - 2 * at + after, -TINY)
    shift = np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    return np.asarray(shift), np.asarray(-0.25 * (before - after) * shift)


HALF_TURN = _half_turn()
