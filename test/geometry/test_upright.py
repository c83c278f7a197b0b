"""What a sensor sees that leans, turned upright."""

import mounted_drives
import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.geometry import clouds
from any2any_ros.geometry.mountings import levelled
from any2any_ros.geometry.upright import Upright, expected_height, standing, turned, upright
from any2any_ros.samples import Scan

LEANS = "1 2 1.6 0.3 -0.4 0.7"


def test_points_stand_as_they_would_be_seen_by_a_level_sensor():
    base, world = mounted_drives.along(3)[1], mounted_drives.HOUSES
    one = mounted_drives.seen(world, base, LEANS)
    other = mounted_drives.seen(world, base, "1 2 1.6 0 0 0.7")
    moved = turned(one, upright(clouds.mounting(LEANS)))
    np.testing.assert_allclose(moved[:, :3], other[:, :3], atol=0.2)  # of noise
    assert moved.dtype == one.dtype and (moved[:, 3] == one[:, 3]).all() and np.abs(one[:, :3] - other[:, :3]).max() > 5


def test_a_sensor_of_another_height_is_moved_to_the_one_that_its_encoder_expects():
    found = upright(clouds.mounting("1 0 1 0 0 2"), height=1.0, expected=1.8)
    np.testing.assert_allclose(found, clouds.mounting("0 0 -0.8 0 0 0"), atol=1e-9)
    assert expected_height(encoders.build("lidar")) == 1.8 and expected_height(encoders.build("camera")) is None


@pytest.mark.parametrize("text", ["1 2 3 0 0 0.7", "0 0 0 0 1.5707963 0"])
def test_a_level_sensor_and_one_whose_heading_is_unknown_stay_as_they_are(text):
    assert upright(clouds.mounting(text)) is None
    encoder = encoders.build("lidar")
    assert standing(encoder, None) is encoder


def test_a_scan_that_hangs_upside_down_is_mirrored_and_one_that_leans_is_not():
    scan = Scan(np.array([1.0, 2.0, 3.0], np.float32), -0.5, 0.5, 10.0)
    hanging = clouds.mounting("0 0 1 3.14159265 0 0.5")
    mirrored = turned(scan, upright(hanging))
    assert (mirrored.angle_min, mirrored.angle_increment) == (0.5, -0.5) and mirrored.ranges is scan.ranges
    assert turned(scan, upright(clouds.mounting("0 0 1 0.3 0 0"))) is scan
    point = hanging[:3, :3] @ [np.cos(0.5), np.sin(0.5), 0]  # the last beam, in the robot's frame
    again = levelled(hanging)[:3, :3] @ [np.cos(-0.5), np.sin(-0.5), 0]
    np.testing.assert_allclose(point, again, atol=1e-6)


def test_the_encoder_is_the_same_but_for_what_it_gathers():
    transform = upright(clouds.mounting(LEANS))
    plain = encoders.build("lidar_submap")
    leaning = Upright(encoders.build("lidar_submap"), transform)
    assert leaning.fingerprint == plain.fingerprint and leaning.cell == plain.cell and leaning.uses_odometry
    base, world = mounted_drives.along(3)[1], mounted_drives.HOUSES
    seen = [np.float32(mounted_drives.seen(world, base, text)) for text in (LEANS, "1 2 1.6 0 0 0.7")]
    sensor = base @ clouds.mounting(LEANS)
    one = leaning.gather(seen[0], 1, sensor)
    other = plain.gather(seen[1], 1, base @ clouds.mounting("1 2 1.6 0 0 0.7"))
    assert leaning.encode(one) @ plain.encode(other) > 0.98
