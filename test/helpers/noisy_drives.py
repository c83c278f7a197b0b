"""A map and a drive through it, of sensors that are good, fair and useless."""

import numpy as np

from any2any_ros.calibration.task import Task
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.trust.confidence import ConfidenceConfig

PROMISES = ConfidenceConfig(min_queries=30)
NOISE = {"good": 0.3, "fair": 0.8, "useless": 30.0}


def drive(noise, count=60, seed=0, fingerprint="1"):
    """Return a map of `count` places and a drive through it, with this noise of each sensor.

    The useless sensor's vectors all point about the same way: its similarities are the largest, and mean nothing.
    """
    draw = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = 10.0 * np.arange(count)
    mapped, driven = {}, {}
    for m, sigma in noise.items():
        truth = draw.normal(size=(count, 12)) + (40 if sigma > 10 else 0)
        mapped[m] = truth
        driven[m] = truth + sigma * draw.normal(size=truth.shape)
    ids = [tuple(f"{lap}/{i}" for i in range(count)) for lap in ("map", "drive")]
    records = {m: EncoderRecord(m, f"{m}-{fingerprint}", 12) for m in noise}
    reference = ReferenceMap(ObservationSet(mapped, poses, ids[0]), records, "town")
    queries, folds = ObservationSet(driven, poses, ids[1]), np.arange(count) // 5 % 4
    return reference, Task(queries, np.eye(count, dtype=bool), folds=folds, same_place=5.0)
