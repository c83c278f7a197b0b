"""What a ranking says of where the robot is."""

import numpy as np
import pytest

from any2any_ros.localization import planar
from any2any_ros.localization.answer import Answer
from any2any_ros.ranking import Match, Ranking

START = np.array([20.0, 5.0, 0.5])


def match(pose, name="place", probability=0.97, covariance=np.eye(3)):
    return Match(name, probability, 1.0, planar.matrix(pose), np.empty((0, 0)), covariance=covariance)


def test_matches_at_one_place_are_one_candidate_and_those_without_a_pose_none():
    unknown = Match("x", 0.9, 1.0, np.full((4, 4), np.nan), np.empty((0, 0)))
    unsure = Match("y", float("nan"), 1.0, np.eye(4), np.empty((0, 0)))
    near = match(START + np.array([2.0, 0, 0]), "near", 0.9)
    far = match(START + np.array([90.0, 0, 0]), "far", 0.02, np.full((3, 3), np.nan))
    found = Answer.of(Ranking((match(START), near, far), (), accepted=True), np.eye(4))
    assert [c.id for c in found.candidates] == ["place", "far"] and found.accepted
    assert found.candidates[1].covariance[2, 2] == pytest.approx(np.pi**2 / 3)
    none = Answer.of(Ranking((unknown, unsure), (), accepted=True), None)
    assert not none.candidates and not none.accepted and none.odometry is None
