"""Where a bag says that its sensors are mounted."""

from __future__ import annotations

import numpy as np
import pytest
from bag_files import written
from pose_messages import ODOMETRY, TF, odometry, transforms

from any2any_ros.config import PoseConfig
from any2any_ros.data import bag_mountings, bag_poses
from any2any_ros.data.bag_poses import PoseSource
from any2any_ros.data.bag_reading import open_reader
from any2any_ros.samples import NS

FRAMES = {"lidar": "/lidar", "camera": "eye", "audio": ""}


def found(path, source):
    """Return the robot's frame, and the mountings by it."""
    with open_reader(path) as reader:
        robot = bag_poses.robot_frame(reader, source)
        return robot, bag_mountings.mountings(reader, source, robot, FRAMES)


def bag(folder, moving=(), turning=0.0):
    """Write a bag of a robot with a LiDAR 2 m ahead by /tf_static. moving: more edges, which are in /tf."""
    sent = []
    for t in range(1, 6):
        turned = [(parent, child, xyz, yaw + turning * t) for parent, child, xyz, yaw in moving]
        sent.append((t * NS, transforms(t * NS, ("map", "base_link", (t, 0, 0), 0), *turned)))
    static = [(NS, transforms(0, ("base_link", "lidar", (2, 0, 0), 0)))]
    return written(folder, ("/tf", TF, sent), ("/tf_static", TF, static))


@pytest.mark.parametrize(
    ("frames", "base", "ahead"), [("map.base_link", "", 2), ("map.lidar", "", 0), ("map.lidar", "base_link", 2)]
)
def test_static_transforms_say_it(tmp_path, frames, base, ahead):
    source = PoseSource(f"/tf:{frames}", settings=PoseConfig(base_frame=base))
    robot, known = found(bag(tmp_path / "bag"), source)
    assert robot == (base or frames.split(".")[1]) and known.keys() == {"lidar"}
    np.testing.assert_array_equal(known["lidar"][:3, 3], (ahead, 0, 0))


def test_a_transform_of_tf_that_stays_the_same_says_it_too(tmp_path):
    edges = [("base_link", "neck", (0, 0, 1), 0.0), ("neck", "eye", (0.5, 0, 0), np.pi / 2)]
    _, known = found(bag(tmp_path / "still", edges), PoseSource("/tf:map.base_link"))
    np.testing.assert_allclose(known["camera"][:3, 3], (0.5, 0, 1), atol=1e-9)
    assert known["camera"][1, 0] == pytest.approx(1) and known["lidar"][0, 3] == 2
    _, known = found(bag(tmp_path / "turning", edges, turning=0.2), PoseSource("/tf:map.base_link"))
    assert known.keys() == {"lidar"}


def test_what_the_bag_does_not_say_is_unknown(tmp_path):
    odd = written(
        tmp_path / "odd",
        ("/odom", ODOMETRY, odometry(np.arange(1, 5), range(4))),
        ("/tf_static", TF, [(NS, transforms(0, ("other", "lidar", (2, 0, 0), 0), ("base_link", "gps", (1, 0, 0), 0)))]),
    )
    assert found(odd, PoseSource("/odom")) == ("base_link", {})  # both are known, and not connected
    assert found(odd, PoseSource())[0] == ""
