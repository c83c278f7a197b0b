"""Names that come from files, messages, parameters and arguments: what is valid, and one error for each kind.

The name of a modality becomes part of file names, node names and parameters, so it must not hold a path.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.errors import Any2AnyError

MODALITY = re.compile(r"[A-Za-z0-9_]{1,64}")
WORD = r"[A-Za-z_][A-Za-z0-9_]*"
TOPIC = re.compile(rf"(?=.{{1,255}}\Z)(/|~/)?{WORD}(/{WORD})*")
MESSAGE_TYPE = re.compile(r"[a-z][a-z0-9_]*/msg/[A-Z][A-Za-z0-9]*")
LONGEST_ID = 200  # characters of the id of a place
SHOWN = 80  # characters of a refused name that the error shows


def places(ids: NDArray[np.str_]) -> tuple[str, ...]:
    """Return the ids (N,) of places. Raises Any2AnyError unless each is printable text, 1 to LONGEST_ID characters."""
    why = ""
    if ids.dtype.kind != "U" or ids.ndim != 1:
        why = f"they are an array of {ids.dtype} and shape {ids.shape}"
    elif ids.dtype.itemsize > LONGEST_ID * np.dtype("U1").itemsize:
        why = f"one has {int(np.char.str_len(ids).max(initial=0))} characters"
    elif (ids == "").any():
        why = "one is empty"
    elif not "".join(ids.tolist()).isprintable():
        why = "one has a character that cannot be printed"
    if why:
        remedy = f"Give each place an id of printable text, 1 to {LONGEST_ID} characters"
        raise Any2AnyError("The ids of the places cannot be used", why, remedy)
    return tuple(ids.tolist())


def modality(name: Any) -> str:
    """Return the name of a modality. Raises Any2AnyError when it is not valid."""
    rule = "it must have 1 to 64 characters of A-Z, a-z, 0-9 and _"
    return _matched(MODALITY, name, "a modality", rule, "camera_front")


def topic(name: Any) -> str:
    """Return the name of a ROS topic. Raises Any2AnyError when it is not valid."""
    rule = "it must have at most 255 characters: words of letters, digits and _ that are separated by /"
    return _matched(TOPIC, name, "a topic", rule, "/front/image_raw")


def odometry(name: Any) -> tuple[str, tuple[str, str] | None]:
    """Return the topic of odometry, and the frames parent and child in it for a name such as /tf:odom.base_link.

    Raises Any2AnyError when it is not valid.
    """
    where, colon, frames = name.partition(":") if isinstance(name, str) else (name, "", "")
    parent, _, child = frames.partition(".")
    if colon and not (parent and child):
        rule = "it names no two frames behind the topic"
        raise Any2AnyError(f"{name!r} cannot be odometry", rule, "Choose e.g. /odom or /tf:odom.base_link")
    return topic(where), (parent.lstrip("/"), child.lstrip("/")) if colon else None


def message_type(name: Any) -> str:
    """Return the name of a ROS message type. Raises Any2AnyError when it is not valid."""
    return _matched(MESSAGE_TYPE, name, "a message type", "it must be package/msg/Name", "sensor_msgs/msg/Image")


def _matched(pattern: re.Pattern[str], name: Any, what: str, rule: str, example: str) -> str:
    if isinstance(name, str) and pattern.fullmatch(name):
        return name
    shown = repr(name[: SHOWN + 1] if isinstance(name, str) else name)
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
    raise Any2AnyError(f"{shown} cannot be the name of {what}", rule, f"Choose a name such as {example}")
