"""MapClosures (Gupta et al., ICRA 2024; MIT), from PyPI, on submaps.

It finds ORB features in the density image of a submap, matches them with those of all earlier submaps, and aligns both
by RANSAC. It is made for submaps of 100 m with all heights; what these sets allow is smaller. It needs another NumPy
than ours, so it gets an environment of its own (out/real/map-closures) and runs in a process of its own. A submap holds
the scans of the last metres of driving, put together by the set's poses: a favour to the peer, since a robot has
odometry only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.arrays import Array, Float64, Rows
from any2any_ros.data.drive import keyframes, spaced, travelled
from any2any_ros.errors import Any2AnyError
from any2any_ros.progress import Progress
from real_sets.methods import TOP, Answers
from real_sets.peer_map_closures_worker import receive, send
from real_sets.real_set import RealSet
from real_sets.scoring import real_poses

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "out/real/map-closures"
WORKER = Path(__file__).with_name("peer_map_closures_worker.py")
PACKAGE = "map-closures==2.2.0"
PATIENCE = 1800.0  # s, longest time of a set


FARTHEST = 25.0  # m, of a laser's return
TALLEST = 20  # points of a column
FRAMES = 200  # that are kept in memory


@dataclass(frozen=True)
class Submap:
    """How submaps are made of one modality.

    length: metres of driving in one. between: metres between its frames. step: metres between two submaps. cell: of the
    points, in metres. pixels: of the density image along a cell, since ORB sees little in a small picture.
    """

    length: float
    between: float
    step: float
    cell: float
    pixels: int

    @property
    def pixel(self) -> float:
        return self.cell / self.pixels


SUBMAPS = {"lidar": Submap(20.0, 2.0, 3.0, 0.4, 2), "laser_scan": Submap(10.0, 0.5, 0.5, 0.1, 1)}


@dataclass(frozen=True)
class MapClosures:
    """The peer as a method (methods.Method)."""

    name: str = "MapClosures on submaps"
    ours: bool = False

    def suits(self, real: RealSet) -> bool:
        """Return whether the set is a drive of a LiDAR or a laser."""
        return real.kind in ("kitti_bev", "laser2d")

    def answer(self, real: RealSet, progress: Progress[Any]) -> Answers:
        """Answer all queries. Raises Any2AnyError when the package cannot be installed, or fails."""
        python, settings, track = _environment(), SUBMAPS[real.modalities[0]], Track.of(real)
        rows = wanted_rows(real, track, settings.step)
        queries = set(real.queries.tolist())
        named = progress(rows.tolist(), f"{real}: {self.name}")
        clouds = ((submap(track, row, settings), row in queries) for row in named)
        found = list(_matched(python, settings.pixel, clouds))
        note = f"last {settings.length:g} m put together by true poses"
        if settings.step > real.keyframe:
            note += f"; references {settings.step:g} m apart"
        return ranked(real, rows, found, note)


PEER = MapClosures()


@dataclass(frozen=True, eq=False)
class Closures:
    """What the peer says of one submap, best first.

    numbers (C,): of earlier submaps. poses (C, 4, 4): of this submap in theirs. milliseconds: that it took.
    """

    numbers: Rows
    poses: Float64
    milliseconds: float


@dataclass(frozen=True, eq=False)
class Track:
    """A drive as submaps need it: poses (N, 4, 4) of its frames, metres driven (N,), and the flat points of a frame."""

    poses: Float64
    path: Float64
    points: Callable[[int], Float64]

    @classmethod
    def of(cls, real: RealSet) -> Track:
        """Return the track of a set."""
        poses = real_poses(real)
        frames = keyframes(real.recording.drive.poses, real.keyframe)
        return cls(poses, travelled(poses), lru_cache(FRAMES)(lambda row: _flat(real, int(frames[row]))))


def wanted_rows(real: RealSet, track: Track, step: float) -> Rows:
    """Return the frames (n,), in their order, whose submaps are made: all queries, and references `step` m apart."""
    few = real.references[spaced(track.poses[real.references, :2, 3], step)]
    return np.union1d(few, real.queries)


def submap(track: Track, row: int, settings: Submap) -> Array:
    """Return the points (n, 3) of the last metres before a frame, in this frame: a column for each cell."""
    path = track.path
    last = np.flatnonzero((path >= path[row] - settings.length) & (np.arange(len(path)) <= row))[::-1]
    rows = last[spaced(track.poses[last, :2, 3], settings.between)].tolist()
    to_here = np.linalg.inv(track.poses[row]) @ track.poses[rows]
    parts = [track.points(i) @ m[:3, :3].T + m[:3, 3] for i, m in zip(rows, to_here, strict=True)]
    return columns(np.concatenate(parts), settings)


def columns(points: Float64, settings: Submap) -> Array:
    """Return points (n, 3): each cell has a column of as many as points (m, 3) are in it, TALLEST at most.

    MapClosures takes the height of what stands there for its importance. A cell of `pixels` x `pixels` has as many
    columns.
    """
    cells, counts = np.unique(np.floor(points[:, :2] / settings.cell).astype(int), axis=0, return_counts=True)
    parts = np.stack(np.meshgrid(*[np.arange(settings.pixels)] * 2), axis=-1).reshape(-1, 2)
    cells = (cells[:, None] * settings.pixels + parts).reshape(-1, 2)
    heights = np.repeat(np.minimum(counts, TALLEST), len(parts))
    number = np.arange(heights.sum()) - np.repeat(np.cumsum(heights) - heights, heights)
    flat = np.repeat(cells + 0.5, heights, axis=0)
    return (settings.pixel * np.column_stack([flat, number + 0.5])).astype(np.float32)


def _flat(real: RealSet, frame: int) -> Float64:
    """Return the points (n, 3) of a frame, z = 0."""
    sample: Any = real.recording.drive.sample(real.modalities[0], frame)
    if real.modalities[0] == "lidar":
        return np.asarray(sample[:, :3], dtype=np.float64)
    ranges = np.asarray(sample.ranges, dtype=np.float64)
    bearing = sample.angle_min + sample.angle_increment * np.arange(len(ranges))
    near = ranges < FARTHEST
    x_y = ranges[near, None] * np.column_stack([np.cos(bearing[near]), np.sin(bearing[near])])
    return np.column_stack([x_y, np.zeros(len(x_y))])


def ranked(real: RealSet, rows: Rows, found: Sequence[Closures], note: str) -> Answers:
    """Return the answers, from what the peer says of the submap of each of `rows` (n,)."""
    number_of = {row: number for number, row in enumerate(rows.tolist())}
    column_of = {row: column for column, row in enumerate(real.references.tolist())}
    poses = real_poses(real)
    best = np.full((len(real.queries), TOP), -1)
    said = np.full((len(real.queries), 4, 4), np.nan)
    for i, query in enumerate(real.queries.tolist()):
        closures = found[number_of[query]]
        columns = [column_of.get(int(rows[number]), -1) for number in closures.numbers.tolist()]
        kept = [j for j, column in enumerate(columns) if column >= 0 and real.allowed[i, column]][:TOP]
        best[i, : len(kept)] = [columns[j] for j in kept]
        if kept:
            said[i] = poses[int(rows[closures.numbers[kept[0]]])] @ closures.poses[kept[0]]
    times = np.array([found[number_of[query]].milliseconds for query in real.queries.tolist()])
    return Answers(best, times, said, note)


def _matched(python: Path, cell: float, clouds: Iterator[tuple[Array, bool]]) -> Iterator[Closures]:
    """Yield what the peer says of each submap; it is then one of those that later ones are compared with. clouds: the
    points of submaps, and whether one is a query."""
    command = [str(python), str(WORKER), str(cell)]
    alone = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with tempfile.TemporaryFile() as errors, subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=alone
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        try:
            for cloud, is_query in clouds:
                send(process.stdin, points=cloud, is_query=np.array(is_query))
                answer = receive(process.stdout)
                yield Closures(answer["numbers"], answer["poses"], float(answer["milliseconds"]))
        except (OSError, ValueError, EOFError) as error:
            process.kill()
            process.wait()
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise Any2AnyError("MapClosures ended", last[0] if last else str(error), "Run it again") from error
        finally:
            process.stdin.close()


def _environment() -> Path:
    """Return the Python of the peer's environment, which is made when there is none.

    Raises Any2AnyError when it cannot be installed.
    """
    python = HOME / "bin/python"
    if (HOME / PACKAGE).exists():
        return python
    try:
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(HOME)],
            [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", PACKAGE],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    except (subprocess.SubprocessError, OSError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip().splitlines()[-1:]
        why = said[0] if said else str(error)
        raise Any2AnyError(f"Cannot install {PACKAGE}", why, f"Install it into {HOME}, or add --no-peers") from error
    (HOME / PACKAGE).touch()
    return python
