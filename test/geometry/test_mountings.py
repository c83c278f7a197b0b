"""Where sensors are mounted, and what two of them that see alike say of the robot."""

import numpy as np
import pytest

from any2any_ros.geometry import clouds
from any2any_ros.geometry.mountings import differ, levelled, moved_robot

AHEAD = clouds.mounting("1.2 0.3 1.8 0 0 1.5707963")


def test_a_level_mounting_has_no_height_and_no_lean():
    level = levelled(clouds.mounting("1 2 3 0.2 -0.3 0.7"))
    np.testing.assert_allclose(level, clouds.mounting("1 2 0 0 0 0.7"), atol=1e-9)
    upside_down = levelled(clouds.mounting("0 0 1 3.14159265 0 0.5"))
    np.testing.assert_allclose(upside_down, clouds.mounting("0 0 0 0 0 0.5"), atol=1e-7)
    assert levelled(clouds.mounting("0 0 1 0 1.5707963 0")) is None


def test_the_robot_is_where_its_sensor_would_be_carried_by_it():
    robot = clouds.mounting("3 -1 0 0 0 0.4")
    sensor = np.linalg.inv(levelled(clouds.mounting("0.5 0 1 0 0 0"))) @ robot @ levelled(AHEAD)
    np.testing.assert_allclose(moved_robot(clouds.mounting("0.5 0 1 0 0 0"), sensor, AHEAD), robot, atol=1e-9)


@pytest.mark.parametrize("query", [None, AHEAD])
def test_of_an_unknown_mounting_nothing_is_made_up(query):
    sensor = clouds.mounting("1 0 0 0 0 0")
    np.testing.assert_array_equal(moved_robot(None, sensor, query), sensor)
    turned = moved_robot(AHEAD, sensor, query)
    np.testing.assert_allclose(turned[:3, 3], (0, 1, 0), atol=1e-6)  # its x is the robot's y


def test_mountings_differ_by_what_can_be_seen_from_above():
    assert not differ(AHEAD, clouds.mounting("1.25 0.3 0.2 0 0 1.6"))
    assert differ(AHEAD, clouds.mounting("1.4 0.3 1.8 0 0 1.6")) and differ(
        AHEAD, clouds.mounting("1.2 0.3 1.8 0 0 1.3")
    )
