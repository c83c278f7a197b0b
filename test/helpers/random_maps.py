"""Random places and observations, and a retriever of them, for the tests of retrieval/retriever.py."""

import numpy as np

from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.retrieval.retriever import bare_retriever
from any2any_ros.retrieval.similarity import same_modality
from any2any_ros.trust import confidence_fitting
from any2any_ros.trust.confidence import Candidates, Confidence, ConfidenceConfig, Event

WIDTH = {"audio": 3, "camera": 8, "lidar": 5}


def random_places(seed, n, missing=0.3, spacing=10.0):
    draw = np.random.default_rng(seed)
    columns = {m: draw.normal(size=(n, d)).astype(np.float32) for m, d in WIDTH.items()}
    for column in columns.values():
        column[draw.random(n) < missing] = np.nan
    poses = np.tile(np.eye(4), (n, 1, 1))
    poses[:, 0, 3] = spacing * np.arange(n)
    return ObservationSet(columns, poses, tuple(f"{seed}/{i}" for i in range(n)))


def random_observation(seed, modalities=tuple(WIDTH)):
    draw = np.random.default_rng(seed)
    return Observation({m: draw.normal(size=WIDTH[m]) for m in modalities}, 77, dict.fromkeys(modalities, 70))


def make(places, fusion=None, refiner=None, **fitted):
    retriever = bare_retriever(places, fusion or RawMean(), same_modality(tuple(WIDTH)), **fitted)
    retriever.refiner = refiner or retriever.refiner
    return retriever


def calibrated():
    """A confidence that is fitted on synthetic queries."""
    draw, events = np.random.default_rng(0), []
    for _ in range(200):
        scores = draw.normal(size=20)
        right = np.zeros(20, dtype=bool)
        right[draw.choice(20, p=np.exp(4 * scores) / np.exp(4 * scores).sum())] = True
        order = np.argsort(-scores)
        near = np.eye(1, 20, dtype=bool)
        events.append(Event("lidar", Candidates(scores[order], near), right[order]))
    return confidence_fitting.fit(events, ConfidenceConfig(min_queries=100))


def everything(accept=0.0):
    """A confidence that puts every candidate into the place set."""
    steps = {"*": np.array([[-30.0, 0.0], [0.01, 0.99]])}
    weights = {"*": np.array([[[0.0, 1.0], [0.0, 0.0]], [[20.0, 0.0], [0.0, 0.0]]])}  # the odds, inside for sure
    return Confidence(1.0, weights, steps, {"*": accept}, {"*": np.empty(0)}, {"*/0": np.full(20, np.inf)})
