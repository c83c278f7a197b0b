"""How far the pose of an answer is from the true one: covariances, fitted on calibration drives.

The pose of an answer is that of the robot where its image was aligned with the place's. It errs by centimetres then,
whatever else is alive. Otherwise it is the pose of the reference, and errs by what the sensors cannot tell: how far
from the reference a robot may stand, and how it may be turned there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.localization.planar import YAW_OF_A_CIRCLE
from any2any_ros.trust.candidates import pattern_name

ALIGNED, ANY = "aligned", "any"  # keys beside the patterns: of aligned poses, and of all others together
INSIDE = 7.815  # squared Mahalanobis distance within which 95 % of errors in three dimensions lie
UNKNOWN: Float64 = np.full((3, 3), np.nan)


@dataclass(frozen=True, eq=False)
class PoseErrors:
    """Covariances (3, 3) of x, y (metres) and yaw (radians), in the robot's frame, by key: ALIGNED, a pattern of
    modalities, ANY. Their ellipsoid of 95 % held 95 % of the accepted answers of the calibration."""

    kind: ClassVar[str] = "trust"
    plug: ClassVar[str] = "pose_errors"

    covariance: dict[str, Float64]

    def __post_init__(self) -> None:
        for key, value in self.covariance.items():
            if value.shape != (3, 3) or not np.isfinite(value).all() or not np.array_equal(value, value.T):
                raise ValueError(f"the covariance of '{key}' is no symmetric matrix (3, 3) of finite numbers")
            if not (np.linalg.eigvalsh(value) > 0).all():
                raise ValueError(f"the covariance of '{key}' is not positive")

    def of(self, modalities: Sequence[str], aligned: bool) -> Float64:
        """Return the covariance (3, 3) of an answer by these sensors; NaN where nothing like it was calibrated."""
        keys = (ALIGNED,) if aligned else (pattern_name(modalities), ANY)
        return next((self.covariance[key] for key in keys if key in self.covariance), UNKNOWN)

    def knows_heading(self, modalities: Sequence[str], aligned: bool) -> bool:
        """Return whether such an answer says how the robot is turned."""
        return bool(self.of(modalities, aligned)[2, 2] < YAW_OF_A_CIRCLE * (1 - 1e-9))


NO_POSE_ERRORS = PoseErrors({})
