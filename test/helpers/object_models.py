"""Small models of objects with known answers, for tests: every modality shows what an object is in its own way."""

from dataclasses import replace

import numpy as np

from any2any_ros.calibration import objects as object_calibration
from any2any_ros.calibration.objects import TABLE
from any2any_ros.objects.grounding_model import Model
from any2any_ros.objects.heads import EMMA
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever

LATENT, WIDTH = 6, 10
MODALITIES = ("text", "speech", "camera", "depth")


def mixing(modality):
    """Return (LATENT, WIDTH): how a modality shows what an object is."""
    return np.random.default_rng(MODALITIES.index(modality)).normal(size=(LATENT, WIDTH))


def linear(modality, project):
    """Return mean, spread, weights and biases of a head that is a linear map (WIDTH, K): max(x, 0) - max(-x, 0) = x."""
    k = project.shape[1]
    eye = np.eye(k)
    layers = [np.hstack([project, -project]), np.eye(2 * k), np.vstack([eye, -eye])]
    weights = {f"{modality}/{i}": w.astype(np.float32) for i, w in enumerate(layers)}
    biases = {name: np.zeros(w.shape[1], np.float32) for name, w in weights.items()}
    return np.zeros(len(project), np.float32), np.ones(len(project), np.float32), weights, biases


def heads(modalities=MODALITIES, wrong=0.0):
    """Return heads that undo the mixing; wrong: by how much they fail to."""
    draw = np.random.default_rng(9)
    parts = {m: np.linalg.pinv(mixing(m)) + wrong * draw.normal(size=(WIDTH, LATENT)) for m in modalities}
    made = {m: linear(m, p) for m, p in parts.items()}
    return EMMA(
        {m: h[0] for m, h in made.items()}, {m: h[1] for m, h in made.items()},
        {k: v for h in made.values() for k, v in h[2].items()}, {k: v for h in made.values() for k, v in h[3].items()},
    )  # fmt: skip


def model(modalities=MODALITIES, **options):
    return Model(heads(modalities, **options), {m: EncoderRecord("text", f"{m}-1", WIDTH) for m in modalities})


def world(classes, instances, views, seed, noise=0.5, modalities=MODALITIES):
    """Return views of new objects, their classes and their instances."""
    draw = np.random.default_rng(seed)
    kinds = np.random.default_rng(1).normal(size=(classes, 1, LATENT))
    what = np.repeat((kinds + 0.7 * draw.normal(size=(classes, instances, LATENT))).reshape(-1, LATENT), views, axis=0)
    columns = {m: (what @ mixing(m) + noise * draw.normal(size=(len(what), WIDTH))) / 3 for m in modalities}
    of_class = np.repeat([f"c{i}" for i in range(classes)], instances * views)
    instance = np.repeat([f"o{i}" for i in range(classes * instances)], views)
    ids = tuple(f"v{i}" for i in range(len(what)))
    return ObservationSet(columns, np.full((len(ids), 4, 4), np.nan), ids), of_class, instance


def described(views, classes, instances):
    return ObjectViews(dict(views.embeddings), np.array(views.ids), classes, instances, {})


def tables(trained, count, seed, seen, absent=0.2):
    """Yield what fresh tables are answered: whether the object was there, whether the answer was right, the ranking."""
    views, classes, instances = world(8, 8, 5, seed)
    draw = np.random.default_rng(seed)
    names = np.unique(instances)
    remembered = object_calibration.remembered(trained, views, instances, names)
    said = trained.project(views, trained.command_modalities)
    columns = {m: v[: len(names)] for m, v in remembered.places.embeddings.items()}
    columns = {m: v if m in seen else np.full_like(v, np.nan) for m, v in columns.items()}
    whole = ObservationSet(columns, remembered.places.poses[: len(names)], tuple(names))
    for _ in range(count):
        view = int(draw.integers(len(views)))
        own = int(np.searchsorted(names, instances[view]))
        there = draw.random() >= absent
        alike = [i for i in range(len(names)) if i != own and classes[instances == names[i]][0] == classes[view]]
        others = [i for i in range(len(names)) if i != own and i not in alike]
        near = list(draw.permutation(alike))[: TABLE - 1] if draw.integers(2) else []
        far = list(draw.permutation(others))[: TABLE - len(near) - there]
        places = whole.take([own] * bool(there) + near + far)
        reference = ReferenceMap(places, trained.reference_records())
        ranking = Retriever(reference, trained.calibrated_or_not()).rank(said.observation(view))
        yield there, ranking.matches[0].id == names[own], ranking


def calibrated():
    """Return a model that is calibrated on objects which `tables` does not show."""
    views, classes, instances = world(8, 12, 5, seed=11)
    trained = model()
    return replace(trained, calibration=object_calibration.fit(trained, described(views, classes, instances)))
