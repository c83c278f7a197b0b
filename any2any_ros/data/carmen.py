"""Reads CARMEN laser logs, plain or gzipped: the scans of one laser, with poses that a mapper has corrected.

    FLASER n range_1 ... range_n x y theta odom_x odom_y odom_theta ipc_timestamp host logger_timestamp

The format leaves some things open. This reader decides them so:

- The beams cover half a turn, counter-clockwise from -90 degrees. With an even n the last beam is one step before +90
  (180 beams of 1 degree, 360 of 0.5), with an odd n it is at +90. (In intel, fhw and freiburg-079, walls that were seen
  with crossing headings lie closest together with -90, not with -89.5.)
- The pose is x y theta, the pose of the laser.
- carmen_odometry.py says what the odometry is.
- The scans keep the order of the file.
- A last line without a newline was being written when the logger stopped. It is left out unless it is whole. Any other
  damage is an error.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros import limits, reading
from any2any_ros.arrays import Array, Float64, Int64, Rows
from any2any_ros.data.carmen_odometry import OdometryReader
from any2any_ros.data.drive import LATEST
from any2any_ros.errors import Any2AnyError
from any2any_ros.poses import FARTHEST
from any2any_ros.samples import NS, Scan

# Ranges from here on are codes for "no return": 51.05 in fhw, 81.83 in intel, 81.91 in freiburg-079, …
NO_RETURN = 50.0  # m
AROUND_RANGES = 11  # words of a line beside its ranges: FLASER, n, two poses, time, host, time
AFTER = 7  # of these, the numbers that are kept: two poses, time
OVERHEAD = 8  # values of four bytes that a kept number takes in the end, as a pose (4, 4)

Row = Float64  # n ranges, x, y, theta, odom_x, odom_y, odom_theta, time


@dataclass(frozen=True, eq=False)
class CarmenDrive:
    """One log as a drive (data/drive.py).

    ranges (N, B): m, inf = no return. frames (N,): number of each scan in the log. odometries (N, 4, 4): pose of the
    laser by the wheels alone, NaN where unknown.
    """

    name: str
    stamps_ns: Int64
    poses: Float64
    ranges: Array
    frames: Rows
    odometries: Float64
    modalities: tuple[str, ...] = ("laser_scan",)

    def __len__(self) -> int:
        return len(self.frames)

    def ids(self) -> tuple[str, ...]:
        return tuple(f"{self.name}/{frame:06d}" for frame in self.frames)

    def take(self, rows: ArrayLike) -> CarmenDrive:
        index = np.arange(len(self))[np.asarray(rows)]
        return replace(
            self,
            stamps_ns=self.stamps_ns[index],
            poses=self.poses[index],
            ranges=self.ranges[index],
            frames=self.frames[index],
            odometries=self.odometries[index],
        )

    def sample(self, modality: str, i: int) -> Scan | None:
        if modality not in self.modalities:
            return None
        beams = self.ranges.shape[1]
        # float32, as in a LaserScan message: a log and its bag then give the same vectors.
        first, step = np.float32(-np.pi / 2), np.float32(np.pi / (beams - beams % 2))
        return Scan(self.ranges[i], float(first), float(step), NO_RETURN)

    def odometry(self, i: int) -> Float64 | None:
        return self.odometries[i] if np.isfinite(self.odometries[i]).all() else None


def read(path: Path) -> CarmenDrive:
    """Read a log. Raises Any2AnyError when it cannot be read or has no scan, and names the number of a damaged line."""
    path = Path(path)
    ranges, rest, beams = array("f"), array("d"), 0  # of all scans, one after the other
    wheels = OdometryReader()
    for number, row in _rows(path, wheels):
        if beams and len(row) - AFTER != beams:
            raise _damaged(path, number, f"it has {len(row) - AFTER} beams, the log's first scan {beams}")
        beams = len(row) - AFTER
        limits.check("the log", len(ranges) + OVERHEAD * len(rest), limits.LOG_VALUES, "values", "Give a part of it")
        usable = (row[:beams] > 0) & (row[:beams] < NO_RETURN)
        ranges.frombytes(np.where(usable, row[:beams], np.inf).astype(np.float32).tobytes())
        rest.frombytes(row[beams:].tobytes())
        x, y, theta, odom_x, odom_y, odom_theta, _ = row[beams:].tolist()
        wheels.scan((x, y, theta), (odom_x, odom_y, odom_theta))
    if not beams:
        raise Any2AnyError(
            f"{path} is no CARMEN laser log",
            "no line of it is a whole FLASER message",
            "Give a .log or .log.gz with FLASER lines",
        )
    x_y_theta, seconds = np.split(np.frombuffer(rest).reshape(-1, AFTER)[:, [0, 1, 2, -1]], [3], axis=1)
    return CarmenDrive(
        path.name.removesuffix(".gz").removesuffix(".log"),
        _increasing(np.round(seconds[:, 0] * NS).astype(np.int64)),
        _matrices(x_y_theta),
        np.frombuffer(ranges, np.float32).reshape(-1, beams),
        np.arange(len(seconds)),
        _matrices(wheels.poses()),
    )


def _rows(path: Path, wheels: OdometryReader) -> Iterator[tuple[int, Row]]:
    """Yield the number of each line that is a scan, and its numbers. wheels: gets the lines of odometry."""
    try:
        for number, line in enumerate(reading.lines(path, limits.LOG_BYTES), start=1):
            if line.startswith(b"ODOM"):
                wheels.odometry(line.decode("latin-1"))
            elif line.startswith(b"FLASER"):
                # Every byte is a letter in latin-1, so that a damaged line is reported with its number.
                try:
                    yield number, _row(path, number, line.decode("latin-1"))
                except Any2AnyError:
                    if line.endswith(b"\n"):
                        raise
    except Any2AnyError:
        raise
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise Any2AnyError(
            f"Cannot read the laser log {path}", str(error), "Check the path, or download the file again"
        ) from error


def _row(path: Path, number: int, line: str) -> Row:
    words = line.split()
    try:
        beams = int(words[1])
        row = np.array(words[2 : beams + AROUND_RANGES - 2], dtype=np.float64)
    except (IndexError, ValueError) as error:
        raise _damaged(path, number, str(error)) from error
    if beams < 2 or len(words) != beams + AROUND_RANGES:
        raise _damaged(path, number, f"{beams} beams need {beams + AROUND_RANGES} words, it has {len(words)}")
    if not ((np.abs(row[beams:-1]) < FARTHEST).all() and 0 <= row[-1] < LATEST):
        raise _damaged(path, number, "its pose or its time is no usable number")
    return row


def _damaged(path: Path, number: int, why: str) -> Any2AnyError:
    return Any2AnyError(f"Line {number} of {path} is damaged", why, "Download the log again, or remove the line")


def _increasing(stamps: Int64) -> Int64:
    """Return the stamps; one that does not come after its predecessor becomes 1 ns later than it.

    The log intel steps back four times, by less than a second, while the robot hardly moves.
    """
    count = np.arange(len(stamps))
    return np.asarray(np.maximum.accumulate(stamps - count) + count)


def _matrices(poses: Float64) -> Float64:
    """Return (N, 4, 4) for poses (N, 3): x, y in metres and the heading in radians; z = 0."""
    x, y, theta = poses.T
    matrices = np.tile(np.eye(4), (len(poses), 1, 1))
    matrices[:, 0, 0] = matrices[:, 1, 1] = np.cos(theta)
    matrices[:, 1, 0] = np.sin(theta)
    matrices[:, 0, 1] = -matrices[:, 1, 0]
    matrices[:, 0, 3], matrices[:, 1, 3] = x, y
    return matrices
