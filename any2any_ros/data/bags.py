"""ROS 2 bags without ROS: writes a drive as a bag (mcap or sqlite3), and reads any bag as observations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from scipy.spatial.transform import Rotation, Slerp

from any2any_ros import limits, samples
from any2any_ros.arrays import Array, Float64, Int64
from any2any_ros.cdr import typestore
from any2any_ros.config import AliveConfig
from any2any_ros.data import bag_messages
from any2any_ros.data.drive import Drive
from any2any_ros.encoders import ENCODERS
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Embedding, Observation, ObservationSet
from any2any_ros.progress import Progress, silent
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval.assembler import Assembler
from any2any_ros.storage import replacing

TRUTH = "ground_truth/pose"  # topic of the true poses, in bags that are written here
STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
POSE_TYPES = (bag_messages.POSE, "geometry_msgs/msg/PoseWithCovarianceStamped", "nav_msgs/msg/Odometry")


# --- drive -> bag ---------------------------------------------------------------------------------------------


def write(drive: Drive, path: Path, storage: str = "mcap", progress: Progress[int] = silent) -> Path:
    """Write a drive as a ROS 2 bag to the folder `path`, each modality on the default topic of its encoder.

    storage: a key of STORAGES. An interrupted write leaves nothing behind. Raises Any2AnyError when `path` exists, when
    the drive is empty, and for an unknown storage.
    """
    if storage not in STORAGES:
        raise Any2AnyError(f"Cannot write a '{storage}' bag", f"known are {', '.join(STORAGES)}", "Choose one")
    if path.exists():
        raise Any2AnyError(f"Cannot write the bag {path}", "it exists", "Remove it, or choose another name")
    if len(drive) == 0:
        raise Any2AnyError(f"Cannot write the bag {path}", "the drive has no frames", "Choose another drive")
    with replacing(path) as unfinished:
        unfinished.rmdir()  # rosbags makes the folder itself, and refuses one that exists
        with Writer(unfinished, version=9, storage_plugin=STORAGES[storage]) as writer:
            _write_frames(drive, writer, progress)
    return path


def _write_frames(drive: Drive, writer: Writer, progress: Progress[int]) -> None:
    store = typestore()
    encoders = {m: ENCODERS.find(m) for m in drive.modalities}
    makers = {m: bag_messages.MAKERS[e.accepts] for m, e in encoders.items()}
    connections = {m: writer.add_connection(f"/{encoders[m].topic}", makers[m][0], typestore=store) for m in makers}
    truth = writer.add_connection(f"/{TRUTH}", POSE_TYPES[0], typestore=store)
    for i in progress(range(len(drive)), f"writing {drive.name} as a bag"):
        stamp = int(drive.stamps_ns[i])
        if np.isfinite(drive.poses[i]).all():
            pose = bag_messages.pose_message(store, drive.poses[i], stamp)
            writer.write(truth, stamp, store.serialize_cdr(pose, POSE_TYPES[0]))
        for m, (type_name, make) in makers.items():
            sample = drive.sample(m, i)
            if sample is not None:
                message = make(store, sample, bag_messages.header(store, stamp, m))
                writer.write(connections[m], stamp, store.serialize_cdr(message, type_name))


# --- bag -> observations --------------------------------------------------------------------------------------


@contextmanager
def open_reader(path: Path) -> Iterator[AnyReader]:
    """Open the bag at `path` for reading. Raises Any2AnyError when it is no bag, damaged, or empty."""
    try:
        reader = AnyReader([path], default_typestore=typestore())
        reader.open()
    except Exception as error:  # rosbags and its storage libraries raise many kinds on damaged files
        raise Any2AnyError(
            f"Cannot read the bag {path}", str(error), "Give the folder with metadata.yaml; record it again"
        ) from error
    try:
        if reader.message_count == 0:
            raise Any2AnyError(f"The bag {path} is empty", "no message was recorded", "Record it again")
        yield reader
    finally:
        reader.close()


def _messages(reader: AnyReader, connections: list[Any]) -> Iterator[tuple[Any, int, Any]]:
    """Yield (connection, time received in ns, message). Raises Any2AnyError where the bag is damaged."""
    try:
        for connection, received, raw in reader.messages(connections):
            limits.check_message(raw, connection.msgtype)
            yield connection, received, reader.deserialize(raw, connection.msgtype)
    except Exception as error:  # rosbags and its storage libraries raise many kinds on damaged files
        raise Any2AnyError(f"Cannot read the bag {reader.paths[0]}", str(error), "Record it again") from error


def default_topics(reader: AnyReader) -> dict[str, str]:
    """Return modality -> topic for each encoder whose default topic is in the bag, with a type it accepts."""
    topics = {}
    for modality in ENCODERS.names():
        encoder = ENCODERS.find(modality)
        for connection in reader.connections:
            fits = connection.msgtype in samples.types_of(encoder.accepts) and encoder.modality == modality
            if connection.topic.lstrip("/") == encoder.topic and fits:
                topics[modality] = connection.topic
    return topics


def observe(
    path: Path,
    encoders: Mapping[str, Encoder],
    topics: Mapping[str, str] | None = None,
    pose_topic: str = TRUTH,
    alive: AliveConfig = AliveConfig(),
    progress: Progress[Any] = silent,
) -> ObservationSet:
    """Encode a bag's topics (modality -> topic) and assemble the embeddings into moments, as the live nodes do.

    topics: None: the default topics. Poses come from `pose_topic` (PoseStamped, PoseWithCovarianceStamped or Odometry),
    interpolated; a moment before its first or after its last pose has none (NaN). A message that an encoder refuses is
    left out. Raises Any2AnyError when the bag cannot be read, when it has none of the topics, and when an encoder does
    not accept the type of its topic.
    """
    with open_reader(path) as reader:
        wanted = {m: t.lstrip("/") for m, t in (topics or default_topics(reader)).items() if m in encoders}
        connections = _connections(reader, wanted, encoders, path)
        messages = progress(_messages(reader, connections), f"encoding {path.name}")
        moments = list(_moments(messages, wanted, encoders, alive))
        poses = _poses_at(reader, pose_topic, [m.stamp_ns for m in moments])
    return _stack(path.name, moments, poses, encoders)


def _connections(
    reader: AnyReader, wanted: Mapping[str, str], encoders: Mapping[str, Encoder], path: Path
) -> list[Any]:
    """Return the bag's connections of the wanted topics, whose types the encoders accept."""
    connections = [c for c in reader.connections if c.topic.lstrip("/") in wanted.values()]
    if not connections:
        raise Any2AnyError(
            f"Nothing in the bag {path} can be encoded",
            f"its topics are {', '.join(sorted({c.topic for c in reader.connections}))}",
            "Name them: --topic camera=/my/image",
        )
    for connection in connections:
        for modality in _modalities_of(connection, wanted):
            _refuse_type(connection, modality, encoders[modality])
    return connections


def _moments(
    messages: Iterable[tuple[Any, int, Any]],
    wanted: Mapping[str, str],
    encoders: Mapping[str, Encoder],
    alive: AliveConfig,
) -> Iterator[Observation]:
    """Encode the messages and yield the moments that they form, at the times at which a live node would."""
    assembler = Assembler(alive, expected=wanted)
    deadline = 0  # ns: when the moment that is open is closed, whatever is missing
    for connection, received, message in messages:
        for modality in _modalities_of(connection, wanted):
            embedding = _encode(modality, encoders[modality], connection, received, message)
            if embedding is None:
                continue
            if received > deadline:
                yield from _flushed(assembler, deadline)
            waited = assembler.waiting
            yield from assembler.add(embedding, received)
            if assembler.waiting and not waited:
                deadline = received + int(alive.wait * samples.NS)
    yield from _flushed(assembler, deadline)


def clouds(path: Path, topic: str, stamps_ns: Int64, within: float = AliveConfig.slop) -> Iterator[tuple[int, Array]]:
    """Yield, in order of time, the index of each stamp and the point cloud (N, 4) of the topic that is nearest to it.

    stamps_ns (S,). within: s; a stamp without a cloud this near is left out, and so is a cloud that cannot be used.
    """
    with open_reader(path) as reader:
        named = [c for c in reader.connections if c.topic.lstrip("/") == topic.lstrip("/")]
        connections = [c for c in named if c.msgtype in samples.types_of("cloud")]
        if not connections or len(stamps_ns) == 0:
            return
        # The topic is read twice: the clouds of a whole drive do not fit into memory.
        cloud_stamps = np.array([samples.stamp_ns(m) or received for _, received, m in _messages(reader, connections)])
        nearest = np.array([np.abs(cloud_stamps - stamp).argmin() for stamp in stamps_ns])
        near = np.abs(cloud_stamps[nearest] - stamps_ns) <= within * samples.NS
        for i, (connection, _, message) in enumerate(_messages(reader, connections)):
            for index in np.flatnonzero(near & (nearest == i)):
                try:
                    yield int(index), samples.decode(connection.msgtype, message, "cloud")
                except Any2AnyError:
                    continue


def _flushed(assembler: Assembler, now_ns: int) -> list[Observation]:
    """Close the moment that is open, if any, and return it."""
    moment = assembler.flush(now_ns)
    return [] if moment is None else [moment]


def _modalities_of(connection: Any, wanted: Mapping[str, str]) -> list[str]:
    return [m for m, topic in wanted.items() if topic == connection.topic.lstrip("/")]


def _refuse_type(connection: Any, modality: str, encoder: Encoder) -> None:
    types = samples.types_of(encoder.accepts)
    if connection.msgtype not in types:
        raise Any2AnyError(
            f"Topic {connection.topic} cannot be encoded as {modality}",
            f"its type is {connection.msgtype}",
            f"Choose a topic of type {' or '.join(types)}",
        )


def _encode(modality: str, encoder: Encoder, connection: Any, received: int, message: Any) -> Embedding | None:
    stamp = samples.stamp_ns(message) or received
    try:
        sample = encoder.gather(samples.decode(connection.msgtype, message, encoder.accepts), stamp)
        if sample is None:
            return None
        return Embedding(modality, encoder.encode(sample), stamp, encoder=encoder.fingerprint)
    except Any2AnyError:
        return None


def _stack(name: str, moments: list[Observation], poses: Float64, encoders: Mapping[str, Encoder]) -> ObservationSet:
    modalities = sorted({m for moment in moments for m in moment.embeddings})
    columns = {m: np.full((len(moments), encoders[m].dimension), np.nan, dtype=np.float32) for m in modalities}
    for i, moment in enumerate(moments):
        for m, vector in moment.embeddings.items():
            columns[m][i] = vector
    ids = tuple(f"{name}/{i:06d}" for i in range(len(moments)))
    return ObservationSet(columns, poses, ids, np.array([m.stamp_ns for m in moments], dtype=np.int64))


def _poses_at(reader: AnyReader, topic: str, stamps: Iterable[int]) -> Float64:
    """Return the poses (N, 4, 4) at the stamps, interpolated between messages; NaN before the first, after the last."""
    times = np.array(list(stamps), dtype=np.int64)
    poses = np.full((len(times), 4, 4), np.nan)
    connections = [c for c in reader.connections if c.topic.lstrip("/") == topic.lstrip("/")]
    known = dict(sorted(_poses_in(reader, connections)))
    if len(known) < 2:
        return poses
    known_times = np.array(list(known), dtype=np.int64)
    rows = np.array(list(known.values()))
    inside = (times >= known_times[0]) & (times <= known_times[-1])
    # Counted from the first pose: float64 cannot tell nanoseconds since 1970 apart.
    at, known_at = times[inside] - known_times[0], known_times - known_times[0]
    poses[inside] = np.eye(4)
    poses[inside, :3, :3] = Slerp(known_at, Rotation.from_quat(rows[:, 3:]))(at).as_matrix()
    for axis in range(3):
        poses[inside, axis, 3] = np.interp(at, known_at, rows[:, axis])
    return poses


def _poses_in(reader: AnyReader, connections: list[Any]) -> Iterable[tuple[int, tuple[float, ...]]]:
    """Yield (stamp, (x, y, z, qx, qy, qz, qw)) of every pose message."""
    for connection in connections:
        if connection.msgtype not in POSE_TYPES:
            raise Any2AnyError(
                f"Topic {connection.topic} holds no poses", f"its type is {connection.msgtype}",
                f"Choose a topic of type {', '.join(POSE_TYPES)}",
            )  # fmt: skip
    for _, received, message in _messages(reader, connections) if connections else ():
        pose = message.pose.pose if hasattr(message.pose, "pose") else message.pose
        p, q = pose.position, pose.orientation
        row = (p.x, p.y, p.z, q.x, q.y, q.z, q.w)
        if np.isfinite(row).all() and any(row[3:]):  # some drivers publish zeros until they know where they are
            yield samples.stamp_ns(message) or received, row
