"""Large maps on disk, and what they answer, for the tests of retrieval/large/."""

from dataclasses import replace

import numpy as np

from any2any_ros.fusion import any2any
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import Confidence

WIDTH = {"audio": 6, "camera": 6, "lidar": 6}
RECORDS = {m: EncoderRecord(m, f"{m}-1", d, {}, "one space") for m, d in WIDTH.items()}
N = 300


def places(seed=0, n=N, missing=0.3):
    draw = np.random.default_rng(seed)
    columns = {m: draw.normal(size=(n, d)).astype(np.float32) for m, d in WIDTH.items()}
    for column in columns.values():
        column[draw.random(n) < missing] = np.nan
    poses = np.tile(np.eye(4), (n, 1, 1))
    poses[:, :2, 3] = draw.normal(size=(n, 2)) * 100
    return ObservationSet(columns, poses, tuple(f"{seed}/{i}" for i in range(n)))


def fusions(shape=(3, 3)):
    draw = np.random.default_rng(1)
    similarity = draw.normal(size=(3000, *shape)) / 3
    return {
        "likelihood_ratio": LikelihoodRatio(np.full(shape, 4.0), np.zeros(shape)),
        "any2any": any2any.calibrate(similarity, draw.random(3000) < 0.5),
    }


def trust():
    """A confidence that accepts everything and puts every candidate into the place set."""
    steps = {"*": np.array([[-30.0, 0.0], [0.01, 0.99]])}
    weights = {"*": np.array([[[0.0, 1.0], [0.0, 0.0]], [[20.0, 0.0], [0.0, 0.0]]])}
    return Confidence(1.0, weights, steps, {"*": -np.inf}, {"*": np.empty(0)}, {"*/0": np.full(20, np.inf)})


def write(folder, fusion=None, seed=0):
    reference_map.save(ReferenceMap(places(seed), RECORDS), folder)
    known = {m: r.fingerprint for m, r in RECORDS.items()}
    calibration.save(Calibration(fusion or fusions()["likelihood_ratio"], trust(), known, 5.0), folder)


def opened(folder):
    return Retriever.open(folder, 5.0, "cpu")


def in_memory(found):
    """The same map with nothing on disk: vectors, shards, and no file that it could look at."""
    whole = found.places
    own = ObservationSet({m: np.array(v) for m, v in whole.embeddings.items()}, np.array(whole.poses), whole.ids)
    return Retriever(replace(found.reference, places=own), found.calibration, device="cpu")


def queries(count=12):
    asked = places(99, count, missing=0.4)
    return [asked.observation(i) for i in range(count)] + [Observation({})]


def same_answers(one, other):
    answered = 0
    for query in queries():
        a, b = one.rank(query, 7), other.rank(query, 7)
        assert [(m.id, m.score) for m in a.matches] == [(m.id, m.score) for m in b.matches]
        for x, y in zip(a.matches, b.matches, strict=True):
            np.testing.assert_array_equal(x.pose, y.pose)
            np.testing.assert_array_equal(x.pair_probability, y.pair_probability)
            np.testing.assert_equal(x.probability, y.probability)
        assert (a.accepted, a.place_set, a.modalities, a.missing) == (b.accepted, b.place_set, b.modalities, b.missing)
        np.testing.assert_array_equal(a.place_positions, b.place_positions)
        assert set(a.differences) == set(b.differences)
        for m, difference in a.differences.items():
            np.testing.assert_array_equal(difference, b.differences[m])
        answered += len(a.matches) > 0
    assert answered > 8


def shard_folders(folder):
    return sorted(p for p in (folder / "shards").iterdir() if p.is_dir())


def never_made(monkeypatch):
    def made(self, reference):
        raise AssertionError("the shards are made again")

    monkeypatch.setattr(LargeMapSearcher, "_new_shards", made)
