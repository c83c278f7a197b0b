"""Picture files. Whatever is wrong with one is an Any2AnyError that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros import limits, reading
from any2any_ros.errors import Any2AnyError

T = TypeVar("T")


def read(file: Path, decode: Callable[[NDArray[np.uint8]], T | None], form: str = "PNG or JPEG") -> T:
    """Return what `decode` makes of the bytes of a file. form: what the file should be.

    Raises Any2AnyError when it cannot be read, when it is too large, and when `decode` returns None.
    """
    why, remedy = f"it is no whole {form}", "Copy, download or record it again"
    try:
        pixels = decode(reading.values(file, "u1", limits.MESSAGE_BYTES))
        if pixels is not None:
            return pixels
    except Any2AnyError as error:
        why, remedy = error.why, "Scale it down"
    except (OSError, ValueError) as error:
        why = str(error)
    raise Any2AnyError(f"Cannot read the picture {file}", why, remedy)
