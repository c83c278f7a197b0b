"""Registrations of scans refine a ranking as Bayes' rule says."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_maps import everything, make, random_observation, random_places

from any2any_ros.calibration.scorer import Scorer
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.geometry.refiner import NO_REFINER, OverlapEvidence, Refiner
from any2any_ros.geometry.registration import NOT_REGISTERED, Registration
from any2any_ros.localization.pose_errors import ALIGNED, ANY, PoseErrors
from any2any_ros.retrieval import retriever as retriever_module
from any2any_ros.retrieval.large.search import top_k

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
    # the checked confidence accepts, the other one never does; nor is an answer accepted that was not registered itself
    assert ranking.accepted == (expected[0] in registrations)


def test_a_pose_by_scans_has_no_covariance_of_images():
    reference = random_places(3, 20, missing=0)
    retriever = checking(reference)
    fitted = PoseErrors({ALIGNED: np.diag([0.01, 0.01, 0.001]), ANY: np.eye(3)})
    retriever.calibration = replace(retriever.calibration, poses=fitted)
    by_images = Registration(np.eye(4), 0.9, float("nan"), True)
    found = [
        retriever.rank(random_observation(3), 20, registrations={"3/4": one}).matches
        for one in (registration(0.9), by_images)
    ]
    scan, image = (next(m for m in matches if m.id == "3/4").covariance for matches in found)
    assert np.isnan(scan).all() and image[0, 0] == 0.01
    assert next(m for m in found[0] if m.id != "3/4").covariance[0, 0] == 1.0


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

    registered_ids: list = field(default_factory=list)

    def register(self, points, ids):
        self.registered_ids.extend(ids)
        return {name: registration(float(points[0, 0])) for name in self.registered_ids}


def test_the_first_candidates_are_laid_and_the_rest_is_left():
    reference, observation = random_places(8, 20, missing=0), random_observation(8)
    surveyor = Surveyor(NO_REFINER.clouds, candidates=4)
    retriever = make(reference, refiner=surveyor)
    plain = [m.id for m in retriever.rank(observation, 4).matches]
    ranking = retriever.refine(observation, np.full((1, 3), 0.25), k=2)
    assert surveyor.registered_ids == plain and len(ranking.matches) == 2
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
    rows, found = whole.candidates(similarity, whole.refined(scores, overlap), retriever.modalities, overlap, 3)
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
