"""The geometric check: the scans of the best references are laid over the query's own, and what is seen counts.

MAP/clouds/<hash of the id>.npz   a place's scan, thinned, as int16 centimetres; read when it is asked for

What the overlap of a candidate is worth is learnt from calibration queries as a log-likelihood ratio,
log P(overlap | right) - log P(overlap | wrong). A reference that was not checked gets 0, which is what a missing
pair is worth in every other fusion here: a check that all candidates fail speaks for the ones nobody looked at.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.config import Checked, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.methods.fusion import LikelihoodRatio
from any2any_ros.methods.registration import NOWHERE, Registration, RegistrationConfig, Scan, align, thinned
from any2any_ros.plugins import write_atomically

Floats = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]
Flags = NDArray[np.bool_]

FOLDER = "clouds"
CENTIMETRE = 0.01
KEPT = 64  # scans in memory, half a megabyte each


@dataclass(frozen=True)
class GeometryConfig(Checked):
    """The geometric check of a ranking's first candidates."""

    candidates: int = setting(
        5, "best references whose scans are laid over the query's; 0 = no check", minimum=0, maximum=100
    )


class Clouds:
    """The scans beside a map, one small file a place; a place without one is no error."""

    def __init__(self, folder: Path, config: RegistrationConfig = RegistrationConfig()) -> None:
        """folder: the map's."""
        self.folder, self.config = folder / FOLDER, config
        self._scan = lru_cache(KEPT)(self._read)

    def __contains__(self, id: str) -> bool:
        return self._file(id).exists()

    def add(self, id: str, points: Floats) -> None:
        """Keep the scan (N, >= 3) of place `id`: x forward, y left, z up, metres; an older one is replaced."""
        kept = np.round(thinned(points, self.config.voxel, self.config.reach) / CENTIMETRE).astype(np.int16)
        stream = io.BytesIO()
        np.savez_compressed(stream, id=np.array(id), points=kept)
        try:
            write_atomically(self._file(id), lambda s: s.write(stream.getvalue()))
        except OSError as error:
            raise Any2AnyError(
                f"Cannot write a scan to {self.folder}", str(error), "Choose a folder that can be written to"
            ) from error
        self._scan.cache_clear()

    def scan(self, id: str) -> Scan | None:
        """Return the scan of place `id`; None when there is none; raise Any2AnyError when it is damaged."""
        return self._scan(id)

    def _read(self, id: str) -> Scan | None:
        file = self._file(id)
        if not file.exists():
            return None
        try:
            with np.load(file, allow_pickle=False) as stored:
                name, points = str(stored["id"]), stored["points"]
            if name != id or points.dtype != np.int16 or points.ndim != 2 or points.shape[1] != 3:
                raise ValueError(f"it holds {points.dtype} {points.shape} of place '{name}'")
        except Exception as error:  # any damage reads the same to a user
            raise Any2AnyError(
                f"Cannot read the scan of place '{id}', {file}",
                f"{type(error).__name__}: {error}",
                "Build the map again, or delete the file: the place is then not checked",
            ) from error
        return Scan.of(points * CENTIMETRE, self.config)

    def _file(self, id: str) -> Path:
        # An id may hold what no file name can.
        return self.folder / f"{hashlib.sha256(id.encode()).hexdigest()[:32]}.npz"


@dataclass(frozen=True, eq=False)
class OverlapEvidence:
    """What an overlap says: slope * overlap + intercept, a log-likelihood ratio, never below `least` or above `most`.

    The bounds are what the calibration pairs can show: of n right ones none says less than 1 in n + 1 does.
    """

    plug: ClassVar[str] = "overlap"

    slope: float
    intercept: float
    least: float
    most: float

    @classmethod
    def fit(cls, overlap: Floats, positive: Flags) -> OverlapEvidence:
        """Fit on calibration queries: overlap (Q, R), NaN where not checked; positive (Q, R): the right references."""
        ratio = LikelihoodRatio.fit(np.asarray(overlap)[..., None, None], positive)
        seen = np.isfinite(overlap)
        right, wrong = np.count_nonzero(seen & positive), np.count_nonzero(seen & ~positive)
        return cls(
            float(ratio.slope[0, 0]), float(ratio.intercept[0, 0]), -float(np.log1p(right)), float(np.log1p(wrong))
        )

    def __call__(self, overlap: Floats) -> Float64:
        """Return the evidence, of overlap's shape; 0 where that is NaN."""
        evidence = np.clip(self.slope * np.asarray(overlap) + self.intercept, self.least, self.most)
        return np.asarray(np.nan_to_num(evidence, nan=0.0))


@dataclass(frozen=True, eq=False)
class GeometricCheck:
    """Lays the scans of candidates over the query's. evidence: what an overlap is worth; None before calibration."""

    clouds: Clouds
    evidence: OverlapEvidence | None = None
    config: GeometryConfig = GeometryConfig()

    def registrations(self, query: Floats, ids: Sequence[str]) -> list[Registration]:
        """Lay the query's points (N, >= 3) over the scan of each candidate; `NOWHERE` for one without a scan.

        Raises Any2AnyError when Open3D is absent, or a scan of the map is damaged.
        """
        scan = Scan.of(query, self.clouds.config)
        references = [self.clouds.scan(id) for id in ids]
        return [NOWHERE if r is None else align(scan, r) for r in references]

    def rescored(self, scores: Float64, rows: NDArray[np.intp], overlap: Floats, temperature: float = 1.0) -> Float64:
        """Return the scores (R,) with what was seen of the candidates `rows` (K,): overlap (K,), NaN = nothing.

        temperature: softmax(temperature * score) is the fusion's posterior (`Confidence.temperature`). Before
        calibration the candidates only trade scores, so that the one with the largest overlap has the highest.
        """
        out, overlap = scores.copy(), np.asarray(overlap, dtype=np.float64)
        if self.evidence is not None:
            out[rows] += self.evidence(overlap) / temperature
            return out
        seen = rows[~np.isnan(overlap)]
        order = np.argsort(-overlap[~np.isnan(overlap)], kind="stable")
        out[seen[order]] = np.sort(scores[seen])[::-1]
        return out


def refined_pose(reference: Float64, found: Registration, mounting: Float64 | None = None) -> Float64:
    """Return the robot's pose (4, 4) in the map: the reference's (4, 4) moved by the registration.

    mounting (4, 4): the LiDAR in the robot's frame; None: the map's poses are the LiDAR's own (KITTI's are). The
    reference's pose itself where nothing was found.
    """
    if not found.converged:
        return reference
    robot_from_lidar = np.eye(4) if mounting is None else mounting
    return np.asarray(reference @ robot_from_lidar @ found.pose @ np.linalg.inv(robot_from_lidar))
