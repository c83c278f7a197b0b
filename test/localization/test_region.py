"""Where a robot is known to be before it looks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.errors import Any2AnyError
from any2any_ros.localization import planar
from any2any_ros.localization.answer import Candidate
from any2any_ros.localization.region import EVERYWHERE, Region

NAN = float("nan")
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


def poses(*ground):
    return np.array([planar.matrix(np.array([x, y, 0.0])) for x, y in ground])


def test_it_holds_the_places_in_the_circle():
    unknown = np.full((1, 4, 4), np.nan)
    places = np.concatenate([poses((3, 4), (5, 0), (5.1, 0), (-100, 0)), unknown])
    assert Region(0, 0, 5.0).holds(places).tolist() == [True, True, False, False, False]
    assert EVERYWHERE.holds(places).all() and EVERYWHERE.everywhere and not Region(radius=5.0).everywhere


def test_a_heading_counts_where_it_is_known():
    def facing(yaw, deviation=0.05):
        return Candidate("a", planar.matrix(np.array([0, 0, yaw])), 0.9, np.diag([1.0, 1.0, deviation**2]))

    north = Region(yaw=np.pi - 0.1, turned=0.5)
    assert north.faces(facing(np.pi)) and north.faces(facing(-np.pi + 0.3)) and north.faces(facing(np.pi - 0.7))
    assert not north.faces(facing(0.0)) and not north.faces(facing(-np.pi + 0.9))
    assert north.faces(facing(0.0, np.sqrt(planar.YAW_OF_A_CIRCLE))) and EVERYWHERE.faces(facing(2.0))


def test_it_is_made_around_a_pose_three_deviations_wide():
    covariance = np.diag([4.0, 1.0, 0, 0, 0, 0])
    region = Region.around(poses((7, 8))[0], covariance, 1.0)
    assert (region.x, region.y, region.radius, region.turned) == (7.0, 8.0, 6.0, np.pi)
    assert Region.around(poses((7, 8))[0], covariance, 9.0).radius == 9.0


@pytest.mark.parametrize("bad", [np.zeros((6, 6)), np.full((6, 6), NAN), np.diag([-1.0, 1, 0, 0, 0, 0])])
def test_a_covariance_that_says_nothing_is_refused(bad):
    with pytest.raises(Any2AnyError, match="covariance"):
        Region.around(np.eye(4), bad, 1.0)


@pytest.mark.parametrize(
    "bad",
    [{"x": NAN}, {"y": np.inf}, {"x": 1e12}, {"radius": 0.0}, {"radius": -1.0}, {"radius": NAN}, {"yaw": NAN},
     {"yaw": np.inf}, {"turned": 0.0}, {"turned": -1.0}, {"turned": NAN}],
)  # fmt: skip
def test_what_is_no_region_is_refused(bad):
    with pytest.raises(Any2AnyError, match="region cannot be used"):
        Region(**bad)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_any_numbers_make_a_region_or_are_refused(x, y, radius, yaw, turned):
    try:
        region = Region(x, y, radius, yaw, turned)
    except Any2AnyError:
        return
    assert region.holds(poses((x, y)))[0]
