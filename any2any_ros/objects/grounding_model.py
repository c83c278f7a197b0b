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
from numpy.typing import ArrayLike, NDArray

from any2any_ros import encoders, storage
from any2any_ros.arrays import Array, Flags, Names
from any2any_ros.calibration import reliability
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.emma import EMMA, LAYERS
from any2any_ros.objects.views import Objects
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import calibration
from any2any_ros.retrieval.calibration import Calibration, calibrate
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap
from any2any_ros.trust.confidence import ConfidenceConfig

FORMAT = 1
SAID, SEEN = ("speech", "text"), ("camera", "depth")
TABLE = 8  # objects among which a calibration command finds the one it means
SAME_OBJECT = 0.0  # m: two objects are two, however near they are
FOLDS = 5
ABSENT = 0.2  # share of the commands that mean something the robot has not seen
MISSES = (ConfidenceConfig.miss,)
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


# --- calibration ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Tables:
    """Commands (Q) and the objects (R) among which each is asked: right and allowed (Q, R), folds (Q,) by object."""

    reference: ReferenceMap
    queries: ObservationSet
    right: Flags
    allowed: Flags
    folds: NDArray[np.intp]

    @classmethod
    def laid(cls, model: Model, objects: Objects, seed: int) -> Tables:
        """Ask every command among TABLE objects: with all others of its class, or with whatever; both kinds of
        pictures are there, or one of them is missing."""
        names = np.unique(objects.instances)
        reference = _objects(model, objects.observations, objects.instances, names)
        draw, kinds = np.random.default_rng(seed), len(reference) // len(names)
        own = np.searchsorted(names, objects.instances)
        column, kind = np.arange(len(reference)) % len(names), np.arange(len(reference)) // len(names)
        class_of = np.array([objects.classes[objects.instances == n][0] for n in names])
        on_table = np.array([_table(draw, class_of, o) for o in own])[:, column]
        allowed = on_table & (draw.integers(kinds, size=len(own))[:, None] == kind)
        folds = draw.permutation(len(names))[own] % FOLDS
        queries = model.project(objects.observations, model.said)
        return cls(reference, queries, (own[:, None] == column) & allowed, allowed, folds)


def enough(objects: Objects) -> bool:
    """Return whether these objects can lay a table."""
    return len(np.unique(objects.instances)) >= TABLE


def fitted(model: Model, objects: Objects, seed: int = 0) -> Calibration:
    """Learn how far the model's answers can be trusted, from objects it was not trained on."""
    if not enough(objects):
        raise Any2AnyError(
            "Cannot calibrate the heads",
            f"{len(np.unique(objects.instances))} objects are set aside for it, {TABLE} are needed",
            "Give more objects of each class",
        )
    laid = Tables.laid(model, objects, seed)
    return calibrate(
        laid.reference, laid.queries, laid.right, laid.folds, SAME_OBJECT, promises=ConfidenceConfig(lost=ABSENT),
        allowed=laid.allowed, pairs=model.pairs,
    )  # fmt: skip


def judged(model: Model, objects: Objects, seed: int = 0) -> list[dict[str, Any]]:
    """Return figures of a calibrated model on other objects, by what was said, chance among them; "absent": how many
    commands are accepted whose object is not on the table."""
    laid = Tables.laid(model, objects, seed)
    retriever = model.calibrated_or_not().retriever(laid.reference)
    every = np.ones(len(laid.queries), dtype=bool)
    there = reliability.outcomes(retriever, laid.queries, laid.right, every, MISSES, laid.allowed)
    absent = reliability.outcomes(retriever, laid.queries, laid.right, every, (), laid.allowed & ~laid.right)
    rows = reliability.by_pattern(there, MISSES)
    for row in rows:
        row["absent"] = float(np.mean([o.accepted for o in absent if o.pattern == row["pattern"]]))
    return rows


def _objects(model: Model, views: ObservationSet, instances: Names, names: Names) -> ReferenceMap:
    """Return the objects as they are remembered: whole, then seen by one kind of picture alone."""
    mean = {}
    for m, column in model.project(views, model.seen).embeddings.items():
        rows = [column[(instances == n) & views.present(m)] for n in names]
        mean[m] = np.array([_middle(r) for r in rows], dtype=np.float32)
    shown = [tuple(mean), *((m,) for m in mean if len(mean) > 1)]
    columns = {m: np.concatenate([v if m in s else np.full_like(v, np.nan) for s in shown]) for m, v in mean.items()}
    poses = np.tile(np.eye(4), (len(shown) * len(names), 1, 1))
    poses[:, 0, 3] = np.tile(np.arange(len(names)), len(shown))  # apart, wherever they were
    ids = tuple(f"{n} by {'+'.join(s)}" for s in shown for n in names)
    return ReferenceMap(ObservationSet(columns, poses, ids), model.reference_records(), "calibration objects")


def _middle(vectors: Array) -> Array:
    """Return the mean direction (D,) of vectors (N, D) of length 1; NaN of none."""
    if len(vectors) == 0:
        return np.full(vectors.shape[1], np.nan, dtype=np.float32)
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)


def _table(draw: np.random.Generator, class_of: Names, own: int) -> Flags:
    """Return (objects,): which of them stand on a table with the one that is meant, every second time its like."""
    order = draw.permutation(len(class_of))
    alike = (class_of[order] == class_of[own]) & bool(draw.integers(2))
    first = np.concatenate([[own], order[alike & (order != own)], order[~alike & (order != own)]])
    flags = np.zeros(len(class_of), dtype=bool)
    flags[first[:TABLE]] = True
    return flags


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
