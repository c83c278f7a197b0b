"""The robot around the nodes: its drivers, its clock, a listener, and the user who calls services."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import rclpy

import any2any_ros.srv as srv
from any2any_ros.data.drive import Drive
from benchmarks.soak.clock import RobotClock
from benchmarks.soak.drivers import Driver
from benchmarks.soak.kinds import SENSORS, TEXT
from benchmarks.soak.listener import Listener
from benchmarks.soak.stack import Stack
from benchmarks.soak.table import Table
from benchmarks.soak.world import World
from benchmarks.speed._player import Part, part

CAPTIONS = 5  # moments from one caption to the next
CALL_LIMIT = 5.0  # s until a service must have answered


@dataclass
class Call:
    """One call of a service: when (monotonic, s), what must come back and what came; None: no answer yet."""

    at: float
    service: str
    path: str
    wanted: str
    code: int | None = None
    seconds: float = 0.0
    text: str = ""

    @property
    def wrong(self) -> bool:
        """Whether the answer is missing or not the one that is wanted."""
        if self.code is None or self.seconds > CALL_LIMIT:
            return True
        return self.wanted != "any" and (self.code == 0) != (self.wanted == "done")


class Agenda:
    """What is to be done, and when (monotonic, s)."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, when: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._entries, (when, next(self._numbers), do))

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        self.at(time.monotonic() + seconds, do)

    def every(self, period: float, do: Callable[[], None], until: float = float("inf")) -> None:
        """Do something now and again every `period` seconds; what was missed is left out."""

        def again() -> None:
            do()
            due = max(start[0] + period, time.monotonic())
            start[0] = due
            if due < until:
                self.at(due, again)

        start = [time.monotonic()]
        again()

    def run(self, until: float) -> None:
        """Do everything in order until that time; what is left is dropped."""
        while self._entries and self._entries[0][0] < until:
            when, _, do = heapq.heappop(self._entries)
            time.sleep(max(0.0, when - time.monotonic()))
            do()
        self._entries.clear()


class Robot:
    """Drivers that send the moments of a drive again and again, and everything that faults act upon."""

    def __init__(self, world: World, parts: Mapping[str, Part], stack: Stack, simulated: bool) -> None:
        self.world, self.stack, self.agenda = world, stack, Agenda()
        self.listener = Listener()
        node = self.listener.node
        self.rogue = rclpy.create_node("rogue")
        self.clock = RobotClock(node, simulated)
        self.drivers = {m: Driver(node, p, self.agenda.later, reliable=m == "audio") for m, p in parts.items()}
        self.table = Table(node, world.table)
        self.calls: list[Call] = []
        self.findings: list[str] = []
        self.rng = np.random.default_rng(0)
        self._clients = {
            name: node.create_client(kind, f"retrieval/{name}")
            for name, kind in {"load_map": srv.LoadMap, "save_map": srv.SaveMap}.items()
        }

    def tick(self, moment: int, stamp_ns: int) -> None:
        """Send the messages of one moment of all sensors; captions come less often."""
        for name in self.rng.permutation(SENSORS):
            self.drivers[name].tick(moment, stamp_ns)
        if moment % CAPTIONS == 0:
            self.drivers[TEXT].tick(moment, stamp_ns)

    def call(self, service: str, path: str, wanted: str) -> None:
        """Call a service of the retrieval node without waiting. wanted: "done", "refused", or "any"."""
        client, call = self._clients[service], Call(time.monotonic(), service, path, wanted)
        self.calls.append(call)

        def done(future: Any) -> None:
            call.seconds = time.monotonic() - call.at
            call.code, call.text = future.result().error_code, future.result().error_msg

        client.call_async(client.srv_type.Request(path=path)).add_done_callback(done)

    def __enter__(self) -> Robot:
        self.listener.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.listener.__exit__(*error)
        self.table.close()
        self.rogue.destroy_node()


def recorded(drive: Drive, first: int) -> dict[str, Part]:
    """Return the messages of all sensors of a drive, from frame `first` on."""
    return {m: part(m, (drive.sample(m, i) for i in range(first, len(drive)))) for m in drive.modalities}
