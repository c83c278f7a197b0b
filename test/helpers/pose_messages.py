"""Messages that say where a robot is, of every type that has poses, for the tests of bags."""

from __future__ import annotations

import numpy as np
from bag_files import STORE
from scipy.spatial.transform import Rotation

from any2any_ros.data import bag_messages

NS = 10**9
MAKE = STORE.types
TF = "tf2_msgs/msg/TFMessage"
FIX = "sensor_msgs/msg/NavSatFix"
ODOMETRY = "nav_msgs/msg/Odometry"
STAMPED = "geometry_msgs/msg/PoseStamped"
WITH_COVARIANCE = "geometry_msgs/msg/PoseWithCovarianceStamped"


def message(kind, stamp, position=(0, 0, 0), quaternion=(0, 0, 0, 1), frame="base_link"):
    """Return a message of one of the three types of poses."""
    pose = MAKE["geometry_msgs/msg/Pose"](
        position=MAKE["geometry_msgs/msg/Point"](*map(float, position)),
        orientation=MAKE["geometry_msgs/msg/Quaternion"](*map(float, quaternion)),
    )
    header, covariance = bag_messages.header(STORE, stamp, "odom"), np.zeros(36)
    if kind == STAMPED:
        return MAKE[kind](header=header, pose=pose)
    zero = MAKE["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    twist = MAKE["geometry_msgs/msg/Twist"](linear=zero, angular=zero)
    rest = {
        "child_frame_id": frame,
        "twist": MAKE["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=covariance),
    }
    with_covariance = MAKE["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=covariance)
    return MAKE[kind](header=header, pose=with_covariance, **(rest if kind == ODOMETRY else {}))


def transforms(stamp, *edges):
    """Return a TFMessage of (parent, child, x y z, yaw)."""
    found = []
    for parent, child, position, yaw in edges:
        quaternion = Rotation.from_euler("z", [[yaw]]).as_quat()[0]
        transform = MAKE["geometry_msgs/msg/Transform"](
            translation=MAKE["geometry_msgs/msg/Vector3"](*map(float, position)),
            rotation=MAKE["geometry_msgs/msg/Quaternion"](*map(float, quaternion)),
        )
        header = bag_messages.header(STORE, stamp, parent)
        found.append(
            MAKE["geometry_msgs/msg/TransformStamped"](header=header, child_frame_id=child, transform=transform)
        )
    return MAKE[TF](transforms=found)


def fix(stamp, latitude, longitude, altitude=100.0, status=0):
    return MAKE[FIX](
        header=bag_messages.header(STORE, stamp, "gps"),
        status=MAKE["sensor_msgs/msg/NavSatStatus"](status=status, service=1),
        latitude=float(latitude), longitude=float(longitude), altitude=float(altitude),
        position_covariance=np.zeros(9), position_covariance_type=0,
    )  # fmt: skip


def odometry(stamps, metres, late=0):
    """Return the messages (received, message) of a robot that drives along x. late: ns until they are recorded."""
    return [(int(s) + late, message(ODOMETRY, int(s), (x, 0, 0))) for s, x in zip(stamps, metres, strict=True)]
