"""One sighting of an object, one remembered object, and how far their boxes are apart.

Boxes are axis-aligned in the map's frame: a low and a high corner (3,) each, in metres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from any2any_ros.arrays import Array, Flags, Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import finite_vector
from any2any_ros.poses import FARTHEST

Corners = tuple[Float64, Float64]  # low and high corners (N, 3) of N boxes, metres
INSIDE = 0.01  # factor of the distance between two boxes when the centre of one lies inside the other


@dataclass(frozen=True, eq=False)
class Sighting:
    """What one picture shows of one object: vectors (D,) by modality, and the corners of its box.

    Raises Any2AnyError when a vector or the box is not finite, or a low coordinate is above the high one.
    """

    embeddings: Mapping[str, Array]
    low: Float64
    high: Float64

    def __post_init__(self) -> None:
        vectors = {m: finite_vector(v, f"the sighting's '{m}'") for m, v in self.embeddings.items()}
        object.__setattr__(self, "embeddings", vectors)
        low, high = np.shape(self.low), np.shape(self.high)
        if low != (3,) or high != (3,) or not box(self.low, self.high).all():
            why = f"its box goes from {self.low} to {self.high}"
            raise Any2AnyError("A sighting cannot be used", why, "Check the camera's pose and its depth")

    @property
    def centre(self) -> Float64:
        return np.asarray((self.low + self.high) / 2)


@dataclass(eq=False)
class RememberedObject:
    """One object: the corners of its mean box, and sums (D,) and counts of its vectors by modality.

    seen_ns: stamp of the newest sighting. sightings: their number. missed: how many pictures since have proven that
    the object is gone.
    """

    id: str
    low: Float64
    high: Float64
    seen_ns: int
    sightings: int = 0
    missed: int = 0
    sums: dict[str, Float64] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def centre(self) -> Float64:
        return np.asarray((self.low + self.high) / 2)

    def add_sighting(self, sighting: Sighting, stamp_ns: int) -> None:
        """Add one sighting: its box and its vectors."""
        self.sightings, self.missed = self.sightings + 1, 0
        self.low = self.low + (sighting.low - self.low) / self.sightings
        self.high = self.high + (sighting.high - self.high) / self.sightings
        self.add_vectors(sighting.embeddings, stamp_ns)

    def add_vectors(self, embeddings: Mapping[str, Array], stamp_ns: int) -> None:
        """Add vectors (D,) by modality; the box stays."""
        self.seen_ns = stamp_ns
        for m, vector in embeddings.items():
            self.sums[m] = self.sums.get(m, 0.0) + vector.astype(np.float64)
            self.counts[m] = self.counts.get(m, 0) + 1

    def join(self, other: RememberedObject) -> None:
        """Take over the box and the vectors of another object that turned out to be a piece of this one."""
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        self.seen_ns, self.missed = max(self.seen_ns, other.seen_ns), min(self.missed, other.missed)
        for m in other.sums:
            self.sums[m] = self.sums.get(m, 0.0) + other.sums[m]
            self.counts[m] = self.counts.get(m, 0) + other.counts[m]

    def vector(self, modality: str) -> Array | None:
        """Return the mean (D,) of its vectors, scaled to length 1; None without a vector of this modality."""
        if modality not in self.sums:
            return None
        length = max(float(np.linalg.norm(self.sums[modality])), 1e-12)
        return np.asarray(self.sums[modality] / length, dtype=np.float32)


def box(low: Float64, high: Float64) -> Flags:
    """Return (..., 3): where the corners (..., 3) of boxes are in order, and not farther away than a pose may be."""
    return np.asarray((low >= -FARTHEST) & (low <= high) & (high <= FARTHEST))


def corners(things: Sequence[Sighting] | Sequence[RememberedObject]) -> Corners:
    """Return the low and the high corners (N, 3) of N boxes."""
    low, high = ([t.low for t in things], [t.high for t in things])
    return np.reshape(low, (-1, 3)).astype(np.float64), np.reshape(high, (-1, 3)).astype(np.float64)


def distances(a: Corners, b: Corners) -> Float64:
    """Return the distances (A, B) in metres between the centres of A and of B boxes.

    The distance is multiplied by `INSIDE` where the centre of one box lies inside of the other: from another side the
    camera sees more of a thing, and its centre moves by as much as half of its size.
    """
    distance = np.linalg.norm((a[0] + a[1])[:, None] - (b[0] + b[1]), axis=-1) / 2
    return np.asarray(np.where(centre_inside(a, b), INSIDE * distance, distance))


def centre_inside(a: Corners, b: Corners) -> Flags:
    """Return (A, B): whether the centre of one box lies inside of the other, either way round."""
    centre_a, centre_b = (a[0] + a[1])[:, None] / 2, (b[0] + b[1]) / 2
    in_b = ((b[0] <= centre_a) & (centre_a <= b[1])).all(axis=-1)
    in_a = ((a[0][:, None] <= centre_b) & (centre_b <= a[1][:, None])).all(axis=-1)
    return np.asarray(in_a | in_b)
