"""A large map answers as a small one does."""

import numpy as np
import pytest
from random_maps import WIDTH, calibrated, make, random_observation, random_places

from any2any_ros.calibration.scorer import Scorer
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.fusion.z_score import ZScore
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import retriever as retriever_module
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.searcher import WholeMapSearcher


@pytest.fixture(params=["likelihood_ratio", "any2any"])
def both_ways(request, monkeypatch):
    """The same map, whole and searched by bounds; its vectors are such as half precision holds exactly."""
    draw = np.random.default_rng(0)
    columns = {m: draw.integers(-3, 4, size=(400, d)).astype(np.float32) for m, d in WIDTH.items()}
    for m, column in columns.items():
        column[draw.random(400) < 0.3] = np.nan
        column[(column == 0).all(axis=1)] = np.nan
        columns[m] = column
    poses = np.tile(np.eye(4), (400, 1, 1))
    poses[:, 0, 3] = np.arange(400.0)
    places = ObservationSet(columns, poses, tuple(f"p{i}" for i in range(400)))
    positive = draw.random((20, 50)) < 0.1
    similarity = np.tanh(draw.normal(size=(20, 50, 3, 3)) + 2 * positive[..., None, None])
    fusion = FUSIONS.find(request.param).fit(similarity, positive)
    whole = make(places, fusion, confidence=calibrated())
    monkeypatch.setattr(retriever_module, "LARGE", 400)
    large = make(places, fusion, confidence=calibrated())
    assert isinstance(large.searcher, LargeMapSearcher) and isinstance(whole.searcher, WholeMapSearcher)
    return whole, large


@pytest.mark.parametrize("alive", [(), ("lidar",), ("audio", "camera"), tuple(WIDTH)])
def test_a_large_map_answers_as_a_small_one(both_ways, alive):
    """Up to half precision: scores agree, and the order wherever they are apart."""
    whole, large = both_ways
    for seed in range(10):
        seen = random_observation(seed, alive)
        one, other = whole.rank(seen, 9), large.rank(seen, 9)
        assert (one.modalities, one.missing, one.reference_modalities) == (
            other.modalities,
            other.missing,
            other.reference_modalities,
        )
        assert [m.score for m in other.matches] == pytest.approx([m.score for m in one.matches], abs=5e-3)
        assert set(other.differences) == set(one.differences) == {m for m in alive if m in whole.reference_modalities}
        for m, difference in one.differences.items():
            np.testing.assert_allclose(other.differences[m], difference, atol=1e-6)
        scores = {m.id: m.score for m in whole.rank(seen, 400).matches}
        for match in other.matches:
            assert scores[match.id] == pytest.approx(match.score, abs=5e-3)
            assert match.pair_probability.shape == (len(alive), 3)


def test_a_large_map_grows_and_can_still_be_judged_whole(both_ways):
    _, large = both_ways
    seen = random_observation(5)
    large.add(ObservationSet({m: v[None] for m, v in seen.embeddings.items()}, np.eye(4)[None], ("here",)))
    assert large.rank(seen).matches[0].id == "here"
    _, scores = Scorer.of(large).scores(seen.as_set())  # what calibration and evaluation ask for
    assert scores.shape == (1, 401) and np.nanargmax(scores[0]) == 400


def test_a_fusion_without_a_bound_is_scored_whole(monkeypatch):
    monkeypatch.setattr(retriever_module, "LARGE", 1)
    assert isinstance(make(random_places(0, 5), ZScore()).searcher, WholeMapSearcher)
    assert isinstance(make(random_places(0, 5), RawMean()).searcher, LargeMapSearcher)
