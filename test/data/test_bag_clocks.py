"""Sensors whose stamps are not those of the poses' clock are told, or have no pose; which time a message has."""

from __future__ import annotations

import numpy as np
import pytest
from bag_files import STORE, written
from pose_messages import ODOMETRY, odometry

from any2any_ros import encoders
from any2any_ros.config import PoseConfig
from any2any_ros.data import bag_messages, bags
from any2any_ros.data.bag_clocks import OFF
from any2any_ros.data.bag_poses import PoseSource
from any2any_ros.data.report import SensorReport
from any2any_ros.errors import Any2AnyError

NS = 10**9
START = 1_700_000_000 * NS
TIMES = START + np.arange(60) * NS // 2
CLOUD = "sensor_msgs/msg/PointCloud2"
POINTS = np.random.default_rng(0).normal(0, 9, (200, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def lidar():
    return {"lidar": encoders.build("lidar")}


def recorded(path, stamps, posed=np.ones(60, dtype=bool)):
    """Write a bag of clouds with these stamps, and of odometry at the times `posed`, both recorded at TIMES."""
    clouds = [
        (int(t), bag_messages.cloud_message(STORE, POINTS, bag_messages.header(STORE, int(s), "velodyne")))
        for t, s in zip(TIMES, stamps, strict=True)
    ]
    poses = odometry(TIMES[posed], np.flatnonzero(posed))
    return written(path, ("/points", CLOUD, clouds), ("/odom", ODOMETRY, poses))


def observed(path, lidar, **settings):
    report = SensorReport()
    source = PoseSource("/odom", settings=PoseConfig(**settings))
    return bags.observe(path, lidar, {"lidar": "/points"}, source, report=report), report


@pytest.mark.parametrize(
    ("stamps", "how"),
    [
        (TIMES + 37 * NS, r"37.0 s ahead: the stamps of /points are 1700000037.00 to 1700000066.50 s, those of /odom "
         r"1700000000.00 to 1700000029.50 s"),
        (TIMES - START + 221 * NS, r"behind: the stamps of /points are 221.00 to 250.50 s, those of /odom 17"),
        (np.full(60, START), r"behind: the stamps of /points are always 1700000000.00 s, those of /odom 17"),
        (TIMES - np.where(np.arange(60) > 40, 5 * NS, 0), r"5.0 s behind"),
    ],
    ids=["TAI", "since boot", "always one", "stepped back"],
)  # fmt: skip
def test_stamps_of_another_clock_are_told_with_both_ranges_and_cured(tmp_path, lidar, stamps, how):
    path = recorded(tmp_path / "bag", stamps)
    with pytest.raises(Any2AnyError, match=rf"not of one clock: .*{how}.*--stamps received"):
        observed(path, lidar)
    found, _ = observed(path, lidar, stamps="received")
    np.testing.assert_allclose(found.poses[:, 0, 3], np.arange(60))


def test_a_trajectory_file_tells_by_its_begin_and_end_which_clock_it_has(tmp_path, lidar):
    """SLAM on the LiDAR has the LiDAR's stamps; a receiver of satellites has the time at which all was recorded."""
    path, topics = recorded(tmp_path / "bag", TIMES + 17 * NS), {"lidar": "/points"}
    for name, times in (("slam", TIMES + 17 * NS), ("survey", TIMES)):
        rows = [f"{t / NS:.6f} {i} 0 0 0 0 0 1\n" for i, t in enumerate(times)]
        (tmp_path / name).write_text("".join(rows))
    poses = bags.observe(path, lidar, topics, PoseSource(file=tmp_path / "slam")).poses
    np.testing.assert_allclose(poses[1:-1, 0, 3], np.arange(1, 59), atol=0.01)
    with pytest.raises(Any2AnyError, match=r"poses \(survey\) are not of one clock: .* /points is 17.0 s ahead"):
        bags.observe(path, lidar, topics, PoseSource(file=tmp_path / "survey"))


def test_stamps_may_be_trusted_although_the_recorder_says_otherwise(tmp_path, lidar):
    path = recorded(tmp_path / "bag", TIMES + 4 * NS)
    found, report = observed(path, lidar, stamps="header")
    np.testing.assert_allclose(found.poses[:52, 0, 3], np.arange(8, 60))
    assert report.unlocated == {"after the last pose": 8}


def test_stamps_that_are_trusted_and_do_not_overlap_are_told(tmp_path, lidar):
    path = recorded(tmp_path / "bag", TIMES - START + 221 * NS)
    with pytest.raises(Any2AnyError, match=r"No moment of bag has a pose: the sensors' stamps are 221.00 to 250.50 s"):
        observed(path, lidar, stamps="header")


def test_a_few_wrong_stamps_leave_these_moments_without_a_pose(tmp_path, lidar):
    stamps = TIMES.copy()
    stamps[[10, 20]] -= 5 * NS // 4
    found, report = observed(recorded(tmp_path / "bag", stamps), lidar)
    assert report.unlocated == {OFF: 2} and np.isnan(found.poses[:, 0, 0]).sum() == 2


def test_a_sensor_that_takes_half_a_second_has_the_same_clock(tmp_path, lidar):
    found, report = observed(recorded(tmp_path / "bag", TIMES - NS // 2), lidar)
    np.testing.assert_allclose(found.poses[1:, 0, 3], np.arange(59))
    assert report.unlocated == {"before the first pose": 1}


def test_no_pose_is_invented_in_a_gap(tmp_path, lidar):
    row = np.arange(60)
    path = recorded(tmp_path / "bag", TIMES, (row <= 30) | (row >= 50))
    found, report = observed(path, lidar)
    assert np.isnan(found.poses[31:50]).all() and not np.isnan(found.poses[[30, 50]]).any()
    assert report.unlocated == {"in a gap between poses, of 10.0 s": 19}
