"""A robot that shows pictures to a grounding node, and asks for objects."""

import array

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionClient
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from any2any_ros import action, encoders
from any2any_ros.nodes import messages
from any2any_ros.nodes.grounding_node import GroundingNode
from any2any_ros.objects import grounding_model
from any2any_ros.objects.grounding_model import Model
from any2any_ros.objects.heads import EMMA
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.sim import tabletop

Result = action.RetrieveObject.Result
PLUGS = {"camera": "crop", "depth": "depth", "text": "text"}
CAMERA = tabletop.CameraConfig(width=320, height=240, focal=262.5)
DIMS = 16


class Robot:
    """A grounding node, its cameras, and a client that sends it commands."""

    def __init__(self, bench, model, **parameters):
        self.bench = bench
        self.node = bench.node(GroundingNode, **{"model": str(model), "hearing": "none"} | parameters)
        self.client = ActionClient(bench.peer, action.RetrieveObject, "retrieve_object")
        bench.until(self.client.server_is_ready)
        self.feedback = []
        self.to = {
            "rgb": bench.peer.create_publisher(Image, "camera/image_raw", qos_profile_sensor_data),
            "depth": bench.peer.create_publisher(Image, "depth/image_raw", qos_profile_sensor_data),
            "info": bench.peer.create_publisher(CameraInfo, "camera/camera_info", qos_profile_sensor_data),
            "pose": bench.peer.create_publisher(PoseStamped, "camera/pose", qos_profile_sensor_data),
        }
        bench.until(lambda: all(p.get_subscription_count() for p in self.to.values()))

    def see(self, frame, rgb=True, depth=True):
        """Show one frame, and wait until it has been looked at."""
        before = self.node._views
        self.to["info"].publish(CameraInfo(k=frame.intrinsics.ravel()))
        if rgb:
            self.to["rgb"].publish(image(frame.rgb, "rgb8", frame.stamp_ns))
        if depth:
            millimetres = np.nan_to_num(frame.depth * 1000).round().astype("<u2")
            self.to["depth"].publish(image(millimetres, "16UC1", frame.stamp_ns))
        pose = PoseStamped(pose=messages.pose_message(frame.pose))
        pose.header.stamp = messages.time_message(frame.stamp_ns)
        self.to["pose"].publish(pose)
        self.bench.until(lambda: self.node._views > before)

    def send(self, text="", timeout=0.0):
        """Send a goal; return its handle as soon as it is accepted."""
        goal = action.RetrieveObject.Goal(text=text, timeout=timeout)
        future = self.client.send_goal_async(goal, feedback_callback=lambda f: self.feedback.append(f.feedback.state))
        self.bench.until(future.done)
        assert future.result().accepted
        return future.result()

    def ends(self, handle):
        """Return how a goal ended, and its result."""
        future = handle.get_result_async()
        self.bench.until(future.done)
        return future.result().status, future.result().result

    def ask(self, text):
        return self.ends(self.send(text))


def image(pixels, encoding, stamp_ns):
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=pixels[0].nbytes)
    message.data = array.array("B", np.ascontiguousarray(pixels).tobytes())
    message.header.stamp = messages.time_message(stamp_ns)
    return message


def looks():
    """Return three looks at a table with four objects."""
    scene = tabletop.scene(3, config=tabletop.SceneConfig(objects=4, frames=3, sweep=20), camera=CAMERA)
    return list(scene)


def save_model(folder):
    """Save heads that were never trained: what they answer is arbitrary, and how they are asked is not."""
    draw, records, state = np.random.default_rng(0), {}, [{}, {}, {}, {}]
    for m, plug in PLUGS.items():
        encoder = encoders.build(plug)
        records[m] = EncoderRecord(plug, encoder.fingerprint, encoder.dimension)
        widths = [encoder.dimension, 8, 8, DIMS]
        state[0][m], state[1][m] = np.zeros(widths[0], np.float32), np.ones(widths[0], np.float32)
        for layer in range(3):
            shape = widths[layer : layer + 2]
            state[2][f"{m}/{layer}"] = (draw.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)
            state[3][f"{m}/{layer}"] = (0.1 * draw.normal(size=shape[1])).astype(np.float32)
    grounding_model.save(Model(EMMA(*state), records), folder)
    return folder
