"""The linear worlds of benchmarks/calmrl.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from calmrl_rivals import Row, judge, rivals, similarity

from any2any_ros.arrays import Float64
from any2any_ros.data.availability import sensors_off
from any2any_ros.learning import calmrl
from any2any_ros.observation import ObservationSet


@dataclass(frozen=True)
class World:
    """A linear world.

    rows: of training data. things: to find. width: length of the vectors of a modality. latent: length of the latent
    vectors. noise: standard deviation. missing: share of the vectors.
    """

    rows: int = 2000
    things: int = 1000
    modalities: int = 4
    width: int = 32
    latent: int = 8
    noise: float = 0.7
    missing: float = 0.5


def synthetic(seed: int, world: World = World()) -> dict[str, Row]:
    """Return the figures of each method. A query is a thing seen again with new noise; the map is complete."""
    draw = np.random.default_rng(seed)
    names = [f"m{i}" for i in range(world.modalities)]
    # The modalities share a space, as after alignment. Without that, the views of a thing would have no anchor.
    common = draw.normal(size=(world.latent, world.width))
    views = {m: common + 0.5 * draw.normal(size=common.shape) for m in names}

    def observed(beta: Float64, what: str) -> ObservationSet:
        noise = {m: world.noise * draw.normal(size=(len(beta), world.width)) for m in views}
        columns = {m: (beta @ w + noise[m]).astype(np.float32) for m, w in views.items()}
        unknown = np.full((len(beta), 4, 4), np.nan)
        return ObservationSet(columns, unknown, tuple(f"{what}/{i}" for i in range(len(beta))))

    def with_sensors_off(data: ObservationSet) -> ObservationSet:
        return data.without(sensors_off(len(data), len(names), world.missing, draw))

    train = with_sensors_off(observed(draw.normal(size=(world.rows, world.latent)), "train"))
    things = draw.normal(size=(world.things, world.latent))
    reference, whole = observed(things, "map"), observed(things, "query")
    query, right = with_sensors_off(whole), np.eye(world.things, dtype=bool)
    completers = rivals(train, calmrl.fit(train))
    figures = {k: judge(similarity(c(query), c(reference)), right) for k, c in completers.items()}
    for name, complete in completers.items():
        if name != "CalMRL, latent":
            figures[name] |= {"error": error(complete(query), query, whole), "shift": shift(complete(query), whole)}
    return figures | {"all modalities": judge(similarity(whole, reference), right) | {"shift": 0.0}}


def error(completed: ObservationSet, query: ObservationSet, whole: ObservationSet) -> float:
    """Return the root mean square error of the imputed vectors; NaN where nothing is imputed."""
    parts = [(completed.embeddings[m] - whole.embeddings[m])[~query.present(m)].ravel() for m in whole.modalities]
    return float(np.sqrt(np.mean(np.square(np.concatenate(parts)))))


def shift(completed: ObservationSet, whole: ObservationSet) -> float:
    """Return the mean distance between the anchors of the completed and of the whole data, all vectors of length 1."""
    stacks = []
    for data in (completed, whole):
        z = np.stack([data.embeddings[m] for m in whole.modalities], axis=1).astype(np.float64)
        stacks.append(z / np.maximum(np.linalg.norm(z, axis=2, keepdims=True), 1e-12))
    return float(np.mean([np.linalg.norm(calmrl.anchor(a) - calmrl.anchor(b)) for a, b in zip(*stacks, strict=True)]))
