"""What write_samples.py writes: maps, drives, heads and views of objects. Of commit ce04c12, like that file."""

import numpy as np

from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.objects import Objects
from any2any_ros.retrieval.reference_map import ReferenceMap


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


def a_map(modalities, count, missing=0.0):
    """Return a map, and a drive through it."""
    records = {m: EncoderRecord(m, f"{m}-1", width, {"size": width}) for m, width in modalities.items()}
    reference = ReferenceMap(places(modalities, count, "map", 0.0, missing), records, "square")
    return reference, places(modalities, count, "drive", 0.7)


def mixing(modality):
    """Return (5, 7): how a modality shows what an object is."""
    return np.random.default_rng(sum(map(ord, modality))).normal(size=(5, 7))


def head(modality):
    """Return mean, spread, weights and biases of a head that undoes the mixing: max(x, 0) - max(-x, 0) = x."""
    undo, one = np.linalg.pinv(mixing(modality)), np.eye(5)
    layers = [np.hstack([undo, -undo]), np.eye(10), np.vstack([one, -one])]
    weights = {f"{modality}/{i}": layer for i, layer in enumerate(layers)}
    return np.full(7, 0.1), np.full(7, 1.1), weights, {name: np.full(w.shape[1], 0.01) for name, w in weights.items()}


def half(values):
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def views(seed, modalities=("text", "speech", "camera", "depth")):
    """Return views of 4 x 3 objects, 2 of each."""
    draw, world = np.random.default_rng(seed), np.random.default_rng(5)
    kinds, instances = np.divmod(np.repeat(np.arange(12), 2), 3)
    what = world.normal(size=(4, 5))[kinds] + 0.7 * world.normal(size=(12, 5))[3 * kinds + instances]
    columns = {m: what @ mixing(m) + 0.3 * draw.normal(size=(24, 7)) for m in modalities}
    columns = half(columns)
    columns["depth"][3] = np.nan
    names = [f"thing{k}_{i}" for k, i in zip(kinds, instances, strict=True)]
    records = {m: {"plug": m, "fingerprint": f"{m}-1", "dimension": 7, "settings": {}} for m in modalities}
    ids = np.array([f"{name}_{n % 2}" for n, name in enumerate(names)])
    return Objects(columns, ids, np.array([f"thing{k}" for k in kinds]), np.array(names), records)
