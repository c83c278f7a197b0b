"""Converts embeddings, matches and rankings to ROS messages and back. samples/ decodes sensor messages."""

from __future__ import annotations

import array
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header

import any2any_ros.msg as msg
from any2any_ros import cdr, limits, names, observation
from any2any_ros.arrays import Floats
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import interfaces
from any2any_ros.nodes.pose_messages import pose_array as pose_array
from any2any_ros.nodes.pose_messages import pose_message as pose_message
from any2any_ros.nodes.pose_messages import pose_messages as pose_messages
from any2any_ros.ranking import Match, Ranking
from any2any_ros.samples import NS, time_in_ns

LAST_NS = 2**31 * NS - 1  # the last time that a message can hold
STAMP_AT = 4  # a serialised (CDR) message starts with 4 bytes that are not part of the message


def time_message(stamp_ns: int) -> Time:
    """Return a stamp in nanoseconds as a message; what no message can hold becomes the first or the last time."""
    held = min(max(stamp_ns, -LAST_NS - 1), LAST_NS)
    return Time(sec=held // NS, nanosec=held % NS)


def time_ns(stamp: Time) -> int:
    """Return a stamp message in nanoseconds. `time_message` can turn each of them into a message again."""
    return time_in_ns(stamp.sec, stamp.nanosec)


def raw_stamp_ns(raw: bytes) -> int:
    """Return the stamp, in ns, of a serialised message whose first field is a header."""
    sec = int.from_bytes(raw[STAMP_AT : STAMP_AT + 4], "little", signed=True)
    return time_in_ns(sec, int.from_bytes(raw[STAMP_AT + 4 : STAMP_AT + 8], "little"))


def floats(values: Floats) -> array.array[float]:
    """Return values (N,) as a float32 message field."""
    # Assigning a NumPy array to a message field takes 90 ms for each megabyte, an array.array 0.07 ms.
    return array.array("f", np.ascontiguousarray(values, dtype=np.float32).tobytes())


def embedding_message(embedding: observation.Embedding, seconds: float) -> msg.Embedding:
    """Return an embedding as a message. seconds: how long encoding took."""
    return msg.Embedding(
        header=Header(stamp=time_message(embedding.stamp_ns), frame_id=embedding.frame_id),
        modality=embedding.modality,
        encoder=embedding.encoder,
        vector=floats(embedding.vector),
        birds_eye=array.array("B", embedding.birds_eye.tobytes()),
        encode_seconds=float(seconds),
    )


def embedding(message: msg.Embedding) -> observation.Embedding:
    """Return the embedding of a message. Raises Any2AnyError when its vector is empty, too long or not finite."""
    limits.check("an embedding", len(message.vector), limits.VECTOR, "values", "Check who publishes it")
    return observation.Embedding(
        message.modality,
        np.array(message.vector, dtype=np.float32),
        time_ns(message.header.stamp),
        message.header.frame_id,
        message.encoder,
        np.array(message.birds_eye, dtype=np.uint8),
    )


def ranking_message(ranking: Ranking, frame_id: str, latency: float = 0.0) -> msg.Ranking:
    """Return a ranking as a message. frame_id: frame of the matches' poses. latency: s."""
    poses = pose_messages(np.array([match.pose for match in ranking.matches]).reshape(-1, 4, 4))
    return msg.Ranking(
        header=Header(stamp=time_message(ranking.stamp_ns), frame_id=frame_id),
        matches=[_match_message(match, pose) for match, pose in zip(ranking.matches, poses, strict=True)],
        modalities=list(ranking.modalities),
        stamps=[time_message(stamp) for stamp in ranking.stamps_ns],
        missing=list(ranking.missing),
        reference_modalities=list(ranking.reference_modalities),
        probability=float(ranking.probability),
        accepted=ranking.accepted,
        place_set=list(ranking.place_set),
        ambiguous=bool(ranking.ambiguous),
        latency=latency,
    )


def _match_message(match: Match, pose: Pose) -> msg.Match:
    return msg.Match(
        id=match.id,
        probability=match.probability,
        score=match.score,
        pose=pose,
        overlap=float(match.overlap),
        refined=bool(match.refined),
        pair_probability=floats(match.pair_probability.ravel()),
        covariance=match.covariance.ravel(),
    )


def ranking(message: msg.Ranking) -> Ranking:
    """Return the ranking of a message. Raises Any2AnyError when its parts do not fit together."""
    shape = (len(message.modalities), len(message.reference_modalities))
    matches = tuple(_match(match, shape) for match in message.matches)
    return Ranking(
        matches,
        tuple(message.modalities),
        tuple(message.missing),
        message.accepted,
        tuple(message.place_set),
        time_ns(message.header.stamp),
        message.ambiguous,
        tuple(message.reference_modalities),
        tuple(time_ns(stamp) for stamp in message.stamps),
    )


def _match(message: msg.Match, shape: tuple[int, int]) -> Match:
    if len(message.pair_probability) != shape[0] * shape[1]:
        raise Any2AnyError(
            "A ranking cannot be used",
            f"match '{message.id}' has {len(message.pair_probability)} pair probabilities for {shape} modalities",
            "Check who publishes it",
        )
    return Match(
        message.id,
        message.probability,
        message.score,
        np.full((4, 4), np.nan) if np.isnan(message.pose.position.x) else pose_array(message.pose),
        np.array(message.pair_probability, dtype=np.float32).reshape(shape),
        overlap=message.overlap,
        refined=message.refined,
        covariance=np.array(message.covariance, dtype=np.float64).reshape(3, 3),
    )


def reader(type_name: str) -> Callable[[bytes], Any]:
    """Return a function that reads serialised messages of a type, for most types without copying their data.

    It raises Any2AnyError for a message that is too large, and for bytes that are no such message. Raises Any2AnyError
    when the package of the type is not installed.
    """
    cls = message_class(type_name)
    if type_name in cdr.typestore().fielddefs:
        return lambda raw: cdr.read(raw, type_name)
    return lambda raw: cdr.deserialised(raw, type_name, lambda: deserialize_message(raw, cls))


def message_class(type_name: str) -> Any:
    """Return the class of a type such as "sensor_msgs/msg/Image". Only a ROS package of messages is imported for it.

    Raises Any2AnyError when the name is not valid, and when the package of the type is not installed.
    """
    package, kind, name = names.message_type(type_name).split("/")
    try:
        if not interfaces.is_installed(package):
            raise ImportError(f"no ROS package '{package}' with messages is installed")
        return getattr(importlib.import_module(f"{package}.{kind}"), name)
    except (ImportError, AttributeError) as error:
        raise Any2AnyError(
            f"There is no message type {type_name}", str(error), f"Install the ROS package {package}"
        ) from error
