"""A map in the hands of a Python user: open one, rank samples, add places, save."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Float64
from any2any_ros.config import AliveConfig, PlaceConfig, RetrievalConfig
from any2any_ros.encoders import see
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Embedding, Observation, Ranking
from any2any_ros.poses import fault
from any2any_ros.protocols import Encoder, gathered
from any2any_ros.retrieval import map_copy
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.samples import NS, Sound, Step
from any2any_ros.samples.validation import validate

Samples = Mapping[str, Any] | Observation


class PlaceMap:
    """Reference places that samples are ranked against. `open_map` and `build_map` make one.

    Where a path is expected, a PlaceMap stands for its folder, as it was saved last.
    """

    def __init__(self, path: str | os.PathLike[str], config: RetrievalConfig = RetrievalConfig()) -> None:
        """path: folder of the map. Raises Any2AnyError when it holds no map, or a damaged one."""
        self.path = Path(path)
        self._encoders: dict[str, Encoder] = {}  # built when the first sample of their modality comes
        self._heard_ns = 0  # when the last sound ended, on a clock of our own
        self._localizer = Localizer(AliveConfig(), config, PlaceConfig.hit_radius)
        self._localizer.open(self.path, lambda modalities: {})

    def __fspath__(self) -> str:
        return str(self.path)

    def __len__(self) -> int:
        return len(self.reference)

    def __repr__(self) -> str:
        state = "calibrated" if self.calibrated else "not calibrated"
        return f"<PlaceMap '{self.name}': {len(self)} places, {', '.join(self.modalities)}, {state}>"

    @property
    def reference(self) -> ReferenceMap:
        """Return the places with their embeddings and poses, and the records of the encoders."""
        assert self._localizer.reference is not None
        return self._localizer.reference

    @property
    def name(self) -> str:
        """Return the name of the map."""
        return self.reference.name

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the modalities whose samples can be ranked, sorted; those of adopted sensors too."""
        return tuple(sorted(self.reference.sensors))

    @property
    def calibrated(self) -> bool:
        """Return whether the map is calibrated. Without calibration every probability is NaN, and none is accepted."""
        return self._localizer.calibrated

    def rank(self, samples: Samples, k: int = RetrievalConfig.k, step: Step | None = None) -> Ranking:
        """Return the k most probable places, best first.

        samples: the samples of one moment by modality, e.g. {"camera": image, "lidar": points, "text": "a church"}. Any
        subset of `modalities` will do; the encoders that made the map encode them. samples/validation.py says what a
        sample of each kind is. An Observation holds embeddings instead. step: when they were taken, for encoders that
        put the samples of the last metres together, such as laser_submap; None: they stand alone. Raises Any2AnyError
        when there is no sample, when the map does not know a modality, and when a sample cannot be used.
        """
        return self._localizer.rank(self.observe(samples, step), RetrievalConfig(k=k).k)

    def observe(self, samples: Samples, step: Step | None = None) -> Observation:
        """Return the embeddings of the samples, as `rank` compares them with the map. Raises as `rank` does.

        step: as in `rank`. On a drive, give each scan with its step to `rank` or to `observe`.
        """
        if isinstance(samples, Observation):
            embeddings = [Embedding(m, vector, samples.stamp_ns) for m, vector in samples.embeddings.items()]
        else:
            embeddings = [self._encode(m, sample, step) for m, sample in samples.items()]
        if not embeddings:
            raise Any2AnyError(
                f"Nothing can be compared with map '{self.name}'",
                "no sample was given",
                f"Give a sample of at least one of {', '.join(self.modalities)}",
            )
        for embedding in embeddings:
            self.reference.validate(embedding)
        if isinstance(samples, Observation):
            return samples
        return Observation.of(embeddings, 0)

    def add(self, samples: Samples, pose: ArrayLike, id: str | None = None, step: Step | None = None) -> str:
        """Add a place, found from the next ranking on; return its id. `save` makes it durable.

        pose (4, 4): the robot's in the map's frame, metres. id: unique; None: one is made up. step: as in
        `rank`. Raises Any2AnyError as `rank` does, when the pose is no pose, and when the map has a place of that id.
        """
        observation, place = self.observe(samples, step), _pose(pose)
        known = set(self.reference.places.ids)
        name = id if id is not None else _free_id(known)
        if name in known:
            raise Any2AnyError(f"Cannot add place '{name}'", f"map '{self.name}' has one", "Give another id, or none")
        self._localizer.add_place(observation.as_set(place, name))
        return name

    def save(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the map; return its folder.

        path: None for the folder it was opened from, where calibration, adopted sensors and scans stay as they are.
        Otherwise a folder to which all of them are copied, in place of an older map. Raises Any2AnyError when it cannot
        be written, and when other files beside an older map would be lost.
        """
        target = self.path if path is None else Path(path)
        map_copy.save(self.reference, self.path, target)
        return target

    def _encode(self, modality: str, sample: Any, step: Step | None) -> Embedding:
        """Encode one sample by the encoder that made this modality of the map."""
        encoder = self._encoder(modality)
        value = validate(encoder.accepts, sample, modality)
        if isinstance(value, Sound):
            value = self._window(encoder, value, modality)
        elif step is not None and encoder.uses_odometry:
            value = gathered(encoder, value, step.stamp_ns, step.odometry)
        seen = see(encoder, value)
        return Embedding(modality, seen.vector, 0, encoder=encoder.fingerprint, birds_eye=seen.birds_eye)

    def _encoder(self, modality: str) -> Encoder:
        record = self.reference.sensors.get(modality)
        if record is None:
            raise Any2AnyError(
                f"Map '{self.name}' does not know '{modality}'",
                f"its modalities are {', '.join(self.modalities)}",
                "Correct the name, build a map with this sensor, or teach it to the map: any2any adopt",
            )
        if modality not in self._encoders:
            self._encoders[modality] = record.build()
        return self._encoders[modality]

    def _window(self, encoder: Encoder, sound: Sound, modality: str) -> Any:
        """Return what a stream's encoder makes of one whole sound, which has nothing to do with the sounds before."""
        seconds = len(sound.samples) / sound.rate
        self._heard_ns += int((seconds + 1) * NS)  # a second of nothing: the encoder begins anew
        window = encoder.gather(sound, self._heard_ns)
        if window is None:
            raise Any2AnyError(
                f"The '{modality}' sample cannot be used",
                f"{seconds:.2f} s of sound are too short for encoder '{encoder.plug}'",
                "Give a longer piece of sound",
            )
        return window


def open_map(path: str | os.PathLike[str], config: RetrievalConfig = RetrievalConfig()) -> PlaceMap:
    """Open the map in a folder. config: where large maps are searched; its k is not used here.

    Raises Any2AnyError when it is missing, damaged, or of another format.
    """
    return PlaceMap(path, config)


def _pose(pose: ArrayLike) -> Float64:
    """Return a pose (4, 4); raise Any2AnyError when it is none."""
    try:
        matrix = np.asarray(pose, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if why := f"its shape is {matrix.shape}" if matrix.shape != (4, 4) else fault(matrix):
        raise Any2AnyError("The pose cannot be used", why, "Give a rigid transform (4, 4) from the robot to the map")
    return matrix


def _free_id(known: set[str]) -> str:
    number = len(known)
    while f"added/{number:06d}" in known:
        number += 1
    return f"added/{number:06d}"
