"""One boundary, one input thrown at it, and what counts as a failure."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from any2any_ros.errors import Any2AnyError

from .choices import Choices
from .mutation import mutated

ANSWERS = ("answered", "refused")
UNCHANGED = 0.1  # share of the inputs that are valid


@dataclass(frozen=True)
class Boundary:
    """A place where something from outside enters the program.

    valid: returns a valid input. mutate: returns it with something changed. cross: takes it through the boundary.
    wrong: given the input and the result, says what is wrong with the result; "" for nothing. allowed: the errors that
    the boundary promises. milliseconds: usual CPU time of one input, which decides how many are tried; least: so many
    at least in a campaign. seconds, megabytes: CPU time and memory that one input may take.
    """

    name: str
    valid: Callable[[Choices], Any]
    cross: Callable[[Any], Any]
    wrong: Callable[[Any, Any], str] = lambda given, result: ""
    mutate: Callable[[Choices, Any], Any] = mutated
    allowed: tuple[type[Exception], ...] = (Any2AnyError,)
    milliseconds: float = 0.5
    least: int = 5000
    seconds: float = 1.0
    megabytes: float = 64.0


@dataclass(frozen=True)
class Outcome:
    """What came of one input: answered, refused, or a failure and its description. seconds: of CPU."""

    kind: str
    text: str = ""
    seconds: float = 0.0
    given: Any = None

    @property
    def failed(self) -> bool:
        return self.kind not in ANSWERS


def input_of(boundary: Boundary, data: bytes) -> Any:
    """Return the input that some bytes stand for."""
    choices = Choices(data)
    value = boundary.valid(choices)
    if choices.often(UNCHANGED):
        return value
    for _ in range(choices.one(1, 1, 1, 2, 3, 6)):
        value = boundary.mutate(choices, value)
    return value


def attempt(boundary: Boundary, data: bytes) -> Outcome:
    """Throw one input at a boundary."""
    given = input_of(boundary, data)
    with Memory() as memory:
        outcome = cross(boundary, given)
    if not outcome.failed and memory.grown > boundary.megabytes:
        return replace(outcome, kind="memory", text=f"{memory.grown:.0f} MB, {boundary.megabytes:g} are allowed")
    return outcome


def cross(boundary: Boundary, given: Any) -> Outcome:
    """Take an input through a boundary. Its memory is not measured."""
    began = time.process_time()
    with Alarm(3 * boundary.seconds):
        kind, text = _crossed(boundary, given)
    seconds = time.process_time() - began
    if kind in ANSWERS and seconds > boundary.seconds:
        kind, text = "time", f"{seconds:.1f} s, {boundary.seconds:g} are allowed"
    return Outcome(kind, text, seconds, given)


def _crossed(boundary: Boundary, given: Any) -> tuple[str, str]:
    try:
        result = boundary.cross(given)
        complaint = boundary.wrong(given, result)
    except boundary.allowed as error:
        text = str(error)
        good = not isinstance(error, Any2AnyError) or (text.isprintable() and error.why and error.remedy)
        return ("refused", "") if good else ("unreadable error", repr(text))
    except Overtime as error:
        return "time", str(error)
    except Exception:  # MemoryError, too
        return "exception", traceback.format_exc()
    return ("wrong answer", complaint) if complaint else ("answered", "")


class Overtime(BaseException):
    """An input takes too long. No `except Exception` catches it."""


class Alarm:
    """Raises Overtime after some seconds of CPU time. In the main thread only."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        signal.signal(signal.SIGPROF, self._ring)
        signal.setitimer(signal.ITIMER_PROF, self._seconds)

    def __exit__(self, *error: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        raise Overtime(f"more than {self._seconds:g} s")


# --- memory -----------------------------------------------------------------------------------------------------------

_CLEAR = Path("/proc/self/clear_refs")


class Memory:
    """Measures how far the resident memory of this process grew, at its peak, in MB. Takes a tenth of a millisecond."""

    grown = 0.0

    def __enter__(self) -> Memory:
        try:
            _CLEAR.write_text("5")  # the kernel forgets the peak until now
            self._before = _status("VmRSS")
        except OSError:  # it cannot: growth below an older peak is not seen
            self._before = _status("VmHWM")
        return self

    def __exit__(self, *error: object) -> None:
        self.grown = _status("VmHWM") - self._before


def _status(name: str) -> float:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
