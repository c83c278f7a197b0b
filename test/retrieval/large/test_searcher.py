"""A large map answers what similarities and fusion of all references answer, as far as half precision goes."""

import numpy as np
import pytest

from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import any2any
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.mixture import Mixture
from any2any_ros.learning import csa
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.retrieval.large import searcher
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.similarity import SameSpace, SimilarityMatrix, same_modality

WIDTH = {"audio": 5, "camera": 9, "lidar": 7}


def random_set(seed, n, missing=0.3):
    draw = np.random.default_rng(seed)
    columns = {m: draw.normal(size=(n, d)).astype(np.float32) for m, d in WIDTH.items()}
    for column in columns.values():
        column[draw.random(n) < missing] = np.nan
    return ObservationSet(columns, np.tile(np.eye(4), (n, 1, 1)), tuple(f"{seed}/{i}" for i in range(n)))


def across():
    """Return alignments across modalities; both of camera and lidar are compared with lidar, in spaces of their own."""
    draw = np.random.default_rng(0)
    shared = draw.normal(size=(100, 3))
    sides = {m: shared @ draw.normal(size=(3, d)) for m, d in WIDTH.items()}
    return {("camera", "lidar"): csa.fit(sides["camera"], sides["lidar"])} | same_modality(tuple(WIDTH))


def fusions(shape):
    draw = np.random.default_rng(1)
    similarity = draw.normal(size=(3000, *shape)) / 3
    return [
        LikelihoodRatio(np.full(shape, 4.0), np.zeros(shape)),
        any2any.calibrate(similarity, draw.random(3000) < 0.5),
    ]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("alignments", [same_modality(tuple(WIDTH)), across()], ids=["same", "across"])
def test_the_answer_is_that_of_similarities_and_fusion(monkeypatch, which, alignments):
    monkeypatch.setattr(searcher, "PORTION", 64)
    reference, more, queries = random_set(2, 150), random_set(3, 50).only(("camera", "lidar")), random_set(4, 12)
    fusion = fusions((3, 3))[which]
    matrix, large = SimilarityMatrix(reference, alignments), LargeMapSearcher(reference, alignments, fusion)
    assert (large.query_modalities, large.reference_modalities) == (
        matrix.query_modalities,
        matrix.reference_modalities,
    )
    for whole in (matrix, large):
        whole.add(more)
    assert len(large) == len(matrix) == 200
    answered = 0
    for i, observation in enumerate(queries):
        similarity = matrix(queries.take([i]))[0]
        scores = fusion.score(similarity)
        query = observation.as_set()
        shortlist = large.top_k(query, 200, 3)
        rows, found = shortlist.rows, shortlist.scores
        assert set(shortlist.pair_probability) == set(rows[:3].tolist())
        assert set(rows) == set(top_k(scores, 200))  # who is observed at all
        np.testing.assert_allclose(large.similarity(query, rows), similarity[rows], atol=2e-3)
        np.testing.assert_allclose(found, fusion.score(large.similarity(query, rows)), atol=1e-12)
        assert list(zip(-found, rows, strict=True)) == sorted(zip(-found, rows, strict=True))
        answered += len(rows) > 0
    assert answered > 8


def test_pairs_that_share_an_alignment_share_its_vectors():
    joint = SameSpace()
    reference = random_set(5, 10).only(("camera",))
    large = LargeMapSearcher(reference, {("camera", "camera"): joint, ("thermal", "camera"): joint}, fusions((2, 1))[0])
    assert len(large.shards.columns) == 1
    vector = reference.embeddings["camera"][reference.present("camera")][0]
    query = Observation({"thermal": vector, "camera": vector}).as_set()
    assert large.top_k(query, 1, 1).rows[0] == np.flatnonzero(reference.present("camera"))[0]


def test_what_does_not_fit_is_refused():
    reference = random_set(6, 10)
    with pytest.raises(Any2AnyError, match="mixture"):
        LargeMapSearcher(reference, same_modality(tuple(WIDTH)), Mixture(*np.zeros((3, 3, 3))))
    for alignments in (same_modality(tuple(WIDTH)), across()):
        large = LargeMapSearcher(reference, alignments, fusions((3, 3))[0])
        with pytest.raises(Any2AnyError, match="does not fit the map"):
            large.top_k(Observation({"camera": np.ones(4)}).as_set(), 3, 1)
        assert len(large.top_k(Observation({"thermal": np.ones(4)}).as_set(), 3, 1).rows) == 0
