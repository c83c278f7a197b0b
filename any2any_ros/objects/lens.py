"""Takes the distortion of a lens out of pictures, so that they are those of a pinhole camera."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects.camera_view import CameraView
from any2any_ros.objects.proposals import Box

FISHEYE = "equidistant"  # Kannala & Brandt, PAMI 2006, with four numbers
POLYNOMIALS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "": (4, 5, 8, 12, 14)}  # how many numbers
MOST = 10.0  # no number of a lens is larger
CAMERAS = 1  # whose tables are kept: eight bytes a pixel


def straight(view: CameraView, model: str, numbers: Float64) -> CameraView:
    """Return the view as a pinhole camera of the same intrinsics sees it.

    model, numbers (n,): distortion_model and d of sensor_msgs/CameraInfo. Pixels that no light has reached are black,
    and without depth. Raises Any2AnyError for a lens that is not known.
    """
    if not np.any(numbers):
        return view
    check(model, numbers)
    pictures = [picture for picture in (view.rgb, view.depth) if picture is not None]
    if not pictures:
        return view
    height, width = pictures[0].shape[:2]
    tables = _tables(model, tuple(numbers.tolist()), view.intrinsics.tobytes(), (width, height))
    boxes = None if view.boxes is None else tuple(_box(b, view.intrinsics, model, numbers) for b in view.boxes)
    return replace(view, rgb=_moved(view.rgb, tables, False), depth=_moved(view.depth, tables, True), boxes=boxes)


def check(model: str, numbers: Float64) -> None:
    """Raise Any2AnyError when these are no numbers of a lens of this model."""
    counts = (4,) if model == FISHEYE else POLYNOMIALS.get(model, ())
    if not counts:
        why = f"its distortion_model is '{model}'"
    elif len(numbers) not in counts:
        why = f"'{model}' has {' or '.join(map(str, counts))} numbers, its d has {len(numbers)}"
    elif not (np.isfinite(numbers).all() and np.abs(numbers).max() < MOST):
        why = "a number of its d is not finite, or larger than that of any lens"
    else:
        return
    known = ", ".join([*filter(None, POLYNOMIALS), FISHEYE])
    raise Any2AnyError(
        "Cannot use the CameraInfo", why, f"Calibrate the camera as one of {known}, or rectify its pictures"
    )


@lru_cache(CAMERAS)
def _tables(model: str, numbers: tuple[float, ...], intrinsics: bytes, size: tuple[int, int]) -> tuple[Any, Any]:
    """Return the two tables of cv2.remap."""
    import cv2

    k, d = np.frombuffer(intrinsics).reshape(3, 3), np.array(numbers)
    make = cv2.fisheye.initUndistortRectifyMap if model == FISHEYE else cv2.initUndistortRectifyMap
    tables: tuple[Any, Any] = make(k, d, np.eye(3), k, size, cv2.CV_32FC1)
    return tables


def _moved(picture: NDArray[Any] | None, tables: tuple[Any, Any], nearest: bool) -> Any:
    """Return the picture moved by the tables. nearest: no value is mixed of two, as depths must not be."""
    import cv2

    if picture is None:
        return None
    return cv2.remap(
        picture, *tables, cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=float("nan") if nearest else 0,
    )  # fmt: skip


def _box(box: Box, intrinsics: Float64, model: str, numbers: Float64) -> Box:
    """Return the box around a box of the distorted picture."""
    import cv2

    left, top, right, bottom = box
    corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]], dtype=np.float64)[:, None]
    undistort = cv2.fisheye.undistortPoints if model == FISHEYE else cv2.undistortPoints
    moved = undistort(corners, intrinsics, numbers, P=intrinsics)[:, 0]
    low, high = np.floor(moved.min(axis=0)).astype(int).tolist(), np.ceil(moved.max(axis=0)).astype(int).tolist()
    return low[0], low[1], high[0], high[1]
