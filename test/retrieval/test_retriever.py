"""The ranking against brute force in float64, and everything a robot may ask for."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.calibration import scorer
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.fusion.z_score import ZScore
from any2any_ros.geometry.refiner import NO_REFINER, OverlapEvidence, Refiner
from any2any_ros.geometry.registration import NOT_REGISTERED, Registration
from any2any_ros.imputers.none import NoImputer
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.retrieval import retriever as retriever_module
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.retriever import bare_retriever
from any2any_ros.retrieval.searcher import WholeMapSearcher
from any2any_ros.retrieval.similarity import same_modality
from any2any_ros.trust import confidence_fitting
from any2any_ros.trust.confidence import Candidates, Confidence, ConfidenceConfig, Event

WIDTH = {"audio": 3, "camera": 8, "lidar": 5}
NAMES = FUSIONS.names()


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


def everything(accept=0.0):
    """A confidence that puts every candidate into the place set."""
    steps = {"*": np.array([[-30.0, 0.0], [0.01, 0.99]])}
    weights = {"*": np.array([[[0.0, 1.0], [0.0, 0.0]], [[20.0, 0.0], [0.0, 0.0]]])}  # the odds, inside for sure
    return Confidence(1.0, weights, steps, {"*": accept}, {"*": np.empty(0)}, {"*/0": np.full(20, np.inf)})


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
    lost = random_places(0, 6, missing=0)
    lost.poses[:] = np.nan
    rows, candidates = ask(make(lost), np.arange(6.0), 3)
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


# --- large maps -----------------------------------------------------------------------------------------------


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


# --- refinement -----------------------------------------------------------------------------------------------

RATIO = LikelihoodRatio(np.eye(3) * 20, np.zeros((3, 3)))
EVIDENCE = OverlapEvidence(20.0, -6.0, -3.0, 5.0)


def registration(overlap, x=0.0, converged=True):
    pose = np.eye(4)
    pose[0, 3] = x
    return Registration(pose, overlap, 0.1, converged)


def checking(reference):
    """Return a calibrated retriever whose check is calibrated, too."""
    refiner = Refiner(NO_REFINER.clouds, 5, EVIDENCE, everything(-np.inf), temperature=0.5)
    return make(reference, RATIO, confidence=everything(np.inf), refiner=refiner)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 8))
def test_what_the_check_saw_moves_the_ranking_as_bayes_says(seed, k, count):
    draw, observation = np.random.default_rng(seed), random_observation(seed)
    reference = random_places(seed, 30, missing=0)
    retriever = checking(reference)
    plain = {m.id: m for m in retriever.rank(observation, 30).matches}
    registrations = {f"{seed}/{i}": registration(draw.random(), x=2.0) for i in draw.permutation(30)[:count]}
    ranking = retriever.rank(observation, k, registrations=registrations)
    worth = {i: match.score for i, match in plain.items()}
    for i, there in registrations.items():
        worth[i] += np.clip(20 * there.overlap - 6, -3, 5) / 0.5
    expected = sorted(plain, key=lambda i: -worth[i])[:k]
    assert [m.id for m in ranking.matches] == expected
    for match in ranking.matches:
        assert match.score == pytest.approx(worth[match.id]) and match.refined == (match.id in registrations)
        assert (
            match.overlap == registrations[match.id].overlap if match.id in registrations else np.isnan(match.overlap)
        )
        np.testing.assert_array_equal(match.pair_probability, plain[match.id].pair_probability)
        assert match.pose[0, 3] == plain[match.id].pose[0, 3] + 2.0 * (match.id in registrations)
    # the checked confidence accepts, the other one never does
    assert ranking.accepted == (count > 0)


def test_a_check_that_saw_nothing_changes_nothing():
    reference, observation = random_places(3, 20), random_observation(3)
    retriever = checking(reference)
    plain = retriever.rank(observation)
    nothing = dict.fromkeys([m.id for m in plain.matches], NOT_REGISTERED)
    for registrations in ({}, nothing, {"nowhere": registration(0.9)}):
        again = retriever.rank(observation, registrations=registrations)
        assert [(m.id, m.score, m.probability) for m in again.matches] == [
            (m.id, m.score, m.probability) for m in plain.matches
        ]
        assert not again.accepted and again.place_set == plain.place_set and not any(m.refined for m in again.matches)


def test_a_pose_that_did_not_settle_is_the_places():
    reference, observation = random_places(3, 20), random_observation(3)
    best = make(reference).rank(observation).matches[0]
    found = checking(reference).rank(observation, registrations={best.id: registration(0.8, 3.0, converged=False)})
    match = next(m for m in found.matches if m.id == best.id)
    np.testing.assert_array_equal(match.pose, best.pose)
    assert not match.refined and match.overlap == 0.8


def test_a_large_map_is_checked_alike(monkeypatch):
    reference, observation = random_places(5, 60, missing=0), random_observation(5)
    small = checking(reference)
    registrations = {m.id: registration(0.1) for m in small.rank(observation, 3).matches} | {"5/50": registration(0.9)}
    expected = small.rank(observation, 8, registrations=registrations)
    monkeypatch.setattr(retriever_module, "LARGE", 10)
    found = checking(reference).rank(observation, 8, registrations=registrations)
    assert [m.id for m in found.matches] == [m.id for m in expected.matches] and found.accepted == expected.accepted
    for one, other in zip(found.matches, expected.matches, strict=True):
        np.testing.assert_allclose(one.pair_probability, other.pair_probability, atol=2e-3)  # kept in half precision


@dataclass(frozen=True, eq=False)
class Surveyor(Refiner):
    """Knows how much of the robot's scan is where."""

    asked: list = field(default_factory=list)

    def register(self, points, ids):
        self.asked.extend(ids)
        return {name: registration(float(points[0, 0])) for name in self.asked}


def test_the_first_candidates_are_laid_and_the_rest_is_left():
    reference, observation = random_places(8, 20, missing=0), random_observation(8)
    surveyor = Surveyor(NO_REFINER.clouds, candidates=4)
    retriever = make(reference, refiner=surveyor)
    plain = [m.id for m in retriever.rank(observation, 4).matches]
    ranking = retriever.refine(observation, np.full((1, 3), 0.25), k=2)
    assert surveyor.asked == plain and len(ranking.matches) == 2
    assert [m.overlap for m in ranking.matches] == [0.25, 0.25]


def test_a_map_without_a_check_ranks_as_ever():
    reference, observation = random_places(8, 20), random_observation(8)
    plain, checked = make(reference).rank(observation), make(reference).refine(observation, np.zeros((9, 3)))
    assert [(m.id, m.score) for m in plain.matches] == [(m.id, m.score) for m in checked.matches]


def test_candidates_of_one_query_are_checked_as_a_ranking_is():
    reference, observation = random_places(4, 25, missing=0), random_observation(4)
    retriever = checking(reference)
    whole = Scorer.of(retriever)
    similarity, scores = (batch[0] for batch in whole.scores(observation.as_set()))
    overlap = {int(row): 0.1 * i for i, row in enumerate(top_k(scores, 5))}
    rows, found = whole.candidates(similarity, scores, retriever.modalities, overlap, 3)
    ranking = retriever.rank(
        observation, 3, registrations={reference.ids[r]: registration(o) for r, o in overlap.items()}
    )
    assert [reference.ids[r] for r in rows[:3]] == [m.id for m in ranking.matches]
    # To the confidence the overlap is one sensor more: how much there is here, and how much more than elsewhere.
    assert found.alike.shape == found.lead.shape == (3, 4)
    seen = [overlap.get(int(r), np.nan) for r in rows]
    np.testing.assert_array_equal(found.alike[:, -1], seen[:3])
    others = [np.nanmax([o for j, o in enumerate(seen) if j != i]) for i in range(3)]
    np.testing.assert_allclose(found.lead[:, -1], np.array(seen[:3]) - others)
