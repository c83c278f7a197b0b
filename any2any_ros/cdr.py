"""Serialised ROS 2 messages (CDR), read without ROS.

The large fields of a message, such as pixels or points, become views of its bytes. rclpy would copy them, which takes
2 ms for an image of 1.4 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from any2any_ros import limits, share
from any2any_ros.errors import Any2AnyError


@cache
def typestore() -> Typestore:
    """Return the message types of ROS 2 and our own."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name in ("AudioStamped",):
        text = share.find("msg", f"{name}.msg").read_text()
        store.register(get_types_from_msg(text, f"any2any_ros/msg/{name}"))
    return store


def read(raw: bytes, type_name: str) -> Any:
    """Return a serialised message of a type in the typestore. Its large fields are views of `raw`.

    Raises Any2AnyError when it is too large, and when `raw` is no such message.
    """
    # A memoryview, because rosbags would copy bytes.
    return deserialised(raw, type_name, lambda: typestore().deserialize_cdr(memoryview(raw), type_name))


def deserialised(raw: bytes, type_name: str, deserialise: Callable[[], Any]) -> Any:
    """Return what `deserialise` makes of a serialised message.

    Raises Any2AnyError when the message is too large, and when `deserialise` raises anything.
    """
    limits.check_message(raw, type_name)
    try:
        return deserialise()
    except Exception as error:  # rosbags raises what struct, NumPy and decoders raise, too
        what = f"Cannot read a message of type {type_name}"
        why = str(error) or type(error).__name__
        raise Any2AnyError(what, why, "Check who publishes it, or record it again") from error
