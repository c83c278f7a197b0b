"""What the grounding node takes from cameras: compressed pictures, distorted ones, and the camera's pose from /tf."""

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TransformStamped, Vector3
from grounding_robot import Robot, image, looks, save_model
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from any2any_ros.nodes import messages
from any2any_ros.nodes.grounding_node import GroundingNode
from any2any_ros.nodes.sensor_odometry import LATCHED
from any2any_ros.samples import NS


@pytest.fixture(scope="module")
def frames():
    return looks()


@pytest.fixture
def model(tmp_path):
    return save_model(tmp_path / "model")


@pytest.fixture
def robot(bench, model):
    return Robot(bench, model)


def transform(parent, child, pose, stamp_ns):
    message = TransformStamped(
        header=Header(frame_id=parent, stamp=messages.time_message(stamp_ns)), child_frame_id=child
    )
    sent = messages.pose_message(pose)
    message.transform.translation = Vector3(x=sent.position.x, y=sent.position.y, z=sent.position.z)
    message.transform.rotation = sent.orientation
    return message


def test_compressed_pictures_show_the_same_objects(bench, model, frames):
    topics = {"rgb_topic": "camera/image_raw/compressed", "depth_topic": "depth/image_raw/compressedDepth"}
    node = bench.node(GroundingNode, model=str(model), hearing="none", **topics)
    rgb, depth = (bench.publisher(CompressedImage, topic, qos_profile_sensor_data) for topic in topics.values())
    info = bench.publisher(CameraInfo, "camera/camera_info", qos_profile_sensor_data)
    poses = bench.publisher(PoseStamped, "camera/pose", qos_profile_sensor_data)
    for frame in frames[:2]:
        views = node._views
        header = Header(stamp=messages.time_message(frame.stamp_ns))
        info.publish(CameraInfo(k=frame.intrinsics.ravel()))
        poses.publish(PoseStamped(header=header, pose=messages.pose_message(frame.pose)))
        jpeg = cv2.imencode(".jpg", frame.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        rgb.publish(CompressedImage(header=header, format="rgb8; jpeg compressed bgr8", data=jpeg))
        millimetres = np.nan_to_num(frame.depth * 1000).round().astype("<u2")
        png = bytes(12) + cv2.imencode(".png", millimetres)[1].tobytes()
        depth.publish(CompressedImage(header=header, format="16UC1; compressedDepth png", data=png))
        bench.until(lambda views=views: node._views > views)
    objects = node.grounder.memory.believed
    assert 3 <= len(objects) <= 5 and all(set(o.counts) == {"camera", "depth"} for o in objects)


def test_the_pose_of_the_camera_comes_from_tf(bench, model, frames):
    """map -> base moves, base -> camera is static; the transform after a picture comes later than the picture."""
    node = bench.node(GroundingNode, model=str(model), hearing="none", pose_topic="/tf:map.camera_optical_frame")
    to = {
        topic: bench.publisher(Image, topic, qos_profile_sensor_data)
        for topic in ("camera/image_raw", "depth/image_raw")
    }
    info = bench.publisher(CameraInfo, "camera/camera_info", qos_profile_sensor_data)
    moving, static = bench.publisher(TFMessage, "/tf", 10), bench.publisher(TFMessage, "/tf_static", LATCHED)
    mount = np.array([[0.0, 0, 1, 0.2], [-1, 0, 0, 0.0], [0, -1, 0, 1.1], [0, 0, 0, 1]])
    static.publish(TFMessage(transforms=[transform("base_link", "camera_optical_frame", mount, 0)]))
    for frame in frames[:2]:
        views, base = node._views, frame.pose @ np.linalg.inv(mount)
        info.publish(CameraInfo(k=frame.intrinsics.ravel()))
        moving.publish(TFMessage(transforms=[transform("map", "base_link", base, frame.stamp_ns - NS // 10)]))
        to["camera/image_raw"].publish(image(frame.rgb, "rgb8", frame.stamp_ns))
        millimetres = np.nan_to_num(frame.depth * 1000).round().astype("<u2")
        to["depth/image_raw"].publish(image(millimetres, "16UC1", frame.stamp_ns))
        bench.until(lambda: len(node._cameras.views._pictures["depth"]))
        moving.publish(TFMessage(transforms=[transform("map", "base_link", base, frame.stamp_ns + NS // 10)]))
        bench.until(lambda views=views: node._views > views)
    np.testing.assert_allclose(node.grounder._seen_from, frames[1].pose[:3, 3], atol=1e-6)
    assert len(node.grounder.memory.believed) >= 3


def test_a_lens_that_is_not_known_is_refused_and_one_that_is_gets_straight(robot, frames):
    info = CameraInfo(k=frames[0].intrinsics.ravel(), d=[-0.2, 0.05, 0.0, 0.0, 0.0])
    cameras = robot.node._cameras
    for model, is_done in (("thin_prism", lambda: cameras.refused.count), ("plumb_bob", lambda: cameras._lens[0])):
        info.distortion_model = model
        robot.to["info"].publish(info)
        robot.bench.until(is_done)
    assert robot.node._cameras.refused.count == 1 and "'thin_prism'" in robot.node._cameras.error
    assert robot.node._cameras._lens[0] == "plumb_bob"
