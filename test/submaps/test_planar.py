"""Motions on the ground against matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.submaps.planar import HERE, Planar, wrapped

METRES = st.floats(-100, 100)
POSES = st.builds(lambda x, y, turn: Planar(complex(x, y), turn), METRES, METRES, st.floats(-3, 3))


@given(POSES, POSES)
def test_one_motion_after_another_is_the_product_of_their_matrices(one, other):
    np.testing.assert_allclose(one.then(other).matrix, one.matrix @ other.matrix, atol=1e-9)


@given(POSES)
def test_a_motion_and_its_inverse_lead_back(pose):
    for back in (pose.then(pose.inverse()), pose.inverse().then(pose)):
        np.testing.assert_allclose(back.matrix, np.eye(4), atol=1e-9)


@given(POSES)
def test_a_pose_comes_from_its_matrix(pose):
    again = Planar.of(pose.matrix)
    assert again.shift == pytest.approx(pose.shift) and again.turn == pytest.approx(wrapped(pose.turn))


@given(POSES, METRES, METRES)
def test_points_move_as_by_the_matrix(pose, x, y):
    moved = pose(np.array([complex(x, y)]))[0]
    np.testing.assert_allclose((moved.real, moved.imag), (pose.matrix @ (x, y, 0, 1))[:2], atol=1e-9)


@given(st.floats(-50, 50))
def test_a_wrapped_angle_is_the_same_direction(angle):
    assert abs(wrapped(angle)) <= np.pi
    assert np.exp(1j * wrapped(angle)) == pytest.approx(np.exp(1j * angle))


def test_half_a_motion_twice_is_the_whole_of_a_straight_one():
    half = Planar(2 + 0j, 0.0).times(0.5)
    assert half.then(half) == Planar(2 + 0j, 0.0)
    assert HERE.times(7) == HERE
