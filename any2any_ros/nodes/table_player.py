"""Publishes simulated sensors of a robot at a table: an RGB-D camera that moves to and fro, and a microphone."""

from __future__ import annotations

import array
import itertools
import threading
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

import any2any_ros.msg as msg
from any2any_ros.arrays import Array
from any2any_ros.node_config import GroundingNodeConfig
from any2any_ros.nodes import messages
from any2any_ros.nodes.repeated import Repeated
from any2any_ros.samples import NS

if TYPE_CHECKING:
    from any2any_ros.sim.tabletop import Frame

CHUNK = 0.1  # s of sound in one message
ROOM = 0.002  # standard deviation of the room's noise, as a share of full scale
KINDS = ("camera", "depth")


class CameraPlayer(Repeated):
    """Publishes the frames to and fro. Only the cameras in `alive` (camera, depth) publish pictures."""

    def __init__(self, node: Node, frames: Sequence[Frame], rate: float, alive: Collection[str] = KINDS) -> None:
        """rate: Hz."""
        super().__init__(1 / rate)
        topics, self._node, self._frames, self.alive = GroundingNodeConfig(), node, frames, alive
        there_and_back = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
        self._order = itertools.cycle(there_and_back)
        self.shown = 0  # number of frames published so far
        self._pictures = {
            "camera": node.create_publisher(Image, topics.rgb_topic, 5),
            "depth": node.create_publisher(Image, topics.depth_topic, 5),
        }
        self._info = node.create_publisher(CameraInfo, topics.info_topic, 5)
        self._pose = node.create_publisher(PoseStamped, topics.pose_topic, 5)

    @property
    def is_seen(self) -> bool:
        """Return whether every topic has a subscriber."""
        return all(p.get_subscription_count() for p in (*self._pictures.values(), self._info, self._pose))

    def step(self) -> None:
        frame = self._frames[next(self._order)]
        header = Header(stamp=self._node.get_clock().now().to_msg(), frame_id="camera_optical")
        in_map = Header(stamp=header.stamp, frame_id="map")
        self._pose.publish(PoseStamped(header=in_map, pose=messages.pose_message(frame.pose)))
        height, width = frame.depth.shape
        matrix = frame.intrinsics.ravel().tolist()
        self._info.publish(CameraInfo(header=header, height=height, width=width, k=matrix))
        if "camera" in self.alive:
            self._pictures["camera"].publish(_image(frame.rgb, "rgb8", header))
        if "depth" in self.alive:
            millimetres = np.round(np.nan_to_num(frame.depth) * 1000).astype("<u2")
            self._pictures["depth"].publish(_image(millimetres, "16UC1", header))
        self.shown += 1


def _image(pixels: NDArray[Any], encoding: str, header: Header) -> Image:
    data = array.array("B", pixels.tobytes())
    step = pixels.strides[0]
    return Image(header=header, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=step, data=data)


class Microphone(Repeated):
    """Publishes the room's noise without a pause, and adds what is spoken."""

    def __init__(self, node: Node, rate: int) -> None:
        """rate: of the sound, Hz."""
        super().__init__(CHUNK)
        self._publisher = node.create_publisher(msg.AudioStamped, GroundingNodeConfig().speech_topic, 50)
        self._rate, self._random = rate, np.random.default_rng(0)
        self._waiting = np.empty(0, np.float32)
        self._lock, self._said = threading.Lock(), threading.Event()
        self._until = time.time_ns()

    def say(self, samples: Array) -> float:
        """Speak samples (S,), full scale 1; return the monotonic time (s) at which the last of them was published."""
        with self._lock:
            self._waiting = np.asarray(samples, dtype=np.float32)
            self._said.clear()
        while not self._said.wait(0.1):
            pass  # in short waits, so that Ctrl-C works
        return time.monotonic()

    def step(self) -> None:
        count = round(CHUNK * self._rate)
        chunk = self._random.normal(0, ROOM, count).astype(np.float32)
        with self._lock:
            spoken, self._waiting = self._waiting[:count], self._waiting[count:]
            chunk[: len(spoken)] += spoken
            last = len(spoken) > 0 and len(self._waiting) == 0
        self._until += round(CHUNK * NS)
        data = np.round(np.clip(chunk, -1, 1) * 32767).astype("<i2").tobytes()
        header = Header(stamp=messages.time_message(self._until), frame_id="microphone")
        self._publisher.publish(
            msg.AudioStamped(
                header=header, sample_rate=self._rate, channels=1, encoding="S16LE", data=array.array("B", data)
            )
        )
        if last:
            self._said.set()
