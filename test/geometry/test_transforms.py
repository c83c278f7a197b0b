"""Transforms in time: interpolated as scipy's Slerp does it, inverted, and chained along a tree of frames."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry.transforms import TransformBuffer, interpolated, inverted, matrices

NS = 10**9
DRAW = np.random.default_rng(0)


def random_rows(count):
    return np.hstack([DRAW.normal(0, 20, (count, 3)), Rotation.random(count, DRAW).as_quat()])


def along(x):
    return (x, 0, 0, 0, 0, 0, 1)


def test_poses_are_interpolated_like_slerp_at_times_since_1970():
    rows, stamps = random_rows(6), 1_700_000_000 * NS + np.array([0, 1, 3, 4, 9, 10]) * NS
    at = stamps[0] + np.array([-0.1, 0, 0.25, 2.5, 8.9, 10, 10.1]) * NS
    found = interpolated(stamps, matrices(rows), at.astype(np.int64))
    assert np.isnan(found[[0, -1]]).all()
    seconds, inside = (stamps - stamps[0]) / NS, (at[1:-1] - stamps[0]) / NS
    expected = Slerp(seconds, Rotation.from_quat(rows[:, 3:]))(inside).as_matrix()
    np.testing.assert_allclose(found[1:-1, :3, :3], expected, atol=1e-6)
    for axis in range(3):
        np.testing.assert_allclose(found[1:-1, axis, 3], np.interp(inside, seconds, rows[:, axis]), atol=1e-5)


def test_nothing_is_between_no_poses_and_one_pose_holds_at_its_stamp():
    assert np.isnan(interpolated(np.empty(0, np.int64), np.empty((0, 4, 4)), np.array([1]))).all()
    found = interpolated(np.array([5]), matrices(along(2)), np.array([4, 5, 6]))
    np.testing.assert_array_equal(found[:, 0, 3], [np.nan, 2, np.nan])


def test_a_pose_and_its_inverse_cancel_out():
    poses = matrices(random_rows(20))
    np.testing.assert_allclose(inverted(poses) @ poses, np.tile(np.eye(4), (20, 1, 1)), atol=1e-9)


@pytest.fixture
def tree():
    """map -> odom -> base -> lidar, camera; the first two move, and /camera is written with a slash."""
    buffer = TransformBuffer()
    rows = dict(zip(("odom", "base", "lidar", "camera"), random_rows(4), strict=True))
    for stamp in (2 * NS, 0):  # they may come late
        buffer.add("map", "odom", rows["odom"], stamp)
        buffer.add("odom", "base", rows["base"] if stamp else along(0), stamp)
    buffer.add("base", "lidar", rows["lidar"])
    buffer.add("/base", "/camera", rows["camera"])
    return buffer, {name: matrices(row)[0] for name, row in rows.items()}


def test_transforms_are_chained_up_and_down_the_tree(tree):
    buffer, poses = tree
    up = poses["odom"] @ poses["base"] @ poses["lidar"]
    np.testing.assert_allclose(buffer.lookup("map", "lidar", [2 * NS])[0], up, atol=1e-9)
    np.testing.assert_allclose(buffer.lookup("lidar", "map", [2 * NS])[0], np.linalg.inv(up), atol=1e-9)
    across = np.linalg.inv(poses["lidar"]) @ poses["camera"]
    np.testing.assert_allclose(buffer.lookup("lidar", "camera", [99 * NS])[0], across, atol=1e-9)
    np.testing.assert_array_equal(buffer.lookup("base", "/base", [7]), np.eye(4)[None])


def test_a_time_at_which_one_transform_is_unknown_has_no_pose(tree):
    buffer, poses = tree
    found = buffer.lookup("odom", "base", [-1, NS, 3 * NS])
    assert np.isnan(found[[0, 2]]).all()
    np.testing.assert_allclose(found[1, :3, 3], poses["base"][:3, 3] / 2, atol=1e-9)
    assert buffer.moving() == [("map", "odom"), ("odom", "base")]
    assert buffer.moving_between("map", "lidar") == [("odom", "base"), ("map", "odom")]
    assert buffer.moving_between("base", "lidar") == []


@pytest.mark.parametrize(("parent", "child"), [("map", "gps"), ("gps", "base"), ("gps", "gps"), ("lidar", "island")])
def test_frames_without_a_way_between_them_are_listed(tree, parent, child):
    tree[0].add("sea", "island", along(1))
    with pytest.raises(Any2AnyError, match=f"no transform from {parent} to {child}: the frames are base, camera, isl"):
        tree[0].lookup(parent, child, [0])
    with pytest.raises(Any2AnyError, match="there are no transforms at all"):
        TransformBuffer().lookup(parent, child, [0])


def test_a_live_buffer_keeps_the_newest_and_follows_a_frame_to_its_new_parent():
    buffer = TransformBuffer(capacity=3)
    for i in range(10):
        buffer.add("map", "base", along(i), i)
    np.testing.assert_array_equal(buffer.lookup("map", "base", [6, 7, 9])[:, 0, 3], [np.nan, 7, 9])
    buffer.add("dock", "base", along(1))
    with pytest.raises(Any2AnyError, match="no transform from map to base"):
        buffer.lookup("map", "base", [9])


def test_a_circle_of_frames_has_an_end():
    buffer = TransformBuffer()
    buffer.add("a", "b", along(1))
    buffer.add("b", "a", along(1))
    with pytest.raises(Any2AnyError, match="no transform"):
        buffer.lookup("c", "a", [0])
    assert buffer.lookup("a", "b", [0]).shape == (1, 4, 4)
