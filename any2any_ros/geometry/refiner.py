"""The geometric check: the scans of the best references are laid over the query's own, and what is seen counts.

What the overlap of a candidate is worth is learnt from calibration queries as a log-likelihood ratio,
log P(overlap | right) - log P(overlap | wrong). A reference that was not checked gets 0, which is what a missing
pair is worth in every other fusion here: a check that all candidates fail speaks for the ones nobody looked at.
How far a checked answer can be trusted has a confidence of its own, to which the overlap is one sensor more.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.geometry.registration import NOWHERE, PreparedScan, Registration, absent, register_prepared
from any2any_ros.trust.confidence import Confidence

Registrations = Mapping[str, Registration]  # what was found of candidates, by id


@dataclass(frozen=True)
class RefinerConfig(Settings):
    """The geometric check of a ranking's first candidates."""

    candidates: int = setting(
        5, "best references whose scans are laid over the query's; 0 = no check", minimum=0, maximum=100
    )
    refined_queries: int = setting(
        120, "calibration queries whose candidates are laid (some 3 s each); of more, so many are drawn", minimum=0
    )


@dataclass(frozen=True, eq=False)
class OverlapEvidence:
    """What an overlap says: slope * overlap + intercept, a log-likelihood ratio, never below `least` or above `most`.

    The bounds are what the calibration pairs can show: of n right ones none says less than 1 in n + 1 does.
    """

    kind: ClassVar[str] = "evidence"
    plug: ClassVar[str] = "overlap"

    slope: float
    intercept: float
    least: float
    most: float
    candidates: int = RefinerConfig.candidates  # a query, of which it was learnt

    @classmethod
    def fit(cls, overlap: Floats, positive: Flags, candidates: int = RefinerConfig.candidates) -> OverlapEvidence:
        """Fit on pairs of calibration queries and references: overlap and whether it is right, of one shape.

        An overlap of NaN was not checked.
        """
        ratio = LikelihoodRatio.fit(np.asarray(overlap)[..., None, None], positive)
        seen = np.isfinite(overlap)
        right, wrong = np.count_nonzero(seen & positive), np.count_nonzero(seen & ~positive)
        slope, intercept = float(ratio.slope[0, 0]), float(ratio.intercept[0, 0])
        return cls(slope, intercept, -float(np.log1p(right)), float(np.log1p(wrong)), candidates)

    def __call__(self, overlap: Floats) -> Float64:
        """Return the evidence, of overlap's shape; 0 where that is NaN."""
        evidence = np.clip(self.slope * np.asarray(overlap) + self.intercept, self.least, self.most)
        return np.asarray(np.nan_to_num(evidence, nan=0.0))


def warn(text: str) -> None:
    """Say what is not as it should be, and go on."""
    warnings.warn(text, stacklevel=2)


@dataclass(frozen=True, eq=False)
class Refiner:
    """Lays the scans of candidates over the query's.

    candidates: how many of a ranking. evidence: what an overlap is worth, confidence: how far a checked ranking can be
    trusted; both None before calibration. temperature: softmax(temperature * score) is the fusion's posterior.
    complain: told, in one line, why a candidate could not be checked.
    """

    clouds: Clouds
    candidates: int = RefinerConfig.candidates
    evidence: OverlapEvidence | None = None
    confidence: Confidence | None = None
    temperature: float = 1.0
    complain: Callable[[str], None] = warn

    def register(self, points: Floats, ids: Iterable[str]) -> dict[str, Registration]:
        """Register the query's points (N, >= 3), in the robot's frame, over the scan of each candidate.

        One without a scan, with a damaged one, or any without Open3D, is `NOWHERE`: unchecked, and complained about.
        """
        query = PreparedScan.of(points, self.clouds.config)
        return {id: self._registered(query, id) for id in ids}

    def _registered(self, query: PreparedScan, id: str) -> Registration:
        try:
            reference = self.clouds.scan(id)
            return NOWHERE if reference is None else register_prepared(query, reference)
        except Any2AnyError as error:
            self.complain(str(error))
            return NOWHERE

    def rescored(self, scores: Float64, overlap: Floats) -> Float64:
        """Return the scores (S,) with what was seen: overlap (S,), NaN = nothing.

        Before calibration the candidates only trade scores, so that the one with the largest overlap has the highest.
        """
        if self.evidence is not None:
            return np.asarray(scores + self.evidence(overlap) / self.temperature)
        out, seen = scores.copy(), np.flatnonzero(~np.isnan(overlap))
        out[seen[np.argsort(-overlap[seen], kind="stable")]] = np.sort(scores[seen])[::-1]
        return out


NO_REFINER = Refiner(Clouds(Path()), candidates=0)


@dataclass(frozen=True, eq=False)
class FittedRefiner:
    """What calibration fitted for the refiner of a map (calibration/refinement.py).

    evidence: what an overlap is worth. confidence: how far a refined ranking can be trusted. summary: recall@1 on
    held-out calibration places, before refining and after, with chance.
    """

    evidence: OverlapEvidence
    confidence: Confidence
    summary: Mapping[str, Any]

    def of(self, refiner: Refiner, temperature: float) -> Refiner:
        """Return the refiner with what was fitted; temperature: that of the confidence of unrefined rankings."""
        return replace(
            refiner,
            candidates=self.evidence.candidates,
            evidence=self.evidence,
            confidence=self.confidence,
            temperature=temperature,
        )


def obstacle(folder: Path, refiner: Refiner) -> str:
    """Return why answers of the map in `folder` are not checked, and what to do; empty when all is there."""
    if not Clouds(folder):
        return "the map has no scans. Build it with: any2any build-map DRIVE MAP --clouds"
    if not refiner.candidates:
        return "its calibration has learnt no check. Calibrate again: any2any calibrate MAP DRIVE"
    return absent()


def refined_pose(reference: Float64, found: Registration) -> Float64:
    """Return the robot's pose (4, 4) in the map: the reference's (4, 4) moved by the registration.

    Both scans are in the robot's frame. The reference's pose itself where nothing was found.
    """
    return np.asarray(reference @ found.pose) if found.converged else reference
