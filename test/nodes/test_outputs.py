"""What is published of a ranking: a place's covariance says how sure it is."""

from dataclasses import replace

import numpy as np
import pytest

from any2any_ros.nodes import outputs
from any2any_ros.ranking import Match, Ranking

POSES = np.tile(np.eye(4), (4, 1, 1))
POSES[:, 0, 3] = 0, 3, 6, 100
WHERE = dict(zip("abcd", POSES[:, :3, 3], strict=True))


def covariance(place_set, **match):
    best = replace(Match("a", 0.9, 1.0, POSES[0], np.empty((0, 0))), **match)
    where = np.array([WHERE[name] for name in place_set])
    found = outputs.place(Ranking((best,), (), place_set=tuple(place_set), place_positions=where), "map", 5.0)
    return np.array(found.pose.covariance).reshape(6, 6), found.pose.pose.position.x


def test_a_place_is_as_wide_as_its_set_and_a_hit_radius():
    found, _ = covariance("ab")
    assert found[0, 0] == pytest.approx(2.5**2 + 3**2 / 2) and found[1, 1] == pytest.approx(2.5**2)
    assert found[5, 5] == pytest.approx((np.pi / 6) ** 2)


def test_a_refined_pose_is_narrower_unless_it_may_be_elsewhere():
    pose = POSES[0].copy()
    pose[0, 3] = 2.0
    near, x = covariance("abc", pose=pose, refined=True)
    assert x == 2.0 and near[0, 0] == near[1, 1] == pytest.approx(0.25**2)
    assert near[5, 5] == pytest.approx(np.radians(3) ** 2)
    far, _ = covariance("abcd", pose=pose, refined=True)
    assert far[0, 0] == pytest.approx(0.25**2 + 98**2 / 4)


def test_a_calibrated_covariance_is_turned_into_the_frame_of_the_map():
    """The robot looks along y, and knows its place well across its way, and badly along it."""
    pose = POSES[0].copy()
    pose[:2, :2] = [[0, -1], [1, 0]]
    known = np.diag([4.0, 0.01, 0.001])
    found, _ = covariance("ad", pose=pose, covariance=known)  # the set is wide, and says nothing new
    assert found[0, 0] == pytest.approx(0.01) and found[1, 1] == pytest.approx(4.0) and found[5, 5] == 0.001
    assert np.linalg.eigvalsh(found).min() > 0


def test_the_cross_terms_of_a_covariance_follow_the_heading():
    pose, root = POSES[0].copy(), np.random.default_rng(0).normal(size=(3, 3))
    pose[:2, :2] = [[0, -1], [1, 0]]
    known = root @ root.T
    found, _ = covariance("a", pose=pose, covariance=known)
    assert found[1, 5] == pytest.approx(known[0, 2]) and found[0, 5] == pytest.approx(-known[1, 2])
