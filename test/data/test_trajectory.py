"""Which moments have a pose, and why others have none; axes that are a camera's."""

from __future__ import annotations

import numpy as np
import pytest

from any2any_ros.config import PoseConfig
from any2any_ros.data.kitti_poses import ROS_FROM_CAMERA
from any2any_ros.data.trajectory import AFTER, BEFORE, NONE, Trajectory, range_text, refuse_apart
from any2any_ros.errors import Any2AnyError

NS = 10**9


def line(seconds, metres):
    """Return a trajectory along x."""
    poses = np.tile(np.eye(4), (len(seconds), 1, 1))
    poses[:, 0, 3] = metres
    return Trajectory.of((np.array(seconds) * NS).astype(np.int64), poses, "/odom")


def stamps(*seconds):
    return (np.array(seconds) * NS).astype(np.int64)


def test_every_moment_has_a_pose_or_a_reason():
    found = line([10, 11, 31, 31.5, 33], [0, 5, 6, 40, 41]).at(stamps(9, 10.5, 11, 20, 31, 31.25, 32, 40))
    np.testing.assert_array_equal(found.poses[:, 0, 3], [np.nan, 2.5, 5, np.nan, 6, np.nan, 40 + 1 / 3, np.nan])
    jump = "where the poses jump, by 34.0 m"
    assert found.reasons == (BEFORE, "", "", "in a gap between poses, of 20.0 s", "", jump, "", AFTER)
    assert found.counts() == {BEFORE: 1, "in a gap between poses, of 20.0 s": 1, jump: 1, AFTER: 1}


def test_how_wide_a_gap_may_be_is_a_setting():
    wide = PoseConfig(pose_gap_time=30.0, pose_gap_distance=50.0)
    assert line([10, 40], [0, 40]).at(stamps(20), wide).counts() == {}
    assert line([10, 40], [0, 60]).at(stamps(20), wide).counts() == {"where the poses jump, by 60.0 m": 1}


def test_no_robot_is_so_fast():
    """Two stretches of a drive that a clock puts into the same time."""
    odd, even = [1, 1.1, 1.2, 1.3], [1.05, 1.15, 1.25]
    found = line([*odd, *even], [0, 0.1, 0.2, 0.3, 18, 18.1, 18.2]).at(stamps(1.02, 1.12, 1.22))
    assert np.isnan(found.poses).all() and all("jump" in reason for reason in found.reasons)


def test_two_far_poses_of_one_stamp_are_none_and_two_near_ones_the_later():
    found = line([*range(12), 5, 7], [*range(12), 5.5, 50])
    assert (found.stamps_ns // NS).tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11] and found.poses[5, 0, 3] == 5.5
    with pytest.raises(Any2AnyError, match=r"contradict each other: 1 of 3 stamps have two, up to 48.0 m apart"):
        line([1, 2, 3, 3], [0, 1, 2, 50])


def test_many_gaps_are_one_reason():
    found = line([0, 5, 6, 16, 17], [0, 1, 2, 3, 4]).at(stamps(2, 3, 5.5, 10))
    assert found.counts() == {"in a gap between poses, of 5.0 to 10.0 s": 3}


def test_no_poses_are_a_reason_too():
    found = line([], []).at(stamps(1, 2))
    assert found.counts() == {NONE: 2} and np.isnan(found.poses).all()
    assert line([3], [7]).at(stamps(3)).poses[0, 0, 3] == 7


def test_clocks_that_do_not_overlap_are_told_with_both_ranges():
    odometry, moments = line([1_700_000_000, 1_700_000_040], [0, 1]), stamps(221, 236)
    text = r"the sensors' stamps are 221.00 to 236.00 s, those of /odom 1700000000.00 to 1700000040.00 s"
    with pytest.raises(Any2AnyError, match=text):
        refuse_apart("drive", moments, odometry.at(moments), odometry)
    near = stamps(1_700_000_000)
    refuse_apart("drive", near, odometry.at(near), odometry)
    assert range_text(stamps(3, 3)) == "always 3.00 s"


def ring(count=50, radius=30.0):
    """Return the poses of a robot that drives a ring, in ROS axes."""
    angle = np.linspace(0, 5, count)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3], poses[:, 1, 3] = radius * np.sin(angle), radius * (1 - np.cos(angle))
    poses[:, 0, 0] = poses[:, 1, 1] = np.cos(angle)
    poses[:, 1, 0], poses[:, 0, 1] = np.sin(angle), -np.sin(angle)
    return poses


def test_poses_in_the_axes_of_a_camera_are_refused_or_converted():
    time = np.arange(50) * NS
    ros = Trajectory(time, ring(), "slam.txt")
    camera = Trajectory(time, ROS_FROM_CAMERA.T @ ring() @ ROS_FROM_CAMERA, "slam.txt")
    assert ros.in_ros_axes("auto") is ros and camera.in_ros_axes("ros") is camera
    with pytest.raises(Any2AnyError, match=r"seem to have the axes of a camera.*--pose-axes camera"):
        camera.in_ros_axes("auto")
    np.testing.assert_allclose(camera.in_ros_axes("camera").poses, ros.poses, atol=1e-9)


def test_axes_are_not_guessed_from_a_robot_that_stands_or_flies_or_moves_sideways():
    still, climb, sideways = ring(radius=0.01), ring(), ring()
    climb[:, 2, 3] = np.linspace(0, 40, 50)
    turned = sideways[:, :3, :3] @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    sideways[:, :3, :3] = turned
    for poses in (still, climb, sideways):
        assert not Trajectory(np.arange(50) * NS, poses, "").looks_like_camera()
