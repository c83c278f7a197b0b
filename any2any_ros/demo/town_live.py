"""Replays a drive to the real nodes while sensors die, and records what the nodes answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from any2any_ros.data.drive import Drive
from any2any_ros.errors import Any2AnyError
from any2any_ros.node_config import ReplayConfig
from any2any_ros.ranking import Ranking
from any2any_ros.samples import NS

if TYPE_CHECKING:
    from any2any_ros.nodes.recorder import ReceivedMessages
    from any2any_ros.nodes.replay import Outage

READY = 30.0  # s, the longest wait for all nodes to be up


@dataclass(frozen=True)
class LiveSetup:
    """What is started and what is replayed.

    map: folder of the map. bag: the drive as a rosbag2. logs: folder for the nodes' logs. params: a file of ROS
    parameters that override the defaults. replay: how fast, for instance.
    """

    map: Path
    bag: Path
    logs: Path
    params: Path | None = None
    replay: ReplayConfig = ReplayConfig()


@dataclass(frozen=True, eq=False)
class LiveRun:
    """What the nodes answered, and when each message was published.

    published: stamp in the bag -> monotonic time (s) of its first message. start_ns: the first stamp.
    """

    received: ReceivedMessages
    published: Mapping[int, float]
    outages: tuple[Outage, ...]
    start_ns: int


def drive(
    setup: LiveSetup,
    outages: tuple[Outage, ...] = (),
    progress: bool = False,
    during: Callable[[Any, float], None] = lambda system, seconds: None,
) -> LiveRun:
    """Start the nodes of a map, replay the bag to them, and record what they answer.

    during: called with (Bringup, seconds since the start) after every message, for instance to kill a process.
    Raises Any2AnyError when the nodes do not come up, and KeyboardInterrupt when the user stops the replay.
    """
    from tqdm import tqdm

    from any2any_ros.nodes import runtime, session, topology
    from any2any_ros.nodes.bringup import Bringup
    from any2any_ros.nodes.recorder import Recorder
    from any2any_ros.nodes.replay import Replay

    processes = topology.place_recognition(str(setup.map), use_sim_time=True)
    published: dict[int, float] = {}
    with (
        session.node("replay", "loopback") as node,
        Recorder() as recorder,
        Bringup(processes, topology.environment("loopback"), setup.params, setup.logs) as system,
    ):
        _await(lambda: recorder.listening_to(len(processes) - 1), system.ended, setup.logs)
        began: list[float] = []

        def note(topic: str, stamp: int) -> None:
            now = time.monotonic()
            began[:] = began or [now]
            published.setdefault(stamp, now)
            bar.update(round(now - began[0]) - bar.n)
            during(system, now - began[0])

        stop = runtime.Stop()
        with tqdm(desc="driving", unit="s", disable=not progress, leave=False) as bar:
            Replay(node, setup.bag, setup.replay, outages, note).run(stop)
        time.sleep(1.0)  # the last answers
        if stop:
            raise KeyboardInterrupt
    return LiveRun(recorder.received, published, outages, min(published))


def _await(ready: Callable[[], bool], ended: Callable[[], Mapping[str, int]], logs: Path) -> None:
    deadline = time.monotonic() + READY
    while not ready():
        if ended() or time.monotonic() > deadline:
            raise Any2AnyError(
                "The nodes do not come up", f"ended: {dict(ended()) or 'none'}, after at most {READY:g} s",
                f"Read {logs}/*.log",
            )  # fmt: skip
        time.sleep(0.05)


def frame_of(ranking: Ranking, lap: Drive) -> int | None:
    """Return the frame that a ranking is about: the nearest in time; None where it is over half a period away."""
    frame = int(np.argmin(np.abs(lap.stamps_ns - ranking.stamp_ns)))
    period = float(np.median(np.diff(lap.stamps_ns)))
    return frame if abs(int(lap.stamps_ns[frame]) - ranking.stamp_ns) <= period / 2 else None


def continuity(run: LiveRun, lap: Drive, period: float, timeout: float) -> dict[str, Any]:
    """Return whether every frame with a living sensor was answered, and how soon each death was noticed.

    period: s between frames. timeout: the nodes' source_timeout, s.
    """
    frames = {i for i, s in enumerate(lap.stamps_ns) if int(s) in run.published and _sensor_alive(run, lap, int(s))}
    answered = frames & {frame_of(r, lap) for r, _ in run.received.rankings if r.modalities}
    deaths = [_death(run, outage) for outage in run.outages]
    return {
        "frames": len(frames),
        "answered": len(answered),
        "deaths": deaths,
        "allowed_delay": timeout + period,
        "all_in_time": all(d["noticed_after"] <= timeout + period for d in deaths),
    }


def _sensor_alive(run: LiveRun, lap: Drive, stamp: int) -> bool:
    """Return whether any sensor published at this stamp."""
    at = (stamp - run.start_ns) / NS
    silent = {o.name for o in run.outages if o.start <= at < o.end}
    return bool(set(lap.modalities) - silent)


def _death(run: LiveRun, outage: Outage) -> dict[str, Any]:
    """Return how long rankings still used a sensor after its death, and what the first ranking without it used."""
    died, back = (run.start_ns + int(t * NS) for t in (outage.start, outage.end))
    during = sorted(
        ((r.stamp_ns, r.modalities) for r, _ in run.received.rankings if died <= r.stamp_ns < back),
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
