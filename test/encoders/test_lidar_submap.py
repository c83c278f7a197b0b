"""The last metres of a LiDAR that looks ahead, in a made-up street."""

import numpy as np
import pytest
from scenes import ahead, scene, street
from scipy.spatial.transform import Rotation

from any2any_ros import encoders
from any2any_ros.encoders.birds_eye import BirdsEyeEncoder
from any2any_ros.encoders.lidar_submap import LidarSubmapEncoder, field_of_view
from any2any_ros.protocols import Encoder, gathered
from any2any_ros.samples import NS
from any2any_ros.workflows.inputs import chosen_encoders

HOUSES = scene(5, places=40)


def pose(x, y, degrees):
    out = np.eye(4)
    out[:3, :3], out[:2, 3] = Rotation.from_euler("z", degrees, degrees=True).as_matrix(), (x, y)
    return out


def points_at(x, degrees, narrow=True):
    whole = street(HOUSES, degrees, x, 0.0)
    return np.pad(ahead(whole) if narrow else whole, ((0, 0), (0, 1))).astype(np.float32)


def driven(path, narrow=True):
    """Return what the encoder sees at the end of a path of (x, heading)."""
    encoder = LidarSubmapEncoder()
    for i, (x, degrees) in enumerate(path):
        whole = gathered(encoder, points_at(x, degrees, narrow), i * NS // 5, pose(x, 0, degrees))
    return encoder.see(whole)


def test_is_the_plug_lidar_submap():
    encoder = encoders.build("lidar_submap", {"length": 10.0})
    assert isinstance(encoder, Encoder) and encoder.modality == "lidar" and encoder.uses_odometry
    assert encoder.dimension == BirdsEyeEncoder().dimension and encoder.parts == BirdsEyeEncoder().parts
    assert chosen_encoders(("lidar",), {"lidar": "lidar_submap"})["lidar"].plug == "lidar_submap"


def test_a_place_is_known_from_the_opposite_direction():
    xs = np.linspace(-15, 0, 31)
    there, back = driven([(x, 0.0) for x in xs]), driven([(-x, 180.0) for x in xs])
    alone = [BirdsEyeEncoder().see(points_at(0.0, degrees)) for degrees in (0.0, 180.0)]
    assert there.vector @ back.vector > alone[0].vector @ alone[1].vector


def test_a_cloud_that_sees_all_around_stands_alone():
    seen = driven([(x, 0.0) for x in np.linspace(-5, 0, 11)], narrow=False)
    alone = BirdsEyeEncoder().see(points_at(0.0, 0.0, narrow=False))
    np.testing.assert_array_equal(seen.vector, alone.vector)
    np.testing.assert_array_equal(seen.birds_eye, alone.birds_eye)


@pytest.mark.parametrize(("degrees", "expected"), [(80, 80), (180, 180), (360, 360)])
def test_the_field_of_view_is_the_angle_with_points(degrees, expected):
    angle = np.radians(np.linspace(-degrees / 2, degrees / 2, 2000, endpoint=False))
    points = np.column_stack([5 * np.cos(angle), 5 * np.sin(angle), np.zeros(2000)])
    assert field_of_view(points) == pytest.approx(expected, abs=10)
    assert field_of_view(points / 5) == 0 and field_of_view(np.empty((0, 3))) == 0
