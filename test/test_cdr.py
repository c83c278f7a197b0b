"""Reading serialised messages: the same as rclpy reads (test/nodes/test_messages.py), and what is large is no copy."""

import numpy as np
import pytest

from any2any_ros import cdr, samples
from any2any_ros.data import bag_messages
from any2any_ros.errors import Any2AnyError

KINDS = sorted({kind for kinds in samples.TYPES.values() for kind in kinds} & set(bag_messages.MAKERS))


def made(kind: str):
    store, (name, make) = cdr.typestore(), bag_messages.MAKERS[kind]
    return name, make(store, samples.example(kind), bag_messages.header(store, 7, "x"))


def serialised(kind: str) -> tuple[str, bytes]:
    name, message = made(kind)
    return name, bytes(cdr.typestore().serialize_cdr(message, name))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read(kind):
    name, raw = serialised(kind)
    found = samples.decode(name, cdr.read(raw, name), kind)
    assert found is not None and np.shape(found) == np.shape(samples.decode(*made(kind), kind))


def test_pixels_are_a_view_of_the_bytes():
    name, raw = serialised("image")
    pixels = cdr.read(raw, name).data
    assert np.shares_memory(pixels, np.frombuffer(raw, np.uint8))


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_cut_short_is_refused(kind):
    name, raw = serialised(kind)
    with pytest.raises(Any2AnyError):
        samples.decode(name, cdr.read(raw[: len(raw) // 2], name), kind)


@pytest.mark.parametrize("raw", [b"", b"\x00", bytes(4), b"\xff" * 100, b"\x00\x01\x00\x00" + b"\xff" * 100])
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_that_are_no_message_are_refused(kind, raw):
    name = bag_messages.MAKERS[kind][0]
    with pytest.raises(Any2AnyError, match=f"Cannot read a message of type {name}"):
        cdr.read(raw, name)


def test_a_text_that_is_no_text_is_refused():
    name, raw = serialised("text")
    with pytest.raises(Any2AnyError, match="Cannot read a message"):
        cdr.read(raw[:8] + b"\xff\xfe" + raw[10:], name)
