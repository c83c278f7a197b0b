"""What finds the object that is meant: encoders with heads into one space, and what calibration makes of a likeness.

MODEL/heads.npz, heads.json   EMMA's heads (learning/emma.py)
MODEL/model.json              the encoder of each modality
MODEL/calibration/            fusion and confidence (retrieval/calibration.py)

Said: text, speech. Seen: camera, depth. Every vector is projected as soon as it is encoded, so that the road of places
serves objects, too: objects are references, a command is an observation.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros import encoders, storage
from any2any_ros.arrays import Array
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.emma import EMMA, LAYERS
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import calibration
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap

FORMAT = 1
SAID, SEEN = ("speech", "text"), ("camera", "depth")
SAME_OBJECT = 0.0  # m: two objects are two, however near they are
TRAIN = "Train one: any2any train emma GOLD MODEL"


@dataclass(frozen=True, eq=False)
class Projected:
    """An encoder and its head: encodes into the common space."""

    encoder: Encoder
    heads: EMMA
    modality: str
    fingerprint: str

    @property
    def dimension(self) -> int:
        return dims(self.heads, self.modality)

    def encode(self, sample: Any) -> Array:
        """Return (dims,) of length 1; raise Any2AnyError on a sample that the encoder cannot use."""
        return np.asarray(self.project(self.encoder.encode(sample)[None])[0])

    def project(self, vectors: ArrayLike) -> Array:
        """Return (N, dims) for the encoder's vectors (N, D); NaN stays NaN."""
        return self.heads.project(self.modality, np.asarray(vectors, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class Model:
    """Heads, the encoders below them by modality, and the calibration, where there is one. Raises Any2AnyError where
    these do not belong together."""

    heads: EMMA
    records: Mapping[str, EncoderRecord]
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        widths = {m: len(mean) for m, mean in self.heads.mean.items()}
        why = ""
        if widths != {m: r.dimension for m, r in self.records.items()}:
            why = f"its heads take {widths}, its encoders make { ({m: r.dimension for m, r in self.records.items()}) }"
        elif not self.pairs:
            why = f"of {', '.join(SAID)} and {', '.join(SEEN)} it knows {', '.join(self.records) or 'none'}"
        elif self.calibration and self.calibration.encoders != self._fingerprints():
            why = "its calibration was made for other heads"
        if why:
            raise Any2AnyError("The model does not fit together", why, TRAIN)

    def _fingerprints(self) -> dict[str, str]:
        return {m: r.fingerprint for m, r in self.reference_records().items()}

    @property
    def said(self) -> tuple[str, ...]:
        return tuple(m for m in SAID if m in self.records)

    @property
    def seen(self) -> tuple[str, ...]:
        return tuple(m for m in SEEN if m in self.records)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """What is compared: everything said with everything seen (Eq. 9)."""
        return tuple((q, r) for q in self.said for r in self.seen)

    def encoder(self, modality: str) -> Projected:
        """Build one encoder with its head; raise Any2AnyError where it is not what the head was trained with."""
        record = self.records[modality]
        built = encoders.build(record.plug, record.settings)
        if built.fingerprint != record.fingerprint:
            why = f"the encoder is now {built.fingerprint}, the head was trained with {record.fingerprint}"
            raise Any2AnyError(f"The model cannot use '{modality}'", why, TRAIN)
        return Projected(built, self.heads, modality, self.fingerprint(modality))

    def fingerprint(self, modality: str) -> str:
        """Equal exactly when two vectors of the common space may be compared: encoder and heads."""
        heads, digest = self.heads, hashlib.sha256(self.records[modality].fingerprint.encode())
        layers = [layer[f"{modality}/{i}"] for i in range(LAYERS) for layer in (heads.weights, heads.biases)]
        for array in (heads.mean[modality], heads.spread[modality], *layers):
            digest.update(array.tobytes())
        return f"emma:{digest.hexdigest()[:16]}"

    def reference_records(self) -> dict[str, EncoderRecord]:
        """Return what made the vectors of remembered objects."""
        return {m: EncoderRecord("emma", self.fingerprint(m), dims(self.heads, m)) for m in self.seen}

    def project(self, observations: ObservationSet, modalities: tuple[str, ...]) -> ObservationSet:
        """Return the encoders' vectors (N, D) of these modalities in the common space (N, dims)."""
        columns = {
            m: self.heads.project(m, observations.embeddings[m]) for m in modalities if m in observations.embeddings
        }
        return ObservationSet(columns, observations.poses, observations.ids)

    def calibrated_or_not(self) -> Calibration:
        """Return the calibration, or what can be done without."""
        return self.calibration or calibration.uncalibrated(
            ReferenceMap(ObservationSet({}, np.empty((0, 4, 4)), ()), self.reference_records()), SAME_OBJECT, self.pairs
        )


def dims(heads: EMMA, modality: str) -> int:
    """Return the dimension of the common space."""
    return len(heads.biases[f"{modality}/{LAYERS - 1}"])


# --- on disk ----------------------------------------------------------------------------------------------------


def save(model: Model, folder: Path) -> None:
    """Write a model's folder."""
    storage.save(model.heads, folder / "heads")
    header = {"format": FORMAT, "encoders": {m: asdict(r) for m, r in model.records.items()}}
    storage.write_json(folder / "model.json", header)
    if model.calibration is None:  # another model's must not stay
        shutil.rmtree(folder / calibration.FOLDER, ignore_errors=True)
        shutil.rmtree(folder / calibration.OLD, ignore_errors=True)
    else:
        calibration.save(model.calibration, folder)


def load(folder: Path) -> Model:
    """Read a model's folder; raise Any2AnyError when it is missing or damaged."""
    what = f"Cannot read the model {folder}"
    try:
        header = json.loads((folder / "model.json").read_text())
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']}, this program reads {FORMAT}")
        records = {m: EncoderRecord(**record) for m, record in header["encoders"].items()}
        heads = storage.load(folder / "heads", EMMA)
        return Model(heads, records, calibration.load(folder))
    except FileNotFoundError:
        raise Any2AnyError(what, "it has no model.json", TRAIN) from None
    except Any2AnyError as error:
        raise Any2AnyError(what, error.why, TRAIN) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise Any2AnyError(what, f"{type(error).__name__}: {error}", TRAIN) from error
