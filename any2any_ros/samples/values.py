"""What a sample can be besides an array or a text, and the unit of stamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Array, Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.poses import fault

NS = 1_000_000_000  # nanoseconds in a second


@dataclass(frozen=True, eq=False)
class Scan:
    """A 2-D laser scan.

    ranges: (B,) in metres, one for each beam; inf or NaN: no return. angle_min: angle of the first beam in radians.
    angle_increment: step from beam to beam in radians, counter-clockwise. range_max: largest range that the sensor
    measures, in metres. time_increment: from beam to beam in seconds; 0: all at once, or unknown.
    """

    ranges: Array
    angle_min: float
    angle_increment: float
    range_max: float
    time_increment: float = 0.0


@dataclass(frozen=True, eq=False)
class Sound:
    """A piece of mono sound: samples (S,) in [-1, 1], and the sample rate in Hz."""

    samples: Array
    rate: int


@dataclass(frozen=True, eq=False)
class Step:
    """When the samples of one moment of a drive were taken, and where the robot was by odometry.

    stamp_ns: time in ns. odometry: pose (4, 4) of the sensor in any frame through which it moves smoothly, metres;
    None: unknown. Raises Any2AnyError when it is no pose.
    """

    stamp_ns: int
    odometry: Float64 | None = None

    def __post_init__(self) -> None:
        if self.odometry is not None:
            pose = np.asarray(self.odometry, dtype=np.float64)
            why = f"its shape is {pose.shape}" if pose.shape != (4, 4) else fault(pose)
            if why:
                raise Any2AnyError("The odometry cannot be used", why, "Give a rigid transform (4, 4), or None")
            object.__setattr__(self, "odometry", pose)


@dataclass(frozen=True)
class Transcript:
    """The words in a piece of sound.

    text: lower case, "" where no words were understood. confidence: in [0, 1]. seconds: length of the sound that was
    transcribed. remark: anything else that the user should know, "" for nothing.
    """

    text: str
    confidence: float
    seconds: float
    remark: str = ""
