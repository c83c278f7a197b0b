"""LIP-Loc's range image point by point, and its two encoders."""

import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.encoders import liploc
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Encoder


def build(tiny, plug="liploc", **settings):
    return encoders.build(plug, {"model": str(tiny("liploc") / "best.pth"), **settings})


def cloud(count=3000, seed=0):
    draw = np.random.default_rng(seed)
    points = draw.uniform(-30, 30, (count, 4))
    points[:, 2] = draw.uniform(-2, 3, count)
    return points.astype(np.float32)


def test_the_range_image_is_the_nearest_point_of_every_direction():
    """Against a loop over the points."""
    points = cloud()
    expected = np.full((64, 900), np.inf)
    for x, y, z, _ in points.astype(np.float64):
        r = np.sqrt(x * x + y * y + z * z)
        if not 0 < r < 50:
            continue
        column = min(899, max(0, int(np.floor(900 * 0.5 * (1 - np.arctan2(y, x) / np.pi)))))
        row = min(63, max(0, int(np.floor(64 * (1 - (np.degrees(np.arcsin(z / r)) + 25) / 28)))))
        expected[row, column] = min(expected[row, column], r)
    made = liploc.range_image(points)
    there = np.isfinite(expected)
    assert (made[~there] == 251).all()
    np.testing.assert_array_equal(made[there], np.floor(expected[there] * 5.1).astype(int))


def test_straight_ahead_is_in_the_middle():
    wall = np.column_stack([np.full(200, 10.0), np.linspace(-0.5, 0.5, 200), np.zeros(200)])
    columns = np.flatnonzero((liploc.range_image(wall.astype(np.float32)) != 251).any(axis=0))
    assert abs(columns.mean() - 450) < 1


def test_both_halves_are_encoders_in_one_space(tiny):
    lidar, camera = build(tiny), build(tiny, "liploc_camera")
    assert isinstance(lidar, Encoder) and isinstance(camera, Encoder)
    assert (lidar.modality, camera.modality) == ("lidar", "camera")
    assert lidar.space == camera.space != "" and lidar.dimension == camera.dimension
    picture = np.random.default_rng(0).integers(0, 256, (90, 200, 3)).astype(np.uint8)
    assert np.linalg.norm(lidar.encode(cloud())) == pytest.approx(1, abs=1e-5)
    some = [picture, picture[:, ::-1].copy()]
    np.testing.assert_allclose(camera.encode_batch(some), [camera.encode(p) for p in some], atol=1e-5)


def test_an_empty_cloud_is_refused(tiny):
    with pytest.raises(Any2AnyError, match="0 of its points lie within 50 m"):
        build(tiny).encode(np.full((500, 4), 100, np.float32))
