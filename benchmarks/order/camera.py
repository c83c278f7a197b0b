"""Descriptors of pictures (H, W, 3) uint8, RGB."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from real_sets.peer_pictures import Thumbnail, counted, orb_bits

from any2any_ros.arrays import Array, unit
from any2any_ros.encoders.camera import CameraConfig, CameraEncoder
from order.descriptors import Descriptor, Samples, cosine

WORDS = 400  # ORB features of the map's pictures that serve as words
SCALES, DIRECTIONS, GRID = (4.0, 8.0, 16.0), 6, 4  # Gabor filters: wavelengths in pixels; squares a side

Picture = NDArray[np.uint8]
_CAMERA, _EDGES, _THUMBNAIL = CameraEncoder(), CameraEncoder(CameraConfig(colour=0)), Thumbnail()


def small_grey(picture: Picture, width: int, height: int) -> Array:
    """Return the brightness (height, width) of a smaller picture as float32, less its mean."""
    grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(grey - grey.mean(dtype=np.float32), dtype=np.float32)


def plain_thumbnail(picture: Picture) -> Array:
    return small_grey(picture, 32, 16).ravel()


def colour_histogram(picture: Picture) -> Array:
    """Return the roots of the shares of 8 x 8 x 8 colours in CIE Lab (512,)."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    histogram = cv2.calcHist([lab], [0, 1, 2], None, [8, 8, 8], [0, 256, 64, 192, 64, 192])
    return np.asarray(np.sqrt(histogram.ravel() / (histogram.sum() + 1e-9)), dtype=np.float32)


@cache
def _gabor() -> list[Array]:
    """Return pairs of filters, even and odd, of all scales and directions."""
    filters = []
    for wave in SCALES:
        side = 2 * int(wave) + 1
        for turn in np.arange(DIRECTIONS) * (np.pi / DIRECTIONS):
            pair = [cv2.getGaborKernel((side, side), 0.5 * wave, turn, wave, 0.7, phase) for phase in (0, np.pi / 2)]
            filters += [np.asarray(one - one.mean(), dtype=np.float32) for one in pair]
    return filters


def gist(picture: Picture) -> Array:
    """Return the mean energy of Gabor filters in each of GRID x GRID squares, less that of the filter."""
    grey = small_grey(picture, 64, 64)
    grey /= cv2.GaussianBlur(np.abs(grey), (0, 0), 8) + 5.0
    answers = [cv2.filter2D(grey, -1, one) for one in _gabor()]
    energy = [np.hypot(even, odd) for even, odd in zip(answers[::2], answers[1::2], strict=True)]
    squares = np.array([cv2.resize(e, (GRID, GRID), interpolation=cv2.INTER_AREA) for e in energy])
    return np.asarray(squares - squares.mean(axis=(1, 2), keepdims=True), dtype=np.float32).ravel()


def orb_words(queries: Samples, references: Samples) -> Array:
    """Return the cosine of counts of words, tf-idf weighted. The words are ORB features drawn from the references."""
    bits = [orb_bits(picture) for picture in references]
    every = np.concatenate(bits)
    words = every[np.random.default_rng(0).permutation(len(every))[:WORDS]]
    known = np.array([counted(b, words) for b in bits])
    asked = np.array([counted(orb_bits(picture), words) for picture in queries])
    rarity = np.log((1 + len(known)) / (1 + (known > 0).sum(axis=0)))
    return np.asarray(_unit(asked * rarity) @ _unit(known * rarity).T)


def _unit(vectors: Any) -> Array:
    return np.asarray(unit(vectors.astype(np.float32)))


DESCRIPTORS = (
    Descriptor("camera", "our encoder: edges (HOG) and the rough layout of colours", cosine(_CAMERA.encode)),
    Descriptor("edges", "`camera` without colours: HOG of the equalised brightness", cosine(_EDGES.encode)),
    Descriptor("patch-normalised thumbnail", "64 x 32 pixels, as in SeqSLAM", cosine(_THUMBNAIL.encode)),
    Descriptor("plain thumbnail", "32 x 16 pixels, less the mean", cosine(plain_thumbnail)),
    Descriptor("colour histogram", "shares of 512 colours", cosine(colour_histogram)),
    Descriptor("gist", "energy of Gabor filters on 4 x 4 squares", cosine(gist)),
    Descriptor("ORB words", f"{WORDS} words drawn from the map, tf-idf", orb_words),
)
