"""The nouns as ROS messages, and back. (Sensor messages become arrays in samples/.)"""

from __future__ import annotations

import array
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header

import any2any_ros.msg as msg
from any2any_ros import cdr, observation
from any2any_ros.errors import Any2AnyError
from any2any_ros.ranking import Match, Ranking
from any2any_ros.samples import NS

STAMP_AT = 4  # CDR starts with 4 bytes of its own


def time_message(stamp_ns: int) -> Time:
    return Time(sec=stamp_ns // NS, nanosec=stamp_ns % NS)


def time_ns(stamp: Time) -> int:
    return int(stamp.sec * NS + stamp.nanosec)


def raw_stamp_ns(raw: bytes) -> int:
    """Return the stamp of a serialised message that begins with a header."""
    sec = int.from_bytes(raw[STAMP_AT : STAMP_AT + 4], "little", signed=True)
    return sec * NS + int.from_bytes(raw[STAMP_AT + 4 : STAMP_AT + 8], "little")


def floats(values: NDArray[Any]) -> array.array[float]:
    # Assigning a NumPy array to a message field takes 90 ms a megabyte; an array.array 0.07 ms.
    return array.array("f", np.ascontiguousarray(values, dtype=np.float32).tobytes())


def pose_message(pose: NDArray[np.float64]) -> Pose:
    """Return pose (4, 4) as a message; an unknown pose (NaN) as all NaN."""
    if not np.isfinite(pose).all():
        nan = float("nan")
        return Pose(position=Point(x=nan, y=nan, z=nan), orientation=Quaternion(x=nan, y=nan, z=nan, w=nan))
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()
    px, py, pz = pose[:3, 3].tolist()
    return Pose(position=Point(x=px, y=py, z=pz), orientation=Quaternion(x=x, y=y, z=z, w=w))


def pose_array(pose: Pose) -> NDArray[np.float64]:
    """Return a pose message as (4, 4)."""
    from scipy.spatial.transform import Rotation

    p, q = pose.position, pose.orientation
    out = np.eye(4)
    out[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    out[:3, 3] = p.x, p.y, p.z
    return out


def embedding_message(embedding: observation.Embedding, seconds: float) -> msg.Embedding:
    return msg.Embedding(
        header=Header(stamp=time_message(embedding.stamp_ns), frame_id=embedding.frame_id),
        modality=embedding.modality,
        encoder=embedding.encoder,
        vector=floats(embedding.vector),
        encode_seconds=float(seconds),
    )


def embedding(message: msg.Embedding) -> observation.Embedding:
    """Return the noun; raises Any2AnyError when its vector is empty or not finite."""
    return observation.Embedding(
        message.modality,
        np.array(message.vector, dtype=np.float32),
        time_ns(message.header.stamp),
        message.header.frame_id,
        message.encoder,
    )


def ranking_message(ranking: Ranking, frame_id: str, latency: float = 0.0) -> msg.Ranking:
    return msg.Ranking(
        header=Header(stamp=time_message(ranking.stamp_ns), frame_id=frame_id),
        matches=[_match_message(match) for match in ranking.matches],
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


def _match_message(match: Match) -> msg.Match:
    return msg.Match(
        id=match.id,
        probability=match.probability,
        score=match.score,
        pose=pose_message(match.pose),
        overlap=float(match.overlap),
        refined=bool(match.refined),
        pair_probability=floats(match.pair_probability.ravel()),
    )


def ranking(message: msg.Ranking) -> Ranking:
    """Return the noun."""
    shape = (len(message.modalities), len(message.reference_modalities))
    matches = tuple(
        Match(
            m.id,
            m.probability,
            m.score,
            pose_array(m.pose) if np.isfinite(m.pose.position.x) else np.full((4, 4), np.nan),
            np.array(m.pair_probability, dtype=np.float32).reshape(shape),
            overlap=m.overlap,
            refined=m.refined,
        )
        for m in message.matches
    )
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


def reader(type_name: str) -> Callable[[bytes], Any]:
    """Return what reads serialised messages of a type, at best without copying their data; raises Any2AnyError when
    the type's package is not installed."""
    cls = message_class(type_name)
    if type_name in cdr.typestore().fielddefs:
        return lambda raw: cdr.read(raw, type_name)
    return lambda raw: deserialize_message(raw, cls)


def message_class(type_name: str) -> Any:
    """Return the class of e.g. "sensor_msgs/msg/Image"; raises Any2AnyError when its package is not installed."""
    package, kind, name = type_name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), name)
    except (ImportError, AttributeError) as error:
        raise Any2AnyError(
            f"Message type {type_name} is not here", str(error), f"Install the ROS package {package}"
        ) from error
