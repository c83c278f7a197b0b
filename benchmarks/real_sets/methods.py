"""What is measured: our encoders through encoder and Retriever, and peers, each as answers to the queries of a set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from any2any_ros import encoders
from any2any_ros.arrays import Float64, Rows
from any2any_ros.errors import Any2AnyError
from any2any_ros.plugins import Registry
from any2any_ros.progress import Progress
from any2any_ros.protocols import Encoder
from real_sets.real_set import RealSet

TOP = 20  # answers of a query; the largest k of R@k


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers to the Q queries of a set.

    best (Q, TOP): columns of `RealSet.references`, best first; -1 where there are fewer. milliseconds (Q,): from the
    sample to the ranking. poses (Q, 4, 4): where the robot is, by the first answer; NaN where that is not said.
    note: what a reader should know.
    """

    best: Rows
    milliseconds: Float64
    poses: Float64
    note: str = ""


class Method(Protocol):
    """Answers the queries of sets that suit it."""

    @property
    def name(self) -> str: ...
    @property
    def ours(self) -> bool: ...
    def suits(self, real: RealSet) -> bool:
        """Return whether the method can answer queries of this set."""

    def answer(self, real: RealSet, progress: Progress[Any]) -> Answers:
        """Answer all queries. Raises Any2AnyError when it cannot run here, and says why."""


Fit = Callable[[RealSet, Progress[Any]], Mapping[str, Encoder]]


@dataclass(frozen=True, eq=False)
class Encoded:
    """A method on the library's own road. encoders: by modality; may be fitted on the references of the set."""

    name: str
    modalities: tuple[str, ...]
    encoders: Fit
    ours: bool = True
    note: str = ""

    def suits(self, real: RealSet) -> bool:
        """Return whether the set has all modalities."""
        return set(self.modalities) <= set(real.modalities)

    def answer(self, real: RealSet, progress: Progress[Any]) -> Answers:
        from real_sets import road

        return road.answer(real, self.encoders(real, progress), progress, self.note)


def of_encoder(text: str) -> Encoded:
    """Return the method of our encoders "PLUG[:SETTING=VALUE,...][+PLUG...]".

    Raises Any2AnyError when there is no such encoder or setting.
    """
    built = [_built(part) for part in text.split("+")]
    by_modality = {encoder.modality: encoder for encoder in built}
    return Encoded(text, tuple(sorted(by_modality)), lambda real, progress: by_modality)


def _built(text: str) -> Encoder:
    plug, _, assigned = text.partition(":")
    settings = {}
    for word in filter(None, assigned.split(",")):
        setting, equals, value = word.partition("=")
        if not equals:
            raise Any2AnyError(
                f"Cannot understand '{text}'", f"'{word}' sets nothing", "Write lidar:rings=30,sectors=90"
            )
        settings[setting] = _value(value)
    return encoders.build(plug, settings)


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def by_default(registry: Registry[Encoder] = encoders.ENCODERS) -> list[str]:
    """Return the encoders that a robot's maps may have, as far as this version has them, in the order of the page."""
    return [name for name in ("lidar", "birds_eye", "laser_scan", "laser_submap", "camera", "camera+lidar", "audio")
            if all(part in registry.names() for part in name.split("+"))]  # fmt: skip
