"""Point clouds and laser scans of any layout become arrays, or are refused with a reason."""

import array
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros import samples
from any2any_ros.errors import Any2AnyError

LAYOUT = (("x", 0, 7), ("y", 4, 7), ("z", 8, 7), ("intensity", 12, 7))
POINTS = np.array([[1, 2, 3, 0.5], [-4, 5.5, -6, 0], [0.25, 0, 0, 1]], dtype=np.float32)


def cloud_message(data, width, fields=LAYOUT, step=16, height=1, row=None, big=False):
    described = [SimpleNamespace(name=n, offset=o, datatype=t, count=1) for n, o, t in fields]
    return SimpleNamespace(
        fields=described, data=data, width=width, height=height, point_step=step,
        row_step=width * step if row is None else row, is_bigendian=big, is_dense=True,
    )  # fmt: skip


def test_reads_the_customary_cloud():
    np.testing.assert_array_equal(samples.cloud(cloud_message(POINTS.tobytes(), 3)), POINTS)


@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview, lambda b: array.array("B", b), np.frombuffer])
def test_data_may_be_any_buffer(buffer):
    data = buffer(POINTS.tobytes()) if buffer is not np.frombuffer else np.frombuffer(POINTS.tobytes(), np.uint8)
    np.testing.assert_array_equal(samples.cloud(cloud_message(data, 3)), POINTS)


def test_the_result_is_no_view_of_the_message():
    data = bytearray(POINTS.tobytes())
    points = samples.cloud(cloud_message(data, 3))
    data[:] = bytes(len(data))
    np.testing.assert_array_equal(points, POINTS)


def test_without_intensity_the_fourth_column_is_zero():
    points = samples.cloud(cloud_message(POINTS[:, :3].tobytes(), 3, LAYOUT[:3], step=12))
    np.testing.assert_array_equal(points[:, :3], POINTS[:, :3])
    assert (points[:, 3] == 0).all()


def test_points_that_are_not_finite_are_left_out():
    points = np.tile(POINTS, (2, 1))
    points[1, 0], points[3, 2], points[4, 3] = np.nan, np.inf, -np.inf
    np.testing.assert_array_equal(samples.cloud(cloud_message(points.tobytes(), 6)), points[[0, 2, 5]])


def test_points_beyond_float32_are_left_out_without_a_warning(recwarn):
    points = np.array([[1, 2, 3], [1e300, 2, 3]])
    fields = (("x", 0, 8), ("y", 8, 8), ("z", 16, 8))
    assert samples.cloud(cloud_message(points.tobytes(), 2, fields, step=24)).tolist() == [[1, 2, 3, 0]]
    assert not recwarn


def test_infinities_of_both_signs_do_not_cancel():
    points = POINTS.copy()
    points[0, 0], points[1, 0] = np.inf, -np.inf
    np.testing.assert_array_equal(samples.cloud(cloud_message(points.tobytes(), 3)), points[2:])


@pytest.mark.parametrize("height", [0, 1])
def test_no_points_are_no_points(height):
    assert samples.cloud(cloud_message(b"", 0, height=height)).shape == (0, 4)


@pytest.mark.parametrize("height", [1, 3])
def test_rows_whose_length_the_driver_left_out_follow_each_other(height):
    cloud = samples.cloud(cloud_message(POINTS.tobytes(), 3 // height, height=height, row=0))
    np.testing.assert_array_equal(cloud, POINTS)


def test_points_of_livox_are_read():
    points = [SimpleNamespace(x=x, y=y, z=z, reflectivity=int(i * 255), tag=0, line=1) for x, y, z, i in POINTS]
    points.append(SimpleNamespace(x=np.nan, y=0.0, z=0.0, reflectivity=1))
    read = samples.livox(SimpleNamespace(points=points))
    np.testing.assert_array_equal(read[:, :3], POINTS[:, :3])
    assert read[:, 3].tolist() == [127, 0, 255]
    assert samples.livox(SimpleNamespace(points=[])).shape == (0, 4)


TIMES = {  # as drivers have them, of points 0, 0.01 and 0.05 s after the stamp of 12.5 s
    "ouster": ("t", 6, np.array([0, 10_000_000, 50_000_000], "<u4")),
    "velodyne": ("time", 7, np.array([0, 0.01, 0.05], "<f4")),
    "hesai": ("timestamp", 8, np.array([12.5, 12.51, 12.55]) + 1.7e9),
    "livox": ("timestamp", 8, np.array([12.5e9, 12.51e9, 12.55e9]) + 1.7e18),
}


@pytest.mark.parametrize("driver", TIMES)
def test_the_times_of_points_are_seconds_after_the_stamp(driver):
    name, kind, values = TIMES[driver]
    data = np.zeros(3, np.dtype([("xyzi", "<f4", 4), ("time", values.dtype)]))
    data["xyzi"], data["time"] = POINTS, values
    message = cloud_message(data.tobytes(), 3, (*LAYOUT, (name, 16, kind)), data.dtype.itemsize)
    absolute = 1_700_000_000 if driver in ("hesai", "livox") else 0
    message.header = SimpleNamespace(stamp=SimpleNamespace(sec=absolute + 12, nanosec=500_000_000))
    points = samples.timed_cloud(message)
    np.testing.assert_array_equal(points[:, :4], POINTS)
    np.testing.assert_allclose(points[:, 4], (0, 0.01, 0.05), atol=1e-6)
    assert samples.cloud(message).shape == (3, 4)


def test_points_that_are_not_finite_lose_their_times_too():
    data = np.column_stack([np.tile(POINTS, (2, 1)), np.arange(6) / 100]).astype("<f4")
    data[1, 0], data[2, 4] = np.nan, np.nan
    points = samples.timed_cloud(cloud_message(data.tobytes(), 6, (*LAYOUT, ("time", 16, 7)), 20))
    assert points.shape == (5, 5) and np.isnan(points[1, 4]) and points[2, 4] == np.float32(0.03)


def test_an_organised_cloud_is_read_row_by_row_past_its_padding():
    rows = POINTS.tobytes() + b"\xff" * 7 + POINTS[::-1].tobytes() + b"\xff" * 7
    points = samples.cloud(cloud_message(rows, 3, height=2, row=3 * 16 + 7))
    np.testing.assert_array_equal(points, np.concatenate([POINTS, POINTS[::-1]]))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"fields": LAYOUT[1:]}, "no field x (its fields: y, z, intensity)"),
        ({"fields": ()}, "no field x, y, z (its fields: none)"),
        ({"data": POINTS.tobytes()[:-1]}, "1 rows of 48 bytes with 3 points of 16 bytes do not fit into its 47"),
        ({"row": 47}, "1 rows of 47 bytes with 3 points of 16 bytes"),
        ({"height": 2}, "2 rows of 48 bytes with"),
        ({"fields": (*LAYOUT[:2], ("z", 8, 0))}, "field z of type 0"),
        ({"fields": (*LAYOUT[:2], ("z", 8, 9))}, "field z of type 9"),
        ({"fields": (*LAYOUT[:2], ("z", 13, 7))}, "field z of type 7 at byte 13"),
        ({"step": 0, "width": 0, "data": b""}, "a point of 0 bytes"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_cloud_that_does_not_add_up_is_refused(change, why):
    arguments = {"data": POINTS.tobytes(), "width": 3} | change
    with pytest.raises(Any2AnyError, match="Cannot use a point cloud") as error:
        samples.cloud(cloud_message(**arguments))
    assert why in error.value.why


@st.composite
def layouts(draw):
    """A structured type with x, y, z and other fields in any order, type and place, and points of it."""
    names = draw(st.permutations(["x", "y", "z", *draw(st.sets(st.sampled_from(["intensity", "ring", "t", "rgb"])))]))
    order = draw(st.sampled_from("<>"))
    fields, offset = [], 0
    for name in names:
        offset += draw(st.integers(0, 5))
        code = draw(st.integers(1, 8))
        fields.append((name, offset, code))
        offset += int(samples.POINT_TYPES[code][1])
    dtype = np.dtype(
        {
            "names": [n for n, _, _ in fields],
            "formats": [order + samples.POINT_TYPES[t] for _, _, t in fields],
            "offsets": [o for _, o, _ in fields],
            "itemsize": offset + draw(st.integers(0, 9)),
        }
    )
    height, width = draw(st.integers(0, 3)), draw(st.integers(0, 5))
    row = width * dtype.itemsize + draw(st.integers(0, 20))
    raw = draw(hnp.arrays(np.uint8, height * row + draw(st.integers(0, 3))))
    return fields, dtype, height, width, row, raw


@settings(max_examples=300)
@given(layouts())
def test_any_layout_reads_as_numpy_reads_it(case):
    fields, dtype, height, width, row, raw = case
    message = cloud_message(raw.tobytes(), width, fields, dtype.itemsize, height, row, dtype["x"].str[0] == ">")
    message.is_bigendian = any(dtype[n].str.startswith(">") for n in dtype.names)
    expected = []
    for i in range(height):
        for point in np.frombuffer(raw.tobytes(), dtype, width, i * row) if width else ():
            with np.errstate(over="ignore", invalid="ignore"):
                expected.append([np.float32(point[n]) if n in dtype.names else 0 for n in ("x", "y", "z", "intensity")])
    whole = np.array(expected, dtype=np.float32).reshape(-1, 4)
    np.testing.assert_array_equal(samples.cloud(message), whole[np.isfinite(whole).all(axis=1)])


def scan_message(ranges, low=0.1, high=10.0):
    return SimpleNamespace(
        ranges=ranges, angle_min=-1.0, angle_increment=0.5, time_increment=1e-5, range_min=low, range_max=high
    )


def test_readings_outside_the_sensors_range_become_infinite():
    ranges = [0.05, 0.1, 5.0, 10.0, 10.01, 0.0, -1.0, np.nan, np.inf, -np.inf]
    scan = samples.scan(scan_message(np.array(ranges, dtype=np.float32), low=np.float32(0.1)))
    assert np.isfinite(scan.ranges).nonzero()[0].tolist() == [1, 2, 3]
    assert np.isposinf(np.delete(scan.ranges, [1, 2, 3])).all()
    assert (scan.angle_min, scan.angle_increment, scan.range_max) == (-1.0, 0.5, 10.0)


@pytest.mark.parametrize(
    "change",
    [{"angle_min": np.nan}, {"angle_min": np.inf}, {"angle_increment": -np.inf}, {"range_max": np.nan},
     {"range_max": -np.inf}, {"range_max": -1.0}],
    ids=str,
)  # fmt: skip
def test_a_scan_of_angles_or_limits_that_are_none_is_refused(change):
    message = scan_message([1.0, 2.0])
    vars(message).update(change)
    with pytest.raises(Any2AnyError, match=r"Cannot use a laser scan: its first angle, its step and its largest"):
        samples.scan(message)


@pytest.mark.parametrize("high", [np.inf, 0.0])
def test_a_scan_may_know_no_largest_range(high):
    scan = samples.scan(scan_message([1.0, np.inf], high=high))
    assert scan.ranges.tolist() == [1.0, np.inf] and scan.range_max == np.inf


def test_of_several_echoes_the_first_counts():
    beams = [SimpleNamespace(echoes=echoes) for echoes in ([2.0, 3.0], [0.01, 4.0], [], np.array([5.0], np.float32))]
    scan = samples.multi_echo_scan(scan_message(beams))
    assert scan.ranges.tolist() == [2.0, np.inf, np.inf, 5.0] and scan.angle_increment == 0.5


@pytest.mark.parametrize("kind", [list, tuple, lambda r: array.array("f", r)])
def test_the_message_keeps_its_own_readings(kind):
    ranges = kind([0.01, 2.0])
    assert samples.scan(scan_message(ranges)).ranges.tolist() == [np.inf, 2.0]
    assert ranges[0] == pytest.approx(0.01)
