"""Bags in other containers than a folder with metadata.yaml: files alone, a folder without it, and those of ROS 1."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_typestore

from any2any_ros.data import bag_messages
from any2any_ros.data.sources import open_recording

from . import folders
from .boundary import Boundary
from .folders import Files, mutated_files, on_disk
from .recordings import FRAMES, bag_files, encoders, wrong_observations


@cache
def _ros1(packed: Writer.CompressionFormat | None) -> Files:
    """Return a bag of ROS 1 with clouds and captions."""
    store, draw = get_typestore(Stores.ROS1_NOETIC), np.random.default_rng(0)
    file = folders.scratch() / f"ros1-{packed}.bag"
    writer = Writer(file)
    if packed:
        writer.set_compression(packed)
    with writer:
        kinds = {"/lidar/points": "sensor_msgs/msg/PointCloud2", "/caption": "std_msgs/msg/String"}
        topics = {topic: writer.add_connection(topic, kind, typestore=store) for topic, kind in kinds.items()}
        for i in range(FRAMES):
            ns = (i + 1) * 500_000_000
            stamp = store.types["builtin_interfaces/msg/Time"](sec=ns // 10**9, nanosec=ns % 10**9)
            header = store.types["std_msgs/msg/Header"](seq=i, stamp=stamp, frame_id="lidar")
            cloud = bag_messages.cloud_message(store, draw.normal(0, 9, (200, 4)).astype("<f4"), header)
            text = store.types["std_msgs/msg/String"](data=f"a red mill {i}")
            for topic, message in (("/lidar/points", cloud), ("/caption", text)):
                writer.write(topics[topic], ns, store.serialize_ros1(message, kinds[topic]))
    return {"drive.bag": file.read_bytes()}


@cache
def _alone(storage: str) -> Files:
    """Return the one file of a bag."""
    return {name: data for name, data in bag_files(storage).items() if not name.endswith(".yaml")}


def _read(folder: Path, alone: bool) -> Any:
    """Read a folder, or the one file in it. The places and the scans of a recording."""
    path = next(folder.iterdir(), folder) if alone else folder
    recording = open_recording(path)
    places = recording.observe({m: e for m, e in encoders().items() if m in recording.modalities}, 0.0)
    recording.report.table()
    return places, list(recording.clouds(places))


def _wrong(given: Any, result: Any) -> str:
    return wrong_observations(given, result[0])


LIMITS = {"milliseconds": 40, "seconds": 3.0, "megabytes": 128, "least": 1000}
CONTAINERS = {
    "bag, mcap, no metadata.yaml": (partial(_alone, "mcap"), False),
    "bag, a lone mcap": (partial(_alone, "mcap"), True),
    "bag, a lone db3": (partial(_alone, "sqlite3"), True),
    "bag, ROS 1": (partial(_ros1, None), True),
    "bag, ROS 1, packed": (partial(_ros1, Writer.CompressionFormat.BZ2), True),
}

BOUNDARIES = tuple(
    Boundary(
        name, lambda c, files=files: files(), on_disk(partial(_read, alone=alone)), _wrong, mutated_files, **LIMITS
    )
    for name, (files, alone) in CONTAINERS.items()
)
