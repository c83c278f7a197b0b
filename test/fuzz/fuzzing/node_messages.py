"""Messages between nodes, and the parameters of a node. Needs rclpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import Pose
from rclpy.exceptions import ParameterException
from rclpy.serialization import serialize_message

from any2any_ros import msg
from any2any_ros.config import AliveConfig, PlaceConfig, RetrievalConfig
from any2any_ros.node_config import RetrievalNodeConfig
from any2any_ros.nodes import messages, parameters
from any2any_ros.nodes.lifecycle import ManagedNode
from any2any_ros.nodes.odometry import OdometryBuffer
from any2any_ros.ranking import Match, Ranking

from . import folders, ros
from .boundary import Boundary
from .choices import Choices
from .ros import as_rclpy, embedding, refuse
from .ros_messages import damaged, header, make, mutated_message, serialised, store

# --- embeddings, rankings, poses --------------------------------------------------------------------------------------


def _read_embedding(raw: bytes) -> Any:
    messages.raw_stamp_ns(raw)
    return messages.embedding(messages.reader("any2any_ros/msg/Embedding")(raw))


def _wrong_embedding(given: Any, result: Any) -> str:
    again = messages.embedding(messages.embedding_message(result, 0.0))
    same = np.array_equal(again.vector, result.vector) and again.stamp_ns == result.stamp_ns
    same &= np.array_equal(again.birds_eye, result.birds_eye)
    return "" if same and np.isfinite(result.vector).all() else "another embedding comes back"


def _ranking(choices: Choices) -> Any:
    pairs, count = choices.arrays.random((2, 1)).astype(np.float32), choices.randint(0, 3)
    matches = tuple(Match(f"place/{i}", 0.5 / (i + 1), 3.0 - i, np.eye(4), pairs) for i in range(count))
    noun = Ranking(matches, ("camera", "lidar"), ("text",), True, ("place/0",), 5 * 10**9, False, ("camera",), (1, 2))
    raw = bytes(serialize_message(messages.ranking_message(noun, "map", 0.1)))
    return store().deserialize_cdr(raw, "any2any_ros/msg/Ranking")


def _read_ranking(message: Any) -> Any:
    received = messages.ranking(as_rclpy(message, msg.Ranking))
    return received, messages.ranking(messages.ranking_message(received, "map"))


def _wrong_answer(given: Any, result: Any) -> str:
    parts = [([m.id for m in r.matches], r.stamp_ns, r.stamps_ns, r.modalities, r.place_set) for r in result]
    return "" if parts[0] == parts[1] else "another ranking comes back"


def _wrong_pose(given: Any, pose: Any) -> str:
    turned = pose[:3, :3]
    good = np.isfinite(pose).all() and np.allclose(turned @ turned.T, np.eye(3), atol=1e-6)
    return "" if good else f"pose {pose}"


class Odometry:
    """A buffer of odometry, in a node."""

    def __init__(self) -> None:
        self.node = ManagedNode("odometry")
        self.buffer = OdometryBuffer(self.node)

    def close(self) -> None:
        self.node.destroy_node()


def _odometry(choices: Choices) -> Any:
    with_covariance = make("geometry_msgs/msg/PoseWithCovariance", pose=ros.pose(choices))
    return make("nav_msgs/msg/Odometry", header=header(choices), pose=with_covariance)


def _take_odometry(message: Any) -> Any:
    buffer = ros.once(Odometry).buffer
    buffer.close()
    received = as_rclpy(message, messages.message_class("nav_msgs/msg/Odometry"))
    buffer._receive(received)
    pose = buffer.pose(messages.time_ns(received.header.stamp))
    return refuse("no pose") if pose is None else pose


# --- parameters -------------------------------------------------------------------------------------------------------

PARAMETERS = b"""retrieval:
  ros__parameters:
    k: 5
    slop: 0.05
    source_timeout: 2.0
    source_timeouts:
      camera: 1.5
    filter: none
    use_sim_time: false
    map: ""
"""
DECLARED = (RetrievalNodeConfig, AliveConfig, RetrievalConfig, PlaceConfig)


def _parameters(folder: Path) -> Any:
    ros.start()
    context, file = rclpy.Context(), folder / "p.yaml"
    try:
        rclpy.init(args=["--ros-args", "--params-file", str(file)], context=context)
    except RuntimeError as error:  # which runtime.start makes an Any2AnyError
        refuse(str(error))
    try:
        node = rclpy.create_node("retrieval", context=context, enable_rosout=False, start_parameter_services=False)
        try:
            settings = [parameters.declare(node, cls) for cls in DECLARED]
            return settings, parameters.source_timeouts(node, 2.0, ["camera", "lidar"])
        finally:
            node.destroy_node()
    except ParameterException as error:
        refuse(str(error))
    finally:
        rclpy.shutdown(context=context)


def _wrong_timeouts(given: Any, result: Any) -> str:
    return "" if all(0 < seconds <= 3600 for seconds in result[1].values()) else f"timeouts {result[1]}"


BOUNDARIES = (
    Boundary(
        "message: embedding, serialised", lambda c: serialised(embedding(c)), _read_embedding, _wrong_embedding, damaged
    ),
    Boundary(
        "message: embedding", embedding, lambda m: messages.embedding(as_rclpy(m, msg.Embedding)), _wrong_embedding,
        mutated_message,
    ),
    Boundary("message: ranking", _ranking, _read_ranking, _wrong_answer, mutated_message, milliseconds=1.0),
    Boundary(
        "message: pose", ros.pose, lambda m: messages.pose_array(as_rclpy(m, Pose)), _wrong_pose, mutated_message
    ),
    Boundary("message: odometry", _odometry, _take_odometry, _wrong_pose, mutated_message, milliseconds=1.5),
    Boundary(
        "parameter file", lambda c: {"p.yaml": PARAMETERS}, folders.on_disk(_parameters), _wrong_timeouts,
        folders.mutated_files, milliseconds=12, seconds=3.0, megabytes=128,
    ),
)  # fmt: skip
