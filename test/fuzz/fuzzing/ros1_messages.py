"""Messages of ROS 1 bags, damaged, as a replay converts them."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from any2any_ros import cdr
from any2any_ros.data.bag_conversion import to_cdr

from .boundary import Boundary
from .choices import Choices
from .mutation import raw

IMAGE, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"  # of the same fields in ROS 2, and of others


@cache
def _ros1() -> Typestore:
    return get_typestore(Stores.ROS1_NOETIC)


@cache
def _converter(kind: str) -> Any:
    return to_cdr(SimpleNamespace(is2=False, typestore=_ros1(), paths=["old.bag"]), kind)


def _valid(choices: Choices) -> tuple[str, bytes]:
    make, kind = _ros1().types, choices.one(IMAGE, INFO)
    header = make["std_msgs/msg/Header"](choices.randint(0, 9), make["builtin_interfaces/msg/Time"](5, 6), "camera")
    if kind == IMAGE:
        pixels = choices.arrays.integers(0, 255, 24).astype(np.uint8)
        message = make[IMAGE](header, 4, 6, "mono8", 0, 6, pixels)
    else:
        region = make["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        message = make[INFO](header, 4, 6, "plumb_bob", np.ones(5), np.ones(9), np.ones(9), np.ones(12), 0, 0, region)
    return kind, bytes(_ros1().serialize_ros1(message, kind))


def _converted(given: tuple[str, bytes]) -> Any:
    kind, data = given
    return cdr.read(_converter(kind)(data), kind)


def _wrong(given: tuple[str, bytes], message: Any) -> str:
    return "" if message.__msgtype__ == given[0] and not hasattr(message.header, "seq") else f"{message}"


BOUNDARIES = (
    Boundary("message: ROS 1", _valid, _converted, _wrong, lambda choices, given: (given[0], raw(choices, given[1]))),
)
