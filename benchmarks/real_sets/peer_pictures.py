"""Peers for pictures that need no weights: a bag of ORB words, and normalised thumbnails.

ORB (Rublee et al., ICCV 2011) with a vocabulary that is fitted on the map's pictures and weighted by tf-idf, as in
Sivic and Zisserman, ICCV 2003, and in DBoW2. Patch-normalised thumbnails as in SeqSLAM (Milford and Wyeth, ICRA 2012).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Float64
from any2any_ros.config import Settings
from any2any_ros.encoders._base import BaseEncoder, unit_vector
from any2any_ros.errors import Any2AnyError
from any2any_ros.progress import Progress
from any2any_ros.protocols import Encoder
from real_sets.methods import Encoded
from real_sets.real_set import RealSet

LONG_SIDE = 640  # pixels; small pictures are enlarged, because ORB needs room around a corner
FEATURES = 500  # of a picture
WORDS = 1000
TRAINING = 60_000  # features from which the words are made


@dataclass(frozen=True)
class NoSettings(Settings):
    """A peer has none."""


class OrbWords(BaseEncoder[NoSettings]):
    """Which words a picture has, tf-idf weighted. words (W, 256): centres of ORB's bits. rarity (W,): of the words."""

    plug = "orb_words"
    modality = "camera"
    accepts = "image"
    topic = "camera/image_raw"
    Config: ClassVar[Any] = NoSettings

    def __init__(self, words: Array, rarity: Float64) -> None:
        super().__init__()
        self._words, self._rarity = words, rarity

    @property
    def dimension(self) -> int:
        return len(self._words)

    def encode(self, sample: NDArray[np.uint8]) -> Array:
        """Return (W,) for a picture (H, W, 3) uint8, RGB. Raises Any2AnyError when it has no corner."""
        count = counted(orb_bits(sample), self._words)
        if not count.any():
            raise Any2AnyError("Cannot use a picture", "ORB finds no corner in it", "Give a sharper one")
        return unit_vector((count * self._rarity).astype(np.float32))


class Thumbnail(BaseEncoder[NoSettings]):
    """A grey picture of 64 x 32 pixels, each patch of 8 x 8 with mean 0 and deviation 1."""

    plug = "thumbnail"
    modality = "camera"
    accepts = "image"
    topic = "camera/image_raw"
    Config: ClassVar[Any] = NoSettings

    @property
    def dimension(self) -> int:
        return 64 * 32

    def encode(self, sample: NDArray[np.uint8]) -> Array:
        """Return (2048,) for a picture (H, W, 3) uint8, RGB."""
        grey = cv2.resize(cv2.cvtColor(sample, cv2.COLOR_RGB2GRAY), (64, 32), interpolation=cv2.INTER_AREA)
        patches = grey.astype(np.float32).reshape(4, 8, 8, 8).transpose(0, 2, 1, 3).reshape(32, 64)
        patches -= patches.mean(axis=1, keepdims=True)
        patches /= patches.std(axis=1, keepdims=True) + 1.0
        return unit_vector(patches.ravel())


def orb_bits(picture: NDArray[np.uint8]) -> Array:
    """Return the bits of a picture's ORB features (F, 256) as float32."""
    scale = LONG_SIDE / max(picture.shape[:2])
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    packed = cv2.ORB.create(FEATURES, fastThreshold=5).detectAndCompute(grey, None)[1]
    if packed is None:
        return np.empty((0, 256), dtype=np.float32)
    return np.unpackbits(np.asarray(packed), axis=1).astype(np.float32)


def counted(bits: Array, words: Array) -> Float64:
    """Return how often each word (W,) is the nearest of a feature. bits (F, 256), words (W, 256)."""
    if not len(bits):
        return np.zeros(len(words))
    nearest = ((words**2).sum(axis=1) - 2 * bits @ words.T).argmin(axis=1)
    return np.bincount(nearest, minlength=len(words)).astype(np.float64)


def fit_orb_words(real: RealSet, progress: Progress[Any]) -> Mapping[str, Encoder]:
    """Fit the vocabulary on the references of a set, none of which is a query's own picture where both are separate."""
    from sklearn.cluster import MiniBatchKMeans

    drive = real.recording.drive
    rows = progress(real.references.tolist(), f"{real}: ORB")
    features = [orb_bits(np.asarray(drive.sample("camera", row))) for row in rows]
    every = np.concatenate(features)
    if len(every) < WORDS:
        why = f"the pictures of the map have {len(every)} ORB features together"
        raise Any2AnyError("Cannot make a bag of ORB words", why, f"At least {WORDS} are needed: give more pictures")
    some = np.random.default_rng(0).permutation(len(every))[:TRAINING]
    clusters = MiniBatchKMeans(WORDS, batch_size=4096, n_init=1, max_iter=30, random_state=0).fit(every[some])
    words = np.asarray(clusters.cluster_centers_, dtype=np.float32)
    seen = np.array([counted(bits, words) > 0 for bits in features]).sum(axis=0)
    return {"camera": OrbWords(words, np.log((1 + len(features)) / (1 + seen)))}


PEERS = (
    Encoded("bag of 1000 ORB words", ("camera",), fit_orb_words, ours=False, note="vocabulary fitted on the map"),
    Encoded("patch-normalised thumbnail", ("camera",), lambda real, progress: {"camera": Thumbnail()}, ours=False),
)
