"""JPEG and PNG become arrays, or are refused with a reason."""

import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from any2any_ros import samples
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
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_picture_cut_short_is_refused(end, share, capfd):
    whole = cv2.imencode(end, np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))[1].tobytes()
    with pytest.raises(Any2AnyError, match="neither JPEG nor PNG, or are truncated"):
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


@pytest.mark.parametrize("pixels", [RGB[..., ::-1], None], ids=["colour", "damaged"])
def test_a_compressed_thermal_picture_has_one_whole_channel(pixels):
    data = b"\x89PNG" if pixels is None else cv2.imencode(".png", pixels)[1].tobytes()
    with pytest.raises(Any2AnyError, match="no JPEG or PNG of one channel"):
        samples.compressed_thermal(compressed(data))
