"""What a sample can be besides an array or a text, and the unit of stamps."""

from __future__ import annotations

from dataclasses import dataclass

from any2any_ros.arrays import Array

NS = 1_000_000_000  # nanoseconds in a second


@dataclass(frozen=True, eq=False)
class Scan:
    """A 2-D laser scan.

    ranges: (B,) in metres, one for each beam; inf or NaN: no return. angle_min: angle of the first beam in radians.
    angle_increment: step from beam to beam in radians, counter-clockwise. range_max: largest range that the sensor
    measures, in metres.
    """

    ranges: Array
    angle_min: float
    angle_increment: float
    range_max: float


@dataclass(frozen=True, eq=False)
class Sound:
    """A piece of mono sound: samples (S,) in [-1, 1], and the sample rate in Hz."""

    samples: Array
    rate: int


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
