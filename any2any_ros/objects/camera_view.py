"""One moment of an RGB-D camera, and what it shows of remembered objects: where they are, and which are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects.proposals import LAYER, Box, points
from any2any_ros.objects.remembered_object import RememberedObject

SUPPORT_SHARE = 0.5  # largest share of an object's height, from below, that is taken for its support
INSIDE_SHARE = 0.05  # an object that is gone has at most this share of its pixels measured inside of its box
AROUND_SHARE = 0.5  # and at least this share measured beside or behind its box
SHORTEST_FOCAL = 0.25  # as a share of the picture's longer side: 127 degrees are seen
LONGEST_FOCAL = 1e6  # px
SAMPLES = 24  # pixels along the shorter side of the object's box that are tested
CORNERS = np.array(list(np.ndindex(2, 2, 2)), dtype=bool)  # of a box: True takes the high coordinate


@dataclass(frozen=True, eq=False)
class CameraView:
    """One moment of the cameras: rgb (H, W, 3) uint8, depth (H, W) float32 in metres, registered; either may be None.

    intrinsics (3, 3). pose (4, 4): map from the camera's optical frame (x right, y down, z forward). boxes: of a
    detector, None without a detector. Raises Any2AnyError when the arrays have wrong shapes or do not fit together.
    """

    stamp_ns: int
    intrinsics: Float64
    pose: Float64
    rgb: NDArray[np.uint8] | None = None
    depth: Array | None = None
    boxes: tuple[Box, ...] | None = None

    def __post_init__(self) -> None:
        rgb, depth = (None if picture is None else np.shape(picture) for picture in (self.rgb, self.depth))
        why = ""
        if (rgb is not None and rgb[2:] != (3,)) or (depth is not None and len(depth) != 2):
            why = f"colour has shape {rgb} and depth has shape {depth}, not (H, W, 3) and (H, W)"
        elif rgb and depth and rgb[:2] != depth:
            why = f"depth is {depth[1]}x{depth[0]}, colour is {rgb[1]}x{rgb[0]}"
        elif np.shape(self.intrinsics) != (3, 3) or not (self.intrinsics[[0, 1], [0, 1]] > 0).all():
            why = "the intrinsics have no focal lengths, or are not a (3, 3) matrix"
        elif (shape := (rgb or depth)) and not _fits(self.intrinsics, shape[1::-1]):
            why = f"the intrinsics cannot be those of pictures of {shape[1]}x{shape[0]} pixels"
        elif np.shape(self.pose) != (4, 4) or not np.isfinite(self.pose).all():
            why = "the camera's pose is not a finite (4, 4) matrix"
        if why:
            raise Any2AnyError(
                "Cannot use the cameras", why, "Calibrate the camera, and publish depth registered to colour"
            )


def _fits(intrinsics: Float64, size: Sequence[int]) -> bool:
    """Return whether a pinhole camera with pictures of this width and height can have these intrinsics.

    With others, the points of a depth picture would lie kilometres apart, and take gigabytes.
    """
    sides = np.array(size, dtype=np.float64)
    focal, centre = intrinsics[[0, 1], [0, 1]], intrinsics[:2, 2]
    wide = (focal >= sides.max() * SHORTEST_FOCAL) & (focal <= LONGEST_FOCAL)
    return bool((wide & (np.abs(centre - sides / 2) <= sides)).all())  # False for NaN


def boxes_in_view(view: CameraView, objects: Sequence[RememberedObject], shape: tuple[int, ...]) -> dict[str, Box]:
    """Return the picture box of every object that lies wholly within a picture of this shape (H, W, …), by id."""
    low, high = (np.reshape([getattr(o, side) for o in objects], (-1, 1, 3)) for side in ("low", "high"))
    pixels, away = _pixels(view, np.where(CORNERS, high, low))
    first, end = np.floor(pixels.min(axis=1)), np.ceil(pixels.max(axis=1))
    whole = (away.min(axis=1) > 0) & ((first >= 0) & (end <= shape[1::-1]) & (end - first > 1)).all(axis=1)
    sides = np.hstack([first, end])
    return {objects[i].id: _box(sides[i]) for i in np.flatnonzero(whole).tolist()}


def seen_gone(view: CameraView, objects: Sequence[RememberedObject]) -> list[bool]:
    """Return for each object whether the depth picture proves that the object is gone.

    The box where the object stood must lie wholly in the picture; most of what is beside and behind it must be
    measured; and hardly any point may lie inside of it. Needs depth.
    """
    assert view.depth is not None
    boxes = boxes_in_view(view, objects, view.depth.shape)
    return [o.id in boxes and _is_gone(view, view.depth, o, boxes[o.id]) for o in objects]


def _is_gone(view: CameraView, depth: Array, known: RememberedObject, box: Box) -> bool:
    left, top, right, bottom = box
    step = max(1, min(right - left, bottom - top) // SAMPLES)
    window = depth[top:bottom:step, left:right:step]
    intrinsics = (view.intrinsics - [[0, 0, left], [0, 0, top], [0, 0, 0]]) / [[step], [step], [1]]
    where = points(window, intrinsics, view.pose)
    support = np.array([0, 0, min(LAYER / 2, SUPPORT_SHARE * (known.high - known.low)[2])])
    nearest = _pixels(view, np.where(CORNERS, known.high, known.low))[1].min()
    with np.errstate(invalid="ignore"):
        inside = ((known.low + support <= where) & (where <= known.high)).all(axis=-1)
        around = (window >= nearest) & ~inside
    return bool(inside.mean() <= INSIDE_SHARE and around.mean() >= AROUND_SHARE)


def _box(sides: Float64) -> Box:
    left, top, right, bottom = (int(side) for side in sides)
    return left, top, right, bottom


def _pixels(view: CameraView, points: Float64) -> tuple[Float64, Float64]:
    """Return the pixels (..., 2), column and row, and the depths (...) in metres of points (..., 3) of the map."""
    in_camera = (points - view.pose[:3, 3]) @ view.pose[:3, :3]
    projected = in_camera @ view.intrinsics.T
    return projected[..., :2] / np.maximum(np.abs(in_camera[..., 2:]), 1e-9), in_camera[..., 2]
