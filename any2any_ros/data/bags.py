"""ROS 2 bags without ROS: writes a drive as a bag (mcap or sqlite3), and reads any bag as observations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from any2any_ros import samples
from any2any_ros.arrays import Array, Float64, Int64
from any2any_ros.birds_eye.image import PACKED
from any2any_ros.cdr import typestore
from any2any_ros.config import AliveConfig, PoseConfig
from any2any_ros.data import bag_messages, bag_odometry, bag_poses
from any2any_ros.data.bag_clocks import OFF, stamp_of, timed
from any2any_ros.data.bag_encoding import embeddings, modalities_of
from any2any_ros.data.bag_odometry import NO_ODOMETRY
from any2any_ros.data.bag_poses import TRUTH, PoseSource
from any2any_ros.data.bag_reader import BagReader
from any2any_ros.data.bag_reading import decoded, leave_out, listed, named, open_reader
from any2any_ros.data.drive import LATEST, Drive, sample_of
from any2any_ros.data.report import SensorReport, TopicReport
from any2any_ros.data.trajectory import refuse_apart
from any2any_ros.encoders import ENCODERS
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Embedding, Observation, ObservationSet
from any2any_ros.poses import rigid
from any2any_ros.progress import Progress, silent
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval.assembler import Assembler
from any2any_ros.storage import replacing

PACKETS = re.compile(r"Packet|/VelodyneScan|/PandarScan")  # in the names of types
STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}


# --- drive -> bag ---------------------------------------------------------------------------------------------


def write(
    drive: Drive,
    path: Path,
    storage: str = "mcap",
    progress: Progress[int] = silent,
    report: SensorReport | None = None,
) -> Path:
    """Write a drive as a ROS 2 bag to the folder `path`, each modality on the default topic of its encoder.

    storage: a key of STORAGES. report: counts the samples; one that cannot be read is left out. An interrupted write
    leaves nothing behind. Raises Any2AnyError when `path` exists, when the drive is empty, and for an unknown storage.
    """
    if storage not in STORAGES:
        raise Any2AnyError(f"Cannot write a '{storage}' bag", f"known are {', '.join(STORAGES)}", "Choose one")
    if path.exists():
        raise Any2AnyError(f"Cannot write the bag {path}", "it exists", "Remove it, or choose another name")
    if len(drive) == 0:
        raise Any2AnyError(f"Cannot write the bag {path}", "the drive has no frames", "Choose another drive")
    if not ((drive.stamps_ns >= 0) & (drive.stamps_ns < LATEST * samples.NS)).all():
        raise Any2AnyError(f"Cannot write the bag {path}", "the drive has times that no ROS message can have",
                           "Correct its times: seconds since 1970, or since its start")  # fmt: skip
    with replacing(path) as unfinished:
        unfinished.rmdir()  # rosbags makes the folder itself, and refuses one that exists
        with Writer(unfinished, version=9, storage_plugin=STORAGES[storage]) as writer:
            _write_frames(drive, writer, progress, SensorReport() if report is None else report)
    return path


def _write_frames(drive: Drive, writer: Writer, progress: Progress[int], report: SensorReport) -> None:
    store = typestore()
    encoders = {m: ENCODERS.find(m) for m in drive.modalities}
    makers = {m: bag_messages.MAKERS[e.accepts] for m, e in encoders.items()}
    connections = {m: writer.add_connection(f"/{encoders[m].topic}", makers[m][0], typestore=store) for m in makers}
    truth = writer.add_connection(f"/{TRUTH}", bag_messages.POSE, typestore=store)
    wheels = writer.add_connection("/odom", bag_messages.ODOMETRY, typestore=store) if _drove(drive) else None
    rows = {m: report.topic(m, f"/{encoders[m].topic}", makers[m][0], len(drive)) for m in makers}
    located = rigid(drive.poses)
    for i in progress(range(len(drive)), f"writing {drive.name} as a bag"):
        stamp = int(drive.stamps_ns[i])
        if located[i]:
            pose = bag_messages.pose_message(store, drive.poses[i], stamp)
            writer.write(truth, stamp, store.serialize_cdr(pose, bag_messages.POSE))
        odometry = drive.odometry(i)
        if wheels is not None and odometry is not None:
            wheel = bag_messages.odometry_message(store, odometry, stamp)
            writer.write(wheels, stamp, store.serialize_cdr(wheel, bag_messages.ODOMETRY))
        for m, (type_name, make) in makers.items():
            sample = sample_of(drive, m, i, rows[m])
            if sample is not None:
                message = make(store, sample, bag_messages.header(store, stamp, m))
                rows[m].encoded()
                writer.write(connections[m], stamp, store.serialize_cdr(message, type_name))


def _drove(drive: Drive) -> bool:
    """Return whether a drive has odometry."""
    return any(drive.odometry(i) is not None for i in range(len(drive)))


# --- bag -> observations --------------------------------------------------------------------------------------


def default_topics(reader: BagReader) -> dict[str, str]:
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
    poses: PoseSource = PoseSource(),
    progress: Progress[Any] = silent,
    report: SensorReport | None = None,
) -> ObservationSet:
    """Encode a bag's topics (modality -> topic) and assemble the embeddings into moments, as the live nodes do.

    topics: None: the default topics. Poses are interpolated; a moment before the first or after the last pose, or in a
    gap between them, has none (NaN). A message that an encoder refuses is left out. report: counts what becomes of
    every message, and why moments have no pose. Raises Any2AnyError when the bag cannot be read, when it lacks one of
    the topics, when an encoder does not accept the type of its topic, and when sensors and poses have different clocks.
    """
    report = SensorReport() if report is None else report
    with open_reader(path) as reader:
        wanted = {m: t.lstrip("/") for m, t in (topics or default_topics(reader)).items() if m in encoders}
        for note in reader.notes:
            report.note(note)
        connections = _connections(reader, wanted, encoders)
        rows = _rows(report, connections, wanted)

        def refused(connection: Any, why: str) -> None:
            for modality in modalities_of(connection, wanted):
                rows[modality].read()
                rows[modality].refused(why)

        found = bag_poses.read(reader, poses, report)
        moves = any(encoders[m].uses_odometry for m in wanted)
        odometry = bag_odometry.read(reader, poses.settings, report) if moves else NO_ODOMETRY
        clocks = found.clocks(poses.settings)
        messages = progress(timed(decoded(reader, connections, refused), clocks), f"encoding {path.name}")
        encoded = embeddings(messages, wanted, encoders, rows, odometry)
        moments = sorted(_moments(encoded, wanted), key=lambda moment: moment.stamp_ns)
    stamps = np.array([moment.stamp_ns for moment in moments], dtype=np.int64)
    located = found.trajectory.at(stamps, poses.settings).without(np.isin(stamps, list(clocks.doubtful)), OFF)
    refuse_apart(path.name, stamps, located, found.trajectory)
    for why, count in located.counts().items():
        report.without_pose(count, why)
    return _stack(path.name, moments, located.poses, encoders)


def _connections(reader: BagReader, wanted: Mapping[str, str], encoders: Mapping[str, Encoder]) -> list[Any]:
    """Return the bag's connections of the wanted topics, whose types the encoders accept."""
    if not wanted:
        raise Any2AnyError(
            f"Nothing in the bag {reader.paths[0]} can be encoded",
            f"its topics are {listed(reader)}",
            "Name them: --topic camera=/my/image",
        )
    for modality, topic in wanted.items():
        for connection in named(reader, topic):
            _refuse_type(connection, modality, encoders[modality])
    return [c for c in reader.connections if modalities_of(c, wanted)]


def _rows(report: SensorReport, connections: list[Any], wanted: Mapping[str, str]) -> dict[str, TopicReport]:
    """Return modality -> its row of the report."""
    rows = {}
    for modality, topic in wanted.items():
        own = [c for c in connections if c.topic.lstrip("/") == topic]
        rows[modality] = report.topic(modality, own[0].topic, own[0].msgtype, sum(c.msgcount for c in own))
    return rows


def _moments(encoded: Iterable[tuple[int, Embedding]], expected: Iterable[str]) -> Iterator[Observation]:
    """Yield the moments that the embeddings form, at the times at which a live node would.

    encoded: (time received in ns, embedding). expected: modalities.
    """
    assembler = Assembler(AliveConfig(), expected=expected)
    deadline = 0  # ns: when the moment that is open is closed, whatever is missing
    for received, embedding in encoded:
        if received > deadline:
            yield from _flushed(assembler, deadline)
        waited = assembler.waiting
        yield from assembler.add(embedding, received)
        if assembler.waiting and not waited:
            deadline = received + int(AliveConfig.wait * samples.NS)
    yield from _flushed(assembler, deadline)


def clouds(
    path: Path, topic: str, stamps_ns: Int64, within: float = AliveConfig.slop, stamps: str = PoseConfig.stamps
) -> Iterator[tuple[int, Array]]:
    """Yield, in order of time, the index of each stamp and the point cloud (N, 4) of the topic that is nearest to it.

    stamps_ns (S,). within: s; a stamp without a cloud this near is left out, and so is a cloud that cannot be used.
    stamps: which times the clouds have, as in PoseConfig.
    """
    with open_reader(path) as reader:
        called = [c for c in reader.connections if c.topic.lstrip("/") == topic.lstrip("/")]
        connections = [c for c in called if c.msgtype in samples.types_of("cloud")]
        if not connections or len(stamps_ns) == 0:
            return
        # The topic is read twice: the clouds of a whole drive do not fit into memory.
        first = decoded(reader, connections, leave_out)
        cloud_stamps = np.array([stamp_of(message, received, stamps) for _, received, message in first])
        if len(cloud_stamps) == 0:
            return
        nearest = np.array([np.abs(cloud_stamps - stamp).argmin() for stamp in stamps_ns])
        near = np.abs(cloud_stamps[nearest] - stamps_ns) <= within * samples.NS
        for i, (connection, _, message) in enumerate(decoded(reader, connections, leave_out)):
            for index in np.flatnonzero(near & (nearest == i)):
                try:
                    yield int(index), samples.decode(connection.msgtype, message, "cloud")
                except Any2AnyError:
                    continue


def _flushed(assembler: Assembler, now_ns: int) -> list[Observation]:
    """Close the moment that is open, if any, and return it."""
    moment = assembler.flush(now_ns)
    return [] if moment is None else [moment]


def _refuse_type(connection: Any, modality: str, encoder: Encoder) -> None:
    types = samples.types_of(encoder.accepts)
    if connection.msgtype not in types:
        packets = PACKETS.search(connection.msgtype) is not None
        raise Any2AnyError(
            f"Topic {connection.topic} cannot be encoded as {modality}",
            f"its type is {connection.msgtype}{', raw packets that only the driver of the sensor reads' * packets}",
            f"Choose a topic of type {' or '.join(types)}",
        )


def _stack(name: str, moments: list[Observation], poses: Float64, encoders: Mapping[str, Encoder]) -> ObservationSet:
    modalities = sorted({m for moment in moments for m in moment.embeddings})
    columns = {m: np.full((len(moments), encoders[m].dimension), np.nan, dtype=np.float32) for m in modalities}
    images = {m: np.zeros((len(moments), PACKED), dtype=np.uint8) for m in modalities if encoders[m].cell}
    for i, moment in enumerate(moments):
        for m, vector in moment.embeddings.items():
            columns[m][i] = vector
        for m, image in moment.birds_eye.items():
            images[m][i] = image
    ids = tuple(f"{name}/{i:06d}" for i in range(len(moments)))
    stamps = np.array([m.stamp_ns for m in moments], dtype=np.int64)
    return ObservationSet(columns, poses, ids, stamps, images)
