"""The ranking against brute force in float64, and everything a robot may ask for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_maps import WIDTH, calibrated, everything, make, random_observation, random_places

from any2any_ros.calibration import scorer
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.imputers.none import NoImputer
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.retrieval.large.search import top_k

NAMES = FUSIONS.names()


def brute(observation, reference):
    """Return the mean cosine of what both sides have, reference by reference, in float64."""
    scores = []
    for i in range(len(reference)):
        shared = [m for m in observation.embeddings if reference.present(m)[i]]
        pairs = [(observation.embeddings[m].astype(float), reference.embeddings[m][i].astype(float)) for m in shared]
        cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]
        scores.append(np.mean(cosines) if cosines else np.nan)
    return np.array(scores)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sets(st.sampled_from(list(WIDTH))), st.integers(1, 60), st.integers(0, 50))
def test_ranks_as_brute_force_does(seed, alive, k, count):
    reference, observation = random_places(seed, count), random_observation(seed, tuple(alive))
    ranking = make(reference).rank(observation, k)
    expected = brute(observation, reference)
    order = [i for i in np.argsort(-expected, kind="stable") if not np.isnan(expected[i])][:k]
    assert [m.score for m in ranking.matches] == pytest.approx([expected[i] for i in order], abs=1e-6)
    for match in ranking.matches:
        row = reference.ids.index(match.id)
        assert expected[row] == pytest.approx(match.score, abs=1e-6)
        np.testing.assert_array_equal(match.pose, reference.poses[row])


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, np.nan]), max_size=30), st.integers(1, 35))
def test_ties_are_broken_by_row_and_nan_never_ranks(scores, k):
    scores = np.array(scores, dtype=float)
    known = sorted((i for i in range(len(scores)) if not np.isnan(scores[i])), key=lambda i: (-scores[i], i))
    assert top_k(scores, k).tolist() == known[:k]


def test_the_ranking_says_what_was_used_and_what_was_missing():
    ranking = make(random_places(0, 5)).rank(random_observation(0, ("lidar", "audio")))
    assert ranking.modalities == ("audio", "lidar") and ranking.missing == ("camera",)
    assert ranking.reference_modalities == ("audio", "camera", "lidar")
    assert ranking.stamp_ns == 77 and ranking.stamps_ns == (70, 70)
    assert len(ranking.matches) == 5


def test_a_sensor_that_the_map_does_not_know_changes_nothing():
    reference, seen = random_places(0, 9), random_observation(0, ("lidar",))
    more = Observation({**seen.embeddings, "thermal": np.ones(3)}, 77)
    one, other = make(reference).rank(seen), make(reference).rank(more)
    assert [m.id for m in one.matches] == [m.id for m in other.matches]
    assert other.modalities == ("lidar",)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES)
def test_nothing_comparable_is_an_answer_without_matches(name):
    draw = np.random.default_rng(0)
    cls = FUSIONS.find(name)
    fusion = cls.fit(draw.normal(size=(10, 20, 3, 3)), draw.random((10, 20)) < 0.2)
    without_camera = random_places(0, 4, missing=0)
    without_camera.embeddings["camera"][:] = np.nan
    empty = random_places(0, 0)
    for reference, seen in (
        (without_camera, random_observation(0, ())),
        (without_camera, random_observation(0, ("camera",))),
        (empty, random_observation(0)),
        (empty, random_observation(0, ())),
    ):
        ranking = make(reference, fusion, confidence=calibrated()).rank(seen)
        assert ranking.matches == () and not ranking.accepted and ranking.place_set == ()
        assert ranking.probability == 0 and not ranking.ambiguous


def test_a_vector_of_another_width_is_refused():
    with pytest.raises(Any2AnyError, match="'lidar' embedding does not fit the map"):
        make(random_places(0, 4)).rank(Observation({"lidar": np.ones(99)}))


def test_an_added_place_is_found_from_then_on():
    retriever, seen = make(random_places(0, 20)), random_observation(5)
    here = np.eye(4)
    here[:3, 3] = 1, 2, 3
    retriever.add(ObservationSet({m: v[None] for m, v in seen.embeddings.items()}, here[None], ("here",)))
    best = retriever.rank(seen).matches[0]
    assert best.id == "here" and best.score == pytest.approx(1) and best.pose[:3, 3].tolist() == [1, 2, 3]


def test_places_can_be_added_to_an_empty_map_and_with_fewer_sensors():
    retriever = make(random_places(0, 0))
    retriever.add(random_places(1, 3, missing=0))
    retriever.add(random_places(2, 1, missing=0).only(["lidar"]))
    assert len(retriever.rank(random_observation(0, ("lidar",)), 9).matches) == 4
    assert len(retriever.rank(random_observation(0, ("audio",)), 9).matches) == 3


# --- explanation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["any2any", "likelihood_ratio", "mixture"])
def test_each_pair_says_of_a_match_what_it_says_among_all_references(name):
    draw = np.random.default_rng(0)
    positive = draw.random((40, 30)) < 0.1
    similarity = draw.normal(size=(40, 30, 3, 3)) + 2 * positive[..., None, None]
    fusion = FUSIONS.find(name).fit(np.tanh(similarity), positive)
    reference, seen = random_places(3, 30), random_observation(3, ("lidar", "camera"))
    retriever = make(reference, fusion)
    expected = fusion.pair_probability(Scorer.of(retriever).searcher.matrix(seen.as_set())[0])
    for k in (1, 4):
        for match in retriever.rank(seen, k).matches:
            found = match.pair_probability
            assert found.shape == (2, 3)  # what is alive, by what the map has
            np.testing.assert_allclose(found, expected[reference.ids.index(match.id)][1:], equal_nan=True)


def test_a_fusion_that_cannot_explain_itself_says_nan():
    assert np.isnan(make(random_places(0, 4)).rank(random_observation(0)).matches[0].pair_probability).all()


# --- confidence -----------------------------------------------------------------------------------------------


def test_without_calibration_there_is_no_probability_and_nothing_is_accepted():
    ranking = make(random_places(0, 9)).rank(random_observation(0))
    assert np.isnan(ranking.probability) and not ranking.accepted and ranking.place_set == ()


def test_with_calibration_every_match_has_a_probability_that_falls():
    ranking = make(random_places(0, 30), confidence=calibrated()).rank(random_observation(0), 10)
    p = [m.probability for m in ranking.matches]
    assert all(0 < v < 1 for v in p) and p == sorted(p, reverse=True)
    assert ranking.probability == p[0]
    assert set(ranking.place_set) <= set(ranking_ids(30)) and ranking.place_set[0] == ranking.matches[0].id


def ranking_ids(n):
    return [f"0/{i}" for i in range(n)]


@pytest.mark.parametrize(("spacing", "ambiguous"), [(0.001, False), (0.5, True)])
def test_a_place_set_that_spreads_over_distinct_places_is_ambiguous(spacing, ambiguous):
    reference = random_places(0, 30, missing=0, spacing=spacing)
    ranking = make(reference, confidence=everything(), same_place=3.0).rank(random_observation(0))
    assert len(ranking.place_set) == 30 and ranking.ambiguous == ambiguous


@pytest.mark.parametrize(("threshold", "accepted"), [(-np.inf, True), (np.inf, False)])
def test_acceptance_is_the_confidences_word(threshold, accepted):
    assert make(random_places(0, 9), confidence=everything(threshold)).rank(random_observation(0)).accepted == accepted


def test_references_at_the_same_place_speak_for_each_other():
    """Two frames of one place share the posterior; neither is unlikely because of the other."""
    alone = random_places(0, 6, missing=0)
    double = ObservationSet.concatenate([alone, ObservationSet(alone.embeddings, alone.poses, tuple("abcdef"))])
    fusion, seen = LikelihoodRatio(np.eye(3) * 20, np.zeros((3, 3))), random_observation(0)
    one, two = (make(r, fusion, confidence=everything()).rank(seen, 1).probability for r in (alone, double))
    assert two == pytest.approx(one, abs=1e-9)


def ask(retriever, scores, k, seen=("lidar",)):
    similarity = np.zeros((len(scores), 3, 3), dtype=np.float32)
    return Scorer.of(retriever).candidates(similarity, scores, seen, k=k)


def test_each_sensor_says_how_alike_it_finds_a_match():
    similarity = np.full((4, 3, 3), np.nan, dtype=np.float32)
    similarity[2, 2] = np.nan, 0.25, 0.5  # lidar with the reference's camera and lidar
    whole = Scorer.of(make(random_places(0, 4)))
    _, candidates = whole.candidates(similarity, np.array([0.0, 1, 9, 3]), ("audio", "lidar"), k=2)
    np.testing.assert_array_equal(candidates.alike, [[np.nan, 0.5], [np.nan, np.nan]])


def test_each_sensor_says_by_how_much_a_match_leads_other_places(monkeypatch):
    similarity = np.full((4, 3, 3), np.nan, dtype=np.float32)
    similarity[:, 2, 2] = 0.9, 0.8, 0.5, 0.7
    whole = Scorer.of(make(random_places(0, 4, spacing=3.0), same_place=4.0))
    _, candidates = whole.candidates(similarity, np.array([9.0, 8, 5, 7]), ("lidar",), k=2)
    # 3 m apart: of the first, the third is another place at .5 and the fourth at .7; of the second, only the fourth
    np.testing.assert_allclose(candidates.lead, [[0.2], [0.1]], atol=1e-6)


def test_unknown_poses_are_no_common_place():
    without_poses = random_places(0, 6, missing=0)
    without_poses.poses[:] = np.nan
    rows, candidates = ask(make(without_poses), np.arange(6.0), 3)
    assert rows.tolist() == [5, 4, 3, 2, 1, 0]
    np.testing.assert_array_equal(candidates.near, np.eye(3, 6, dtype=bool))


def test_candidates_are_the_best_and_their_neighbours(monkeypatch):
    monkeypatch.setattr(scorer, "SHORTLIST", 4)
    retriever = make(random_places(0, 8, spacing=3.0), same_place=4.0)
    rows, candidates = ask(retriever, np.array([0.0, 7, 1, 6, 5, 2, np.nan, 4]), 2)
    assert rows.tolist() == [1, 3, 4, 7] and candidates.scores.tolist() == [7, 6, 5, 4]
    # 3 m apart: row 3 and row 4 are neighbours, row 1 has none among these
    assert candidates.near.tolist() == [[True, False, False, False], [False, True, True, False]]


def test_an_imputer_fills_in_before_the_comparison():
    class Everywhere(NoImputer):
        def extend(self, observations):
            filled = {m: np.ones((len(observations), d), dtype=np.float32) for m, d in WIDTH.items()}
            return ObservationSet(filled, observations.poses, observations.ids)

    retriever = make(random_places(0, 5, missing=0), imputer=Everywhere())
    assert len(retriever.rank(Observation({})).matches) == 5
