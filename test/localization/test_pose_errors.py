"""How far poses err, as it is stored and asked for."""

import numpy as np
import pytest

from any2any_ros import storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.localization.planar import YAW_OF_A_CIRCLE
from any2any_ros.localization.pose_errors import PoseErrors

ERRORS = PoseErrors(
    {
        "aligned": np.diag([0.01, 0.01, 0.001]),
        "camera": np.diag([1.0, 1.0, 0.01]),
        "any": np.diag([4.0, 4.0, YAW_OF_A_CIRCLE]),
    }
)


def test_an_aligned_pose_is_as_good_whatever_else_is_alive():
    assert ERRORS.of(("camera", "lidar"), True)[0, 0] == ERRORS.of(("lidar",), True)[0, 0] == 0.01


def test_another_pose_is_as_good_as_those_of_its_sensors_or_else_of_any():
    assert ERRORS.of(("camera",), False)[0, 0] == 1.0
    assert ERRORS.of(("text", "audio"), False)[0, 0] == 4.0
    assert np.isnan(PoseErrors({}).of(("camera",), False)).all()


def test_a_sensor_that_cannot_know_its_heading_says_so():
    assert ERRORS.knows_heading(("camera",), False) and ERRORS.knows_heading(("audio",), True)
    assert not ERRORS.knows_heading(("audio",), False)


def test_it_is_stored(tmp_path):
    storage.save(ERRORS, tmp_path / "poses")
    again = storage.load(tmp_path / "poses", PoseErrors)
    assert again.covariance.keys() == ERRORS.covariance.keys()
    np.testing.assert_array_equal(again.covariance["camera"], ERRORS.covariance["camera"])


@pytest.mark.parametrize(
    "value",
    [
        np.eye(2),
        np.diag([1.0, 1.0, 0.0]),
        np.diag([1.0, -1.0, 1.0]),
        np.full((3, 3), np.nan),
        np.array([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 1]]),
    ],
    ids=["two by two", "flat", "negative", "NaN", "lopsided"],
)
def test_what_is_no_covariance_is_refused(value, tmp_path):
    with pytest.raises((ValueError, Any2AnyError)):
        PoseErrors({"aligned": value})
