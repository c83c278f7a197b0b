"""What driving makes of a belief: the mass of a place spreads over the ring of places that far away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.trust.ground import Ground

PAIRS = 20_000  # moves that one update looks at, at most; the mass of places without a move spreads over the map
CUT = 3.0  # standard deviations; a move that is farther off does not happen


@dataclass(frozen=True)
class Ring:
    """How far the robot is from where it was: between near and far, with a standard deviation of blur; metres."""

    near: float
    far: float
    blur: float

    @property
    def reach(self) -> float:
        return self.far + CUT * self.blur


def moved(belief: Float64, ground: Ground, ring: Ring, support: int) -> Float64:
    """Return the belief (R + 1,), "unmapped" last, after driving; support: places whose moves are followed."""
    places, unmapped = belief[:-1], belief[-1]
    followed = _followed(places, ground, ring, support)
    origin, target, weight = _moves(followed, ground, ring)
    # As if one more place stood at the edge of the possible: where no other place is near, the robot left the map.
    reached = np.bincount(origin, weight, minlength=len(followed)) + np.exp(-(CUT**2) / 2)
    share = weight * (places[followed] / reached)[origin]
    after = np.zeros(len(places)) + np.bincount(target, share, minlength=len(places))
    mass = places[followed].sum()
    after += (places.sum() - mass) / max(len(places), 1)
    return np.append(after, unmapped + mass - share.sum())


def _followed(places: Float64, ground: Ground, ring: Ring, support: int) -> Rows:
    """Return the places whose moves are followed, most mass first. An even rest stays even wherever it moves."""
    known = ground.known
    rows = np.flatnonzero(known & (places > 2 * places.min(where=known, initial=1.0)))
    if len(rows) > support:
        rows = rows[np.argpartition(-places[rows], support)[:support]]
    rows = rows[np.argsort(-places[rows], kind="stable")]
    moves = ground.counts(ground.positions[rows], ring.reach)
    return np.asarray(rows[np.cumsum(moves) <= PAIRS])


def _moves(followed: Rows, ground: Ground, ring: Ring) -> tuple[Rows, Rows, Float64]:
    """Return the possible moves (P,): index into followed, row of the place reached, and how well it fits the ring."""
    origin, target = ground.within(ground.positions[followed], ring.reach)
    apart = ground.distance(target, followed[origin])
    off = np.maximum(np.maximum(ring.near - apart, apart - ring.far), 0.0) / ring.blur
    possible = np.flatnonzero(off <= CUT)
    return origin[possible], target[possible], np.exp(-(off[possible] ** 2) / 2)
