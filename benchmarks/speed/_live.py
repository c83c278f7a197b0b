"""Runs the real nodes as processes, with a player beside them, and records what is sent, what comes back, and when.

All messages stay on 127.0.0.1, in a ROS domain that is drawn anew.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from any2any_ros import share
from any2any_ros.encoders import ENCODERS
from any2any_ros.errors import Any2AnyError
from benchmarks.speed import _frames
from benchmarks.speed._outcome import Outcome
from benchmarks.speed._process import cpu_seconds, memory, segments
from benchmarks.speed._section import interruptible

PERIOD = 0.1  # s between two moments of all sensors
READY = 60.0  # s, the longest wait for all nodes
SETTLE = 1.0  # s, wait for the last answers
FASTDDS_DEFAULTS = {  # what our profile sets -> the default of Fast DDS 2.14
    "<segment_size>16777216<": "<segment_size>524288<",
    "<port_queue_capacity>2048<": "<port_queue_capacity>512<",
    "<sendBufferSize>4194304<": "<sendBufferSize>0<",
    "<receiveBufferSize>4194304<": "<receiveBufferSize>0<",
}


@dataclass(frozen=True)
class Plan:
    """What is measured.

    map: folder of the map. modalities: its sensors. moments: measured. profile: of Fast DDS. warm_up: moments before.
    killed: process that is killed after the measured moments ("": none). after: moments after that. only: the one
    process that is started ("": all).
    """

    map: str
    modalities: tuple[str, ...]
    moments: int = 0
    profile: str = "loopback"
    warm_up: int = 10
    killed: str = ""
    after: int = 0
    only: str = ""


def drive(plan: Plan) -> Outcome:
    """Start the nodes, send frames at 10 Hz, and record the outcome."""
    from any2any_ros.nodes import messages
    from benchmarks.speed._player import Player, part

    interruptible()
    outcome, orphans = Outcome(), set()
    parts = [part(m, (_frames.sample(m, frame) for frame in range(1, 1 + _frames.SENT))) for m in plan.modalities]
    with nodes(plan) as (system, began):
        player = Player(parts)
        with player:
            outcome.ready = ready(system, player.node, plan.modalities, began)
            player.play(plan.warm_up, PERIOD)
            before = {n: cpu_seconds(p.pid) for n, p in system.running.items()}
            outcome.sent = player.play(plan.moments, PERIOD)
            elapsed = plan.moments * PERIOD
            outcome.cores = {n: (cpu_seconds(p.pid) - before[n]) / elapsed for n, p in system.running.items()}
            outcome.memory = {n: memory(p.pid) for n, p in system.running.items()}
            if plan.killed:
                orphans = segments(Path(f"/proc/{system.running[plan.killed].pid}/maps").read_text())
                outcome.killed_ns = time.time_ns()
                system.kill(plan.killed)
                outcome.sent += player.play(plan.after, PERIOD)
            time.sleep(SETTLE)
        outcome.answers = [(messages.ranking(message), came) for message, came in player.heard()]
    for segment in orphans:  # 17 MB of the killed process; other processes free their own
        segment.unlink(missing_ok=True)
    return outcome


def start(plan: Plan) -> dict[str, float]:
    """Start the nodes and end them again. Return the seconds until each process was ready."""
    interruptible()
    with nodes(plan) as (system, began):
        import rclpy

        node = rclpy.create_node("watcher")
        try:
            return ready(system, node, plan.modalities, began)
        finally:
            node.destroy_node()


@contextmanager
def nodes(plan: Plan) -> Iterator[tuple[Any, float]]:
    """Start the nodes of the map, and rclpy here. Give the Bringup, and the monotonic time before its first process."""
    from any2any_ros.nodes import runtime, session, topology
    from any2any_ros.nodes.bringup import Bringup

    session.require_ros()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="any2any-bench-")))
        environment = topology.environment(_profile(plan.profile, folder))
        environment |= {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_DOMAIN_ID": str(random.randint(1, 100))}
        os.environ.update(environment)
        runtime.start([])
        import rclpy

        stack.callback(rclpy.try_shutdown)
        processes = topology.place_recognition(plan.map, plan.modalities)
        wanted = [p for p in processes if plan.only in ("", p.name)]
        system = Bringup(wanted, environment, log_folder=folder / "logs")
        stack.callback(system.stop)  # also after an interrupt while the processes start
        began = time.monotonic()
        yield stack.enter_context(system), began


def _profile(name: str, folder: Path) -> str:
    """Return the name or path of a profile. "default": ours with the default sizes of Fast DDS, on 127.0.0.1, too."""
    if name != "default":
        return name
    text = share.find("config", "fastdds_loopback.xml").read_text()
    for ours, theirs in FASTDDS_DEFAULTS.items():
        if ours not in text:
            raise Any2AnyError("Cannot make Fast DDS's default profile", f"ours has no {ours}", "Look at _live.py")
        text = text.replace(ours, theirs)
    (folder / "default.xml").write_text(text)
    return str(folder / "default.xml")


def ready(system: Any, node: Any, modalities: Sequence[str], began: float) -> dict[str, float]:
    """Wait until every node listens, as seen by another process. Return the seconds for each process."""
    topics = {f"{m}_encoder": f"/{ENCODERS.find(m).topic}" for m in modalities}
    topics["retrieval"] = "/embeddings"
    waiting, seconds = {n: topic for n, topic in topics.items() if n in system.running}, {}
    while waiting:
        for name in [n for n, topic in waiting.items() if node.count_subscribers(topic)]:
            seconds[name] = time.monotonic() - began
            del waiting[name]
        if system.ended() or time.monotonic() - began > READY:
            raise Any2AnyError("The nodes do not come up", f"not ready: {', '.join(waiting)}; ended: {system.ended()}",
                               "Start them with any2any bringup and read their messages")  # fmt: skip
        time.sleep(0.005)
    return seconds
