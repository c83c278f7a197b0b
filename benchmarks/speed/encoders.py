"""The encoders without weights, one frame, one thread.

Town frames of KITTI's size: a picture of 1242 × 376, a cloud of 120,000 points, a second of sound, a caption, a thermal
picture. The laser scan is cut from the cloud; depth, crop and speech take the sample that a node warms up with. Beside
the LiDAR encoder: Scan Context as published (Kim & Kim 2018, Section III-A), a loop over all points. Reading a
message's cloud is compared with `sensor_msgs_py`'s reader where a sourced ROS 2 has it, and else with the same steps.
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
from any2any_ros.data import bag_messages
from any2any_ros.encoders import ENCODERS, build
from any2any_ros.samples import Scan
from benchmarks.speed import _frames
from benchmarks.speed._clock import clock, timed
from benchmarks.speed._rows import Row
from benchmarks.speed._section import main

FROM_TOWN = ("camera", "lidar", "thermal", "audio", "text")
WARM_UP = ("depth", "crop", "speech")
FRAMES = 4  # different frames that take turns
RINGS, SECTORS, FARTHEST, HEIGHT = 20, 60, 80.0, 2.0  # Scan Context's own defaults
FIELDS = ["x", "y", "z", "intensity"]
CELLS = 720  # beams of the laser scan


def rows(quick: bool) -> Iterator[Row]:
    rounds = 20 if quick else 100
    for plug in (*FROM_TOWN, "laser_scan", *WARM_UP):
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
    """Return what the encoder is given: the town's samples, a scan cut from its clouds, or a node's first one."""
    if plug in WARM_UP:
        return [samples.example(ENCODERS.find(plug).accepts)]
    if plug == "laser_scan":
        return [laser_scan(_frames.sample("lidar", i)) for i in range(1, FRAMES)]
    stamps = _frames.frames().stamps_ns
    given = [encoder.gather(_frames.sample(plug, i), int(stamps[i])) for i in range(1, 1 + FRAMES)]
    return given[1:]  # the first half second of sound is no window yet


def _in_turn(work: Callable[[Any], Any], given: list[Any]) -> Callable[[], Any]:
    turn = itertools.cycle(given)
    return lambda: work(next(turn))


def laser_scan(points: NDArray[np.float32]) -> Scan:
    """Return the nearest return of each of 720 beams, of what lies within half a metre of the sensor's height."""
    level = points[np.abs(points[:, 2]) < 0.5]
    beam = ((np.arctan2(level[:, 1], level[:, 0]) + np.pi) * (CELLS / (2 * np.pi))).astype(np.intp) % CELLS
    ranges = np.full(CELLS, np.inf, dtype=np.float32)
    np.minimum.at(ranges, beam, np.hypot(level[:, 0], level[:, 1]))
    return Scan(ranges, -np.pi, 2 * np.pi / CELLS, FARTHEST)


def scan_context(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the highest point (20, 60) of each bin of a polar grid, point by point (Kim & Kim 2018, Eq. 1-4)."""
    highest = [[0.0] * SECTORS for _ in range(RINGS)]
    for x, y, z, *_ in points.tolist():
        distance = math.sqrt(x * x + y * y)
        if distance < FARTHEST:
            ring = int(distance * RINGS / FARTHEST)
            sector = int(math.degrees(math.atan2(y, x)) % 360.0 * SECTORS / 360.0) % SECTORS
            highest[ring][sector] = max(highest[ring][sector], z + HEIGHT)
    return np.array(highest)


def _reading(rounds: int) -> Iterator[Row]:
    """A message's bytes to what an encoder takes."""
    name, image = _message("camera")
    yield timed("image message to array", clock([functools.partial(samples.decode, name, image, "image")], rounds))
    name, cloud = _message("lidar")
    cloud.is_dense = False  # with a promise that no point is NaN, the rival would not look
    ours = functools.partial(samples.decode, name, cloud, "cloud")
    rival, theirs = _their_reader()
    yield timed("cloud message to array", clock([ours, lambda: theirs(cloud)], rounds), rival)


def _their_reader() -> tuple[str, Callable[[Any], NDArray[Any]]]:
    """Return sensor_msgs_py's reader, from a ROS 2 that is sourced, or what does the same."""
    if importlib.util.find_spec("sensor_msgs_py") is None:  # it is not on PyPI
        return "structured array, as sensor_msgs_py", structured_points
    from sensor_msgs_py import point_cloud2

    read = functools.partial(point_cloud2.read_points_numpy, field_names=FIELDS, skip_nans=True)
    return "sensor_msgs_py.read_points_numpy", read


def structured_points(cloud: Any) -> NDArray[np.float32]:
    """Return points (N, 4) by way of a structured array: drop NaN a field at a time, then make it a plain one."""
    layout: Any = {"names": FIELDS, "formats": ["<f4"] * 4, "offsets": [0, 4, 8, 12], "itemsize": cloud.point_step}
    points = np.frombuffer(cloud.data, dtype=np.dtype(layout))
    known = np.logical_and.reduce([~np.isnan(points[name]) for name in FIELDS])
    return np.asarray(structured_to_unstructured(points[known]))


def _message(plug: str) -> tuple[str, Any]:
    """Return a sensor's ROS type, and a message as a node receives it."""
    from rclpy.serialization import deserialize_message

    from any2any_ros.nodes import messages

    store, (name, make) = cdr.typestore(), bag_messages.MAKERS[ENCODERS.find(plug).accepts]
    made = make(store, _frames.sample(plug, 1), bag_messages.header(store, 1, plug))
    return name, deserialize_message(bytes(store.serialize_cdr(made, name)), messages.message_class(name))


if __name__ == "__main__":
    main(rows, __file__)
