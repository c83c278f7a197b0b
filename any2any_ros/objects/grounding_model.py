"""A grounding model: encoders, the heads that project their vectors into one common space, and a calibration.

MODEL/heads.npz        EMMA's heads (objects/heads.py)
MODEL/model.json       the encoder of each modality
MODEL/calibration/     fusion and confidence (retrieval/calibration.py)
MODEL/training.json, curves.png   how it was trained (workflows/training.py)

Commands have the modalities text and speech, objects have camera and depth. Every vector is projected as soon as it is
encoded. From then on objects are references and commands are queries, and the code for places serves objects, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros import declared, files, names, reading, storage
from any2any_ros.arrays import Array
from any2any_ros.errors import Any2AnyError, explained
from any2any_ros.objects.heads import EMMA, LAYERS
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import calibration
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap

FORMAT, HEADER = 1, "model.json"
# What a folder may hold that a model replaces.
PARTS = (HEADER, "heads.*", calibration.FOLDER, f".{calibration.FOLDER}.*", "training.json", "curves.png")
OF_COMMANDS, OF_OBJECTS = ("speech", "text"), ("camera", "depth")
SAME_OBJECT = 0.0  # m: two objects are distinct, however near they are
TRAIN = "Train one: any2any train emma GOLD MODEL"


@dataclass(frozen=True, eq=False)
class ProjectedEncoder:
    """An encoder with its head: encodes samples into the common space."""

    encoder: Encoder
    heads: EMMA
    modality: str
    fingerprint: str

    @property
    def dimension(self) -> int:
        return dims(self.heads, self.modality)

    def encode(self, sample: Any) -> Array:
        """Return a vector (dims,) of length 1. Raises Any2AnyError on a sample that the encoder cannot use."""
        return np.asarray(self.project(self.encoder.encode(sample)[None])[0])

    def project(self, vectors: ArrayLike) -> Array:
        """Return vectors (N, dims) of length 1 for the encoder's vectors (N, D); NaN stays NaN."""
        return self.heads.project(self.modality, np.asarray(vectors, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class Model:
    """Heads, the records of their encoders by modality, and a calibration or None.

    Raises Any2AnyError when these do not belong together.
    """

    heads: EMMA
    records: Mapping[str, EncoderRecord]
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        for modality in self.records:
            names.modality(modality)
        taken = {m: len(mean) for m, mean in self.heads.mean.items()}
        made = {m: r.dimension for m, r in self.records.items()}
        why = ""
        if taken != made:
            why = f"its heads take vectors of {taken} dimensions, its encoders make {made}"
        elif not self.pairs:
            needed = f"one of {', '.join(OF_COMMANDS)} and one of {', '.join(OF_OBJECTS)}"
            why = f"it needs {needed}, and has {', '.join(self.records) or 'none'}"
        elif self.calibration and self.calibration.encoders != self._fingerprints():
            why = "its calibration was made with other heads"
        elif self.calibration and {*self.calibration.pairs} != {*self.pairs}:
            why = f"its calibration compares {self.calibration.pairs}, its heads compare {self.pairs}"
        if why:
            raise Any2AnyError("The model does not fit together", why, TRAIN)

    def _fingerprints(self) -> dict[str, str]:
        return {m: r.fingerprint for m, r in self.reference_records().items()}

    @property
    def command_modalities(self) -> tuple[str, ...]:
        return tuple(m for m in OF_COMMANDS if m in self.records)

    @property
    def object_modalities(self) -> tuple[str, ...]:
        return tuple(m for m in OF_OBJECTS if m in self.records)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return the compared pairs: every command modality with every object modality (Eq. 9)."""
        return tuple((q, r) for q in self.command_modalities for r in self.object_modalities)

    def encoder(self, modality: str) -> ProjectedEncoder:
        """Build one encoder with its head. Raises Any2AnyError when the head was trained with another encoder."""
        record = self.records[modality]
        return ProjectedEncoder(record.build(), self.heads, modality, self.fingerprint(modality))

    def fingerprint(self, modality: str) -> str:
        """Return a name of encoder and head. Vectors of two models may be compared only when it is equal."""
        heads, digest = self.heads, hashlib.sha256(self.records[modality].fingerprint.encode())
        layers = [layer[f"{modality}/{i}"] for i in range(LAYERS) for layer in (heads.weights, heads.biases)]
        for array in (heads.mean[modality], heads.spread[modality], *layers):
            digest.update(array.tobytes())
        return f"emma:{digest.hexdigest()[:16]}"

    def reference_records(self) -> dict[str, EncoderRecord]:
        """Return the records of what makes the vectors of remembered objects, by modality."""
        return {m: EncoderRecord("emma", self.fingerprint(m), dims(self.heads, m)) for m in self.object_modalities}

    def project(self, observations: ObservationSet, modalities: tuple[str, ...]) -> ObservationSet:
        """Return the observations in the common space: vectors (N, dims) for the encoders' vectors (N, D).

        Modalities that are not named in `modalities` are left out.
        """
        columns = {
            m: self.heads.project(m, observations.embeddings[m]) for m in modalities if m in observations.embeddings
        }
        return ObservationSet(columns, observations.poses, observations.ids)

    def calibrated_or_not(self) -> Calibration:
        """Return the calibration; without one, a fusion that ranks but gives no probabilities."""
        return self.calibration or calibration.uncalibrated(
            ReferenceMap(ObservationSet({}, np.empty((0, 4, 4)), ()), self.reference_records()), SAME_OBJECT, self.pairs
        )


def dims(heads: EMMA, modality: str) -> int:
    """Return the number of dimensions of the common space."""
    return len(heads.biases[f"{modality}/{LAYERS - 1}"])


# --- on disk ----------------------------------------------------------------------------------------------------


def save(model: Model, folder: Path) -> None:
    """Write a model to a folder, in place of an older one. Raises Any2AnyError when the folder holds anything else."""
    with files.replacing(folder, PARTS) as home:
        storage.save(model.heads, home / "heads")
        header = {"format": FORMAT, "encoders": {m: asdict(r) for m, r in model.records.items()}}
        files.write_json(home / HEADER, header)
        if model.calibration is not None:
            calibration.save(model.calibration, home)


@dataclass(frozen=True)
class Header:
    """The content of model.json."""

    format: int
    encoders: dict[str, EncoderRecord]


def load(folder: Path) -> Model:
    """Read a model from a folder. Raises Any2AnyError when it is missing or damaged."""
    what = f"Cannot read the model {folder}"
    with explained(what, TRAIN):
        model = files.read_whole(folder, _read)
    if model is None:
        raise Any2AnyError(what, f"it has no {HEADER}", TRAIN)
    return model


def _read(home: Path) -> Model | None:
    if not (home / HEADER).exists():
        return None
    content = reading.json_object(home / HEADER)
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {content['format']}, this program reads {FORMAT}")
    records = declared.build(Header, content).encoders
    return Model(storage.load(home / "heads", EMMA), records, calibration.load(home))
