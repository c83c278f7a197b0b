"""Two robots in one domain, each with its stack in a namespace: real processes over DDS."""

import time

import mounted_drives
import numpy as np
import pytest
from bag_files import STORE
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovariance, PoseWithCovarianceStamped
from mounted_drives import NS
from nav_msgs.msg import Odometry
from pose_messages import TF, transforms
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage

from any2any_ros import msg
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry import clouds
from any2any_ros.localization import planar
from any2any_ros.nodes import messages, topology
from any2any_ros.nodes.bringup import Bringup
from any2any_ros.nodes.sensor_odometry import LATCHED

PATIENCE = 30.0  # s until six processes run


class Robot:
    """One of the robots: where it is, and what is heard of it."""

    def __init__(self, bench, name, mounting, poses):
        self.name, self.mounting, self.poses = name, mounting, poses
        self.places, self.transforms, self.states = [], [], []
        bench.peer.create_subscription(PoseWithCovarianceStamped, f"/{name}/place", self.places.append, 10)
        bench.peer.create_subscription(TFMessage, f"/{name}/tf", self.transforms.append, 10)
        bench.peer.create_subscription(msg.Localization, f"/{name}/localization", self.states.append, 10)
        self.lidar = bench.peer.create_publisher(PointCloud2, f"/{name}/lidar/points", 10)
        self.odometry = bench.peer.create_publisher(Odometry, f"/{name}/odom", 10)
        self.static = bench.peer.create_publisher(TFMessage, f"/{name}/tf_static", LATCHED)
        edge = mounted_drives.edge("base_link", "lidar_front", clouds.mounting(mounting))
        self.static.publish(STORE.serialize_cdr(transforms(0, edge), TF).tobytes())

    def ready(self):
        listeners = (self.lidar, self.odometry, self.static)
        return all(publisher.get_subscription_count() for publisher in listeners)

    def look(self, i, stamp):
        """Send odometry and a cloud from where the robot stands."""
        odometry = Odometry(child_frame_id="base_link")
        odometry.header.stamp, odometry.header.frame_id = messages.time_message(stamp), "odom"
        moved = np.linalg.inv(self.poses[0]) @ self.poses[i]
        odometry.pose = PoseWithCovariance(pose=messages.pose_message(moved))
        self.odometry.publish(odometry)
        cloud = mounted_drives.cloud(mounted_drives.HOUSES, self.poses[i], self.mounting, stamp, "lidar_front")
        self.lidar.publish(STORE.serialize_cdr(cloud, mounted_drives.CLOUD).tobytes())

    def error(self, pose, i):
        """Return how far a pose message is from the true pose, in m and degrees."""
        x, y, yaw = planar.between(planar.of(messages.pose_array(pose)), planar.of(self.poses[i]))
        return np.hypot(x, y), np.degrees(abs(yaw))


def stack(street_map, name):
    processes = topology.place_recognition(str(street_map)) + topology.localization("odom", publish_tf=True)
    return topology.within(processes, f"/{name}")


def test_each_robot_answers_from_its_own_sensors(bench, street_map, tmp_path):
    parameters = tmp_path / "params.yaml"
    parameters.write_text("/**/retrieval:\n  ros__parameters:\n    k: 3\n")
    ahead, back = mounted_drives.along(40)[:6], mounted_drives.along(40, -1.0)[30:24:-1]
    robots = [Robot(bench, "robot_a", "1.2 0 0.9 0 0 1.5707963", ahead), Robot(bench, "robot_b", "0 0 2 0 0 3", back)]
    everywhere, diagnostics, rankings = [], [], []
    bench.peer.create_subscription(TFMessage, "/tf", everywhere.append, 10)
    bench.peer.create_subscription(DiagnosticArray, "/diagnostics", diagnostics.append, 50)
    bench.peer.create_subscription(msg.Ranking, "/robot_a/matches", rankings.append, 10)
    begin, environment = time.time_ns(), topology.environment("loopback")
    with (
        Bringup(stack(street_map, "robot_a"), environment, parameters, tmp_path / "a"),
        Bringup(stack(street_map, "robot_b"), environment, None, tmp_path / "b"),
    ):
        bench.until(lambda: all(robot.ready() for robot in robots), PATIENCE)
        bench.spin(1.0)
        for i in range(len(ahead)):
            for robot in robots:
                robot.look(i, begin + i * NS)
            bench.until(lambda i=i: all(len(robot.places) > i for robot in robots))
        bench.until(lambda: all(robot.transforms and robot.states for robot in robots))
        bench.until(lambda: len({line.name for array in diagnostics for line in array.status}) >= 20)
    for robot in robots:
        errors = np.array([robot.error(place.pose.pose, i) for i, place in enumerate(robot.places)])
        print(f"\n{robot.name}: {errors.max(axis=0).round(3)} m and degrees at most")
        assert len(errors) == len(ahead) and errors[:, 0].max() < 0.15 and errors[:, 1].max() < 1
        (transform,) = robot.transforms[-1].transforms
        assert (transform.header.frame_id, transform.child_frame_id) == ("map", "odom")
        shift = transform.transform.translation
        np.testing.assert_allclose((shift.x, shift.y), robot.poses[0][:2, 3], atol=0.15)
    assert not everywhere and all(len(ranking.matches) == 3 for ranking in rankings)
    names = {line.name for array in diagnostics for line in array.status}
    assert {"robot_a/retrieval: answers", "robot_b/retrieval: frames", "robot_b/lidar_encoder: lidar"} <= names
    assert all(name.startswith(("robot_a/", "robot_b/")) for name in names)


def test_a_map_recorded_in_the_namespace_is_heard_there_and_a_wrong_namespace_is_refused():
    heard = topology.Process("encoder_node", "a", {"topic": "robot_a/points"})
    (same,), (other,) = topology.within([heard], "robot_a"), topology.within([heard], "robot_b")
    assert same.parameters["topic"] == "/robot_a/points" and other.parameters["topic"] == "robot_a/points"
    (plain,) = topology.within([heard], "")
    assert plain == heard and not plain.remappings and same.namespace == "robot_a"
    with pytest.raises(Any2AnyError, match="cannot be the name of a topic"):
        topology.within([heard], "robot a")
