"""Distortion is taken out: what a lens has bent is where a pinhole camera would see it, and depths are not mixed."""

import cv2
import numpy as np
import pytest

from any2any_ros.errors import Any2AnyError
from any2any_ros.objects.camera_view import CameraView
from any2any_ros.objects.lens import straight

K = np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
LENSES = {
    "plumb_bob": [-0.3, 0.1, 0.001, -0.002, 0.0],
    "rational_polynomial": [-0.3, 0.1, 0.001, -0.002, 0.01, 0.1, 0.02, 0.0],
    "equidistant": [-0.05, 0.01, -0.003, 0.001],
}
POINTS = np.array([[0.0, 0, 2], [0.5, 0.3, 2], [-0.6, 0.4, 2], [0.4, -0.5, 2.5], [-0.7, -0.5, 2]])


def projected(model, numbers):
    """Return the pixels (N, 2) where the lens shows POINTS."""
    project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints
    return project(POINTS[:, None], np.zeros(3), np.zeros(3), K, np.array(numbers))[0][:, 0]


def view(pixels, boxes=None):
    """Return a black picture with a white dot at each pixel, and each dot's depth."""
    rgb, depth = np.zeros((240, 320, 3), np.uint8), np.full((240, 320), np.nan, np.float32)
    for (x, y), point in zip(np.round(pixels).astype(int), POINTS, strict=True):
        rgb[y - 2 : y + 3, x - 2 : x + 3], depth[y - 2 : y + 3, x - 2 : x + 3] = 255, point[2]
    return CameraView(0, K, np.eye(4), rgb, depth, boxes)


@pytest.mark.parametrize("model", LENSES)
def test_points_are_where_a_pinhole_camera_sees_them(model):
    bent = projected(model, LENSES[model])
    seen = straight(view(bent), model, np.array(LENSES[model]))
    expected = POINTS[:, :2] / POINTS[:, 2:] * 300 + [160, 120]
    assert np.abs(bent - expected).max() > 3  # the lens does bend
    for (x, y), point in zip(np.round(expected).astype(int), POINTS, strict=True):
        assert seen.rgb[y, x].min() > 200 and seen.depth[y, x] == np.float32(point[2])
    assert set(np.unique(seen.depth[np.isfinite(seen.depth)])) == {np.float32(2), np.float32(2.5)}
    assert seen.rgb.dtype == np.uint8 and seen.depth.dtype == np.float32


@pytest.mark.parametrize("model", LENSES)
def test_the_boxes_of_a_detector_are_moved_with_the_picture(model):
    bent = np.round(projected(model, LENSES[model])).astype(int)
    boxes = tuple((int(x) - 2, int(y) - 2, int(x) + 3, int(y) + 3) for x, y in bent)
    seen = straight(view(bent, boxes), model, np.array(LENSES[model]))
    for (left, top, right, bottom), point in zip(seen.boxes, POINTS, strict=True):
        x, y = point[:2] / point[2] * 300 + [160, 120]
        assert left <= x + 1 and x - 1 <= right and top <= y + 1 and y - 1 <= bottom and right - left < 16


def test_without_distortion_nothing_is_done():
    one = view(projected("plumb_bob", LENSES["plumb_bob"]))
    assert straight(one, "plumb_bob", np.zeros(5)) is one and straight(one, "", np.empty(0)) is one


@pytest.mark.parametrize(
    ("model", "numbers", "why"),
    [
        ("thin_prism", [0.1] * 4, "its distortion_model is 'thin_prism'"),
        ("plumb_bob", [0.1] * 3, "has 4 or 5 numbers, its d has 3"),
        ("equidistant", [0.1] * 5, "has 4 numbers, its d has 5"),
        ("plumb_bob", [np.nan] * 5, "not finite"),
        ("plumb_bob", [np.inf] * 5, "not finite"),
        ("plumb_bob", [1e30] * 5, "larger than that of any lens"),
    ],
)
def test_a_lens_that_is_not_known_is_refused(model, numbers, why):
    with pytest.raises(Any2AnyError, match=why):
        straight(view(projected("plumb_bob", LENSES["plumb_bob"])), model, np.array(numbers))
