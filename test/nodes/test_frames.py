"""The pose answered is that of the robot's base, wherever its sensors are mounted: real nodes over DDS."""

import mounted_drives
import numpy as np
import pytest
from bag_files import STORE
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovariance, PoseWithCovarianceStamped, TransformStamped
from mounted_drives import NS
from nav_msgs.msg import Odometry
from pose_messages import TF, transforms
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage

from any2any_ros import msg, srv
from any2any_ros.geometry import clouds
from any2any_ros.geometry.transforms import matrices
from any2any_ros.localization import planar
from any2any_ros.nodes import messages
from any2any_ros.nodes.encoder_node import EncoderNode
from any2any_ros.nodes.localization_node import LocalizationNode
from any2any_ros.nodes.retrieval_node import RetrievalNode
from any2any_ros.nodes.sensor_odometry import LATCHED

WORLD = mounted_drives.HOUSES
TURNED = "1.2 0 0.9 0 0 1.5707963"  # 1.2 m ahead, looking to the left
BEGIN = 1_700_000_000
STATES = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Robot:
    """A robot with a LiDAR of its own, which hears where it is."""

    def __init__(self, bench, folder, mounting=TURNED, frame="lidar_front", base="base_link", **parameters):
        self.bench, self.mounting, self.frame = bench, mounting, frame
        self.encoder = bench.node(EncoderNode, encoder="birds_eye", base_frame=base)
        self.node = bench.node(RetrievalNode, map=str(folder), **parameters)
        self.rankings = bench.listen(msg.Ranking, "matches")
        self.places = bench.listen(PoseWithCovarianceStamped, "place")
        self.lidar = bench.publisher(PointCloud2, "lidar/points")

    def tell_static(self, *edges):
        self.send_static(transforms(0, *edges))
        self.bench.until(lambda: edges[-1][1] in self.node._mountings._buffer.frames)

    def send_static(self, message):
        publisher = self.bench.publisher(TFMessage, "/tf_static", LATCHED)
        publisher.publish(STORE.serialize_cdr(message, TF).tobytes())

    def stand(self, base, second):
        """Return the answer where the robot stands. base (4, 4): its true pose."""
        count, stamp = len(self.rankings), (BEGIN + second) * NS
        message = mounted_drives.cloud(WORLD, base, self.mounting, stamp, self.frame)
        self.lidar.publish(STORE.serialize_cdr(message, mounted_drives.CLOUD).tobytes())
        self.bench.until(lambda: len(self.rankings) > count)
        return self.rankings[-1]

    def line(self):
        """Return the diagnostics of the frames."""
        return next(line for line in self.node.status() if line.name.endswith(": frames"))


def apart(pose, true):
    """Return the distance in m, and the angle in degrees, of a pose message from the true pose (4, 4)."""
    x, y, yaw = planar.between(planar.of(messages.pose_array(pose)), planar.of(true))
    return np.hypot(x, y), np.degrees(abs(yaw))


def mount(frame=("base_link", "lidar_front"), mounting=TURNED):
    return mounted_drives.edge(*frame, clouds.mounting(mounting))


def test_with_a_lidar_ahead_of_base_and_turned_the_answer_is_the_base(bench, street_map):
    robot = Robot(bench, street_map)
    robot.tell_static(mount())
    errors = []
    for i, base in enumerate(mounted_drives.along(12, -1.0, 0.3, seed=2, length=150.0)):
        answer = robot.stand(base, i)
        assert answer.accepted
        bench.until(lambda i=i: len(robot.places) > i)
        assert robot.places[i].header.frame_id == "map"
        errors.append(apart(robot.places[i].pose.pose, base))
    metres, degrees = np.array(errors).T
    print(f"\nbase: {metres.max():.3f} m, {degrees.max():.2f} degrees at most")
    assert metres.max() < 0.1 and degrees.max() < 1
    assert robot.line().level == DiagnosticStatus.OK and "base_link" in robot.line().message


@pytest.mark.parametrize("base", ["base_link", ""])
def test_a_lidar_that_hangs_upside_down_and_leans_is_turned_upright(bench, street_map, base):
    """At 2.6 m instead of the 1.6 m of the map's. Without a base frame its cloud is encoded as it is."""
    hanging = "1.2 0 2.6 3.14159265 0.3 0.8"
    robot = Robot(bench, street_map, hanging, base=base)
    feet = ("base_link", "base_footprint", "0 0 0 0 0 0")
    robot.send_static(mounted_drives.mountings(0, ("base_link", "lidar_front", hanging), feet))
    bench.until(lambda: not base or "lidar_front" in robot.encoder._standing._buffer.frames)
    answers = [(robot.stand(pose, i).matches[0].pose, pose) for i, pose in enumerate(mounted_drives.along(4)[1:])]
    metres, degrees = np.array([apart(*answer) for answer in answers]).T
    assert (metres.max() < 0.15 and degrees.max() < 1) if base else (metres.min() > 1 or degrees.min() > 5)


def test_a_mounting_that_tf_does_not_know_is_told_and_counted(bench, street_map):
    robot = Robot(bench, street_map)
    base = mounted_drives.along(5)[2]
    answer = robot.stand(base, 0)
    line = robot.line()
    assert line.level == DiagnosticStatus.WARN and "where 'lidar' (lidar_front) is mounted on base_link" in line.message
    assert {v.key: v.value for v in line.values}["unknown"] == "{'lidar': 1}"
    assert apart(answer.matches[0].pose, base)[1] > 80  # as if it looked ahead, like the map's
    robot.tell_static(mount())
    assert apart(robot.stand(base, 1).matches[0].pose, base)[1] < 1


def test_a_mounting_that_moves_comes_from_tf(bench, street_map):
    """A LiDAR on a mast that turns: base_link -> mast in /tf, mast -> lidar_front in /tf_static."""
    robot = Robot(bench, street_map)
    robot.tell_static(mount(("mast", "lidar_front"), "0.2 0 0 0 0 0"))
    base = mounted_drives.along(5)[2]
    robot.stand(base, 0)  # after which the node listens to /tf
    moving = bench.publisher(TFMessage, "/tf")
    for i, yaw in enumerate((0.5, 1.0, 2.0), 1):
        stamp = (BEGIN + i) * NS
        mast = f"1 0 1 0 0 {yaw}"
        moving.publish(STORE.serialize_cdr(transforms(stamp, mount(("base_link", "mast"), mast)), TF).tobytes())
        known = robot.node._mountings._buffer
        bench.until(lambda known=known, stamp=stamp: known.pose("base_link", "mast", stamp) is not None)
        robot.mounting = clouds.mounting_text(clouds.mounting(mast) @ clouds.mounting("0.2 0 0 0 0 0"))
        metres, degrees = apart(robot.stand(base, i).matches[0].pose, base)
        assert metres < 0.1 and degrees < 1
    robot.stand(base, 60)  # nothing was heard of the mast for a minute
    assert robot.line().level == DiagnosticStatus.WARN


def test_a_place_of_a_sensor_mounted_elsewhere_is_not_added(bench, street_map):
    robot = Robot(bench, street_map)
    robot.tell_static(mount())
    robot.stand(mounted_drives.along(5)[2], 0)
    response = bench.call(srv.AddPlace, "retrieval/add_place", id="new", pose=messages.pose_message(np.eye(4)))
    assert response.error_code == response.BAD_INPUT and "its 'lidar' is mounted at 1.2 0 0.9" in response.error_msg


def test_a_robot_whose_base_has_another_name_says_so_by_a_parameter(bench, street_map):
    robot = Robot(bench, street_map, base_frame="robot_a/base", frame="robot_a/lidar")
    robot.tell_static(mount(("robot_a/base", "robot_a/lidar")))
    base = mounted_drives.along(5)[3]
    metres, degrees = apart(robot.stand(base, 0).matches[0].pose, base)
    assert metres < 0.1 and degrees < 1


def test_garbage_in_tf_ends_nothing(bench, street_map):
    robot = Robot(bench, street_map)
    publisher = bench.publisher(TFMessage, "/tf_static", LATCHED)
    publisher.publish(message_of("base_link", "lidar_front", x=float("nan")))
    publisher.publish(message_of("lidar_front", "lidar_front", w=0.0))
    bench.spin(0.2)
    robot.stand(mounted_drives.along(5)[2], 0)
    assert robot.line().level == DiagnosticStatus.WARN
    robot.tell_static(mount())
    assert apart(robot.stand(mounted_drives.along(5)[2], 1).matches[0].pose, mounted_drives.along(5)[2])[1] < 1


def message_of(parent, child, x=0.0, w=1.0):
    transform = TransformStamped(child_frame_id=child)
    transform.header.frame_id = parent
    transform.transform.translation.x, transform.transform.rotation.w = x, w
    return TFMessage(transforms=[transform])


def test_map_to_odom_holds_while_odometry_drifts(bench, street_map):
    """The wheels see 3 % too little of the way, and half a degree of a turn every 4 m that there was not."""
    robot = Robot(bench, street_map)
    robot.tell_static(mount())
    node = bench.node(LocalizationNode, publish_tf=True, tf_rate=100.0)
    states, sent = bench.listen(msg.Localization, "localization", STATES), bench.listen(TFMessage, "/tf")
    wheels = bench.publisher(Odometry, "odom")
    way = mounted_drives.along(39, 0.5, 0.1, seed=3, length=152.0)
    driven, errors, shifts = np.eye(4), [], []
    for i, base in enumerate(way):
        if i:
            step = np.linalg.inv(way[i - 1]) @ base
            step[:2, 3] *= 0.97
            driven = driven @ step @ clouds.mounting(f"0 0 0 0 0 {np.radians(0.5)}")
        odometry = Odometry(child_frame_id="base_link", pose=PoseWithCovariance(pose=messages.pose_message(driven)))
        odometry.header.stamp, odometry.header.frame_id = messages.time_message((BEGIN + i) * NS), "odom"
        wheels.publish(odometry)
        bench.until(lambda i=i: node._odometry.pose((BEGIN + i) * NS, "") is not None)
        robot.stand(base, i)
        bench.until(lambda i=i: len(states) > i)
        if states[i].state == msg.Localization.LOCALIZED:
            sent.clear()
            bench.until(lambda: len(sent) > 1)
            (transform,) = sent[-1].transforms
            shift = pose_of(transform.transform)
            shifts.append(planar.of(shift))
            x, y, yaw = planar.between(planar.of(shift @ driven), planar.of(base))
            errors.append((np.hypot(x, y), np.degrees(abs(yaw))))
    metres, degrees = np.array(errors).T
    moved = np.ptp(np.array(shifts), axis=0)
    print(
        f"\nmap->odom->base: {metres.max():.3f} m, {degrees.max():.2f} degrees at most, in {len(errors)} of {len(way)}"
    )
    print(f"while map->odom moved by {np.hypot(*moved[:2]):.1f} m and {np.degrees(moved[2]):.1f} degrees")
    assert len(errors) >= len(way) - 3 and metres.max() < 0.3 and degrees.max() < 1.5
    assert moved[2] > np.radians(10)


def pose_of(transform):
    t, r = transform.translation, transform.rotation
    return matrices([(t.x, t.y, t.z, r.x, r.y, r.z, r.w)])[0]
