"""A drive replayed to the real nodes while sensors die, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.calibration import metrics
from any2any_ros.config import ReplayConfig
from any2any_ros.data import splits
from any2any_ros.data.drive import Drive
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Embedding, Observation, Ranking
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.samples import NS
from any2any_ros.trust.confidence import pattern_name

if TYPE_CHECKING:
    from any2any_ros.nodes.recorder import Recording
    from any2any_ros.nodes.replay import Outage

READY = 30.0  # s, at most, until every node is up


@dataclass(frozen=True, eq=False)
class LiveRun:
    """What was published (per stamp in the bag: first wall time, s) and what was heard."""

    recording: Recording
    published: Mapping[int, float]
    outages: tuple[Outage, ...]
    start_ns: int


def drive(
    map_folder: Path,
    bag: Path,
    outages: tuple[Outage, ...],
    logs: Path,
    params: Path | None = None,
    replay: ReplayConfig = ReplayConfig(),
    progress: bool = False,
    during: Callable[[Any, float], None] = lambda system, seconds: None,
) -> LiveRun:
    """Start the nodes of a map, replay the bag to them in real time, and record what they answer.

    params: ROS parameters that override. during: called with (Bringup, seconds since the start) after every message,
    to kill processes for instance.
    """
    from tqdm import tqdm

    from any2any_ros.cli import _ros
    from any2any_ros.nodes import runtime, topology
    from any2any_ros.nodes.bringup import Bringup
    from any2any_ros.nodes.recorder import Recorder
    from any2any_ros.nodes.replay import Replay

    processes = topology.place_recognition(str(map_folder), use_sim_time=True)
    published: dict[int, float] = {}
    with (
        _ros.node("replay", "loopback") as node,
        Recorder() as recorder,
        Bringup(processes, topology.environment("loopback"), params, logs) as system,
    ):
        _await(lambda: recorder.listening_to(len(processes) - 1), system.ended, logs)
        began: list[float] = []

        def note(topic: str, stamp: int) -> None:
            now = time.monotonic()
            began[:] = began or [now]
            published.setdefault(stamp, now)
            bar.update(round(now - began[0]) - bar.n)
            during(system, now - began[0])

        stop = runtime.Stop()
        with tqdm(desc="driving", unit="s", disable=not progress, leave=False) as bar:
            Replay(node, bag, replay, outages, note).run(stop)
        time.sleep(1.0)  # the last answers
        if stop:
            raise KeyboardInterrupt
    return LiveRun(recorder.recording, published, outages, min(published))


def _await(ready: Callable[[], bool], ended: Callable[[], Mapping[str, int]], logs: Path) -> None:
    deadline = time.monotonic() + READY
    while not ready():
        if ended() or time.monotonic() > deadline:
            raise Any2AnyError(
                "The nodes do not come up", f"ended: {dict(ended()) or 'none'}, after at most {READY:g} s",
                f"Read {logs}/*.log",
            )  # fmt: skip
        time.sleep(0.05)


@dataclass(eq=False)
class Answer:
    """One ranking of the drive, judged."""

    frame: int
    ranking: Ranking
    right: NDArray[np.bool_]  # (K,), of its matches
    positives: int
    latency: float  # s of wall time, sensor message published -> ranking received
    alone: dict[str, bool] = field(default_factory=dict)  # modality -> would it have been right by itself
    agrees: bool = True  # the library ranks the same embeddings the same way

    @property
    def hit(self) -> bool:
        return bool(self.right[:1].any())

    @property
    def pattern(self) -> str:
        return pattern_name(self.ranking.modalities)


def judge(run: LiveRun, lap: Drive, retriever: Retriever, hit_radius: float) -> list[Answer]:
    """Return the first ranking of each frame that has an answer in the map, judged by the frame's pose."""
    reference = retriever.reference
    right = splits.positives(lap.poses, reference.poses, hit_radius)
    row = {name: i for i, name in enumerate(reference.ids)}
    heard = _History(run.recording.embeddings)
    answers: dict[int, Answer] = {}
    for ranking, came in run.recording.rankings:
        frame = frame_of(ranking, lap)
        if frame is None or frame in answers or not right[frame].any() or not ranking.modalities:
            continue
        rows = [row[m.id] for m in ranking.matches]
        used = heard.observation(ranking)
        again = retriever.rank(used, len(rows))
        answers[frame] = Answer(
            frame, ranking, right[frame, rows], int(right[frame].sum()),
            came - run.published[int(lap.stamps_ns[frame])],
            {m: bool(right[frame, row[retriever.rank(used.only([m]), 1).matches[0].id]]) for m in used.modalities},
            [m.id for m in again.matches] == [m.id for m in ranking.matches],
        )  # fmt: skip
    return [answers[frame] for frame in sorted(answers)]


def frame_of(ranking: Ranking, lap: Drive) -> int | None:
    """Return the frame a ranking is about: the nearest in time, unless that is further than half a period away."""
    frame = int(np.argmin(np.abs(lap.stamps_ns - ranking.stamp_ns)))
    period = float(np.median(np.diff(lap.stamps_ns)))
    return frame if abs(int(lap.stamps_ns[frame]) - ranking.stamp_ns) <= period / 2 else None


class _History:
    """All embeddings heard, to tell what a ranking was made from."""

    def __init__(self, embeddings: Sequence[tuple[Embedding, float]]) -> None:
        self._vectors = {(e.modality, e.stamp_ns): e.vector for e, _ in embeddings}

    def observation(self, ranking: Ranking) -> Observation:
        used = zip(ranking.modalities, ranking.stamps_ns, strict=True)
        return Observation({m: self._vectors[m, stamp] for m, stamp in used}, ranking.stamp_ns)


def groups(answers: Sequence[Answer], references: int) -> list[dict[str, Any]]:
    """Return one group for each availability pattern, most sensors first."""
    patterns = sorted({a.pattern for a in answers}, key=lambda p: (-p.count("+"), p))
    return [_group(p, [a for a in answers if a.pattern == p], references) for p in patterns]


def _group(pattern: str, answers: Sequence[Answer], references: int) -> dict[str, Any]:
    relevant = np.zeros((len(answers), 5), dtype=bool)
    for i, a in enumerate(answers):
        relevant[i, : len(a.right[:5])] = a.right[:5]
    positives = [a.positives for a in answers]
    alone = {m: float(np.mean([a.alone[m] for a in answers])) for m in pattern.split("+")}
    best = max(alone, key=lambda m: alone[m])
    latency = 1e3 * np.array([a.latency for a in answers])
    probability = np.array([a.ranking.probability for a in answers])
    out: dict[str, Any] = {"pattern": pattern, "queries": len(answers)}
    for k in (1, 5):
        out[f"chance@{k}"] = metrics.chance(positives, references, k)
        out[f"recall@{k}"] = metrics.recall_at_k(relevant, k)
    return out | {
        "best_single": best,
        "best_single_recall@1": alone[best],
        "mean_probability": float(probability.mean()),
        "accepted": float(np.mean([a.ranking.accepted for a in answers])),
        "latency_p50_ms": float(np.percentile(latency, 50)),
        "latency_p99_ms": float(np.percentile(latency, 99)),
    }


def continuity(run: LiveRun, lap: Drive, period: float, timeout: float) -> dict[str, Any]:
    """Return whether every frame with a living sensor was answered, and how soon each death was noticed.

    period: s between frames. timeout: the source_timeout the nodes ran with, s.
    """
    frames = {i for i, s in enumerate(lap.stamps_ns) if int(s) in run.published and _sensed(run, lap, int(s))}
    answered = frames & {frame_of(r, lap) for r, _ in run.recording.rankings if r.modalities}
    deaths = [_death(run, outage) for outage in run.outages]
    return {
        "frames": len(frames),
        "answered": len(answered),
        "deaths": deaths,
        "allowed_delay": timeout + period,
        "all_in_time": all(d["noticed_after"] <= timeout + period for d in deaths),
    }


def _sensed(run: LiveRun, lap: Drive, stamp: int) -> bool:
    """Whether any sensor published at this stamp: not when all are silenced."""
    at = (stamp - run.start_ns) / NS
    dead = {o.name for o in run.outages if o.start <= at < o.end}
    return bool(set(lap.modalities) - dead)


def _death(run: LiveRun, outage: Outage) -> dict[str, Any]:
    """Return how long after its death rankings still counted on a sensor, and whom the first one without it used."""
    died, back = (run.start_ns + int(t * NS) for t in (outage.start, outage.end))
    during = sorted(
        ((r.stamp_ns, r.modalities) for r, _ in run.recording.rankings if died <= r.stamp_ns < back),
        key=lambda item: item[0],
    )
    without = next(((s, m) for s, m in during if outage.name not in m), None)
    return {
        "sensor": outage.name,
        "from": outage.start,
        "to": outage.end,
        "noticed_after": (without[0] - died) / NS if without else float("inf"),
        "first_ranking_used": list(without[1]) if without else None,
    }
