"""Robots with a 2-D laser that are carried away: parts of a log, played one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from kidnapped_cuts import BEFORE, Cut, Step, way_of
from real_sets import laser2d
from real_sets.real_set import RealSet
from real_sets.trust_drives import TrustDrive, of_real

from any2any_ros import encoders
from any2any_ros.arrays import Float64, Rows
from any2any_ros.data import splits
from any2any_ros.data.carmen import CarmenDrive
from any2any_ros.data.drive import keyframes
from any2any_ros.errors import Any2AnyError
from any2any_ros.localization import planar
from any2any_ros.localization.answer import Answer
from any2any_ros.localization.hypotheses import FollowConfig
from any2any_ros.observation import Observation
from any2any_ros.progress import progress_bar
from any2any_ros.protocols import gathered
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.samples import NS

SENSOR = "laser_scan"
LONGEST = 30.0  # m driven after a cut, at most
MAPPED = 0.8  # share of the frames of that way that the map must have been to before
WHEELS = FollowConfig(turn=2.0)  # those of freiburg-079 err by 2.2 deg/m at the median
STORED = Path(__file__).resolve().parents[1] / "out/kidnapped"


@dataclass(frozen=True, eq=False)
class Log:
    """A log whose robot is carried away.

    frames (N,): scans of the log that are ranked, half a metre apart. judged: the frames that have a right reference,
    as benchmarks/real.py asks for them.
    """

    real: RealSet
    judged: TrustDrive
    frames: Rows
    follow: FollowConfig = WHEELS

    @property
    def near(self) -> float:
        """Return the metres from the true place up to which a robot is localized there."""
        return self.real.recording.place.hit_radius

    @classmethod
    def read(cls, path: Path) -> Log:
        """Read and encode a log."""
        real = laser2d.read(path)
        drive = of_real(real, SENSOR, STORED, progress_bar)
        return cls(real, drive, keyframes(real.recording.drive.poses, real.keyframe))

    @property
    def name(self) -> str:
        return self.real.name

    def cuts(self, count: int, seed: int) -> Iterator[Cut]:
        """Yield so many cuts. Where the calibration refuses the queries that are left, another one is drawn."""
        draw = np.random.default_rng(seed)
        true = np.array([planar.of(pose) for pose in self._drive.poses[self.frames]])
        way = way_of(true)
        before, after = np.flatnonzero(way > BEFORE), self._mapped(way)
        while count:
            last, first = int(draw.choice(before)), int(draw.choice(after))
            if np.hypot(*(true[last] - true[first])[:2]) < 2 * self.real.recording.place.hit_radius:
                continue
            try:
                retriever = self._retriever(first, way)
            except Any2AnyError:
                after = after[after != first]
                continue
            count -= 1
            yield Played(self, retriever, last, first, true, way).cut()

    @property
    def _drive(self) -> CarmenDrive:
        assert isinstance(self.real.recording.drive, CarmenDrive)
        return self.real.recording.drive

    def _mapped(self, way: Float64) -> Rows:
        """Return the frames whose way ahead, up to LONGEST, lies in the map that was driven before them."""
        known = np.zeros(len(self.frames), dtype=bool)
        known[self.real.queries] = True
        ahead = [known[i : np.searchsorted(way, way[i] + LONGEST)].mean() for i in range(len(way))]
        return np.flatnonzero(known & (np.array(ahead) >= MAPPED) & (way < way[-1] - LONGEST))

    def _retriever(self, first: int, way: Float64) -> Retriever:
        """Return what answers the robot that is put down at a frame.

        Its map ends `path_gap` metres of driving before the frame. Its calibration has seen nothing within two radii of
        a hit of the way that is driven then.
        """
        place, poses = self.real.recording.place, self._drive.poses[self.frames]
        tested = poses[first : np.searchsorted(way, way[first] + LONGEST)]
        rows = np.flatnonzero(splits.apart(self.judged.task.queries.poses, tested, 2 * place.hit_radius))
        calibration = self.judged.calibrated(rows)
        earlier = splits.same_drive(poses, place.path_gap, earlier=True)[first]
        whole = self.judged.reference
        reference = replace(whole, places=whole.places.take(np.flatnonzero(earlier)))
        return Retriever(reference, calibration)


@dataclass(frozen=True, eq=False)
class Played:
    """One cut: the log is played up to frame `last`, and goes on at frame `first`. Wheels see nothing of the cut, and
    neither does the encoder, which puts the scans of the last metres together."""

    log: Log
    retriever: Retriever
    last: int
    first: int
    true: Float64
    way: Float64

    def cut(self) -> Cut:
        steps = self._steps()
        begin = int(np.searchsorted(self.way, self.way[self.last] - BEFORE))
        return Cut([next(steps).answer for _ in range(begin, self.last + 1)], steps)

    def _steps(self) -> Iterator[Step]:
        drive, encoder = self.log._drive, encoders.build(encoders.default(SENSOR))
        begin = int(np.searchsorted(self.way, self.way[self.last] - BEFORE))
        end = int(np.searchsorted(self.way, self.way[self.first] + LONGEST))
        here, there = (int(self.log.frames[i]) for i in (self.last, self.first))
        moved = drive.odometries[here] @ np.linalg.inv(drive.odometries[there])
        later = int(drive.stamps_ns[here] - drive.stamps_ns[there]) + NS
        for part, shift, delay in ((range(begin, self.last + 1), np.eye(4), 0), (range(self.first, end), moved, later)):
            passed = int(self.log.frames[part[0]])
            for i in part:
                frame = int(self.log.frames[i])
                for row in range(passed, frame + 1):
                    stamp, odometry = int(drive.stamps_ns[row]) + delay, shift @ drive.odometries[row]
                    whole = gathered(encoder, drive.sample(SENSOR, row), stamp, odometry)
                passed = frame + 1
                seen = encoders.see(encoder, whole)
                observation = Observation({SENSOR: seen.vector}, stamp, birds_eye={SENSOR: seen.birds_eye})
                answer = Answer.of(self.retriever.rank(observation), odometry)
                yield Step(answer, self.true[i], float(self.way[i] - self.way[self.first]))
