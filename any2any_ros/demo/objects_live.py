"""Plays the demo of objects to the real node: sends pictures, speech and commands over DDS, records the answers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.data import gold
from any2any_ros.demo.objects_commands import Act, Command, Run
from any2any_ros.errors import Any2AnyError
from any2any_ros.ranking import Ranking
from any2any_ros.sim.tabletop import Frame, voices

if TYPE_CHECKING:
    from any2any_ros.nodes.companion import Companion
    from any2any_ros.nodes.table_player import CameraPlayer, Microphone

READY = 40.0  # s, the longest wait for the node to be up
PATIENCE = 30.0  # s, the longest wait for an answer
SPEAKERS = (0, 8)  # of voices.py: the American accents, for which the recogniser is made
RATE = 2.0  # Hz of the cameras
Box = tuple[NDArray[np.float64], NDArray[np.float64]]  # low and high corner (3,) in the map, m


@dataclass(frozen=True, eq=False)
class Exchange:
    """One command and its answer.

    code: the name of the action's result code. answer: what to tell the user. heard: the words that were understood.
    seconds: from the end of the command (typed: sent, spoken: the last word) to the answer. sound: what was spoken.
    """

    command: Command
    code: str
    answer: str
    heard: str
    ranking: Ranking
    seconds: float
    sound: Path | None = None


@dataclass(frozen=True, eq=False)
class PlayedAct:
    """One act as it was played.

    run: number of the node's start. boxes: what the node remembers at the end, by id. look_seconds: time that the node
    took for each picture, s. noticed: time until the node's status named the cameras that are alive, s.
    """

    act: Act
    run: int
    exchanges: tuple[Exchange, ...]
    boxes: Mapping[str, Box]
    look_seconds: tuple[float, ...]
    noticed: float


def play(
    runs: Sequence[Run], frames: Sequence[Frame], model: Path, out: Path, hearing: str, show: Callable[[str], None]
) -> list[PlayedAct]:
    """Play all runs; sounds and logs are written to `out`.

    model: folder of the heads. hearing: name of the transcriber ("none" without speech). show: called with a line of
    text for every answer. Raises Any2AnyError when the node does not come up or the cameras do not play.
    """
    from any2any_ros.nodes import session

    for part in ("logs", "speech"):
        shutil.rmtree(out / part, ignore_errors=True)
    (out / "speech").mkdir(parents=True)
    played = []
    with session.node("demo", "loopback"):
        for number, run in enumerate(runs):
            with _Stage(number, run, frames, model, out, hearing, show) as stage:
                played += [stage.play(act) for act in run]
    return played


class _Stage:
    """A node that has just been started, two cameras, a microphone, and a user."""

    def __init__(
        self, number: int, run: Run, frames: Sequence[Frame], model: Path, out: Path, hearing: str,
        show: Callable[[str], None],
    ) -> None:  # fmt: skip
        from any2any_ros.nodes import topology
        from any2any_ros.nodes.bringup import Bringup
        from any2any_ros.nodes.companion import Companion
        from any2any_ros.nodes.table_player import CameraPlayer, Microphone

        self._number, self._frames, self._out, self._show = number, frames, out, show
        self.companion: Companion = Companion()
        processes = topology.object_grounding(str(model), hearing=hearing)
        self._system = Bringup(processes, topology.environment("loopback"), None, out / "logs")
        self.camera: CameraPlayer = CameraPlayer(self.companion.node, frames, RATE, run[0].alive)
        self.microphone: Microphone = Microphone(self.companion.node, voices.RATE)

    def __enter__(self) -> _Stage:
        with ExitStack() as stack:
            for part in (self.companion, self._system):
                stack.enter_context(part)
            self._until(lambda: self.companion.is_heard() and self.camera.is_seen, "The node does not come up", READY)
            for player in (self.camera, self.microphone):
                stack.enter_context(player)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def play(self, act: Act) -> PlayedAct:
        """Switch the other cameras off, move once along the table, and give the commands."""
        noticed = self._switch(act.alive)
        before = self.camera.shown
        self._until(
            lambda: self.camera.shown >= before + len(self._frames),
            "The cameras do not play",
            2 * len(self._frames) / RATE + READY,
        )
        exchanges = tuple(self._ask(command) for command in act.commands)
        looks = tuple(self.companion.look_seconds)
        self.companion.look_seconds.clear()
        return PlayedAct(act, self._number, exchanges, dict(self.companion.boxes), looks, noticed)

    def _switch(self, kinds: tuple[str, ...]) -> float:
        self.camera.alive, began = kinds, time.monotonic()
        status = f"sees by {' and '.join(kinds)}"
        self._until(lambda: self.companion.status in (status, f"{status} alone"), f"The node never {status}", READY)
        return time.monotonic() - began

    def _ask(self, command: Command) -> Exchange:
        sound = self._sound(command.text) if command.spoken else None
        ended = [time.monotonic()]
        samples = None if sound is None else gold.sound(sound).samples

        def speak() -> None:
            assert samples is not None
            ended.append(self.microphone.say(samples))

        reply = self.companion.ask("" if command.spoken else command.text, PATIENCE, speak)
        line = f'spoken "{command.text}", heard "{reply.heard}"' if command.spoken else f'typed  "{command.text}"'
        self._show(f"{line}\n    {reply.code}: {reply.text}")
        return Exchange(command, reply.code, reply.text, reply.heard, reply.ranking, reply.arrived - ended[-1], sound)

    def _sound(self, text: str) -> Path:
        """Speak a command into a file; the speakers take turns."""
        number = len(list((self._out / "speech").iterdir()))
        path = self._out / "speech" / f"{number}.wav"
        voices.say(text, SPEAKERS[number % len(SPEAKERS)], path, np.random.default_rng(number))
        return path

    def _until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if self._system.ended() or time.monotonic() > deadline:
                why = f"ended: {dict(self._system.ended()) or 'nothing'}, after at most {seconds:g} s"
                raise Any2AnyError(what, why, f"Read {self._out / 'logs'}/*.log")
            time.sleep(0.05)
