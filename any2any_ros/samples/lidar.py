"""Point clouds and laser scans as arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import limits
from any2any_ros.arrays import Array
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples.values import NS, Scan

# sensor_msgs/PointField.datatype -> NumPy type
POINT_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
# The layout of KITTI bags and many drivers, which one copy turns into the result.
COMMON_POINT = np.dtype([(name, "<f4") for name in ("x", "y", "z", "intensity")])


# Fields that say when a point was measured, the usual ones first: of Ouster, Velodyne, Hesai, RoboSense, Livox, …
TIME_FIELDS = ("t", "time", "timestamp", "offset_time", "time_stamp", "time_offset")
ABSOLUTE, ABSOLUTE_NS = 1e6, 1e15  # from here on a time counts from 1970, in s or in ns


def cloud(message: Any) -> Array:
    """Return the points (N, 4) of a sensor_msgs/PointCloud2: x, y, z in metres, and intensity (0 where it has none).

    Fields may have any order, type, padding and byte order. Points that are not finite are left out. Raises
    Any2AnyError when a field is missing or lies outside the data.
    """
    columns = _all_points(message, _fields(message))
    # One sum shows whether any value is not finite, which spares the slower search.
    with np.errstate(over="ignore", invalid="ignore"):
        return columns if np.isfinite(columns.sum()) else columns[np.isfinite(columns).all(axis=1)]


def timed_cloud(message: Any) -> Array:
    """Return the points (N, 5) as `cloud` does, with the seconds after the message's stamp when each was measured; (N,
    4) where the message does not say it."""
    fields = _fields(message)
    name = next((name for name in TIME_FIELDS if name in fields), None)
    if name is None:
        return cloud(message)
    columns = _all_points(message, fields)
    times = _bytes_of_points(message).view(_point_type(message, [fields[name]]))[name]
    seconds = _after_stamp(times, message)
    whole = np.column_stack([columns, seconds.astype(np.float32)])
    return np.ascontiguousarray(whole[np.isfinite(columns).all(axis=1)])


def _after_stamp(times: NDArray[Any], message: Any) -> NDArray[np.float64]:
    """Return seconds after the message's stamp (N,) of times (N,) in any of the usual units."""
    whole, largest = times.dtype.kind in "iu", float(np.abs(times.astype(np.float64)).max(initial=0))
    if largest >= ABSOLUTE_NS:
        exact, stamp = times.astype(np.int64) if whole else times.astype(np.float64), message.header.stamp
        return np.asarray((exact - (stamp.sec * NS + stamp.nanosec)) / NS, dtype=np.float64)
    if largest >= ABSOLUTE and not whole:
        stamp = message.header.stamp
        return np.asarray(times.astype(np.float64) - stamp.sec - stamp.nanosec / NS)
    return np.asarray(times / NS if whole else times, dtype=np.float64)


def _fields(message: Any) -> dict[str, Any]:
    """Return the fields of a cloud by name. Raises Any2AnyError when x, y or z is missing."""
    fields = {f.name: f for f in message.fields}
    absent = [name for name in "xyz" if name not in fields]
    if absent:
        raise Any2AnyError(
            "Cannot use a point cloud",
            f"it has no field {', '.join(absent)} (its fields: {', '.join(fields) or 'none'})",
            "Point the encoder's topic at a cloud with x, y and z",
        )
    return fields


def _all_points(message: Any, fields: dict[str, Any]) -> Array:
    """Return the points (N, 4), those that are not finite among them."""
    data = _bytes_of_points(message)
    dtype = _point_type(message, [fields[n] for n in ("x", "y", "z", "intensity") if n in fields])
    points = data.view(dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 become infinite and are left out, too
        return points.view("<f4").reshape(-1, 4).copy() if dtype == COMMON_POINT else _columns(points)


def _bytes_of_points(message: Any) -> NDArray[np.uint8]:
    """Return the bytes of all points, one after the other, without the padding of the rows."""
    data = np.frombuffer(message.data, dtype=np.uint8)
    height, width = message.height, message.width
    row_step = message.row_step or width * message.point_step  # 0: the driver did not fill it in
    limits.check("a point cloud", height * width, limits.POINTS, "points", "Have the driver publish thinner ones")
    limits.check("a point cloud", message.point_step, limits.MESSAGE_BYTES, "bytes in each point", "Check the driver")
    if height * row_step > data.size or width * message.point_step > row_step:
        raise Any2AnyError(
            "Cannot use a point cloud",
            f"{height} rows of {row_step} bytes with {width} points of {message.point_step} bytes do not fit into its "
            f"{data.size} bytes",
            "The driver or the recording truncated it: check them",
        )
    rows = data[: height * row_step].reshape(height, row_step)[:, : width * message.point_step]
    return np.ascontiguousarray(rows).reshape(-1)


def _point_type(message: Any, fields: list[Any]) -> np.dtype[Any]:
    """Return the NumPy type of one point, with these fields only."""
    for f in fields:
        if f.datatype not in POINT_TYPES or f.offset + int(POINT_TYPES[f.datatype][1]) > message.point_step:
            raise Any2AnyError(
                "Cannot use a point cloud",
                f"field {f.name} of type {f.datatype} at byte {f.offset} does not fit into a point of "
                f"{message.point_step} bytes",
                "The driver describes its points wrongly: check it",
            )
    order = ">" if message.is_bigendian else "<"
    return np.dtype(
        {
            "names": [f.name for f in fields],
            "formats": [order + POINT_TYPES[f.datatype] for f in fields],
            "offsets": [f.offset for f in fields],
            "itemsize": message.point_step,
        }
    )


def _columns(points: NDArray[Any]) -> Array:
    """Return structured points (N,) as columns (N, 4)."""
    columns = np.zeros((points.size, 4), dtype=np.float32)
    for column, name in enumerate(points.dtype.names or ()):
        columns[:, column] = points[name]
    return columns


def livox(message: Any) -> Array:
    """Return the points (N, 4) of a CustomMsg of the Livox drivers: x, y, z in metres, and reflectivity.

    Raises Any2AnyError when it has too many points.
    """
    rows = [(p.x, p.y, p.z, p.reflectivity) for p in _livox_points(message)]
    return _finite(np.array(rows, dtype=np.float32).reshape(-1, 4))


def timed_livox(message: Any) -> Array:
    """Return the same with a fifth column: seconds after the message's stamp. Raises Any2AnyError as `livox` does."""
    rows = [(p.x, p.y, p.z, p.reflectivity, p.offset_time / NS) for p in _livox_points(message)]
    return _finite(np.array(rows, dtype=np.float32).reshape(-1, 5))


def _livox_points(message: Any) -> Any:
    limits.check("a point cloud", len(message.points), limits.POINTS, "points", "Have the driver publish thinner ones")
    return message.points


def _finite(columns: Array) -> Array:
    return columns[np.isfinite(columns).all(axis=1)]


def scan(message: Any) -> Scan:
    """Return a sensor_msgs/LaserScan. Ranges outside the sensor's own limits become inf.

    A largest range of 0 is one that the driver does not know, and counts as infinite. Raises Any2AnyError when it has
    too many beams, and when its angles are not finite.
    """
    _few_beams(message)
    return _scan(message, np.array(message.ranges, dtype=np.float32))


def multi_echo_scan(message: Any) -> Scan:
    """Return a sensor_msgs/MultiEchoLaserScan as the scan of the first echo of each beam, as `scan` does."""
    _few_beams(message)
    firsts = [beam.echoes[0] if len(beam.echoes) else np.inf for beam in message.ranges]
    return _scan(message, np.array(firsts, dtype=np.float32))


def _few_beams(message: Any) -> None:
    limits.check("a laser scan", len(message.ranges), limits.BEAMS, "beams", "Have the driver publish fewer")


def _scan(message: Any, ranges: Array) -> Scan:
    range_max = float(message.range_max) or math.inf
    why = wrong_geometry(message.angle_min, message.angle_increment, range_max)
    if why:
        raise Any2AnyError("Cannot use a laser scan", why, "The driver describes its scans wrongly: check it")
    ranges[~((ranges >= message.range_min) & (ranges <= range_max))] = np.inf
    angles = float(message.angle_min), float(message.angle_increment)
    return Scan(ranges, *angles, range_max, float(message.time_increment))


def wrong_geometry(angle_min: Any, angle_increment: Any, range_max: Any) -> str:
    """Return what is wrong with the angles of a scan, radians, and with its largest range, m; "" for nothing."""
    numbers = (angle_min, angle_increment, range_max)
    if not all(isinstance(number, int | float | np.integer | np.floating) for number in numbers):
        return "its angles and its largest range are not all numbers"
    # The largest range may be infinite: a driver may know none.
    good = math.isfinite(angle_min) and math.isfinite(angle_increment) and range_max > 0
    return "" if good else f"its first angle, its step and its largest range are {', '.join(f'{n:g}' for n in numbers)}"
