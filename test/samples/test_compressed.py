"""JPEG and PNG become arrays, or are refused with a reason."""

import re
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from bombs import outcome, png

from any2any_ros import limits, samples
from any2any_ros.errors import Any2AnyError

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
GREY = RGB[..., 0]


def compressed(data, kind="jpeg"):
    return SimpleNamespace(data=data, format=kind)


def test_png_comes_back_exactly_and_jpeg_nearly():
    smooth = cv2.resize(RGB, (64, 48), interpolation=cv2.INTER_CUBIC)
    png, jpeg = (cv2.imencode(e, smooth[..., ::-1])[1].tobytes() for e in (".png", ".jpg"))
    np.testing.assert_array_equal(samples.compressed_image(compressed(png, "png")), smooth)
    difference = samples.compressed_image(compressed(jpeg)).astype(int) - smooth
    assert np.abs(difference).mean() < 6


def test_a_grey_or_deep_picture_becomes_rgb_of_eight_bits():
    deep = cv2.imencode(".png", GREY.astype("<u2") << 8 | 0xA5)[1].tobytes()
    np.testing.assert_array_equal(samples.compressed_image(compressed(deep)), np.dstack([GREY] * 3))


@pytest.mark.parametrize("end", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_a_picture_cut_short_is_refused(end, share, capfd):
    """Of a JPEG of which most is there, OpenCV makes a picture that is grey below."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    whole = cv2.imencode(end, noise, [cv2.IMWRITE_JPEG_RST_INTERVAL, 1])[1].tobytes()
    samples.compressed_image(compressed(whole))
    with pytest.raises(Any2AnyError, match="neither JPEG nor PNG, or are truncated"):
        samples.compressed_image(compressed(whole[: int(share * len(whole))]))


@pytest.mark.parametrize("data", [b"", b"\x00", b"garbage" * 100, b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(data, capfd):
    with pytest.raises(Any2AnyError, match=f"its {len(data)} bytes"):
        samples.compressed_image(compressed(data))


# --- depth ------------------------------------------------------------------------------------------------------

MILLIMETRES = np.array([[0, 1, 500], [1234, 65535, 0]], np.uint16)
METRES = np.array([[np.nan, 0.001, 0.5], [1.234, 65.535, np.nan]], np.float32)
HEADER = bytes(12)


def png_of(values):
    return cv2.imencode(".png", values)[1].tobytes()


@pytest.mark.parametrize(("header", "form"), [(HEADER, "16UC1; compressedDepth png"), (b"", "16UC1; png compressed ")])
def test_compressed_millimetres_become_metres_and_zero_a_hole(header, form):
    read = samples.compressed_depth(compressed(header + png_of(MILLIMETRES), form))
    np.testing.assert_allclose(read, METRES, rtol=1e-6)


def test_compressed_inverse_depth_becomes_metres():
    scale, offset = 1000.0, -20.0
    steps = np.array([[0, 80], [180, 480]], np.uint16)  # step = scale / metres + offset
    header = bytes(4) + np.array([scale, offset], "<f4").tobytes()
    read = samples.compressed_depth(compressed(header + png_of(steps), "32FC1; compressedDepth png"))
    np.testing.assert_allclose(read, [[np.nan, 10.0], [5.0, 2.0]], rtol=1e-6)


@pytest.mark.parametrize(
    "data", [b"", bytes(7), HEADER, HEADER + b"rvl" * 50, HEADER + png_of(GREY), HEADER + png_of(MILLIMETRES)[:-1]]
)
def test_compressed_depth_that_is_none_is_refused(data):
    with pytest.raises(Any2AnyError, match="no PNG of one channel of 16 bits, or are truncated"):
        samples.compressed_depth(compressed(data, "16UC1; compressedDepth png"))


def test_a_picture_of_depth_is_none_of_a_camera():
    with pytest.raises(Any2AnyError, match=r"it is a depth image \('16UC1; compressedDepth png'\)"):
        samples.compressed_image(compressed(HEADER + png_of(MILLIMETRES), "16UC1; compressedDepth png"))


@pytest.mark.parametrize("pixels", [RGB[..., ::-1], None], ids=["colour", "damaged"])
def test_a_compressed_thermal_picture_has_one_whole_channel(pixels):
    data = b"\x89PNG" if pixels is None else cv2.imencode(".png", pixels)[1].tobytes()
    with pytest.raises(Any2AnyError, match="no JPEG or PNG of one channel"):
        samples.compressed_thermal(compressed(data))


# --- how large a picture is -------------------------------------------------------------------------------------

LARGE = "it has 81,000,000 pixels, and at most 33,554,432 are read"


def jpeg_of(width, height, *options):
    """Return a JPEG whose header says that it is this large."""
    data = bytearray(cv2.imencode(".jpg", RGB, options)[1].tobytes())
    frame = re.search(rb"\xff[\xc0\xc2]", data).start()
    data[frame + 5 : frame + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)


def after_the_start(data, segment):
    """Put a segment behind the first one, which says that the file is a JPEG and takes 18 bytes."""
    return data[:20] + segment + data[20:]


THUMBNAIL = jpeg_of(8, 6)
BOMBS = {
    "png": png(9000, 9000),
    "baseline": jpeg_of(9000, 9000),
    "progressive": jpeg_of(9000, 9000, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "a thumbnail first": after_the_start(
        jpeg_of(9000, 9000), b"\xff\xe1" + (len(THUMBNAIL) + 2).to_bytes(2, "big") + THUMBNAIL
    ),
    "fill bytes": after_the_start(jpeg_of(9000, 9000), b"\xff\xff\xff"),
    "bytes of no segment": after_the_start(jpeg_of(9000, 9000), b"garbage\xff\x00"),
    "a segment without length": after_the_start(jpeg_of(9000, 9000), b"\xff\x01"),
    "a segment of length 0": after_the_start(jpeg_of(9000, 9000), b"\xff\xfe\x00\x00"),
}


@pytest.mark.parametrize("read", [samples.compressed_image, samples.compressed_thermal])
@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_a_small_file_of_a_huge_picture_takes_no_memory(data, read):
    assert len(data) < 100_000
    said, grown = outcome(lambda: read(compressed(data)))
    assert LARGE in said and grown < 20


@pytest.mark.parametrize("name", sorted(set(BOMBS) - {"png"}))
def test_opencv_would_have_read_as_many_pixels(name, monkeypatch, capfd):
    """Otherwise a picture could show one size here, and another to OpenCV."""
    small = BOMBS[name].replace((9000).to_bytes(2, "big") * 2, bytes([0, 6, 0, 8]))
    monkeypatch.setattr(limits, "PIXELS", 48)
    assert samples.decode_image(np.frombuffer(small, np.uint8)).shape == (6, 8, 3)
    monkeypatch.setattr(limits, "PIXELS", 47)
    with pytest.raises(Any2AnyError, match="it has 48 pixels"):
        samples.decode_image(np.frombuffer(small, np.uint8))


SMALL = cv2.imencode(".png", RGB)[1].tobytes()
IDAT = SMALL.index(b"IDAT") - 4
CHUNKS = {
    "promises 4 GB": SMALL[:IDAT] + b"\xff" + SMALL[IDAT + 1 :],
    "promises a byte too much": SMALL[: IDAT - 21] + SMALL[IDAT - 21 : -1],
    "is animated": SMALL[:33] + b"\x00\x00\x00\x00acTL\x00\x00\x00\x00" + SMALL[33:],
    "has two sizes": SMALL[:33] + SMALL[8:33] + SMALL[33:],
    "is a million chunks": SMALL[:33] + b"\x00\x00\x00\x00teXt\x00\x00\x00\x00" * 10**6 + SMALL[33:],
    "is 30 million pixels in a hundred bytes": png(6000, 5000)[:100] + b"\x00\x00\x00\x00IEND\xaeB`\x82",
}


@pytest.mark.parametrize("data", CHUNKS.values(), ids=CHUNKS)
def test_a_png_that_promises_more_than_it_has_takes_neither_memory_nor_time(data, capfd):
    """OpenCV takes memory for what a chunk says that it has, before it reads it: 4 GB for these 300 bytes."""
    began = time.process_time()
    said, grown = outcome(lambda: samples.compressed_image(compressed(data)))
    assert "neither JPEG nor PNG" in said and grown < 30 and time.process_time() < began + 0.5


def test_a_picture_of_the_largest_size_is_read():
    shape = (limits.PIXELS // 8192, 8192)
    assert samples.compressed_image(compressed(png(*shape[::-1]))).shape == (*shape, 3)


def test_a_jpeg_that_is_drawn_a_thousand_times_takes_no_time():
    whole = cv2.imencode(".jpg", RGB, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    passes = [m.start() for m in re.finditer(rb"\xff\xda", whole)]
    assert len(passes) <= limits.PASSES / 2
    slow = whole[:-2] + whole[passes[-1] : -2] * 1000 + whole[-2:]
    with pytest.raises(Any2AnyError, match="at most 32 are read"):
        samples.compressed_image(compressed(slow))
    samples.compressed_image(compressed(whole))


def test_only_jpeg_and_png_reach_opencv():
    bitmap = cv2.imencode(".bmp", RGB)[1].tobytes()
    with pytest.raises(Any2AnyError, match="neither JPEG nor PNG"):
        samples.compressed_image(compressed(bitmap))
