"""The bird's-eye encoder: a vector that hardly depends on the heading, and the image that it was made of."""

import numpy as np
import pytest
from scenes import raised, scene

from any2any_ros import encoders
from any2any_ros.birds_eye import image
from any2any_ros.encoders.birds_eye import BirdsEyeConfig, BirdsEyeEncoder
from any2any_ros.errors import Any2AnyError
from any2any_ros.retrieval.map_header import EncoderRecord

ENCODER = BirdsEyeEncoder()


def test_the_heading_hardly_matters():
    there = [raised(scene(seed), ENCODER.cell, yaw) for seed, yaw in ((0, 0), (0, 77), (1, 0))]
    here, turned, elsewhere = (ENCODER.encode(points) for points in there)
    assert 1 - here @ turned < 0.5 * (1 - here @ elsewhere)


def test_what_is_seen_is_what_is_encoded():
    points = raised(scene(2), ENCODER.cell)
    seen = ENCODER.see(points)
    np.testing.assert_array_equal(seen.vector, ENCODER.encode(points))
    np.testing.assert_array_equal(image.unpack(seen.birds_eye), image.of_points(points, ENCODER.cell)[0])


def test_encoders_without_images_see_a_vector_alone():
    points = raised(scene(3), ENCODER.cell)
    lidar = encoders.build("lidar")
    seen = encoders.see(lidar, points)
    assert lidar.cell == 0 and seen.birds_eye.size == 0
    np.testing.assert_array_equal(seen.vector, lidar.encode(points))


def test_its_record_knows_the_cell_and_builds_it_again():
    record = EncoderRecord.of(BirdsEyeEncoder(BirdsEyeConfig(cell=0.5)))
    assert record.cell == 0.5 and record.build().cell == 0.5 and record.build().fingerprint == record.fingerprint


def test_too_few_points_are_refused():
    with pytest.raises(Any2AnyError, match="3 of its 3 points lie within 25 m"):
        ENCODER.encode(np.array([[1.0, 1, 1], [2, 2, 2], [3, 3, 3]]))


def test_a_cloud_without_anything_upright_is_refused():
    x, y = np.meshgrid(np.arange(-10, 10, 0.3), np.arange(-10, 10, 0.3))
    flat = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, -1.5)])
    with pytest.raises(Any2AnyError, match="nothing in it stands higher"):
        ENCODER.encode(flat)
