"""Write a small sample of everything that this version stores, with what it answers about it, to test/formats/today.

    python scripts/write_format_samples.py

Run it after a change of a format, when the samples of the format before have a folder of their own (CONTRIBUTING.md).
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "test" / "helpers")]

import format_answers  # noqa: E402 - from test/helpers
import scenes  # noqa: E402
from streets import save_with_scans  # noqa: E402

from any2any_ros import storage  # noqa: E402
from any2any_ros.birds_eye import image  # noqa: E402
from any2any_ros.calibration import objects as object_calibration  # noqa: E402
from any2any_ros.calibration.adoption import AdoptionConfig  # noqa: E402
from any2any_ros.calibration.fitting import CalibrationConfig  # noqa: E402
from any2any_ros.calibration.refinement import ScanRegistration  # noqa: E402
from any2any_ros.fusion import FUSIONS  # noqa: E402
from any2any_ros.geometry.refiner import RefinerConfig  # noqa: E402
from any2any_ros.learning import cox, csa  # noqa: E402
from any2any_ros.objects import grounding_model  # noqa: E402
from any2any_ros.objects.grounding_model import Model  # noqa: E402
from any2any_ros.objects.heads import EMMA  # noqa: E402
from any2any_ros.objects.object_memory import ObjectMemory  # noqa: E402
from any2any_ros.objects.remembered_object import Sighting  # noqa: E402
from any2any_ros.objects.views import ObjectViews  # noqa: E402
from any2any_ros.observation import ObservationSet  # noqa: E402
from any2any_ros.retrieval import adopted as adopted_sensors  # noqa: E402
from any2any_ros.retrieval import calibration, reference_map  # noqa: E402
from any2any_ros.retrieval.large import shard_cache  # noqa: E402
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap  # noqa: E402
from any2any_ros.retrieval.retriever import Retriever  # noqa: E402
from any2any_ros.retrieval.similarity import SameSpace  # noqa: E402
from any2any_ros.trust.confidence import ConfidenceConfig  # noqa: E402
from any2any_ros.trust.drift import Difference  # noqa: E402
from any2any_ros.workflows.adopt import AdoptionOptions, NewSensor, adopt_from_frames  # noqa: E402
from any2any_ros.workflows.calibrate import CalibrationOptions, fit  # noqa: E402

RATIO = CalibrationConfig("likelihood_ratio")
LARGE = 100  # places from which the map of `adopted` counts as large, so that it has shards


def write_all(folder: Path) -> None:
    """Write all samples to `folder`, in place of what is there."""
    with threadpool_limits(1), storage.replacing(folder) as out:  # many small fits: one thread is the fastest
        (out / "states").mkdir()
        questions = {"refined": refined(out / "refined"), "imputed": imputed(out / "imputed")}
        questions["aligned"] = aligned(out / "aligned")
        questions |= {"adopted": adopted(out / "adopted"), **model_and_objects(out)}
        questions |= {f"states/{name}": asked for name, asked in states(out / "states").items()}
        for name, asked in questions.items():
            asked = format_answers.plain(asked)
            content = {"questions": asked, "answers": format_answers.answers(out / name, asked)}
            (out / f"{name}.answers.json").write_text(json.dumps(content, allow_nan=False) + "\n")
        for lock in out.rglob(shard_cache.LOCK):
            lock.unlink()


# --- worlds -----------------------------------------------------------------------------------------------------------


def places(modalities, count, lap, noise, missing=0.0):
    """Return `count` places 10 m apart on a square, as one lap sees them: vectors by modality, of these dimensions."""
    draw = np.random.default_rng([len(lap), count])
    latent = np.random.default_rng(count).normal(size=(count, 6))
    side = int(np.ceil(np.sqrt(count)))
    rows, columns = np.divmod(np.arange(count), side)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3], poses[:, 1, 3] = 10.0 * np.where(rows % 2, side - 1 - columns, columns), 10.0 * rows
    vectors = {}
    for m, width in modalities.items():
        seen = latent @ np.random.default_rng(sum(map(ord, m))).normal(size=(6, width))
        vectors[m] = (seen + noise * draw.normal(size=seen.shape)).astype(np.float32)
    off = draw.random((count, len(vectors))) < missing
    off[off.all(axis=1), 0] = False
    for i, vector in enumerate(vectors.values()):
        vector[off[:, i]] = np.nan
    return ObservationSet(vectors, poses, tuple(f"{lap}/{i:03d}" for i in range(count)))


def save_map(path, modalities, count, missing=0.0):
    """Save a map; return it and a drive through it."""
    records = {m: EncoderRecord(m, f"{m}-1", width, {"size": width}) for m, width in modalities.items()}
    reference = ReferenceMap(places(modalities, count, "map", 0.0, missing), records, "square")
    reference_map.save(reference, path)
    return reference, places(modalities, count, "drive", 0.7)


def options(fusion=RATIO):
    confidence, refiner = ConfidenceConfig(min_queries=20), RefinerConfig(candidates=3)
    return CalibrationOptions(calibration=fusion, confidence=confidence, refiner=refiner)


def observations(drive, patterns, rows=(3, 17, 30)):
    return [{"observation": {m: drive.embeddings[m][row] for m in p}} for p in patterns for row in rows]


def mixing(modality):
    """Return (5, 7): how a modality shows what an object is."""
    return np.random.default_rng(sum(map(ord, modality))).normal(size=(5, 7))


def head(modality):
    """Return mean, spread, weights and biases of a head that undoes the mixing: max(x, 0) - max(-x, 0) = x."""
    undo, one = np.linalg.pinv(mixing(modality)), np.eye(5)
    layers = [np.hstack([undo, -undo]), np.eye(10), np.vstack([one, -one])]
    weights = {f"{modality}/{i}": layer for i, layer in enumerate(layers)}
    return np.full(7, 0.1), np.full(7, 1.1), weights, {name: np.full(w.shape[1], 0.01) for name, w in weights.items()}


def single(values):
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def views(seed, modalities=("text", "speech", "camera", "depth")):
    """Return views of 4 x 3 objects, 2 of each."""
    draw, world = np.random.default_rng(seed), np.random.default_rng(5)
    kinds, instances = np.divmod(np.repeat(np.arange(12), 2), 3)
    what = world.normal(size=(4, 5))[kinds] + 0.7 * world.normal(size=(12, 5))[3 * kinds + instances]
    columns = single({m: what @ mixing(m) + 0.3 * draw.normal(size=(24, 7)) for m in modalities})
    columns["depth"][3] = np.nan
    names = [f"thing{k}_{i}" for k, i in zip(kinds, instances, strict=True)]
    records = {m: asdict(EncoderRecord(m, f"{m}-1", 7)) for m in modalities}
    ids = np.array([f"{name}_{n % 2}" for n, name in enumerate(names)])
    return ObjectViews(columns, ids, np.array([f"thing{k}" for k in kinds]), np.array(names), records)


# --- samples: each writes itself, and returns the questions -----------------------------------------------------------


def refined(path):
    """A map with scans, whose calibration has fitted what their overlap is worth."""
    reference, drive = save_map(path, {"camera": 6, "lidar": 6}, 48)
    draw, scans = np.random.default_rng(1), [f"map/{i:03d}" for i in range(4)]
    reference = save_with_scans(reference, path, ((id, draw.uniform(-20, 20, size=(60, 3))) for id in scans))
    overlaps = np.clip(np.random.default_rng(2).normal(0.3, 0.1, size=(48, 48)) + 0.3 * np.eye(48), 0, 1)

    def register(wanted):
        return {q: {int(r): float(overlaps[q, r]) for r in rows} for q, rows in wanted.items()}

    calibration.save(fit(reference, drive, options(), ScanRegistration(register, options().refiner)), path)
    questions = observations(drive, (["camera"], ["camera", "lidar"]))
    questions += [q | {"overlaps": {"map/003": 0.7, "map/017": 0.4, "map/030": 0.2}} for q in questions]
    return {"rankings": questions, "scans": scans}


def with_images(observations, seed):
    """Return the same observations with a bird's-eye image each: that of a scene, seen from somewhere."""
    draw, count = np.random.default_rng(seed), len(observations)
    stands = np.column_stack([draw.uniform(-180, 180, count), draw.uniform(-6, 6, (count, 2))])
    images = [image.pack(scenes.drawn(scenes.scene(i), *stand)) for i, stand in enumerate(stands)]
    return replace(observations, birds_eye={"lidar": np.stack(images)})


def aligned(path):
    """A map with bird's-eye images, whose calibration has fitted what their alignment is worth."""
    reference, drive = save_map(path, {"camera": 6, "lidar": 6}, 48)
    record = replace(reference.encoders["lidar"], settings={"cell": 0.4})
    places = with_images(reference.places, 1)
    reference = replace(reference, places=places, encoders={**reference.encoders, "lidar": record})
    reference_map.save(reference, path)
    drive = with_images(drive, 2)
    calibration.save(fit(reference, drive, options()), path)
    questions = observations(drive, (["lidar"], ["camera", "lidar"], ["camera"]))
    for question, row in zip(questions, 2 * (3, 17, 30), strict=False):
        question["images"] = {"lidar": drive.birds_eye["lidar"][row].tobytes().hex()}
    return {"rankings": questions}


def imputed(path):
    """An incomplete map, whose calibration has an imputer."""
    reference, drive = save_map(path, {"camera": 6, "lidar": 5, "text": 4}, 40, missing=0.3)
    calibration.save(fit(reference, drive, options(CalibrationConfig("mixture", "calmrl"))), path)
    patterns = ["camera"], ["lidar", "text"], ["camera", "lidar", "text"]
    return {"rankings": observations(drive, patterns), "latent": {m: v[:5] for m, v in drive.embeddings.items()}}


def adopted(path):
    """A map that has adopted a sensor; the first opening as a large map writes its shards and the sensor's."""
    reference, drive = save_map(path, {"camera": 6, "lidar": 6}, 169)
    calibration.save(fit(reference, drive, options()), path)
    frames = places({"camera": 6, "lidar": 6, "thermal": 5}, 169, "second", 0.5)
    blind = replace(frames, poses=np.full_like(frames.poses, np.nan))
    new = NewSensor("thermal", EncoderRecord("thermal", "thermal-1", 5, {"across": 0.8}))
    how = AdoptionOptions(None, AdoptionConfig(min_pairs=20), RATIO, options().confidence)
    adopted_sensors.save(adopt_from_frames(reference, Retriever.open(path), blind, new, how), path)
    known = observations(drive, (["camera"], ["camera", "lidar"]))
    return {"known": known, "own": observations(frames, (["thermal"],)), "large": LARGE}


def model_and_objects(path):
    """A calibrated model of objects, and a memory of objects that it has seen."""
    modalities = ("text", "speech", "camera", "depth")
    heads = {m: head(m) for m in modalities}
    emma = EMMA(
        single({m: h[0] for m, h in heads.items()}), single({m: h[1] for m, h in heads.items()}),
        single({k: v for h in heads.values() for k, v in h[2].items()}),
        single({k: v for h in heads.values() for k, v in h[3].items()}),
    )  # fmt: skip
    model = Model(emma, {m: EncoderRecord(m, f"{m}-1", 7, {"size": 7}) for m in modalities})
    model = replace(model, calibration=object_calibration.fit(model, views(1)))
    grounding_model.save(model, path / "model")

    seen, memory = views(2), ObjectMemory(model.reference_records())
    shown = model.project(seen.observations, model.object_modalities)
    for stamp, rows in enumerate((range(0, 24, 2), range(1, 20, 2), range(20, 24))):
        corners = {row: np.array([row // 2, 0, 0.5]) for row in rows}
        sightings = [Sighting(shown.observation(r).embeddings, low, low + 0.1) for r, low in corners.items()]
        memory.see(sightings, 10**9 * stamp, lambda objects: [True] * len(objects))
    memory.save(path / "objects")
    commands = observations(seen, (["text"], ["speech"], ["speech", "text"]), (0, 9))
    vectors = {m: v[:4] for m, v in seen.embeddings.items()}
    return {
        "model": {"vectors": vectors, "rankings": commands},
        "objects": {"new": shown.embeddings["camera"][0]},
    }


def states(path):
    """Fitted states that the other samples lack."""
    draw, questions = np.random.default_rng(0), {}
    similarity, positive = draw.normal(size=(12, 20, 2, 3)), draw.random((12, 20)) < 0.2
    similarity += positive[..., None, None]
    similarity[draw.random(similarity.shape) < 0.1] = np.nan
    for cls in FUSIONS.all():
        storage.save(cls.fit(similarity, positive), path / f"fusion-{cls.plug}")
        questions[f"fusion-{cls.plug}"] = {"similarity": similarity[:2].astype(np.float32)}

    x, y = draw.normal(size=(40, 5)), draw.normal(size=(40, 4))
    y[:, :3] += x[:, :3]
    storage.save(csa.fit(x, y), path / "csa")
    storage.save(SameSpace(), path / "same_space")
    questions |= {"csa": {"query": x[:3], "reference": y[:4]}, "same_space": {"query": x[:3].astype(np.float32)}}

    storage.save(Difference.fit(draw.normal(size=(200, 6)).cumsum(axis=0).astype(np.float32) / 9), path / "drift")
    questions["drift"] = {"window": draw.normal(size=(10, 6)).astype(np.float32)}

    objects = views(3)
    storage.save(objects, path / "views")
    whole = objects.take(objects.observations.present("depth"))
    known, new = whole.observations.only(["camera", "depth"]), whole.embeddings["speech"]
    pairs = np.stack([np.arange(12), np.arange(12)], axis=1)
    storage.save(cox.fit(new, known, pairs, whole.classes), path / "cox")
    asked = {"new": new[:4], "known": {m: v[:4] for m, v in known.embeddings.items()}}
    return questions | {"views": {}, "cox": asked}


if __name__ == "__main__":
    write_all(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "test" / "formats" / "today")
