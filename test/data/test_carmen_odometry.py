"""What the wheels said, taken from logs whose mapper has moved the lines of odometry."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.data import carmen
from any2any_ros.data.carmen_odometry import OdometryReader
from any2any_ros.submaps.planar import HERE, Planar

STEPS = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=8)
NOISE = Planar(0.3 - 0.1j, 0.2)  # by which a mapper corrects


def numbers(pose):
    return pose.shift.real, pose.shift.imag, pose.turn


def odom(pose):
    x, y, theta = numbers(pose)
    return f"ODOM {x!r} {y!r} {theta!r} 0 0 0 1 host 1"


def motions(reader):
    """Return the motion from each scan to the next."""
    poses = [Planar(complex(x, y), theta) for x, y, theta in reader.poses()]
    return np.array([one.inverse().then(other).matrix for one, other in pairwise(poses)])


def driven(steps):
    """Return the poses after each of some steps."""
    poses = [HERE]
    for x, y, theta in steps:
        poses.append(poses[-1].then(Planar(complex(x, y), theta)))
    return poses


@given(STEPS)
def test_what_a_mapper_corrects_is_not_odometry(steps):
    reader, pose = OdometryReader(), HERE
    reader.odometry(odom(pose))
    reader.scan(numbers(pose), numbers(pose))
    for x, y, theta in steps:
        reader.odometry(odom(pose))  # the mapper moves the lines after a scan to the scan's pose
        half = pose.then(Planar(complex(x, y), 0.0))
        reader.odometry(odom(half))
        end = half.then(Planar(0j, theta))
        reader.odometry(odom(end))
        pose = end.then(NOISE)
        reader.scan(numbers(pose), numbers(pose))
    wanted = [Planar(complex(x, y), theta).matrix for x, y, theta in steps]
    np.testing.assert_allclose(motions(reader), wanted, atol=1e-9)


@given(STEPS)
def test_lines_that_nobody_has_moved_are_taken_as_they_are(steps):
    reader, poses = OdometryReader(), driven(steps)
    for pose in poses:
        reader.odometry(odom(pose))
        reader.scan(numbers(pose.then(NOISE)), numbers(pose.then(NOISE)))
    wanted = [one.inverse().then(other).matrix for one, other in pairwise(poses)]
    np.testing.assert_allclose(motions(reader), wanted, atol=1e-9)


@given(STEPS)
def test_columns_that_differ_from_the_poses_are_the_odometry(steps):
    reader, poses = OdometryReader(), driven([(1, 0, 0), *steps])
    for pose in poses:
        reader.odometry(odom(HERE))
        reader.scan(numbers(pose.then(NOISE)), numbers(pose))
    np.testing.assert_allclose(reader.poses(), [numbers(pose) for pose in poses])


def test_columns_without_any_motion_are_no_odometry():
    reader, poses = OdometryReader(), driven([(1, 0, 0)] * 4)
    for pose in poses:
        reader.scan(numbers(pose), (0.0, 0.0, 0.0))
    assert np.isnan(reader.poses()).all()


def test_without_lines_of_odometry_nothing_is_known():
    reader = OdometryReader()
    for pose in driven([(1, 0, 0)] * 3):
        reader.scan(numbers(pose), numbers(pose))
    assert np.isnan(reader.poses()).all()


def test_lines_that_only_repeat_a_corrected_pose_say_nothing():
    reader = OdometryReader()
    for pose in driven([(1, 0, 0)] * 3):
        reader.scan(numbers(pose), numbers(pose))
        reader.odometry(odom(pose))
    assert np.isnan(reader.poses()).all()


def test_a_scan_without_a_line_before_it_is_unknown():
    reader, poses = OdometryReader(), driven([(1, 0, 0)] * 4)
    for i, pose in enumerate(poses):
        if i != 2:
            reader.odometry(odom(pose))
        reader.scan(numbers(pose.then(NOISE)), numbers(pose.then(NOISE)))
    assert np.isnan(reader.poses()).any(axis=1).tolist() == [False, False, True, False, False]


@pytest.mark.parametrize(
    "line",
    [
        "ODOM",
        "ODOM 1 2",
        "ODOM a b c 0 0 0 1 h 1",
        "ODOM 1 2 \xff",
        "ODOM nan 0 0",
        "ODOM 0 nan 0",
        "ODOM 0 inf 0",
        "ODOM 0 0 1e300",
    ],
)
def test_a_damaged_line_counts_as_absent(line):
    reader, poses = OdometryReader(), driven([(1, 0, 0)] * 3)
    for i, pose in enumerate(poses):
        reader.odometry(odom(pose) if i != 1 else line)
        reader.scan(numbers(pose.then(NOISE)), numbers(pose.then(NOISE)))
    assert np.isnan(reader.poses()).any(axis=1).tolist() == [False, True, True, False]


@pytest.mark.parametrize("name", ["intel", "fhw", "freiburg-079"])
def test_the_odometry_of_real_logs_drifts_and_is_not_the_truth(shared_data, name):
    drive = carmen.read(shared_data / "laser2d" / f"{name}-corrected.log.gz")
    assert all(drive.odometry(i) is not None for i in range(len(drive)))
    true, wheels = (np.linalg.solve(p[:-1], p[1:]) for p in (drive.poses, drive.odometries))
    off = np.hypot(*(true - wheels)[:, :2, 3].T)
    assert 0.005 < np.median(off) < 0.1 and off.max() < 0.6
    assert (
        np.abs(np.linalg.solve(drive.poses[0], drive.poses[-1]) - np.linalg.solve(*drive.odometries[[0, -1]]))[
            :2, 3
        ].max()
        > 1
    )
