"""What this program stores: maps, calibrations, adopted sensors, models, objects, fitted states, shards.

The valid inputs are the samples of test/formats/today. What opens must then work: an error that comes later is a
failure.
"""

from __future__ import annotations

import warnings
import zipfile
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from any2any_ros import storage
from any2any_ros.alignments import CSA
from any2any_ros.birds_eye.image import PACKED
from any2any_ros.config import AliveConfig, RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.learning.cox_model import COX
from any2any_ros.objects import grounding_model
from any2any_ros.objects.object_memory import ObjectMemory
from any2any_ros.objects.remembered_object import Sighting
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import Embedding, Observation, ObservationSet
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval import retriever as retriever_module
from any2any_ros.retrieval.large import npz
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.similarity import SameSpace
from any2any_ros.trust.drift import Difference
from any2any_ros.workflows import described_objects

from . import folders
from .boundary import Boundary
from .choices import Choices
from .folders import Files, mutated_files, on_disk

SAMPLES = Path(__file__).parents[2] / "formats" / "today"
STATES = ("cox", "csa", "drift", "same_space", "views", *(f"fusion-{name}" for name in (
    "any2any", "best_available", "likelihood_ratio", "min_max", "mixture", "raw_mean", "reciprocal_rank", "z_score",
)))  # fmt: skip
LARGE = 100  # places from which the sample of an adopted sensor counts as a large map


class FailsLater(Exception):
    """What was opened without an error does not work."""


@cache
def sample(name: str) -> Files:
    return folders.read(SAMPLES / name)


def _works(use: Any, *arguments: Any) -> Any:
    try:
        return use(*arguments)
    except Exception as error:
        raise FailsLater(f"{type(error).__name__}: {error}") from error


# --- maps -------------------------------------------------------------------------------------------------------------


def _open_map(folder: Path) -> Any:
    localizer = Localizer(AliveConfig(), RetrievalConfig(), 5.0)
    localizer.open(folder, lambda known: dict.fromkeys(known, 2.0))
    return _works(_use_map, localizer)


def _open_large(folder: Path) -> Any:
    large = (mock.patch.object(module, "LARGE", LARGE) for module in (retriever_module, reference_map))
    with next(large), next(large), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged shards are made again, with a warning
        return _open_map(folder)


def _use_map(localizer: Localizer) -> Any:
    """Do what a node does with a map: rank all sensors, each alone, a request, a new place; save it."""
    reference, draw, rankings = localizer.reference, np.random.default_rng(0), []
    vectors = {m: draw.normal(size=record.dimension) for m, record in reference.sensors.items()}
    for i, (m, vector) in enumerate(vectors.items()):
        embedding = Embedding(m, vector, 10**9 * (i + 1), encoder=reference.sensors[m].fingerprint)
        rankings += localizer.add(embedding, 10**9 * (i + 1))
        image = {m: draw.integers(0, 256, PACKED).astype(np.uint8)} if reference.sensors[m].cell else {}
        rankings.append(localizer.rank(Observation({m: vector}, birds_eye=image)))
    rankings += localizer.flush(10**10)
    rankings.append(localizer.rank(Observation(vectors), 1))
    own = {m: vectors[m][None] for m in reference.encoders}
    if own:
        localizer.add_place(ObservationSet(own, np.eye(4)[None], ("a new place",)))
        rankings.append(localizer.rank(Observation(vectors)))
    return rankings


def wrong_rankings(given: Any, rankings: Any) -> str:
    return next(filter(None, map(wrong_ranking, rankings)), "")


def wrong_ranking(ranking: Any) -> str:
    """Return what is wrong with a ranking; "" for nothing."""
    ids = [match.id for match in ranking.matches]
    if not all(isinstance(i, str) and i for i in ids) or len(set(ids)) != len(ids):
        return f"ids {ids[:5]}"
    for match in ranking.matches:
        if not (np.isnan(match.probability) or 0 <= match.probability <= 1):
            return f"probability {match.probability}"
        if np.isnan(match.score) or np.shape(match.pose) != (4, 4):
            return f"score {match.score}, pose {np.shape(match.pose)}"
        known = np.isfinite(match.pose).all()
        turned = match.pose[:3, :3]
        if not (np.isnan(match.pose).all() or (known and np.allclose(turned @ turned.T, np.eye(3), atol=0.1))):
            return f"pose {match.pose}"
        pairs = np.asarray(match.pair_probability)
        if pairs.shape != (len(ranking.modalities), len(ranking.reference_modalities)):
            return f"pair probabilities {pairs.shape}"
        if not (np.isnan(pairs) | ((pairs >= 0) & (pairs <= 1))).all():
            return f"pair probabilities {pairs}"
    if ranking.accepted and not (ranking.matches and ranking.matches[0].probability > 0):
        return "accepted without a probability"
    return "" if all(isinstance(place, str) for place in ranking.place_set) else "a place set of no ids"


def _map_sample(name: str, choices: Choices) -> Files:
    return sample(name)


def _only(part: str, choices: Choices, files: Files) -> Files:
    """Return the files with one changed whose path holds `part`."""
    inside = {name: data for name, data in files.items() if part in name}
    return {**{n: d for n, d in files.items() if n not in inside}, **mutated_files(choices, inside or files)}


# --- models and objects -----------------------------------------------------------------------------------------------


def _open_model(folder: Path) -> Any:
    model = grounding_model.load(folder)
    return _works(_use_model, model)


def _use_model(model: Any) -> Any:
    memory, draw = ObjectMemory(model.reference_records()), np.random.default_rng(0)
    projected = {
        m: model.heads.project(m, draw.normal(size=(1, record.dimension)).astype(np.float32))[0]
        for m, record in model.records.items()
    }
    retriever = retriever_module.Retriever(memory.as_map(), model.calibrated_or_not())
    return [retriever.rank(Observation({m: projected[m] for m in model.command_modalities}))]


@cache
def _trained() -> Any:
    return grounding_model.load(SAMPLES / "model")


def _open_objects(folder: Path) -> Any:
    memory = ObjectMemory.load(folder, _trained().reference_records())
    return _works(_use_objects, memory)


def _use_objects(memory: ObjectMemory) -> Any:
    model, draw = _trained(), np.random.default_rng(0)
    vector = draw.normal(size=5)
    seen = Sighting({"camera": vector / np.linalg.norm(vector)}, np.full(3, 0.1), np.full(3, 0.2))
    found = memory.see([seen], 1)
    retriever = retriever_module.Retriever(memory.as_map(), model.calibrated_or_not())
    command = {m: draw.normal(size=5) for m in model.command_modalities}
    return [retriever.rank(Observation(command))], found


def _wrong_objects(given: Any, result: Any) -> str:
    rankings, found = result
    if not all(np.isfinite([o.low, o.high]).all() and (o.low <= o.high).all() for o in found):
        return "a box that is none"
    return wrong_rankings(given, rankings)


# --- fitted states, shards, npz ---------------------------------------------------------------------------------------


EXPECTED = {"cox": COX, "csa": CSA, "drift": Difference, "same_space": SameSpace, "views": ObjectViews}


@cache
def _state(name: str) -> bytes:
    return (SAMPLES / "states" / f"{name}.npz").read_bytes()


def _any_state(choices: Choices) -> tuple[str, Files]:
    name = choices.choice(STATES)
    return name, {f"{name}.npz": _state(name)}


def _open_state(given: tuple[str, Files]) -> Any:
    name, files = given
    return on_disk(lambda folder: _works(_saved_again, _loaded(folder / name), folder / "again"))(files)


def _loaded(path: Path) -> Any:
    return storage.load(path, EXPECTED.get(path.name, FUSIONS))


def _saved_again(state: Any, path: Path) -> Any:
    storage.save(state, path)
    return storage.fingerprint(state), storage.fingerprint(storage.load(path, type(state)))


def _wrong_state(given: Any, fingerprints: Any) -> str:
    return "" if fingerprints[0] == fingerprints[1] else "saved and loaded it is another one"


def _changed_state(choices: Choices, given: tuple[str, Files]) -> tuple[str, Files]:
    return given[0], mutated_files(choices, given[1])


def _views() -> Files:
    return {"views.npz": _state("views")}


def _mapped(folder: Path) -> Any:
    found = npz.mapped(folder / "a.npz", ["poses", "camera"])
    return {name: np.array(values) for name, values in found.items()}


@cache
def _plain_npz() -> bytes:
    draw = np.random.default_rng(0)
    return folders.npz({"poses": draw.normal(size=(5, 4, 4)), "camera": draw.normal(size=(5, 7)).astype("f4")})


def _wrong_arrays(given: Any, arrays: Any) -> str:
    return next((f"{n}: {a.dtype}" for n, a in arrays.items() if a.dtype.hasobject), "")


def _scan(folder: Path) -> Any:
    clouds = Clouds(folder)
    known = [name for name in ("square/000000", "square/000001", "a") if name in clouds]
    return [clouds.scan(name) for name in known]


def _places(choices: Choices, files: Files) -> Files:
    """Return the files with one changed that is in no folder."""
    return {**files, **mutated_files(choices, {name: data for name, data in files.items() if "/" not in name})}


MAPS = {  # name -> sample, how it is opened, what is changed
    "places": ("refined", _open_map, _places),
    "calibration": ("refined", _open_map, partial(_only, "calibration/")),
    "images": ("aligned", _open_map, mutated_files),
    "imputer": ("imputed", _open_map, mutated_files),
    "adopted sensor": ("adopted", _open_map, partial(_only, "adopted/")),
    "large": ("adopted", _open_large, mutated_files),
    "shards": ("adopted", _open_large, partial(_only, "shards/")),
}
BROKEN = (Any2AnyError, KeyError, ValueError, OSError, zipfile.BadZipFile)  # what npz.mapped promises

BOUNDARIES = (
    *(
        Boundary(
            f"map: {name}", partial(_map_sample, folder), on_disk(cross), wrong_rankings, change,
            milliseconds=15, seconds=3.0, megabytes=128, least=3000,
        )
        for name, (folder, cross, change) in MAPS.items()
    ),
    Boundary("map: scans", partial(_map_sample, "refined"), on_disk(_scan), mutate=partial(_only, "clouds/")),
    Boundary(
        "model", partial(_map_sample, "model"), on_disk(_open_model), wrong_rankings, mutated_files,
        milliseconds=5, seconds=2.0,
    ),
    Boundary(
        "objects", partial(_map_sample, "objects"), on_disk(_open_objects), _wrong_objects, mutated_files,
        milliseconds=5, seconds=2.0,
    ),
    Boundary("fitted state", _any_state, _open_state, _wrong_state, _changed_state, milliseconds=3),
    Boundary(
        "described objects", lambda c: _views(), on_disk(lambda folder: described_objects.load(folder / "views")),
        mutate=mutated_files, milliseconds=2,
    ),
    Boundary(
        "npz, memory-mapped", lambda c: {"a.npz": _plain_npz()}, on_disk(_mapped), _wrong_arrays, mutated_files,
        allowed=BROKEN, milliseconds=1.0,
    ),
)  # fmt: skip
