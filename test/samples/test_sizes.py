"""What is too large is refused before memory is taken for it: in messages, and in what a Python user passes in."""

from types import SimpleNamespace

import numpy as np
import pytest
from bombs import outcome

from any2any_ros import cdr, limits, samples
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Scan, Sound
from any2any_ros.samples.validation import validate

MANY = 1 << 26  # zeros that nobody has touched take no memory


def picture(encoding, bits, width=1 << 13):
    step, rows = width * bits // 8, MANY // width
    data = np.zeros(step * rows, np.uint8)
    return SimpleNamespace(encoding=encoding, height=rows, width=width, step=step, is_bigendian=0, data=data)


def points(count, step, data):
    fields = [SimpleNamespace(name=name, offset=0, datatype=2, count=1) for name in "xyz"]
    return SimpleNamespace(
        fields=fields, data=data, width=count, height=1, point_step=step, row_step=count * step, is_bigendian=False
    )


def beams(count):
    ranges = np.zeros(count, np.float32)
    return SimpleNamespace(
        ranges=ranges, angle_min=0.0, angle_increment=0.1, time_increment=0.0, range_min=0.0, range_max=10.0
    )


def chunk(size, rate=48000, channels=1):
    data = np.zeros(size, np.uint8)
    return SimpleNamespace(data=data, encoding="S16LE", channels=channels, sample_rate=rate)


MESSAGES = {
    "a grey picture": (samples.image, picture("mono8", 8), "67,108,864 pixels"),
    "a deep picture": (samples.image, picture("rgb16", 48), "67,108,864 pixels"),
    "depth": (samples.depth, picture("32FC1", 32), "67,108,864 pixels"),
    "thermal": (samples.thermal, picture("mono8", 8), "67,108,864 pixels"),
    "points that share their bytes": (samples.cloud, points(MANY, 1, np.zeros(MANY, np.uint8)), "67,108,864 points"),
    "no points of 2 GB": (samples.cloud, points(0, 1 << 31, b""), "2,147,483,648 bytes in each point"),
    "points of 4 GB": (samples.cloud, points(1, (1 << 32) - 1, b""), "4,294,967,295 bytes in each point"),
    "beams": (samples.scan, beams(MANY), "67,108,864 beams"),
    "a long sound": (samples.sound, chunk(2 * MANY), "67,108,864 samples"),
    "channels": (samples.sound, chunk(16, channels=(1 << 32) - 1), "4,294,967,295 channels"),
    "a sample a second": (samples.sound, chunk(16, rate=1), "1 Hz"),
    "four billion samples a second": (samples.sound, chunk(16, rate=(1 << 32) - 1), "4294967295 Hz"),
    "a book": (samples.text, SimpleNamespace(data="word " * 20_000), "100,000 characters"),
}


@pytest.mark.parametrize(("decode", "message", "why"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_that_holds_too_much_is_refused_before_memory_is_taken(decode, message, why):
    said, grown = outcome(lambda: decode(message))
    assert "Cannot use a" in said and why in said and grown < 20


PYTHON = {
    "image": (np.zeros((1 << 13, 1 << 13, 3), np.uint8), "67,108,864 pixels"),
    "depth": (np.zeros((1 << 13, 1 << 13)), "67,108,864 pixels"),
    "thermal": (np.zeros((1 << 13, 1 << 13), np.uint8), "67,108,864 pixels"),
    "cloud": (np.zeros((MANY, 3), np.uint8), "67,108,864 points"),
    "scan": (Scan(np.zeros(MANY, np.float32), -1.0, 0.25, 30.0), "67,108,864 beams"),
    "sound": (Sound(np.zeros(MANY), 48000), "67,108,864 samples"),
    "text": ("word " * 20_000, "100,000 characters"),
}


@pytest.mark.parametrize("kind", PYTHON)
def test_a_sample_from_python_that_holds_too_much_is_refused_before_memory_is_taken(kind):
    value, why = PYTHON[kind]
    said, grown = outcome(lambda: validate(kind, value, "front"))
    assert "The 'front' sample cannot be used" in said and why in said and grown < 20


@pytest.mark.parametrize("rate", [0, -8000, 99, 384_001, 1e300, float("nan")])
def test_a_sound_from_python_has_a_sample_rate_that_can_be_resampled(rate):
    with pytest.raises(Any2AnyError, match="not 100 to 384000"):
        validate("sound", Sound(np.zeros(9), rate), "front")


@pytest.mark.parametrize(
    ("name", "most"),
    [("std_msgs/msg/String", limits.SMALL_MESSAGE_BYTES), ("sensor_msgs/msg/Image", limits.MESSAGE_BYTES)],
)
def test_a_message_of_too_many_bytes_is_not_read(name, most):
    with pytest.raises(Any2AnyError, match=f"it has {most + 1:,} bytes, and at most {most:,} are read"):
        cdr.read(bytes(most + 1), name)
