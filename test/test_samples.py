"""Any message a driver may send becomes the array it stands for, or is refused with a reason."""

import array
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros import cdr, samples
from any2any_ros.errors import Any2AnyError

# --- point clouds ---------------------------------------------------------------------------------------------

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


def test_an_organised_cloud_is_read_row_by_row_past_its_padding():
    rows = POINTS.tobytes() + b"\xff" * 7 + POINTS[::-1].tobytes() + b"\xff" * 7
    points = samples.cloud(cloud_message(rows, 3, height=2, row=3 * 16 + 7))
    np.testing.assert_array_equal(points, np.concatenate([POINTS, POINTS[::-1]]))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"fields": LAYOUT[1:]}, "no field x (its fields: y, z, intensity)"),
        ({"fields": ()}, "no field x, y, z (its fields: none)"),
        ({"data": POINTS.tobytes()[:-1]}, "promises 1 rows of 48 bytes and holds 47"),
        ({"row": 47}, "promises 1 rows of 47"),
        ({"height": 2}, "promises 2 rows"),
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


# --- images ---------------------------------------------------------------------------------------------------

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
GREY = RGB[..., 0]


def image_message(pixels, encoding, padding=0, big=False, width=None):
    rows = pixels.reshape(len(pixels), -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(
        encoding=encoding, height=len(pixels), width=width or pixels.shape[1], step=padded.shape[1],
        is_bigendian=int(big), data=padded.tobytes(),
    )  # fmt: skip


def with_alpha(pixels):
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 9, np.uint8)], axis=2)


def wide(pixels, order):
    """16 bits whose upper half is the picture, and whose lower half must not matter."""
    return np.ascontiguousarray((pixels.astype(np.uint16) << 8 | 0xA5).astype(f"{order}u2"))


EXACT = {
    "rgb8": (RGB, RGB),
    "bgr8": (RGB[..., ::-1], RGB),
    "8UC3": (RGB[..., ::-1], RGB),
    "rgba8": (with_alpha(RGB), RGB),
    "bgra8": (with_alpha(RGB[..., ::-1]), RGB),
    "mono8": (GREY, np.dstack([GREY] * 3)),
    "8UC1": (GREY, np.dstack([GREY] * 3)),
}
WIDE = {
    "mono16": (GREY, np.dstack([GREY] * 3)),
    "rgb16": (RGB, RGB),
    "bgr16": (RGB[..., ::-1], RGB),
}


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", EXACT)
def test_eight_bits_are_read_exactly(encoding, padding):
    pixels, expected = EXACT[encoding]
    read = samples.image(image_message(np.ascontiguousarray(pixels), encoding, padding))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("encoding", WIDE)
def test_sixteen_bits_keep_their_upper_half(encoding, order):
    pixels, expected = WIDE[encoding]
    read = samples.image(image_message(wide(pixels, order), encoding, 6, order == ">"))
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("colour", [(200, 120, 40), (10, 20, 250)])
def test_bayer_patterns_give_the_colour_that_was_seen(pattern, colour):
    mosaic = np.empty((8, 10), np.uint8)
    for i, channel in enumerate(pattern):
        mosaic[i // 2 :: 2, i % 2 :: 2] = colour["rgb".index(channel)]
    read = samples.image(image_message(mosaic, f"bayer_{pattern}8", padding=3))
    assert (read == colour).all()


# BT.601, the range that video uses: white is 235, not 255.
YUV = {
    (255, 255, 255): (235, 128, 128),
    (255, 0, 0): (81, 90, 240),
    (0, 0, 255): (41, 240, 110),
    (0, 0, 0): (16, 128, 128),
}


@pytest.mark.parametrize("encoding", ["uyvy", "yuv422", "yuyv", "yuv422_yuy2"])
@pytest.mark.parametrize("colour", YUV)
def test_yuv_gives_the_colour_that_was_seen(encoding, colour):
    y, u, v = YUV[colour]
    four = [u, y, v, y] if encoding in ("uyvy", "yuv422") else [y, u, y, v]
    pixels = np.tile(np.array(four, np.uint8), (4, 3)).reshape(4, 6, 2)
    assert np.abs(samples.image(image_message(pixels, encoding)).astype(int) - colour).max() <= 2


def test_every_encoding_was_tried():
    tried = {
        *EXACT,
        *WIDE,
        "uyvy",
        "yuv422",
        "yuyv",
        "yuv422_yuy2",
        *(f"bayer_{p}8" for p in ("rggb", "bggr", "gbrg", "grbg")),
    }
    assert tried == set(samples.IMAGE_ENCODINGS)


@pytest.mark.parametrize("encoding", samples.IMAGE_ENCODINGS)
@given(st.integers(1, 5), st.integers(1, 5))
def test_pictures_of_any_size_are_read_or_refused(encoding, height, width):
    kind, channels, _ = samples.IMAGE_ENCODINGS[encoding]
    pixels = np.zeros((height, width, channels), kind)
    try:
        assert samples.image(image_message(pixels, encoding)).shape == (height, width, 3)
    except Any2AnyError:
        assert channels == 2 and width % 2


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1", "jpeg", "", "RGB8"])
def test_an_unknown_encoding_is_refused_beside_the_known(encoding):
    with pytest.raises(Any2AnyError, match=f"its encoding is '{encoding}', known are rgb8, bgr8"):
        samples.image(image_message(RGB, encoding))


@pytest.mark.parametrize(
    "change", [{"step": 23}, {"height": 7}, {"width": 9}, {"height": 0}, {"width": 0}, {"data": b""}], ids=str
)
def test_a_picture_that_does_not_add_up_is_refused(change):
    message = image_message(RGB, "rgb8")
    vars(message).update(change)
    with pytest.raises(Any2AnyError, match="Cannot use an image"):
        samples.image(message)


def compressed(data, kind="jpeg"):
    return SimpleNamespace(data=data, format=kind)


def test_png_comes_back_exactly_and_jpeg_nearly():
    smooth = cv2.resize(RGB, (64, 48), interpolation=cv2.INTER_CUBIC)
    png, jpeg = (cv2.imencode(e, smooth[..., ::-1])[1].tobytes() for e in (".png", ".jpg"))
    np.testing.assert_array_equal(samples.compressed_image(compressed(png, "png")), smooth)
    difference = samples.compressed_image(compressed(jpeg)).astype(int) - smooth
    assert np.abs(difference).mean() < 6


def test_a_grey_or_deep_picture_becomes_rgb_of_eight_bits():
    deep = cv2.imencode(".png", wide(GREY, "<"))[1].tobytes()
    np.testing.assert_array_equal(samples.compressed_image(compressed(deep)), np.dstack([GREY] * 3))


@pytest.mark.parametrize("end", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_picture_cut_short_is_refused(end, share, capfd):
    whole = cv2.imencode(end, np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))[1].tobytes()
    with pytest.raises(Any2AnyError, match="neither JPEG nor PNG, or are cut short"):
        samples.compressed_image(compressed(whole[: int(share * len(whole))]))


@pytest.mark.parametrize("data", [b"", b"\x00", b"garbage" * 100, b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(data, capfd):
    with pytest.raises(Any2AnyError, match=f"its {len(data)} bytes"):
        samples.compressed_image(compressed(data))


def test_a_header_of_a_billion_pixels_is_refused(capfd):
    whole = bytearray(cv2.imencode(".png", RGB)[1].tobytes())
    whole[16:24] = (100_000).to_bytes(4, "big") * 2
    whole[29:33] = zlib.crc32(whole[12:29]).to_bytes(4, "big")
    with pytest.raises(Any2AnyError, match="Cannot use a compressed image"):
        samples.compressed_image(compressed(bytes(whole)))


# --- depth ----------------------------------------------------------------------------------------------------

MILLIMETRES = np.array([[0, 1, 500], [1234, 65535, 0]], np.uint16)
DEPTH = np.array([[np.nan, 0.001, 0.5], [1.234, 65.535, np.nan]], np.float32)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
def test_millimetres_become_metres_and_zero_a_hole(encoding, order, padding):
    read = samples.depth(image_message(MILLIMETRES.astype(f"{order}u2"), encoding, padding, order == ">", width=3))
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, DEPTH, rtol=1e-6)


@pytest.mark.parametrize("padding", [0, 7])
@pytest.mark.parametrize("order", "<>")
def test_metres_stay_and_what_is_no_distance_is_a_hole(order, padding):
    values = np.array([[0.5, np.nan, np.inf], [-np.inf, 0.0, -0.1], [8.25, 1e-3, 1e30]], np.float32)
    read = samples.depth(image_message(values.astype(f"{order}f4"), "32FC1", padding, order == ">", width=3))
    assert np.isfinite(read).tolist() == [[True, False, False], [False] * 3, [True] * 3]
    np.testing.assert_array_equal(read[np.isfinite(read)], values[np.isfinite(read)])


def test_every_depth_encoding_was_tried():
    assert set(samples.DEPTH_ENCODINGS) == {"16UC1", "mono16", "32FC1"}


def test_depth_is_no_view_of_the_message():
    message = image_message(DEPTH, "32FC1", width=3)
    message.data = bytearray(message.data)
    read = samples.depth(message)
    message.data[:] = bytes(len(message.data))
    np.testing.assert_array_equal(read, DEPTH)


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.floats(width=32)))
def test_any_depth_is_positive_metres_or_a_hole(values):
    read = samples.depth(image_message(values, "32FC1"))
    assert (np.isnan(read) | ((read > 0) & np.isfinite(read))).all()
    np.testing.assert_array_equal(np.isnan(read), ~(np.isfinite(values) & (values > 0)))


@pytest.mark.parametrize("encoding", ["rgb8", "8UC1", "64FC1", "32FC2", "", "16uc1"])
def test_what_is_no_depth_is_refused_beside_the_known(encoding):
    with pytest.raises(Any2AnyError, match=f"its encoding is '{encoding}', known are 16UC1, mono16, 32FC1"):
        samples.depth(image_message(MILLIMETRES, encoding, width=3))


@pytest.mark.parametrize(
    "change", [{"step": 5}, {"height": 3}, {"width": 4}, {"height": 0}, {"width": 0}, {"data": b"\1" * 11}], ids=str
)
def test_depth_that_does_not_add_up_is_refused(change):
    message = image_message(MILLIMETRES, "16UC1", width=3)
    vars(message).update(change)
    with pytest.raises(Any2AnyError, match="Cannot use a depth image"):
        samples.depth(message)


# --- thermal --------------------------------------------------------------------------------------------------

COUNTS = np.array([[0, 1, 29315], [30001, 65535, 30002]], np.uint16)  # hundredths of a kelvin


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
def test_thermal_counts_keep_all_of_their_bits(encoding, order, padding):
    read = samples.thermal(image_message(COUNTS.astype(f"{order}u2"), encoding, padding, order == ">", width=3))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, COUNTS)


@pytest.mark.parametrize(("encoding", "kind"), [("mono8", "u1"), ("8UC1", "u1"), ("32FC1", "f4")])
def test_thermal_pictures_of_eight_bits_and_of_degrees_are_read(encoding, kind):
    values = np.array([[0, 7, 255], [21, 22, 23]]).astype(kind)
    np.testing.assert_array_equal(samples.thermal(image_message(values, encoding, width=3)), values)


def test_every_thermal_encoding_was_tried():
    assert set(samples.THERMAL_ENCODINGS) == {"mono16", "16UC1", "mono8", "8UC1", "32FC1"}


@pytest.mark.parametrize("encoding", ["rgb8", "mono32", ""])
def test_false_colours_are_refused(encoding):
    with pytest.raises(Any2AnyError, match="not false colours"):
        samples.thermal(image_message(COUNTS, encoding, width=3))


def test_a_thermal_picture_cut_short_is_refused():
    message = image_message(COUNTS, "mono16", width=3)
    message.data = message.data[:-1]
    with pytest.raises(Any2AnyError, match="Cannot use a thermal image"):
        samples.thermal(message)


@pytest.mark.parametrize("pixels", [RGB[..., ::-1], None], ids=["colour", "damaged"])
def test_a_compressed_thermal_picture_has_one_whole_channel(pixels):
    data = b"\x89PNG" if pixels is None else cv2.imencode(".png", pixels)[1].tobytes()
    with pytest.raises(Any2AnyError, match="no whole PNG or JPEG of one channel"):
        samples.compressed_thermal(compressed(data))


# --- laser scans, sound, text ---------------------------------------------------------------------------------


def scan_message(ranges, low=0.1, high=10.0):
    return SimpleNamespace(ranges=ranges, angle_min=-1.0, angle_increment=0.5, range_min=low, range_max=high)


def test_readings_outside_the_sensors_range_become_infinite():
    ranges = [0.05, 0.1, 5.0, 10.0, 10.01, 0.0, -1.0, np.nan, np.inf, -np.inf]
    scan = samples.scan(scan_message(np.array(ranges, dtype=np.float32), low=np.float32(0.1)))
    assert np.isfinite(scan.ranges).nonzero()[0].tolist() == [1, 2, 3]
    assert np.isposinf(np.delete(scan.ranges, [1, 2, 3])).all()
    assert (scan.angle_min, scan.angle_increment, scan.range_max) == (-1.0, 0.5, 10.0)


@pytest.mark.parametrize("kind", [list, tuple, lambda r: array.array("f", r)])
def test_the_message_keeps_its_own_readings(kind):
    ranges = kind([0.01, 2.0])
    assert samples.scan(scan_message(ranges)).ranges.tolist() == [np.inf, 2.0]
    assert ranges[0] == pytest.approx(0.01)


def sound_message(data, encoding="S16LE", channels=1, rate=8000):
    return SimpleNamespace(data=data, encoding=encoding, channels=channels, sample_rate=rate)


@pytest.mark.parametrize("spare", [0, 1])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(("encoding", "kind", "full"), [("S16LE", "<i2", 32768), ("F32LE", "<f4", 1)])
def test_channels_are_averaged_and_a_broken_last_frame_dropped(encoding, kind, full, channels, spare):
    frames = np.array([[-full, 0, full // 2], [full // 4, -full // 2, 0], [0, 0, 0]], dtype=kind)[:, :channels]
    raw = frames.tobytes() + b"\x7f" * spare * (frames.itemsize * channels - 1)
    heard = samples.sound(sound_message(raw, encoding, channels))
    assert heard.samples.dtype == np.float32 and heard.rate == 8000
    np.testing.assert_allclose(heard.samples, frames.astype(float).mean(axis=1) / full, atol=1e-7)


def test_sixteen_bits_become_floats_without_loss():
    every = np.arange(-32768, 32768).astype("<i2")
    heard = samples.sound(sound_message(every.tobytes())).samples
    np.testing.assert_array_equal(np.round(heard * 32768.0).astype(int), every)


def test_channels_of_full_scale_do_not_overflow_when_averaged():
    assert samples.sound(sound_message(np.full(4, 32767, "<i2").tobytes(), channels=2)).samples.min() > 0.999


def test_no_sound_is_an_empty_piece():
    assert samples.sound(sound_message(b"")).samples.shape == (0,)


@pytest.mark.parametrize("change", [{"encoding": "MP3"}, {"channels": 0}, {"rate": 0}], ids=str)
def test_sound_that_cannot_be_read_is_refused(change):
    with pytest.raises(Any2AnyError, match="S16LE or F32LE"):
        samples.sound(sound_message(b"\0\0", **change))


# --- all of them ----------------------------------------------------------------------------------------------


def test_each_type_is_read_by_the_function_of_its_kind():
    assert samples.types_of("image") == ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
    assert samples.types_of("depth") == ("sensor_msgs/msg/Image",)
    assert samples.types_of("cloud") == ("sensor_msgs/msg/PointCloud2",) and samples.types_of("smell") == ()
    assert samples.decode("std_msgs/msg/String", SimpleNamespace(data="a bakery"), "text") == "a bakery"


@pytest.mark.parametrize(("sec", "nanosec", "expected"), [(3, 5, 3_000_000_005), (0, 1, 1), (0, 0, None)])
def test_a_stamp_of_zero_is_none(sec, nanosec, expected):
    header = SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))
    assert samples.stamp_ns(SimpleNamespace(header=header)) == expected


def test_a_message_without_a_header_has_no_stamp():
    assert samples.stamp_ns(SimpleNamespace(data="")) is None


def real_messages():
    """ROS's own messages of each type and kind that is read, as rosbags writes and reads them, and what is in them."""
    from any2any_ros.data import bag_messages

    store = cdr.typestore()
    make = store.types
    header = bag_messages.header(store, 12_000_000_034, "sensor")
    png = cv2.imencode(".png", RGB[..., ::-1])[1].ravel()
    scan = samples.Scan(np.array([1, np.inf, 2], np.float32), -1.5, 0.25, 30.0)
    sound = samples.Sound(np.array([0.5, -1.0], np.float32), 16000)
    yield "sensor_msgs/msg/Image", "image", bag_messages.image_message(store, RGB, header), RGB
    yield "sensor_msgs/msg/Image", "depth", bag_messages.depth_message(store, DEPTH, header), DEPTH
    yield (
        "sensor_msgs/msg/CompressedImage",
        "image",
        make["sensor_msgs/msg/CompressedImage"](header=header, format="png", data=png),
        RGB,
    )
    counts = COUNTS.astype(np.float32)
    deep = make["sensor_msgs/msg/CompressedImage"](
        header=header, format="png", data=cv2.imencode(".png", COUNTS)[1].ravel()
    )
    yield "sensor_msgs/msg/Image", "thermal", bag_messages.thermal_message(store, counts, header), counts
    yield "sensor_msgs/msg/CompressedImage", "thermal", deep, counts
    yield "sensor_msgs/msg/PointCloud2", "cloud", bag_messages.cloud_message(store, POINTS, header), POINTS
    yield "sensor_msgs/msg/LaserScan", "scan", bag_messages.scan_message(store, scan, header), scan
    yield "any2any_ros/msg/AudioStamped", "sound", bag_messages.sound_message(store, sound, header), sound
    yield "std_msgs/msg/String", "text", bag_messages.text_message(store, "a bakery", header), "a bakery"


def plain(sample):
    """Return a sample as the text of its lists, to compare whole ones; a NaN is like another."""
    parts = vars(sample) if isinstance(sample, samples.Scan | samples.Sound) else {"": sample}
    return {name: repr(np.asarray(value).tolist()) for name, value in parts.items()}


def test_every_type_is_read_from_ros_own_messages():

    store, tried = cdr.typestore(), set()
    for type_name, kind, message, expected in real_messages():
        tried.add((type_name, kind))
        again = store.deserialize_cdr(store.serialize_cdr(message, type_name), type_name)
        assert plain(samples.decode(type_name, again, kind)) == plain(expected), (type_name, kind)
        assert samples.stamp_ns(again) == (None if type_name == "std_msgs/msg/String" else 12_000_000_034)
    assert tried == {(name, kind) for name, kinds in samples.TYPES.items() for kind in kinds}
