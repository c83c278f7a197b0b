"""What most tasks are given: a recording, and the encoders for its modalities."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from any2any_ros import encoders, samples
from any2any_ros.data.bag_reading import is_bag
from any2any_ros.data.bag_topics import recorded_again
from any2any_ros.data.sources import Recording, open_recording
from any2any_ros.encoders import ENCODERS
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import reference_map

Source = str | os.PathLike[str] | Recording
# None: every modality by its default encoder. Names: these modalities only, by their default encoders. A mapping: these
# modalities only, each by an encoder or by the name of one.
EncoderChoice = Mapping[str, str | Encoder] | Iterable[str] | None


def opened(source: Source, map: str | os.PathLike[str] | None = None) -> Recording:
    """Return a recording. A path is opened with defaults; `open_recording` takes a sequence, topics and a pose topic.

    map: folder of the map that it is compared with; a bag is then opened with the topics that the map was made from.
    Raises Any2AnyError when there is nothing at the path that can be read.
    """
    if not isinstance(source, str | os.PathLike):
        return source
    return open_recording(source, topics=topics_of_map(map, source) or None)


def topics_of_map(map: str | os.PathLike[str] | None, source: str | os.PathLike[str]) -> dict[str, str]:
    """Return, by modality, those topics of the map in a folder that a bag has; nothing for another recording."""
    path = Path(source)
    if map is None or not path.exists() or not is_bag(path):
        return {}
    topics = reference_map.load(Path(map)).topics
    return recorded_again(path, topics) if topics else {}


def chosen_encoders(available: Sequence[str], choice: EncoderChoice = None) -> dict[str, Encoder]:
    """Return the encoder of each chosen modality.

    Raises Any2AnyError when a modality is not available, or when its encoder takes another kind of sample.
    """
    named = (
        choice
        if isinstance(choice, Mapping)
        else {m: encoders.default(m) for m in (available if choice is None else choice)}
    )
    refuse_unknown(set(named), available, "Correct the name, or give another recording")
    built = {m: encoders.build(value) if isinstance(value, str) else value for m, value in named.items()}
    for modality, encoder in built.items():
        refuse_kind(modality, type(encoder))
    return built


def refuse_unknown(modalities: set[str], available: Sequence[str], remedy: str) -> None:
    """Raise Any2AnyError when one of the modalities is not available."""
    if not modalities <= set(available):
        raise Any2AnyError(
            f"There is no sensor {', '.join(map(repr, sorted(modalities - set(available))))}",
            f"there are {', '.join(available) or 'none'}",
            remedy,
        )


def refuse_kind(modality: str, encoder: type[Encoder]) -> None:
    """Raise Any2AnyError when the encoder takes another kind of sample than the modality's default encoder."""
    usual = encoders.kind(modality)
    if encoder.plug != usual and usual in ENCODERS.names():
        kind = ENCODERS.find(usual).accepts
        if samples.sensor_of(encoder.accepts) != samples.sensor_of(kind):
            raise Any2AnyError(
                f"Encoder '{encoder.plug}' cannot encode {modality}",
                f"it takes {encoder.accepts}, not {kind}",
                "Choose another",
            )
