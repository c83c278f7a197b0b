"""Publishes a robot's scan where its refined pose puts it in the map, for RViz and Foxglove."""

from __future__ import annotations

from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from any2any_ros.arrays import Float64, Floats
from any2any_ros.geometry import clouds
from any2any_ros.nodes.lifecycle import ManagedNode

ABSENT = "aligned_points is not published: sensor_msgs_py is absent. Install ros-$ROS_DISTRO-sensor-msgs-py"


class AlignedPoints:
    """The publisher of `aligned_points`. It costs nothing while nobody subscribes."""

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._publisher = node.create_lifecycle_publisher(PointCloud2, "aligned_points", 1)

    def publish(self, points: Floats, pose: Float64, header: Header) -> None:
        """Publish points (N, 3) in the frame of a robot. pose (4, 4): of the robot in the map, whose frame is in
        `header`."""
        if not self._publisher.get_subscription_count():
            return
        try:
            from sensor_msgs_py import point_cloud2  # on a robot; in no package index
        except ImportError:
            self._node.get_logger().warning(ABSENT, once=True)
            return
        self._publisher.publish(point_cloud2.create_cloud_xyz32(header, clouds.moved(points, pose).astype("float32")))

    def destroy(self) -> None:
        self._node.destroy_lifecycle_publisher(self._publisher)
