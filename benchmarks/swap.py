"""Whether a robot that drives is answered in time while its map is replaced, added to, saved and asked for.

    python benchmarks/swap.py --places 100000 --rounds 5 --json FILE

A retrieval node, in a process of its own, answers at 10 Hz by a map of 10,000 places with three sensors of 256
dimensions. Then a service is called, and the node answers meanwhile: ~/load_map with a larger map that nobody has
opened; the same map once more, which has been prepared now; ~/add_place, ~/rank and ~/save_map of the larger map.

Latency is the time from the last embedding of a moment until its ranking has arrived here. A moment is skipped when no
ranking comes, partial when the ranking lacks a sensor, and late when it takes longer than one cycle (0.1 s). What else
runs on the machine counts too: `--busy 2` adds two processes that do nothing but use a processor. `--priority -10`
takes the processor from other users of the machine, if one may do so.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from printing import print_table

from any2any_ros import files
from any2any_ros.arrays import unit
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.observation import Embedding, ObservationSet
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap

SENSORS = ("audio", "camera", "lidar")
SMALL, DIMENSION = 10_000, 256
PERIOD = 0.1  # s between two moments
WARM_UP = 1.0  # s driven before anything is measured
PATIENCE = 300.0  # s that a service may take
PHASES = ("before", "during", "after")
COLUMNS = ("moments", "skipped", "partial", "late", "p50", "p99", "max")
BUSY = "while True: pass"


def write_map(folder: Path, places: int, dimension: int = DIMENSION, seed: int = 0) -> None:
    """Write a calibrated map of random places on a line."""
    draw = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (places, 1, 1))
    poses[:, 0, 3] = 10.0 * np.arange(places)
    columns = {m: unit(draw.normal(size=(places, dimension)).astype(np.float32)) for m in SENSORS}
    records = {m: EncoderRecord(m, f"{m}-1", dimension) for m in SENSORS}
    ids = tuple(f"{folder.name}/{i:07d}" for i in range(places))
    reference_map.save(ReferenceMap(ObservationSet(columns, poses, ids), records, folder.name), folder)
    fusion = LikelihoodRatio(np.eye(len(SENSORS)) * 20, np.zeros((len(SENSORS), len(SENSORS))))
    calibration.save(Calibration(fusion, None, {m: f"{m}-1" for m in SENSORS}, 5.0), folder)


@dataclass
class Call:
    """One call of a service: its reply, the seconds until it came, and by phase the latencies in ms (inf: skipped) and
    how many rankings were partial."""

    reply: Any
    seconds: float
    latency: dict[str, list[float]] = field(default_factory=dict)
    partial: dict[str, int] = field(default_factory=dict)


class Driver:
    """Sends embeddings at 10 Hz, and notes when their rankings come."""

    def __init__(self, dimension: int = DIMENSION) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        import any2any_ros.msg as msg

        self.node = rclpy.create_node("driver")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._publisher = self.node.create_publisher(msg.Embedding, "embeddings", 10)
        self._sent: dict[int, float] = {}
        self._came: dict[int, float] = {}
        self._whole: set[int] = set()
        self._draw, self._dimension = np.random.default_rng(1), dimension
        self.node.create_subscription(msg.Ranking, "matches", self._receive, 100)
        self._spin(PATIENCE, lambda: self._publisher.get_subscription_count() and self.node.count_publishers("matches"))
        self._drive(WARM_UP, lambda: False)

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()

    def call(self, kind: Any, name: str, around: float, **request: Any) -> Call:
        """Call a service while driving. around: s that are driven before and after it."""
        client = self.node.create_client(kind, f"/retrieval/{name}")
        self._spin(PATIENCE, client.service_is_ready)
        stamps = {"before": self._drive(around, lambda: False)}
        began, future = time.monotonic(), client.call_async(kind.Request(**request))
        stamps["during"] = self._drive(PATIENCE, future.done)
        seconds = time.monotonic() - began
        stamps["after"] = self._drive(around, lambda: False)
        sent = [stamp for phase in stamps.values() for stamp in phase]
        self._spin(2.0, lambda: all(stamp in self._came for stamp in sent))
        if not future.done():
            raise Any2AnyError(f"~/{name} does not reply", f"not within {PATIENCE:g} s", "Read the node's log")
        latency = {phase: [self._latency(s) for s in of] for phase, of in stamps.items()}
        partial = {phase: len((set(of) & set(self._came)) - self._whole) for phase, of in stamps.items()}
        return Call(future.result(), seconds, latency, partial)

    def _drive(self, seconds: float, done: Callable[[], bool]) -> list[int]:
        """Send moments for so many seconds, or until `done`; return their stamps in ns."""
        stamps, began = [], time.monotonic()
        while not done() and time.monotonic() < began + seconds:
            stamps.append(self._send())
            self._spin(began + len(stamps) * PERIOD - time.monotonic(), lambda: False)
        return stamps

    def _send(self) -> int:
        from any2any_ros.nodes import messages

        stamp = time.time_ns()
        for m in SENSORS:
            vector = self._draw.normal(size=self._dimension).astype(np.float32)
            self._publisher.publish(messages.embedding_message(Embedding(m, vector, stamp, "", f"{m}-1"), 0.0))
        self._sent[stamp] = time.monotonic()
        return stamp

    def _receive(self, message: Any) -> None:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        self._came.setdefault(stamp, time.monotonic())
        if list(message.modalities) == list(SENSORS):
            self._whole.add(stamp)

    def _latency(self, stamp: int) -> float:
        return 1000 * (self._came.get(stamp, float("inf")) - self._sent[stamp])

    def _spin(self, seconds: float, done: Callable[[], Any]) -> None:
        deadline = time.monotonic() + seconds
        while not done() and (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, 0.05))


@contextmanager
def running(folder: Path, dimension: int = DIMENSION, niceness: int = 0) -> Iterator[Driver]:
    """Start a retrieval node with the map in `folder`; give a driver that it answers. niceness: of both."""
    import rclpy

    from any2any_ros.nodes import runtime, topology
    from any2any_ros.nodes.bringup import Bringup

    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="any2any-swap-")))
        environment = topology.environment("loopback") | {"ROS_DOMAIN_ID": str(random.randint(1, 100))}
        os.environ.update(environment)
        runtime.start([])
        stack.callback(rclpy.try_shutdown)
        node = topology.Process("retrieval_node", "retrieval", {"map": str(folder), "device": "cpu"})
        system = stack.enter_context(Bringup([node], environment, log_folder=logs))
        if niceness:
            stack.callback(_prefer, os.getpid(), 0)
            for process in (os.getpid(), system.running["retrieval"].pid):
                _prefer(process, niceness)
        yield stack.enter_context(Driver(dimension))


def _prefer(process: int, niceness: int) -> None:
    """Set the niceness of a process's session, which counts beside other sessions; that of a process counts inside."""
    with suppress(OSError):  # a kernel without groups of sessions
        Path(f"/proc/{process}/autogroup").write_text(str(niceness))


def calls(driver: Driver, small: Path, large: Path, around: float) -> Iterator[tuple[str, Call]]:
    """Call each service once while driving."""
    import any2any_ros.srv as srv

    shutil.rmtree(large / "shards", ignore_errors=True)
    yield "load_map, first opening", driver.call(srv.LoadMap, "load_map", around, path=str(large))
    yield "load_map, small", driver.call(srv.LoadMap, "load_map", around, path=str(small))
    yield "load_map, later opening", driver.call(srv.LoadMap, "load_map", around, path=str(large))
    yield "rank", driver.call(srv.Rank, "rank", around)
    yield "add_place", driver.call(srv.AddPlace, "add_place", around)
    with tempfile.TemporaryDirectory(dir=large.parent) as saved:
        yield "save_map", driver.call(srv.SaveMap, "save_map", around, path=saved)


def row(what: str, found: Sequence[Call]) -> dict[str, Any]:
    """Return the figures of several rounds of one call: ms, moments, and s until the reply."""
    figures: dict[str, Any] = {"call": what, "seconds": [round(one.seconds, 2) for one in found]}
    for phase in PHASES:
        values = np.concatenate([one.latency[phase] for one in found])
        answered = values[np.isfinite(values)]
        p50, p99, most = np.percentile(answered, [50, 99, 100]).round(1).tolist() if len(answered) else (None,) * 3
        figures[phase] = {
            "moments": len(values), "skipped": len(values) - len(answered),
            "partial": sum(one.partial[phase] for one in found), "late": int((answered > 1000 * PERIOD).sum()),
            "p50": p50, "p99": p99, "max": most,
        }  # fmt: skip
    return figures


def shown(figures: dict[str, Any]) -> Iterator[list[object]]:
    for phase in PHASES:
        seconds = f"{np.median(figures['seconds']):.1f}" if phase == "during" else ""
        yield [figures["call"], seconds, phase, *(figures[phase][name] for name in COLUMNS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=100_000, help="places of the larger map")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--around", type=float, default=4.0, help="seconds driven before and after each call")
    parser.add_argument("--busy", type=int, default=0, help="processes that use a processor meanwhile")
    parser.add_argument("--priority", type=int, default=0, help="niceness of the node and this program")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    found: dict[str, list[Call]] = {}
    with tempfile.TemporaryDirectory(prefix="any2any-swap-") as home:
        small, large = Path(home) / "small", Path(home) / "large"
        write_map(small, SMALL)
        write_map(large, arguments.places)
        for _ in range(arguments.rounds):
            with running(small, niceness=arguments.priority) as driver:
                busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(arguments.busy)]
                try:
                    for what, one in calls(driver, small, large, arguments.around):
                        if one.reply.error_code:
                            print(f"{what}: {one.reply.error_msg}", file=sys.stderr)
                        found.setdefault(what, []).append(one)
                finally:
                    for process in busy:
                        process.kill()
    rows = [row(what, of_call) for what, of_call in found.items()]
    print_table(("call", "s", "phase", *COLUMNS), [line for figures in rows for line in shown(figures)])
    if arguments.json:
        files.write_json(arguments.json, {**vars(arguments), "json": None, "load": os.getloadavg(), "rows": rows})


if __name__ == "__main__":
    main()
