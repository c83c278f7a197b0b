"""Drives on which a calibration is judged: the same answers as without a memory, at places that did not calibrate."""

import numpy as np
import pytest
import tiny_real_sets
from real_sets import kitti_bev, trust_drives
from real_sets.trust_drives import of_real, thinned

from any2any_ros.calibration import reliability
from any2any_ros.errors import Any2AnyError
from any2any_ros.progress import silent
from any2any_ros.retrieval.retriever import Retriever


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Return a ring of 188 m that is driven twice, with a frame every 1.6 m."""
    poses = tiny_real_sets.ring(240, radius=30.0)
    return kitti_bev.read(tiny_real_sets.kitti_bev(tmp_path_factory.mktemp("kitti"), poses))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return tmp_path_factory.mktemp("stored")


@pytest.fixture(scope="module")
def drive(real, stored):
    return of_real(real, "lidar", stored, silent)


def test_a_thinned_set_has_its_frames_so_far_apart_and_the_same_right_answers(real):
    thin = thinned(real, 6.0, 6.0)
    ground = thin.recording.drive.poses[:, :2, 3]
    for rows, metres in ((thin.references, 6.0), (thin.queries, 6.0)):
        assert np.linalg.norm(np.diff(ground[rows], axis=0), axis=1).min() >= metres - 1e-9
    apart = np.linalg.norm(ground[thin.queries, None] - ground[None, thin.references], axis=-1)
    np.testing.assert_array_equal(thin.right, (apart < kitti_bev.HIT) & thin.allowed)
    assert thin.right.any(axis=1).all() and 20 < len(thin.queries) < len(real.queries)


def test_the_answers_are_those_of_a_robot_that_remembers_nothing(drive):
    rows = np.arange(30)
    fitted, test = drive.calibrated(rows), drive.apart(rows)
    assert fitted.alignment is not None and len(test) >= 10
    for mapped in (True, False):
        task = drive.task.take(test)
        plain = reliability.outcomes(
            Retriever(drive.reference, fitted),
            task,
            trust_drives.MISSES,
            np.ones(len(task), dtype=bool),
            task.allowed if mapped else task.unmapped,
        )
        assert drive.outcomes(fitted, test, mapped) == plain == drive.outcomes(fitted, test, mapped)
    assert drive.memory.known and any(outcome.right for outcome in drive.outcomes(fitted, test, True))
    assert not any(outcome.right for outcome in drive.outcomes(fitted, test, False))


def test_places_that_calibrate_are_not_near_those_that_test(drive):
    rows, poses = np.arange(20), drive.task.queries.poses[:, :2, 3]
    test = drive.apart(rows)
    assert len(test) and np.linalg.norm(poses[test, None] - poses[None, rows], axis=-1).min() >= 2 * kitti_bev.HIT


def test_a_calibration_on_one_stretch_is_refused(drive):
    with pytest.raises(Any2AnyError, match="two stretches are needed"):
        drive.calibrated(np.arange(5))


def test_vectors_are_encoded_once(drive, real, stored, monkeypatch):
    monkeypatch.setattr(trust_drives.encoders, "see", None)
    again = of_real(real, "lidar", stored, silent)
    np.testing.assert_array_equal(again.task.queries.embeddings["lidar"], drive.task.queries.embeddings["lidar"])
    np.testing.assert_array_equal(again.task.positive, drive.task.positive)
