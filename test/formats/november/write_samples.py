"""Writes the samples of this folder, except the map. It runs with commit ce04c12 only: see README.md.

Every sample NAME (a folder, or fitted state in NAME.npz and NAME.json) has its questions and the answers of that commit
in NAME.answers.json.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from worlds import a_map, half, head, places, views

from any2any_ros import plugins
from any2any_ros.config import PlaceConfig
from any2any_ros.methods import cox, csa
from any2any_ros.methods.confidence import ConfidenceConfig
from any2any_ros.methods.drift import Difference
from any2any_ros.methods.emma import EMMA
from any2any_ros.methods.registration import Registration
from any2any_ros.observation import Observation
from any2any_ros.retrieval import adoption, calibration, grounding, kept_shards, reference_map
from any2any_ros.retrieval import retriever as retriever_module
from any2any_ros.retrieval.adoption import AdoptionConfig
from any2any_ros.retrieval.calibration import CalibrationConfig, open_map
from any2any_ros.retrieval.clouds import Clouds
from any2any_ros.retrieval.geometry import GeometryConfig
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.object_memory import ObjectMemory, Sighting
from any2any_ros.retrieval.similarity import SameSpace
from any2any_ros.tools import calibrate
from any2any_ros.tools.adopt import adopt

PROMISES = ConfidenceConfig(min_queries=20)
PLACE = PlaceConfig()


# --- questions and answers --------------------------------------------------------------------------------------------


def plain(value):
    """Return a value as JSON holds it; NaN is null."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def write(path, questions, answers):
    text = json.dumps({"questions": plain(questions), "answers": plain(answers)}, allow_nan=False)
    path.with_name(f"{path.name}.answers.json").write_text(text + "\n")


def ranked(retriever, question):
    observation = Observation({m: np.array(v, dtype=np.float32) for m, v in question["observation"].items()})
    overlaps = question.get("overlaps", {})
    laid = {id: Registration(np.eye(4), overlap, 0.1, True) for id, overlap in overlaps.items()}
    r = retriever.rank(observation, 4, laid=laid)
    return {
        "ids": [m.id for m in r.matches],
        "scores": [m.score for m in r.matches],
        "probabilities": [m.probability for m in r.matches],
        "pair_probabilities": [m.pair_probability for m in r.matches],
        "accepted": r.accepted,
        "place_set": r.place_set,
        "presence": r.presence,
    }


def observations(drive, patterns, rows=(3, 17, 30)):
    return [{"observation": {m: drive.embeddings[m][row] for m in p}} for p in patterns for row in rows]


# --- samples ----------------------------------------------------------------------------------------------------------


def refined(path):
    """A map with scans, whose calibration has learnt what their overlap is worth."""
    reference, drive = a_map({"camera": 6, "lidar": 6}, 48)
    reference_map.save(reference, path)
    draw = np.random.default_rng(1)
    scans = {f"map/{i:03d}": draw.uniform(-20, 20, size=(60, 3)) for i in range(4)}
    for id, points in scans.items():
        Clouds(path).add(id, points)

    def lay(wanted):
        overlaps = np.clip(np.random.default_rng(2).normal(0.3, 0.1, size=(48, 48)) + 0.3 * np.eye(48), 0, 1)
        return {q: {int(r): float(overlaps[q, r]) for r in rows} for q, rows in wanted.items()}

    fusion = CalibrationConfig(fusion="likelihood_ratio")
    fitted = calibrate.fit(reference, drive, PLACE, fusion, PROMISES, GeometryConfig(candidates=3), lay)
    calibration.save(fitted, path)
    questions = observations(drive, (["camera"], ["camera", "lidar"]))
    questions += [q | {"overlaps": {"map/003": 0.7, "map/017": 0.4, "map/030": 0.2}} for q in questions]
    _, retriever, found = open_map(path, 5.0)
    answers = {
        "rankings": [ranked(retriever, q) for q in questions],
        "evidence": vars(found.check.evidence),
        "recall": [found.check.summary["recall@1"], found.check.summary["checked_recall@1"]],
        "scans": {id: Clouds(path).scan(id).points for id in scans},
    }
    write(path, {"rankings": questions, "scans": list(scans)}, answers)


def imputed(path):
    """An incomplete map, whose calibration has an imputer."""
    reference, drive = a_map({"camera": 6, "lidar": 5, "text": 4}, 40, missing=0.3)
    reference_map.save(reference, path)
    calibration.save(calibrate.fit(reference, drive, PLACE, CalibrationConfig("mixture", "calmrl"), PROMISES), path)
    questions = observations(drive, (["camera"], ["lidar", "text"], ["camera", "lidar", "text"]))
    _, retriever, found = open_map(path, 5.0)
    latent = found.imputer.impute(drive).embeddings["~latent"][:5]
    known = {m: v[:5] for m, v in drive.embeddings.items()}
    answers = {"rankings": [ranked(retriever, q) for q in questions], "latent": latent}
    write(path, {"rankings": questions, "latent": known}, answers)


def adopted(path):
    """A map that has adopted a sensor; opened as a large map, so that its shards and the sensor's lie beside it."""
    reference, drive = a_map({"camera": 6, "lidar": 6}, 144)
    reference_map.save(reference, path)
    fusion = CalibrationConfig(fusion="likelihood_ratio")
    calibration.save(calibrate.fit(reference, drive, PLACE, fusion, PROMISES), path)
    frames = places({"camera": 6, "lidar": 6, "thermal": 5}, 144, "second", 0.5)
    blind = replace(frames, poses=np.full_like(frames.poses, np.nan))
    new = EncoderRecord("thermal", "thermal-1", 5, {"across": 0.8})
    _, retriever, _ = open_map(path, 5.0)
    adoption.save(
        adopt(reference, retriever, blind, "thermal", new, PLACE, AdoptionConfig(min_pairs=20), fusion, PROMISES), path
    )
    known, own = observations(drive, (["camera"], ["camera", "lidar"])), observations(frames, (["thermal"],))
    write(path, {"known": known, "own": own, "large": 100}, adopted_answers(path, known, own))


def adopted_answers(path, known, own):
    """Return what the map and the sensor answer: whole, and by their shards."""
    answers = {}
    for size, limit in (("whole", 50_000), ("by shards", 100)):
        for module in (retriever_module, reference_map):
            module.LARGE = limit
        reference, retriever, _ = open_map(path, 5.0)
        sensor = adoption.load(path)["thermal"].retriever(reference)
        answers[size] = {
            "known": [ranked(retriever, q) for q in known],
            "own": [ranked(sensor, q) for q in own],
        }
    for module in (retriever_module, reference_map):
        module.LARGE = 50_000
    for lock in path.rglob(kept_shards.LOCK):
        lock.unlink()
    return answers | {"report": adoption.load(path)["thermal"].report}


def model_and_objects(path):
    """A calibrated model of objects, and a memory of objects that it has seen."""
    modalities = ("text", "speech", "camera", "depth")
    heads = {m: head(m) for m in modalities}
    emma = EMMA(
        half({m: h[0] for m, h in heads.items()}), half({m: h[1] for m, h in heads.items()}),
        half({k: v for h in heads.values() for k, v in h[2].items()}),
        half({k: v for h in heads.values() for k, v in h[3].items()}),
    )  # fmt: skip
    model = grounding.Model(emma, {m: EncoderRecord(m, f"{m}-1", 7, {"size": 7}) for m in modalities})
    grounding.save(replace(model, calibration=grounding.fitted(model, views(1))), path / "model")

    model, seen = grounding.load(path / "model"), views(2)
    memory = ObjectMemory(model.reference_records())
    shown = model.project(seen.observations, model.seen)
    for stamp, rows in enumerate((range(0, 24, 2), range(1, 20, 2), range(20, 24))):
        sightings = [
            Sighting(
                shown.observation(row).embeddings, np.array([row // 2, 0, 0.5]), np.array([row // 2 + 0.1, 0.1, 1])
            )
            for row in rows
        ]
        memory.see(sightings, 10**9 * stamp, lambda objects: [True] * len(objects))
    memory.save(path / "objects")

    memory = ObjectMemory.load(path / "objects", model.reference_records())
    said = model.project(seen.observations, model.said)
    patterns = (["text"], ["speech"], ["speech", "text"])
    commands = [{"observation": {m: seen.embeddings[m][row] for m in p}} for p in patterns for row in (0, 9)]
    projected = [{"observation": {m: said.embeddings[m][row] for m in p}} for p in patterns for row in (0, 9)]
    retriever = model.calibrated_or_not().retriever(memory.as_map())
    vectors = {m: v[:4] for m, v in seen.embeddings.items()}
    answers = {
        "fingerprints": {m: model.fingerprint(m) for m in modalities},
        "vectors": {m: model.heads.project(m, v) for m, v in vectors.items()},
        "rankings": [ranked(retriever, q) for q in projected],
    }
    write(path / "model", {"vectors": vectors, "rankings": commands}, answers)
    remembered = [
        {"id": o.id, "low": o.low, "high": o.high, "seen_ns": o.seen_ns, "sightings": o.sightings, "missed": o.missed,
         "vectors": {m: o.vector(m) for m in shown.modalities}} for o in memory.everything
    ]  # fmt: skip
    believed, new = memory.as_map().places.ids, shown.embeddings["camera"][0]
    (last,) = memory.see([Sighting({"camera": new}, np.full(3, 90.0), np.full(3, 91.0))], 1)
    write(path / "objects", {"new": new}, {"objects": remembered, "believed": believed, "next": last.id})


def states(path):
    """Fitted states that the other samples lack."""
    draw = np.random.default_rng(0)
    similarity, positive = draw.normal(size=(12, 20, 2, 3)), draw.random((12, 20)) < 0.2
    similarity += positive[..., None, None]
    similarity[draw.random(similarity.shape) < 0.1] = np.nan
    asked = similarity[:2].astype(np.float32)
    for plug in plugins.names("methods"):
        cls = plugins.find("methods", plug)
        if hasattr(cls, "score"):
            plugins.save(cls.fit(similarity, positive), path / f"fusion-{plug}")
            fusion = plugins.load(path / f"fusion-{plug}")
            answers = {"score": fusion.score(asked)}
            if hasattr(fusion, "pair_probability"):
                answers["pair_probability"] = fusion.pair_probability(asked)
            write(path / f"fusion-{plug}", {"similarity": asked}, answers)

    x, y = draw.normal(size=(40, 5)), draw.normal(size=(40, 4))
    y[:, :3] += x[:, :3]
    plugins.save(csa.fit(x, y), path / "csa")
    alignment, pair = plugins.load(path / "csa"), {"query": x[:3], "reference": y[:4]}
    sides = {"query": alignment.query(x[:3]), "reference": alignment.reference(y[:4])}
    write(path / "csa", pair, sides | {"similarity": alignment.similarity(x[:3], y[:4])})
    plugins.save(SameSpace(), path / "same_space")
    same, few = plugins.load(path / "same_space"), x[:3].astype(np.float32)
    write(path / "same_space", {"query": few}, {"query": same.query(few)})

    plugins.save(Difference.fit(draw.normal(size=(200, 6)).cumsum(axis=0).astype(np.float32) / 9), path / "drift")
    drift, window = plugins.load(path / "drift"), draw.normal(size=(10, 6)).astype(np.float32)
    write(path / "drift", {"window": window}, {"distance": drift.distance(window), "limit": drift.limit})

    objects = views(3)
    plugins.save(objects, path / "views")
    again = plugins.load(path / "views")
    names = {name: getattr(again, name) for name in ("ids", "classes", "instances", "encoders", "embeddings")}
    write(path / "views", {}, names)

    whole = objects.take(objects.observations.present("depth"))
    known = whole.observations.only(["camera", "depth"])
    pairs = np.stack([np.arange(12), np.arange(12)], axis=1)
    plugins.save(cox.fit(whole.embeddings["speech"], known, pairs, whole.classes), path / "cox")
    model, new = plugins.load(path / "cox"), whole.embeddings["speech"][:4]
    answers = {
        "classes": model.classes, "posterior": model.posterior(new), "agreement": model.agreement,
        "projected": {m: model.project(new, m) for m in model.modalities},
        "known_posterior": {m: model.known_posterior(known.embeddings[m][:4], m) for m in model.modalities},
    }  # fmt: skip
    write(path / "cox", {"new": new, "known": {m: v[:4] for m, v in known.embeddings.items()}}, answers)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    refined(out / "refined")
    imputed(out / "imputed")
    adopted(out / "adopted")
    model_and_objects(out)
    states(out / "states")
