"""Covariances are fitted so that their ellipsoid of 95 % holds 95 % of the accepted answers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.calibration import pose_errors
from any2any_ros.calibration.pose_errors import PoseError
from any2any_ros.localization.planar import YAW_OF_A_CIRCLE


def drawn(seed, count, pattern="camera", aligned=False, turned=0.0, accepted=True, wrong=0.0):
    draw = np.random.default_rng(seed)
    out = []
    for x, y, yaw in draw.standard_t(4, size=(count, 3)) * (1.0, 0.5, 0.05):
        yaw = yaw + np.pi if draw.random() < turned else yaw
        right = draw.random() >= wrong
        far = 0.0 if right else 80.0
        yaw = (yaw + np.pi) % (2 * np.pi) - np.pi
        out.append(PoseError(pattern, aligned, accepted, right, x + far, y, yaw, query=len(out)))
    return out


@pytest.mark.parametrize("turned", [0.0, 0.02, 0.3])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_on_other_answers_of_the_kind_the_ellipsoid_holds_what_it_promises(turned, seed):
    fitted = pose_errors.fit(drawn(seed, 400, turned=turned))
    (row,) = pose_errors.figures(drawn(seed + 1, 2000, turned=turned), fitted)
    assert 0.89 < row["coverage95"] < 0.99  # of 400: 0.95, give or take 0.014


def test_the_ellipsoid_is_no_wider_than_it_must_be():
    found = drawn(0, 399)
    (row,) = pose_errors.figures(found, pose_errors.fit(found))
    assert row["coverage95"] == pytest.approx(0.955, abs=0.01)


def test_few_queries_give_a_wider_ellipsoid_however_many_answers_they_give():
    many = drawn(0, 400)
    few = [replace(one, query=one.query % 20) for one in many]
    wide, narrow = (pose_errors.fit(found).of(("camera",), False) for found in (few, many))
    assert wide[0, 0] > 2 * narrow[0, 0]
    (row,) = pose_errors.figures(many, pose_errors.fit(few))
    assert row["coverage95"] == 1.0


def test_wrong_answers_that_were_accepted_count():
    narrow, wide = (pose_errors.fit(drawn(0, 400, wrong=wrong)).of(("camera",), False) for wrong in (0.0, 0.2))
    assert narrow[0, 0] < 10 and wide[0, 0] > 100


def test_a_heading_that_may_be_backwards_is_not_known():
    assert pose_errors.fit(drawn(0, 300, turned=0.3)).of(("camera",), False)[2, 2] == pytest.approx(YAW_OF_A_CIRCLE)
    assert pose_errors.fit(drawn(0, 300)).knows_heading(("camera",), False)


def test_kinds_of_answers_have_covariances_of_their_own():
    found = drawn(0, 100) + drawn(1, 100, "camera+lidar", aligned=True) + drawn(2, 100, "lidar", aligned=True)
    found = [replace(one, x=one.x / 10) if one.aligned else one for one in found]
    fitted = pose_errors.fit(found + drawn(3, 5, "audio"))
    assert set(fitted.covariance) == {"aligned", "camera", "any"}
    assert fitted.of(("audio",), False)[0, 0] == fitted.covariance["any"][0, 0]
    assert fitted.of(("lidar",), True)[0, 0] < fitted.of(("camera",), False)[0, 0] / 10


def test_where_few_were_accepted_the_right_ones_count():
    some = drawn(0, 100, accepted=False, wrong=0.4)
    fitted = pose_errors.fit(some).of(("camera",), False)
    assert fitted[0, 0] < 20
    assert pose_errors.fit(some[:10]).covariance == {}


def test_figures_tell_accepted_answers_alone():
    found = drawn(0, 50, turned=0.5) + drawn(1, 50, "audio", accepted=False)
    camera, audio = sorted(pose_errors.figures(found, pose_errors.fit(found)), key=lambda r: -r["accepted"])
    assert camera["accepted"] == 50 and 0.3 < camera["yaw_over_90_share"] < 0.7 and camera["position_p50"] < 2
    assert audio["accepted"] == 0 and audio["coverage95"] is None


def test_errors_too_small_to_be_true_are_not_believed():
    still = [PoseError("lidar", True, True, True, 0.0, 0.0, 0.0, i) for i in range(50)]
    fitted = pose_errors.fit(still).of(("lidar",), True)
    assert (np.diag(fitted) > 0).all() and np.isfinite(fitted).all()
