"""Refines a ranking: the robot's scan is registered onto the scans of the best references, and the overlaps count.

What an overlap is worth is fitted on calibration queries, as a log-likelihood ratio log P(overlap | right) -
log P(overlap | wrong). A reference that was not registered gets 0, which is what a missing pair is worth in every
fusion. So when no candidate overlaps much, references that were not registered rise above them. Refined rankings have a
confidence of their own, for which the overlap is one more sensor.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.config import Settings, setting
from any2any_ros.declared import NOT_NEGATIVE
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.geometry.registration import (
    NOT_REGISTERED,
    PreparedScan,
    Registration,
    open3d_obstacle,
    register_prepared,
)
from any2any_ros.trust.confidence import Confidence

Registrations = Mapping[str, Registration]  # by the id of the candidate


@dataclass(frozen=True)
class RefinerConfig(Settings):
    """How rankings are refined."""

    candidates: int = setting(
        5, "best references that the robot's scan is registered onto; 0 = no refinement", minimum=0, maximum=100
    )
    refined_queries: int = setting(
        120, "calibration queries that are refined (some 3 s each); of more, so many are drawn", minimum=0
    )


@dataclass(frozen=True, eq=False)
class OverlapEvidence:
    """What an overlap is worth: the log-likelihood ratio slope * overlap + intercept, between `least` and `most`.

    `least` is -log(1 + number of right pairs) and `most` is log(1 + number of wrong pairs): so few calibration pairs
    prove nothing more extreme. candidates: references of each query that were registered for the fit.
    """

    kind: ClassVar[str] = "evidence"
    plug: ClassVar[str] = "overlap"

    slope: Annotated[float, NOT_NEGATIVE]
    intercept: float
    least: float
    most: Annotated[float, NOT_NEGATIVE]
    candidates: int = RefinerConfig.candidates

    def __post_init__(self) -> None:
        if self.least > 0:
            raise ValueError(f"its smallest evidence is {self.least}, and is above 0")
        RefinerConfig(candidates=self.candidates)

    @classmethod
    def fit(cls, overlap: Floats, positive: Flags, candidates: int = RefinerConfig.candidates) -> OverlapEvidence:
        """Fit on pairs of a calibration query and a reference: their overlap (...,), NaN = not registered, and whether
        the reference is right (...,)."""
        ratio = LikelihoodRatio.fit(np.asarray(overlap)[..., None, None], positive)
        registered = np.isfinite(overlap)
        right, wrong = np.count_nonzero(registered & positive), np.count_nonzero(registered & ~positive)
        slope, intercept = float(ratio.slope[0, 0]), float(ratio.intercept[0, 0])
        return cls(slope, intercept, -float(np.log1p(right)), float(np.log1p(wrong)), candidates)

    def __call__(self, overlap: Floats) -> Float64:
        """Return the evidence (...,) of overlaps (...,); 0 where an overlap is NaN."""
        evidence = np.clip(self.slope * np.asarray(overlap) + self.intercept, self.least, self.most)
        return np.asarray(np.nan_to_num(evidence, nan=0.0))


def warn(text: str) -> None:
    """Warn of what could not be registered."""
    warnings.warn(text, stacklevel=2)


@dataclass(frozen=True, eq=False)
class Refiner:
    """Registers the robot's scan onto the candidates' scans, and rescores a ranking by the overlaps.

    clouds: the scans of the map. candidates: how many references of a ranking are registered. evidence: what an overlap
    is worth, confidence: how far to trust a refined ranking; both None before calibration. temperature:
    softmax(temperature * score) is the posterior of the fusion. weight: of a score beside an overlap, before
    calibration. complain: is called with one line that says why a candidate was not registered.
    """

    clouds: Clouds
    candidates: int = RefinerConfig.candidates
    evidence: OverlapEvidence | None = None
    confidence: Confidence | None = None
    temperature: float = 1.0
    weight: float = 0.0
    complain: Callable[[str], None] = warn

    def register(self, points: Floats, ids: Iterable[str]) -> dict[str, Registration]:
        """Register the points (N, >= 3), metres, in the robot's frame, onto the scan of each candidate, by id.

        A candidate without a scan is `NOT_REGISTERED`. So is one with a damaged scan, and each of them without Open3D;
        then `complain` is called. Raises Any2AnyError when the points have another shape.
        """
        query = PreparedScan.of(points, self.clouds.config)
        return {id: self._registered(query, id) for id in ids}

    def _registered(self, query: PreparedScan, id: str) -> Registration:
        try:
            reference = self.clouds.scan(id)
            return NOT_REGISTERED if reference is None else register_prepared(query, reference)
        except Any2AnyError as error:
            self.complain(str(error))
            return NOT_REGISTERED

    def rescored(self, scores: Float64, overlap: Floats) -> Float64:
        """Return the scores (S,) after refinement; overlap (S,): NaN = not registered.

        Before calibration the registered candidates only trade their scores: the largest overlap gets the highest, or
        the largest sum of overlap and weighted score.
        """
        if self.evidence is not None:
            return np.asarray(scores + self.evidence(overlap) / self.temperature)
        out, registered = scores.copy(), np.flatnonzero(~np.isnan(overlap))
        fit = overlap[registered] + self.weight * scores[registered]
        out[registered[np.argsort(-fit, kind="stable")]] = np.sort(scores[registered])[::-1]
        return out


NO_REFINER = Refiner(Clouds(None), candidates=0)


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


def obstacle(scans: Path | None, refiner: Refiner) -> str:
    """Return why rankings of a map are not refined, and what to do; "" when they can be. scans: folder of the map's."""
    if not Clouds(scans):
        return "the map has no scans. Build it with: any2any build-map DRIVE MAP --clouds"
    if not refiner.candidates:
        return "its calibration has learnt no refinement. Calibrate again: any2any calibrate MAP DRIVE"
    return open3d_obstacle()


def refined_pose(reference: Float64, registration: Registration) -> Float64:
    """Return the robot's pose (4, 4) in the map: the reference's pose (4, 4) moved by the registration.

    Both scans are in the robot's frame. Where the registration has not converged, it is the reference's pose itself.
    """
    return np.asarray(reference @ registration.pose) if registration.converged else reference
