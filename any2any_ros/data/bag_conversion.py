"""Messages of ROS 1 bags as ROS 2 messages (CDR)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rosbags.convert.converter import is_same_wireformat, migrate_bytes
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from any2any_ros import limits
from any2any_ros.cdr import typestore
from any2any_ros.errors import Any2AnyError

RENAMED = {"tf/msg/tfMessage": "tf2_msgs/msg/TFMessage"}


def ros2_type(msgtype: str) -> str:
    """Return the name that a message type of a bag has in ROS 2."""
    return RENAMED.get(msgtype, msgtype)


def to_cdr(reader: AnyReader, msgtype: str) -> Callable[[bytes], bytes]:
    """Return a function that turns a message of a type, as it is in the bag, into CDR.

    It raises Any2AnyError for a message that is too large, and for one that is damaged.
    """
    return bytes if reader.is2 else _from_ros1(reader, msgtype)


def _from_ros1(reader: AnyReader, msgtype: str) -> Callable[[bytes], bytes]:
    source, target, cache = reader.typestore, get_typestore(Stores.EMPTY), dict[str, object]()
    target.register({**source.fielddefs, **typestore().fielddefs})
    wanted = ros2_type(msgtype)
    same = is_same_wireformat(source, target, msgtype, wanted)

    def convert(raw: bytes) -> Any:
        if same:
            return target.ros1_to_cdr(raw, wanted)
        return migrate_bytes(source, target, msgtype, wanted, cache, raw, src_is2=False, dst_is2=True)

    def checked(raw: bytes) -> bytes:
        limits.check_message(raw, wanted)
        try:
            return bytes(convert(raw))
        except Exception as error:  # rosbags raises what struct, NumPy and decoders raise, too
            what, why = f"Cannot read the bag {Path(str(reader.paths[0]))}", str(error) or type(error).__name__
            raise Any2AnyError(what, f"a message of type {msgtype}: {why}", "Record it again") from error

    return checked
