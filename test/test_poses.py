"""A rigid transform is a pose, a matrix with a NaN is an unknown one, and anything else is refused by its row."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet
from any2any_ros.poses import FARTHEST, validated


def poses(n=4):
    made = np.tile(np.eye(4), (n, 1, 1))
    made[:, :3, :3] = Rotation.random(n, random_state=0).as_matrix()
    made[:, :3, 3] = np.random.default_rng(0).normal(size=(n, 3)) * 1e6
    return made


def test_rigid_transforms_come_back_as_they_are():
    for made in (poses(), poses(0), poses(1), np.full((2, 4, 4), np.nan)):
        assert validated(made) is made
    rounded = poses().round(4)  # as in a file
    assert validated(rounded) is rounded


def test_a_nan_anywhere_makes_a_pose_unknown():
    for row, column in ((0, 3), (1, 1), (3, 3)):
        made = poses()
        made[2, row, column] = np.nan
        found = validated(made)
        assert np.isnan(found[2]).all() and not np.isnan(made[2]).all()
        np.testing.assert_array_equal(found[[0, 1, 3]], made[[0, 1, 3]])
        assert np.isnan(ObservationSet({}, made, tuple("abcd")).poses[2]).all()
    made = poses(1)
    made[0, 0, 0] = np.nan
    assert np.isnan(validated(made)).all()


WRONG = {
    "zeros": (np.zeros((4, 4)), "its last row is .*, not 0 0 0 1"),
    "a rotation of zeros": (np.diag([0.0, 0, 0, 1]), "no rotation"),
    "a reflection": (np.diag([1.0, 1, -1, 1]), "no rotation"),
    "a scale": (np.diag([1.1, 1.1, 1.1, 1]), "no rotation"),
    "a huge rotation": (np.diag([1e308, 1e308, 1e308, 1]), "no rotation"),
    "an infinite position": (np.eye(4) + np.pad([[np.inf]], ((0, 3), (3, 0))), "not finite"),
    "a far position": (np.eye(4) + np.pad([[2 * FARTHEST]], ((1, 2), (3, 0))), "1e.09 m away or more"),
}


@pytest.mark.parametrize(("wrong", "why"), WRONG.values(), ids=WRONG.keys())
@pytest.mark.filterwarnings("error")
def test_what_is_no_rigid_transform_is_refused_by_its_row(wrong, why):
    made = poses()
    made[0] = np.nan
    made[2] = wrong
    with pytest.raises(Any2AnyError, match=f"Pose 2 of 4 cannot be used: .*{why}"):
        validated(made)
    with pytest.raises(Any2AnyError, match=f"The pose cannot be used: .*{why}"):
        ObservationSet({}, wrong[None], ("a",))
