"""Encoders without weights, one frame, one thread.

Frames of the town, of the size of KITTI's: a picture of 1242 × 376, a cloud of 120,000 points, a second of sound, a
caption, a thermal picture. The laser scan is cut from the cloud; for laser_submap it stands alone. Depth, crop and
speech use the sample with which a node warms up. The LiDAR encoder is compared with Scan Context as published (Kim &
Kim 2018, Section III-A), a loop over all points. Reading the cloud of a message is compared with the reader of
`sensor_msgs_py` if a sourced ROS 2 has it, otherwise with the same steps.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured
from numpy.typing import NDArray

from any2any_ros import cdr, samples
from any2any_ros.arrays import Array, Float64
from any2any_ros.data import bag_messages
from any2any_ros.encoders import ENCODERS, build
from any2any_ros.samples import Scan
from benchmarks.speed import _frames
from benchmarks.speed._clock import clock, timed
from benchmarks.speed._rows import Row
from benchmarks.speed._section import main

FROM_TOWN = ("camera", "lidar", "thermal", "audio", "text")
WARM_UP = ("depth", "crop", "speech")
FRAMES = 4  # frames that take turns
RINGS, SECTORS, FARTHEST, HEIGHT = 20, 60, 80.0, 2.0  # the defaults of Scan Context
FIELDS = ["x", "y", "z", "intensity"]
CELLS = 720  # beams of the laser scan


def rows(quick: bool) -> Iterator[Row]:
    rounds = 20 if quick else 100
    for plug in (*FROM_TOWN, "laser_scan", "laser_submap", *WARM_UP):
        encoder = build(plug)
        encode = _in_turn(encoder.encode, _samples(plug, encoder))
        if plug == "lidar":
            theirs = _in_turn(scan_context, _samples(plug, encoder))
            spent = clock([encode, theirs], rounds // 5)
            yield timed("lidar encoder", spent, "Scan Context, looped", note=f"{encoder.dimension} numbers")
        else:
            yield timed(f"{plug} encoder", clock([encode], rounds), note=f"{encoder.dimension} numbers")
    yield from _reading(rounds)


def _samples(plug: str, encoder: Any) -> list[Any]:
    """Return samples for an encoder: of the town, a scan cut from its clouds, or the first sample of a node."""
    if plug in WARM_UP:
        return [samples.example(ENCODERS.find(plug).accepts)]
    if plug in ("laser_scan", "laser_submap"):
        return [laser_scan(_frames.sample("lidar", i)) for i in range(1, FRAMES)]
    stamps = _frames.frames().stamps_ns
    gathered = [encoder.gather(_frames.sample(plug, i), int(stamps[i])) for i in range(1, 1 + FRAMES)]
    return gathered[1:]  # the first half second of sound is shorter than a window


def _in_turn(work: Callable[[Any], Any], values: list[Any]) -> Callable[[], Any]:
    turn = itertools.cycle(values)
    return lambda: work(next(turn))


def laser_scan(points: Array) -> Scan:
    """Return a scan of 720 beams: the nearest point of each, among points within 0.5 m of the height of the sensor."""
    level = points[np.abs(points[:, 2]) < 0.5]
    beam = ((np.arctan2(level[:, 1], level[:, 0]) + np.pi) * (CELLS / (2 * np.pi))).astype(np.intp) % CELLS
    ranges = np.full(CELLS, np.inf, dtype=np.float32)
    np.minimum.at(ranges, beam, np.hypot(level[:, 0], level[:, 1]))
    return Scan(ranges, -np.pi, 2 * np.pi / CELLS, FARTHEST)


def scan_context(points: Array) -> Float64:
    """Return the highest point of each bin of a polar grid (20, 60), point by point (Kim & Kim 2018, Eq. 1-4)."""
    highest = [[0.0] * SECTORS for _ in range(RINGS)]
    for x, y, z, *_ in points.tolist():
        distance = math.sqrt(x * x + y * y)
        if distance < FARTHEST:
            ring = int(distance * RINGS / FARTHEST)
            sector = int(math.degrees(math.atan2(y, x)) % 360.0 * SECTORS / 360.0) % SECTORS
            highest[ring][sector] = max(highest[ring][sector], z + HEIGHT)
    return np.array(highest)


def _reading(rounds: int) -> Iterator[Row]:
    """Yield the rows of turning a message into a sample."""
    name, image = _message("camera")
    yield timed("image message to array", clock([functools.partial(samples.decode, name, image, "image")], rounds))
    name, cloud = _message("lidar")
    cloud.is_dense = False  # otherwise the rival would not look for NaN
    ours = functools.partial(samples.decode, name, cloud, "cloud")
    rival, theirs = _their_reader()
    yield timed("cloud message to array", clock([ours, lambda: theirs(cloud)], rounds), rival)


def _their_reader() -> tuple[str, Callable[[Any], NDArray[Any]]]:
    """Return the reader of sensor_msgs_py if a sourced ROS 2 has it, otherwise the same steps."""
    if importlib.util.find_spec("sensor_msgs_py") is None:  # it is not on PyPI
        return "structured array, as sensor_msgs_py", structured_points
    from sensor_msgs_py import point_cloud2

    read = functools.partial(point_cloud2.read_points_numpy, field_names=FIELDS, skip_nans=True)
    return "sensor_msgs_py.read_points_numpy", read


def structured_points(cloud: Any) -> Array:
    """Return points (N, 4) through a structured array: drop NaN field by field, then make a plain array."""
    layout: Any = {"names": FIELDS, "formats": ["<f4"] * 4, "offsets": [0, 4, 8, 12], "itemsize": cloud.point_step}
    points = np.frombuffer(cloud.data, dtype=np.dtype(layout))
    known = np.logical_and.reduce([~np.isnan(points[name]) for name in FIELDS])
    return np.asarray(structured_to_unstructured(points[known]))


def _message(plug: str) -> tuple[str, Any]:
    """Return the ROS type of a sensor, and a message as a node receives it."""
    from rclpy.serialization import deserialize_message

    from any2any_ros.nodes import messages

    store, (name, make) = cdr.typestore(), bag_messages.MAKERS[ENCODERS.find(plug).accepts]
    made = make(store, _frames.sample(plug, 1), bag_messages.header(store, 1, plug))
    return name, deserialize_message(bytes(store.serialize_cdr(made, name)), messages.message_class(name))


if __name__ == "__main__":
    main(rows, __file__)
