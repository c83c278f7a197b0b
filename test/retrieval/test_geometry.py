"""The geometric check: scans come back from the map, evidence is fair to what was not checked, and poses compose."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from any2any_ros import plugins
from any2any_ros.errors import Any2AnyError
from any2any_ros.methods.registration import NOWHERE, Registration, RegistrationConfig, thinned
from any2any_ros.retrieval.geometry import Clouds, GeometricCheck, OverlapEvidence, refined_pose

HERE = Path(__file__).parent  # a map without scans
EVIDENCE = OverlapEvidence(20.0, -6.0, -3.0, 5.0)


def street(seed, n=6000):
    """Return points (N, 3): poles of all heights on flat ground, so that there is one way to lay them."""
    draw = np.random.default_rng(seed)
    ground = np.column_stack([draw.uniform(-35, 35, (n, 2)), np.full(n, -1.7)])
    foot, height = draw.uniform(-35, 35, (80, 2)), draw.uniform(2, 9, 80)
    poles = [
        np.column_stack([np.tile(f, (40, 1)), np.linspace(-1.7, h, 40)]) for f, h in zip(foot, height, strict=True)
    ]
    return np.concatenate([ground, *poles])


@pytest.fixture
def clouds(tmp_path):
    found = Clouds(tmp_path)
    for i in range(3):
        found.add(f"straße/{i:06d}", street(i))
    return found


def test_a_scan_comes_back_to_the_centimetre(clouds, tmp_path):
    config = RegistrationConfig()
    kept = thinned(street(1), config.voxel, config.reach)
    again = Clouds(tmp_path).scan("straße/000001")
    # Rounding may carry a mean into the next cube: every point is near one that went in.
    nearest, _ = cKDTree(kept).query(again.points)
    assert len(again.points) > 0.95 * len(kept) and nearest.max() < config.voxel and np.median(nearest) < 0.0087
    assert "straße/000001" in clouds and "elsewhere" not in clouds and clouds.scan("elsewhere") is None


def test_a_scan_is_read_once_and_anew_when_it_changes(clouds):
    first = clouds.scan("straße/000000")
    assert clouds.scan("straße/000000") is first
    clouds.add("straße/000000", street(9))
    assert clouds.scan("straße/000000").points.shape != first.points.shape
    clouds.add("new", street(3))
    assert clouds.scan("new") is not None


def test_an_empty_scan_is_kept_too(clouds):
    clouds.add("dark", np.empty((0, 3)))
    assert not clouds.scan("dark").usable


def test_a_killed_write_leaves_the_old_scan(clouds, monkeypatch):
    def broken(*_):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(Any2AnyError, match="no space left"):
        clouds.add("straße/000000", street(9))
    assert clouds.scan("straße/000000").usable
    assert len(list(clouds.folder.iterdir())) == 3


def spoil(how, clouds):
    file = clouds._file("straße/000000")
    if how == "cut short":
        file.write_bytes(file.read_bytes()[:-100])
    elif how == "no archive":
        file.write_bytes(b"hello")
    elif how == "another place's":
        file.write_bytes(clouds._file("straße/000001").read_bytes())
    else:
        np.savez(file, id=np.array("straße/000000"), points=np.zeros((4, 2), dtype=np.int16))


@pytest.mark.parametrize("how", ["cut short", "no archive", "another place's", "wrong shape"])
def test_a_damaged_scan_is_told(clouds, how):
    spoil(how, clouds)
    with pytest.raises(Any2AnyError, match="straße/000000"):
        clouds.scan("straße/000000")


def learnt(seed=0, queries=60, references=30, checked=5):
    """Return overlaps (Q, R), NaN where not checked, and which references are right (Q, R)."""
    draw = np.random.default_rng(seed)
    positive = draw.random((queries, references)) < 0.1
    overlap = np.where(positive, draw.normal(0.55, 0.1, positive.shape), draw.normal(0.2, 0.1, positive.shape))
    overlap[:, checked:] = np.nan
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


@pytest.mark.parametrize("what", ["nothing checked", "all right", "none right", "upside down"])
def test_nothing_to_learn_is_no_evidence(what):
    overlap, positive = learnt()
    if what == "nothing checked":
        overlap[:] = np.nan
    elif what == "upside down":
        overlap = 1 - overlap
    else:
        positive = np.full_like(positive, what == "all right")
    np.testing.assert_array_equal(OverlapEvidence.fit(overlap, positive)(np.array([0.0, 0.5, 1.0, np.nan])), 0)


def test_evidence_is_kept(tmp_path):
    plugins.save(EVIDENCE, tmp_path / "overlap")
    assert vars(plugins.load(tmp_path / "overlap")) == vars(EVIDENCE)


cases = st.tuples(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 6))


def case(seed, references, checked):
    draw = np.random.default_rng(seed)
    scores = draw.normal(size=references)
    rows = draw.permutation(references)[:checked]
    overlap = np.where(draw.random(len(rows)) < 0.2, np.nan, draw.random(len(rows)))
    return scores, rows, overlap


@given(cases)
def test_what_was_not_checked_keeps_its_score(drawn):
    scores, rows, overlap = case(*drawn)
    unseen = np.setdiff1d(np.arange(len(scores)), rows[~np.isnan(overlap)])
    for evidence in (None, EVIDENCE):
        before = scores.copy()
        out = GeometricCheck(Clouds(HERE), evidence).rescored(scores, rows, overlap)
        np.testing.assert_array_equal(out[unseen], scores[unseen])
        np.testing.assert_array_equal(scores, before)


@given(cases)
def test_uncalibrated_candidates_trade_scores(drawn):
    scores, rows, overlap = case(*drawn)
    out = GeometricCheck(Clouds(HERE)).rescored(scores, rows, overlap)
    np.testing.assert_array_equal(np.sort(out), np.sort(scores))
    seen = ~np.isnan(overlap)
    by_overlap = out[rows[seen]][np.argsort(overlap[seen])]
    assert (np.diff(by_overlap) >= 0).all()


@given(cases, st.floats(0.1, 10))
def test_calibrated_candidates_gain_what_bayes_says(drawn, temperature):
    """softmax(temperature * rescored) is the posterior times the likelihood ratio."""
    scores, rows, overlap = case(*drawn)
    out = GeometricCheck(Clouds(HERE), EVIDENCE).rescored(scores, rows, overlap, temperature)
    ratio = np.ones(len(scores))
    for row, o in zip(rows, overlap, strict=True):
        if not np.isnan(o):
            ratio[row] = np.exp(min(max(20 * o - 6, -3), 5))
    prior = np.exp(temperature * scores)
    posterior = np.exp(temperature * out)
    np.testing.assert_allclose(posterior / posterior.sum(), prior * ratio / (prior * ratio).sum(), rtol=1e-9)


def test_when_all_candidates_fail_the_next_one_comes_first():
    scores = np.array([3.0, 2.9, 2.0, -5.0])
    out = GeometricCheck(Clouds(HERE), EVIDENCE).rescored(scores, np.array([0, 1]), np.array([0.0, 0.05]))
    assert out.argmax() == 2


def test_candidates_without_a_scan_are_nowhere(clouds):
    """No Open3D is needed to say so."""
    found = GeometricCheck(clouds).registrations(street(0), ["elsewhere"])
    assert found == [NOWHERE]


def test_the_right_candidate_overlaps_most(clouds):
    pytest.importorskip("open3d", reason="Open3D is absent: pip install 'any2any_ros[open3d]'", exc_type=ImportError)
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # the robot faces left now
    query = (street(1) - [2.0, -1.0, 0.0]) @ turn
    ids = [f"straße/{i:06d}" for i in range(3)]
    found = GeometricCheck(clouds).registrations(query, ids)
    assert np.argmax([r.overlap for r in found]) == 1 and found[1].converged
    np.testing.assert_allclose(found[1].pose[:3, :3], turn, atol=0.01)
    np.testing.assert_allclose(found[1].pose[:3, 3], [2, -1, 0], atol=0.1)


def test_the_refined_pose_goes_through_the_lidar_s_mounting():
    """A LiDAR 1 m ahead of the robot's middle: turning on the spot moves it, not the robot."""
    mounting, reference, moved = np.eye(4), np.eye(4), np.eye(4)
    mounting[0, 3] = 1.0
    reference[:3, 3] = 10, 20, 0
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])
    moved = np.linalg.inv(mounting) @ turned @ mounting  # what ICP sees of it
    found = Registration(moved, 0.9, 0.1, True)
    np.testing.assert_allclose(refined_pose(reference, found, mounting), reference @ turned, atol=1e-12)
    np.testing.assert_array_equal(refined_pose(reference, found), reference @ moved)
    np.testing.assert_array_equal(refined_pose(reference, NOWHERE), reference)
