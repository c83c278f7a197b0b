"""Refinement: evidence is fair to what was not registered, nothing damaged stops it, and poses compose."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streets import street

from any2any_ros import storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry import registration
from any2any_ros.geometry.clouds import Clouds, moved
from any2any_ros.geometry.refiner import NO_REFINER, OverlapEvidence, Refiner, refined_pose
from any2any_ros.geometry.registration import NOT_REGISTERED, Registration

HERE = Path(__file__).parent  # a map without scans
EVIDENCE = OverlapEvidence(20.0, -6.0, -3.0, 5.0)


@pytest.fixture
def clouds(tmp_path):
    found = Clouds(tmp_path)
    for i in range(3):
        found.add(f"straße/{i:06d}", street(i))
    return found


def learnt(seed=0, queries=60, references=30, registered=5):
    """Return overlaps (Q, R), NaN where not registered, and which references are right (Q, R)."""
    draw = np.random.default_rng(seed)
    positive = draw.random((queries, references)) < 0.1
    overlap = np.where(positive, draw.normal(0.55, 0.1, positive.shape), draw.normal(0.2, 0.1, positive.shape))
    overlap[:, registered:] = np.nan
    return overlap.clip(0, 1), positive


def test_evidence_grows_with_the_overlap_within_what_the_pairs_show():
    overlap, positive = learnt()
    evidence = OverlapEvidence.fit(overlap, positive)
    values = evidence(np.linspace(0, 1, 101))
    assert (np.diff(values) >= 0).all() and values[0] < -1 and values[-1] > 1
    seen = ~np.isnan(overlap)
    assert values[0] >= -np.log1p((seen & positive).sum()) and values[-1] <= np.log1p((seen & ~positive).sum())
    assert evidence(np.array([np.nan]))[0] == 0


def test_evidence_is_the_log_likelihood_ratio_where_that_is_known():
    """Two normal distributions of one width: the true ratio is affine."""
    draw = np.random.default_rng(1)
    positive = draw.random((4000, 5)) < 0.2
    overlap = np.where(positive, 0.5, 0.3) + draw.normal(0, 0.1, positive.shape)
    x = np.linspace(0.25, 0.55, 7)
    true = ((x - 0.3) ** 2 - (x - 0.5) ** 2) / (2 * 0.1**2)
    np.testing.assert_allclose(OverlapEvidence.fit(overlap, positive)(x), true, atol=0.25)


@pytest.mark.parametrize("what", ["nothing registered", "all right", "none right", "upside down"])
def test_nothing_to_learn_is_no_evidence(what):
    overlap, positive = learnt()
    if what == "nothing registered":
        overlap[:] = np.nan
    elif what == "upside down":
        overlap = 1 - overlap
    else:
        positive = np.full_like(positive, what == "all right")
    np.testing.assert_array_equal(OverlapEvidence.fit(overlap, positive)(np.array([0.0, 0.5, 1.0, np.nan])), 0)


def test_evidence_is_kept(tmp_path):
    storage.save(EVIDENCE, tmp_path / "overlap")
    assert vars(storage.load(tmp_path / "overlap", OverlapEvidence)) == vars(EVIDENCE)


@given(st.integers(0, 10_000))
def test_pairs_may_come_in_any_shape(seed):
    overlap, positive = learnt(seed)
    seen = ~np.isnan(overlap)
    assert vars(OverlapEvidence.fit(overlap[seen], positive[seen])) == vars(OverlapEvidence.fit(overlap, positive))


cases = st.tuples(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 6))


def case(seed, references, count):
    """Return scores (S,) and overlaps (S,), NaN where not registered."""
    draw = np.random.default_rng(seed)
    overlap = np.full(references, np.nan)
    rows = draw.permutation(references)[:count]
    overlap[rows] = np.where(draw.random(len(rows)) < 0.2, np.nan, draw.random(len(rows)))
    return draw.normal(size=references), overlap


def refiner(evidence=None, **options):
    return Refiner(Clouds(HERE), evidence=evidence, **options)


@given(cases)
def test_what_was_not_registered_keeps_its_score(drawn):
    scores, overlap = case(*drawn)
    unseen = np.isnan(overlap)
    for evidence in (None, EVIDENCE):
        before = scores.copy()
        out = refiner(evidence).rescored(scores, overlap)
        np.testing.assert_array_equal(out[unseen], scores[unseen])
        np.testing.assert_array_equal(scores, before)


@given(cases, st.sampled_from([0.0, 0.5]))
def test_uncalibrated_candidates_trade_scores(drawn, weight):
    scores, overlap = case(*drawn)
    out, seen = refiner(weight=weight).rescored(scores, overlap), ~np.isnan(overlap)
    np.testing.assert_array_equal(np.sort(out), np.sort(scores))
    assert (np.diff(out[seen][np.argsort((overlap + weight * scores)[seen])]) >= 0).all()


@given(cases, st.floats(0.1, 10))
def test_calibrated_candidates_gain_what_bayes_says(drawn, temperature):
    """softmax(temperature * rescored) is the posterior times the likelihood ratio."""
    scores, overlap = case(*drawn)
    out = refiner(EVIDENCE, temperature=temperature).rescored(scores, overlap)
    ratio = np.where(np.isnan(overlap), 1.0, np.exp(np.clip(20 * np.nan_to_num(overlap) - 6, -3, 5)))
    prior, posterior = np.exp(temperature * scores), np.exp(temperature * out)
    np.testing.assert_allclose(posterior / posterior.sum(), prior * ratio / (prior * ratio).sum(), rtol=1e-9)


def test_when_all_candidates_fail_the_next_one_comes_first():
    out = refiner(EVIDENCE).rescored(np.array([3.0, 2.9, 2.0, -5.0]), np.array([0.0, 0.05, np.nan, np.nan]))
    assert out.argmax() == 2


def test_candidates_without_a_scan_are_nowhere(clouds):
    """No Open3D is needed to say so."""
    assert Refiner(clouds).register(street(0), ["elsewhere"]) == {"elsewhere": NOT_REGISTERED}
    assert NO_REFINER.register(street(0), []) == {} and NO_REFINER.candidates == 0


def test_without_open3d_nothing_is_registered_and_it_is_said(clouds, monkeypatch):
    def absent():
        raise Any2AnyError("Cannot register scans", "Open3D is absent", "pip install it")

    monkeypatch.setattr(registration, "open3d", absent)
    with pytest.warns(UserWarning, match="Open3D is absent") as said:
        found = Refiner(clouds).register(street(0), ["straße/000000", "elsewhere"])
    assert list(found.values()) == [NOT_REGISTERED, NOT_REGISTERED] and len(said) == 1


def test_a_damaged_scan_is_left_out_and_said(clouds):
    clouds._file("straße/000001").write_bytes(b"hello")
    said = []
    found = Refiner(clouds, complain=said.append).register(street(0), ["straße/000001", "elsewhere"])
    assert list(found.values()) == [NOT_REGISTERED, NOT_REGISTERED]
    assert len(said) == 1 and "straße/000001" in said[0]


def test_a_robots_points_of_another_shape_are_refused(clouds):
    with pytest.raises(Any2AnyError, match=r"its shape is \(5, 2\)"):
        Refiner(clouds).register(np.zeros((5, 2)), ["straße/000000"])


def test_the_right_candidate_overlaps_most(clouds):
    pytest.importorskip("open3d", reason="Open3D is absent: pip install 'any2any_ros[open3d]'", exc_type=ImportError)
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # the robot faces left now
    query = (street(1) - [2.0, -1.0, 0.0]) @ turn
    found = list(Refiner(clouds).register(query, [f"straße/{i:06d}" for i in range(3)]).values())
    assert np.argmax([r.overlap for r in found]) == 1 and found[1].converged
    np.testing.assert_allclose(found[1].pose[:3, :3], turn, atol=0.01)
    np.testing.assert_allclose(found[1].pose[:3, 3], [2, -1, 0], atol=0.1)


def test_the_refined_pose_is_the_robots_wherever_its_lidar_sits():
    """A LiDAR 1 m ahead of the robot's middle: turning on the spot moves it, not the robot."""
    mounting, reference = np.eye(4), np.eye(4)
    mounting[0, 3] = 1.0
    reference[:3, 3] = 10, 20, 0
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])
    world = np.random.default_rng(0).uniform(-30, 30, (50, 3))

    def scan(robot):  # what the LiDAR sees, brought into the robot's frame
        lidar = np.linalg.inv(robot @ mounting)
        return moved(world @ lidar[:3, :3].T + lidar[:3, 3], mounting)

    there, now = scan(reference), scan(reference @ turned)
    np.testing.assert_allclose(moved(now, turned), there, atol=1e-9)  # so this is what ICP finds
    np.testing.assert_allclose(refined_pose(reference, Registration(turned, 0.9, 0.1, True)), reference @ turned)
    np.testing.assert_array_equal(refined_pose(reference, NOT_REGISTERED), reference)
    np.testing.assert_array_equal(refined_pose(reference, Registration(turned, 0.9, 0.1, False)), reference)
