"""What today's code answers about a sample of test/formats/: questions in, answers out, by the name of the sample.

Every function takes the path of the sample (a folder, or fitted state without its suffix) and the questions of its
.answers.json. scripts/write_format_samples.py writes what they return; test_formats.py compares it.
"""

import json
from unittest import mock

import numpy as np

from any2any_ros import storage
from any2any_ros.alignments import CSA
from any2any_ros.fusion import FUSIONS
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.geometry.registration import Registration
from any2any_ros.learning.cox_model import COX
from any2any_ros.objects import grounding_model
from any2any_ros.objects.object_memory import ObjectMemory
from any2any_ros.objects.remembered_object import Sighting
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.retrieval import adopted as adopted_sensors
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval import retriever as retriever_module
from any2any_ros.retrieval.map_folder import SCANS
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.similarity import SameSpace
from any2any_ros.trust.drift import Difference


def answers(path, questions):
    """Return the answers about the sample `path`; its name says what it is: "refined", "fusion-mixture"."""
    return plain(ANSWERS[path.name.split("-")[0]](path, questions))


def plain(value):
    """Return a value as JSON holds it; NaN and infinity are null."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def read(path):
    """Return the questions and the answers that lie beside the sample `path`."""
    content = json.loads(path.with_name(f"{path.name}.answers.json").read_text())
    return content["questions"], content["answers"]


def array(values, dtype=np.float32):
    return np.array(values, dtype=dtype)  # null becomes NaN


def observation(vectors, images=None):
    """Return an observation. images: packed bird's-eye images, as hexadecimal text."""
    shown = {m: np.frombuffer(bytes.fromhex(text), np.uint8) for m, text in (images or {}).items()}
    return Observation({m: array(v) for m, v in vectors.items()}, birds_eye=shown)


def ranked(retriever, question):
    overlaps = question.get("overlaps", {})
    registrations = {id: Registration(np.eye(4), overlap, 0.1, True) for id, overlap in overlaps.items()}
    query = observation(question["observation"], question.get("images"))
    ranking = retriever.rank(query, 4, registrations=registrations)
    return {
        "ids": [m.id for m in ranking.matches],
        "scores": [m.score for m in ranking.matches],
        "probabilities": [m.probability for m in ranking.matches],
        "pair_probabilities": [m.pair_probability for m in ranking.matches],
        "accepted": ranking.accepted,
        "place_set": ranking.place_set,
        "presence": ranking.presence,
    }


def refined(path, questions):
    """A map with scans, whose calibration has fitted what their overlap is worth."""
    retriever = Retriever.open(path)
    fitted, scans = retriever.calibration.refiner, Clouds(retriever.reference.part(SCANS, path))
    return {
        "rankings": [ranked(retriever, q) for q in questions["rankings"]],
        "evidence": vars(fitted.evidence),
        "recall": [fitted.summary["recall@1"], fitted.summary["refined_recall@1"]],
        "scans": {id: scans.scan(id).points for id in questions["scans"]},
    }


def aligned(path, questions):
    """A map with bird's-eye images, whose calibration has fitted what their alignment is worth."""
    retriever = Retriever.open(path)
    fitted, rows = retriever.calibration.alignment, []
    for question in questions["rankings"]:
        query = observation(question["observation"], question.get("images"))
        best = retriever.rank(query, 4).matches[0]
        rows.append(ranked(retriever, question) | {"overlap": best.overlap, "pose": best.pose})
    return {"rankings": rows, "evidence": vars(fitted.evidence), "sensor": fitted.summary["sensor"]}


def imputed(path, questions):
    """A map whose calibration has an imputer."""
    retriever, vectors = Retriever.open(path), {m: array(v) for m, v in questions["latent"].items()}
    count = len(next(iter(vectors.values())))
    places = ObservationSet(vectors, np.full((count, 4, 4), np.nan), tuple(map(str, range(count))))
    return {
        "rankings": [ranked(retriever, q) for q in questions["rankings"]],
        "latent": retriever.imputer.extend(places).embeddings["~latent"],
    }


def adopted(path, questions):
    """A map that has adopted a sensor, as a whole map and as a large one, whose shards lie beside it."""
    found = {}
    for size, limit in (("whole", len(reference_map.load(path)) + 1), ("by shards", questions["large"])):
        with mock.patch.object(retriever_module, "LARGE", limit), mock.patch.object(reference_map, "LARGE", limit):
            retriever = Retriever.open(path)
            sensor = adopted_sensors.load(path)["thermal"].retriever(retriever.reference)
            found[size] = {
                "known": [ranked(retriever, q) for q in questions["known"]],
                "own": [ranked(sensor, q) for q in questions["own"]],
            }
    return found | {"report": adopted_sensors.load(path)["thermal"].report}


def model(path, questions):
    """A model of objects; its rankings are of the objects in the memory beside it."""
    trained = grounding_model.load(path)
    memory = ObjectMemory.load(path.parent / "objects", trained.reference_records())
    retriever = Retriever(memory.as_map(), trained.calibrated_or_not())
    projected = [
        {m: trained.heads.project(m, array([v]))[0] for m, v in q["observation"].items()} for q in questions["rankings"]
    ]
    return {
        "fingerprints": {m: trained.fingerprint(m) for m in questions["vectors"]},
        "vectors": {m: trained.heads.project(m, array(v)) for m, v in questions["vectors"].items()},
        "rankings": [ranked(retriever, {"observation": vectors}) for vectors in projected],
    }


def objects(path, questions):
    """A memory of objects, by the encoders of the model beside it."""
    records = grounding_model.load(path.parent / "model").reference_records()
    memory = ObjectMemory.load(path, records)
    remembered = [
        {"id": o.id, "low": o.low, "high": o.high, "seen_ns": o.seen_ns, "sightings": o.sightings, "missed": o.missed,
         "vectors": {m: o.vector(m) for m in records}} for o in memory.everything
    ]  # fmt: skip
    believed = reference_map.load(path).places.ids
    far = Sighting({"camera": array(questions["new"])}, np.full(3, 90.0), np.full(3, 91.0))
    return {"objects": remembered, "believed": believed, "next": memory.see([far], 1)[0].id}


def fusion(path, questions):
    fitted, similarity = storage.load(path, FUSIONS), array(questions["similarity"])
    return {"score": fitted.score(similarity), "pair_probability": fitted.pair_probability(similarity)}


def csa(path, questions):
    fitted, x, y = storage.load(path, CSA), *(array(questions[side], np.float64) for side in ("query", "reference"))
    return {"query": fitted.query(x), "reference": fitted.reference(y), "similarity": fitted.similarity(x, y)}


def same_space(path, questions):
    return {"query": storage.load(path, SameSpace).query(array(questions["query"]))}


def drift(path, questions):
    fitted = storage.load(path, Difference)
    return {"distance": fitted.distance(array(questions["window"])), "limit": fitted.limit}


def views(path, questions):
    stored = storage.load(path, ObjectViews)
    return {name: getattr(stored, name) for name in ("ids", "classes", "instances", "encoders", "embeddings")}


def cox(path, questions):
    fitted, new = storage.load(path, COX), array(questions["new"])
    return {
        "classes": fitted.classes, "posterior": fitted.posterior(new), "agreement": fitted.agreement,
        "projected": {m: fitted.project(new, m) for m in fitted.modalities},
        "known_posterior": {m: fitted.known_posterior(array(v), m) for m, v in questions["known"].items()},
    }  # fmt: skip


ANSWERS = {
    f.__name__: f
    for f in (refined, aligned, imputed, adopted, model, objects, fusion, csa, same_space, drift, views, cox)
}  # fmt: skip
