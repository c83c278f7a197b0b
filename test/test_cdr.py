"""Reading serialised messages: the same as rclpy reads (test/nodes/test_messages.py), and what is large is no copy."""

import numpy as np
import pytest
from rosbags.serde import SerdeError

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
    with pytest.raises((SerdeError, Any2AnyError)):
        samples.decode(name, cdr.read(raw[: len(raw) // 2], name), kind)
