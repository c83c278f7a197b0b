"""The points and the normals of a scan, in a room whose walls are known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rooms import cast, room

from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Scan
from any2any_ros.submaps.planar import HERE, Planar
from any2any_ros.submaps.surfaces import surfaces

SQUARE = room(0, boxes=0)


def of(scan, velocity=HERE):
    return surfaces(scan, 0.05, 25.0, velocity)


def off_the_walls(points, walls=SQUARE):
    """Return the distance (N,) of each point to the nearest wall."""
    start, along = walls[:, 0], walls[:, 1] - walls[:, 0]
    share = np.clip(((points[:, None] - start) * along.conj()).real / np.abs(along) ** 2, 0, 1)
    return np.abs(points[:, None] - start - share * along).min(axis=1)


@pytest.mark.parametrize("beams", [180, 720])
def test_points_lie_on_the_walls_and_normals_stand_on_them(beams):
    seen = of(cast(SQUARE, beams))
    assert len(seen) == beams and off_the_walls(seen.points).max() < 1e-5
    upright = np.minimum(np.abs(seen.normals.real), np.abs(seen.normals.imag))
    assert np.median(upright) < 1e-5 and np.abs(np.abs(seen.normals) - 1).max() < 1e-9


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1.5, 1.5))
def test_the_motion_during_a_turn_of_the_laser_is_undone(forward, left, turn):
    seconds = np.linspace(0, 0.1, 360, endpoint=False)
    velocity = Planar(complex(forward, left), turn)
    moving = cast(SQUARE, at=velocity.shift * seconds, yaw=velocity.turn * seconds)
    moving = replace(moving, time_increment=0.1 / 360)
    assert off_the_walls(of(moving, velocity).points).max() < 1e-4
    np.testing.assert_array_equal(of(moving).points, of(replace(moving, time_increment=0.0), velocity).points)


def test_a_lone_point_has_no_normal():
    ranges = np.full(360, np.inf, np.float32)
    ranges[[10, 100, 101, 102]] = 2.0
    assert (np.abs(of(Scan(ranges, -np.pi, np.pi / 180, 30.0)).normals) > 0).tolist() == [False, True, True, True]


def test_surfaces_keep_their_normals_when_the_sensor_is_moved():
    pose, seen = Planar(3 - 2j, 0.7), of(cast(SQUARE))
    moved = seen.moved(pose)
    inside = moved.points[1:] - moved.points[:-1]
    before = seen.points[1:] - seen.points[:-1]
    np.testing.assert_allclose(
        (inside * moved.normals[1:].conj()).real, (before * seen.normals[1:].conj()).real, atol=1e-9
    )


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf, 0.0, -1.0, 0.01, 25.0, 1e30])
def test_what_is_no_return_is_left_out(missing):
    ranges = np.full(10, missing, np.float32)
    assert len(of(Scan(ranges, 0.0, 0.1, 1e9))) == 0
    ranges[3] = 2.0
    assert of(Scan(ranges, 0.0, 0.1, 1e9)).points == pytest.approx(2 * np.exp(0.3j))


def test_angles_that_are_not_finite_are_refused():
    with pytest.raises(Any2AnyError, match="its first angle is nan"):
        of(Scan(np.ones(10, np.float32), np.nan, 0.1, 30.0))
