"""What the confidence says of a shortlist."""

from __future__ import annotations

from dataclasses import dataclass

from any2any_ros.arrays import Float64, Rows


@dataclass(frozen=True, eq=False)
class Assessment:
    """The matches of a ranking, and how far they can be trusted.

    rows (K,): the matches, best first. probability (K,): that each is right; NaN before calibration. accepted: whether
    the first is accepted. place_set: rows of the place set. presence: probability that the place is in the map at all;
    NaN before calibration.
    """

    rows: Rows
    probability: Float64
    accepted: bool
    place_set: Rows
    presence: float
