"""Plays one chapter: starts the nodes, sends moments, lets the faults happen, and notes what is true and what comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from any2any_ros.errors import Any2AnyError
from benchmarks.soak import truth
from benchmarks.soak.actions import ACTIONS, End
from benchmarks.soak.kinds import CYCLE, KINDS, SIMULATED
from benchmarks.soak.ledger import Ledger, Moment
from benchmarks.soak.robot import Call, Robot
from benchmarks.soak.said import Said
from benchmarks.soak.schedule import Chapter, Fault
from benchmarks.soak.stack import Ended, Stack
from benchmarks.soak.table import ASK, LOOK, Command
from benchmarks.soak.world import World
from benchmarks.speed._player import Part

FIRST = 1  # frame of the drive: that before has no sound
READY = 60.0  # s, longest wait for rankings of all sensors
CLOCK = 0.02  # s between two messages on /clock
ON_ITS_WAY = 0.3  # s in which a moment may meet a change that comes after it
POLL = 0.1  # s between two looks at whether processes have ended
MEMORY = 2.0  # s between two looks at the memory of all processes
LAST = 3.0  # s after the last moment, for the last answers

Tell = Callable[["Played", Sequence[Fault]], None]  # takes what has happened so far, and the faults that are active


@dataclass
class Played:
    """What happened in a chapter. All times are monotonic seconds; `began` is the beginning of its schedule.

    faults: all of the schedule. memory: of each node: (time, process id, PSS, RSS in bytes). findings: what the faults
    themselves found wrong. left: why the chapter ended early; "": it did not.
    """

    chapter: Chapter
    began: float = 0.0
    ended: float = 0.0
    faults: tuple[Fault, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    said: Said = field(default_factory=Said)
    memory: dict[str, list[tuple[float, int, int, int]]] = field(default_factory=dict)
    processes: list[Ended] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    jumps: list[float] = field(default_factory=list)
    left: str = ""


class Campaign:
    """Plays a chapter with a robot around the real nodes."""

    def __init__(self, world: World, parts: Mapping[str, Part], chapter: Chapter, logs: Path) -> None:
        self._world, self._parts, self._chapter, self._logs = world, parts, chapter, logs
        self._places = world.right_places()[FIRST:]
        self._moment = 0
        self._active: dict[Fault, End] = {}
        self.played = Played(chapter)

    def play(self, tell: Tell) -> Played:
        """Play the chapter. Ctrl-C ends it early; what has happened until then is returned all the same.

        tell: is called every second. Raises Any2AnyError when the nodes do not come up.
        """
        simulated = self._chapter.clock == SIMULATED
        played, stack = self.played, Stack(self._world, self._logs, simulated)
        with stack, Robot(self._world, self._parts, stack, simulated) as robot:
            played.ledger, played.said, played.calls = robot.listener.ledger, robot.listener.said, robot.calls
            played.commands = robot.table.commands
            played.findings, played.jumps, played.processes = robot.findings, robot.clock.jumps, stack.ended
            try:
                self._await_all_sensors(robot)
                self._run(robot, tell)
            except KeyboardInterrupt:
                played.left = "interrupted"
            finally:
                played.ended = time.monotonic()
                played.began = played.began or played.ended
                for fault in list(self._active):
                    self._end(fault)
                stack.poll()
        played.findings += stack.crashes_in_logs()
        return played

    def _await_all_sensors(self, robot: Robot) -> None:
        """Send moments until rankings use every sensor."""
        deadline = time.monotonic() + READY
        while not (robot.listener.ledger.all_used() and robot.table.answered()):
            if time.monotonic() > deadline or robot.stack.process.poll() is not None:
                why = f"no ranking of all sensors within {READY:g} s"
                raise Any2AnyError("The nodes do not come up", why, f"Read {self._logs}/*")
            robot.agenda.every(CLOCK, robot.clock.publish)
            self._tick(robot)
            robot.table.look(robot.clock.now_ns())  # the first picture takes longest
            robot.agenda.run(time.monotonic() + CYCLE)

    def _run(self, robot: Robot, tell: Tell) -> None:
        played, agenda = self.played, robot.agenda
        robot.clock.on_jump = lambda: robot.listener.ledger.excuse(time.monotonic() - ON_ITS_WAY, truth.CHANGED)
        began = played.began = time.monotonic()
        moved = (replace(f, start=began + f.start, end=began + f.end) for f in self._chapter.faults)
        played.faults = tuple(moved)
        agenda.every(CYCLE, lambda: self._tick(robot))
        agenda.every(CLOCK, robot.clock.publish)
        agenda.every(LOOK, lambda: robot.table.look(robot.clock.now_ns()))
        agenda.every(ASK, lambda: robot.table.ask(truth.excuse_at_the_table(played.faults, time.monotonic())))
        agenda.every(POLL, robot.stack.poll)
        agenda.every(MEMORY, lambda: self._watch(robot))
        agenda.every(1.0, lambda: tell(played, list(self._active)))
        for fault in played.faults:
            agenda.at(fault.start, lambda f=fault: self._begin(robot, f))  # type: ignore[misc]
            agenda.at(fault.end, lambda f=fault: self._end(f))  # type: ignore[misc]
        agenda.run(began + self._chapter.seconds)
        time.sleep(LAST)

    def _tick(self, robot: Robot) -> None:
        now, faults, jumps = time.monotonic(), self.played.faults, robot.clock.jumps
        stamp = robot.clock.now_ns()
        moment = Moment(
            now, stamp, truth.alive(faults, now), truth.sane(faults, now, jumps), truth.excuse(faults, now, jumps),
            self._places[self._moment % len(self._places)],
        )  # fmt: skip
        robot.listener.ledger.send(moment)
        robot.tick(self._moment, stamp)
        self._moment += 1

    def _begin(self, robot: Robot, fault: Fault) -> None:
        if KINDS[fault.kind].disturbs:
            why = truth.KILLED if fault.kind == "retrieval_killed" else truth.CHANGED
            robot.listener.ledger.excuse(time.monotonic() - ON_ITS_WAY, why)
        self._active[fault] = ACTIONS[fault.kind](robot, fault)

    def _end(self, fault: Fault) -> None:
        self._active.pop(fault)()

    def _watch(self, robot: Robot) -> None:
        now = time.monotonic()
        for name, (process, pss, rss) in robot.stack.memory().items():
            self.played.memory.setdefault(name, []).append((now, process, pss, rss))
