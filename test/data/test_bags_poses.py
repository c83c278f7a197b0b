"""The poses of a bag: interpolated between messages of every kind, and unknown where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from bag_files import STORE, text, written
from scipy.spatial.transform import Rotation, Slerp

from any2any_ros.data import bag_messages, bags
from any2any_ros.data.bag_poses import POSE_TYPES
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS


def random_poses(count, seed=0):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(count, 3)) * 50, Rotation.random(count, draw)


def pose_messages(kind, stamps, positions, turns):
    make, out = STORE.types, []
    for stamp, p, q in zip(stamps, positions, turns.as_quat(), strict=True):
        pose = make["geometry_msgs/msg/Pose"](
            position=make["geometry_msgs/msg/Point"](*p), orientation=make["geometry_msgs/msg/Quaternion"](*q)
        )
        header = bag_messages.header(STORE, stamp, "odom")
        covariance = np.zeros(36)
        if kind == "geometry_msgs/msg/PoseStamped":
            message = make[kind](header=header, pose=pose)
        else:
            with_covariance = make["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=covariance)
            rest = {}
            if kind == "nav_msgs/msg/Odometry":
                zero = make["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
                twist = make["geometry_msgs/msg/Twist"](linear=zero, angular=zero)
                rest = {
                    "child_frame_id": "base_link",
                    "twist": make["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=covariance),
                }
            message = make[kind](header=header, pose=with_covariance, **rest)
        out.append((stamp + 5_000_000, message))  # it comes 5 ms after it was true
    return out


@pytest.mark.parametrize("kind", POSE_TYPES)
def test_poses_are_interpolated_between_messages(tmp_path, built, kind):
    at = np.array([10, 11, 13, 14]) * NS
    positions, turns = random_poses(4)
    asked = np.array([9.5, 10, 10.25, 12.5, 14, 14.01]) * NS
    words = [(int(t), text(f"mill {t}")) for t in asked]
    path = written(
        tmp_path / "bag",
        ("/odom", kind, pose_messages(kind, at.tolist(), positions, turns)),
        ("/caption", "std_msgs/msg/String", words),
    )
    found = bags.observe(path, {"text": built["text"]}, pose_topic="odom").poses
    assert np.isnan(found[[0, -1]]).all()  # before the first and after the last, nothing is known
    inside = asked[1:-1]
    expected = np.array([np.interp(inside, at, positions[:, axis]) for axis in range(3)]).T
    np.testing.assert_allclose(found[1:-1, :3, 3], expected, atol=1e-9)
    np.testing.assert_allclose(found[1:-1, :3, :3], Slerp(at, turns)(inside).as_matrix(), atol=1e-9)
    np.testing.assert_array_equal(found[1:-1, 3], np.tile([0, 0, 0, 1], (4, 1)))


def test_poses_that_are_none_are_left_out(tmp_path, built):
    """Many a driver publishes zeros, or NaN, until it knows where it is."""
    kind, positions, turns = POSE_TYPES[0], np.zeros((4, 3)), Rotation.identity(4)
    content = pose_messages(kind, [NS, 2 * NS, 3 * NS, 4 * NS], positions, turns)
    content[0][1].pose.orientation.w = 0.0
    content[1][1].pose.position.x = np.nan
    content[3][1].pose.position.x = 8.0
    path = written(
        tmp_path / "bag",
        ("/odom", kind, content),
        ("/caption", "std_msgs/msg/String", [(int(t * NS), text(f"mill {t}")) for t in (1.5, 3.5)]),
    )
    found = bags.observe(path, {"text": built["text"]}, pose_topic="/odom").poses
    assert np.isnan(found[0]).all() and found[1, 0, 3] == pytest.approx(4.0)


def test_without_a_pose_topic_poses_are_unknown(bag, built):
    found = bags.observe(bag, {"lidar": built["lidar"]}, pose_topic="/nowhere")
    assert len(found) and np.isnan(found.poses).all()


def test_a_pose_topic_of_another_type_is_refused(bag, built):
    with pytest.raises(Any2AnyError, match=r"Topic /caption holds no poses: its type is std_msgs/msg/String"):
        bags.observe(bag, {"lidar": built["lidar"]}, pose_topic="caption")
