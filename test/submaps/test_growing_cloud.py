"""Clouds of the last metres are put together while a robot drives, and distortion by its motion is undone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import ahead, scene, street
from scipy.spatial.transform import Rotation

from any2any_ros.samples import NS
from any2any_ros.submaps.growing_cloud import APART, MOST, GrowingCloud, undistorted

HOUSES = scene(3, places=40)
PATH = [(-8 + 0.5 * i, 0.02 * i * i, 2.0 * i) for i in range(30)]  # x, y, heading in degrees


def pose(x, y, degrees):
    out = np.eye(4)
    out[:3, :3], out[:2, 3] = Rotation.from_euler("z", degrees, degrees=True).as_matrix(), (x, y)
    return out


def seen(x, y, degrees):
    return ahead(street(HOUSES, degrees, x, y))


def driven(odometry, length=20.0):
    """Return the last submap of the path, clouds 0.1 s apart."""
    growing = GrowingCloud(length)
    for i, (place, drove) in enumerate(zip(PATH, odometry, strict=True)):
        submap = growing.add(seen(*place), i * NS // 10, drove)
    return submap


def off(submap):
    """Return how far the points of a submap at the end of the path lie from the street's."""
    from scipy.spatial import cKDTree

    whole = street(HOUSES, PATH[-1][2], *PATH[-1][:2])
    inside = np.abs(submap.points[:, :2]).max(axis=1) < 20
    return cKDTree(whole).query(submap.points[inside])[0]


RIGHT = [pose(*place) for place in PATH]
WRONG = [pose(1.1 * x, 0.95 * y, 0.8 * degrees) for x, y, degrees in PATH]


@pytest.mark.parametrize("how", ["right", "wrong", "none"])
def test_the_street_stays_where_it_is(how):
    submap = driven({"right": RIGHT, "wrong": WRONG, "none": [None] * len(PATH)}[how])
    apart = off(submap)
    assert submap.clouds >= 8 and np.median(apart) < 0.5 and np.quantile(apart, 0.95) < 0.9


def test_it_sees_what_lies_behind():
    submap = driven(RIGHT)
    standing = submap.points[submap.points[:, 2] > -1]
    behind = np.abs(np.degrees(np.arctan2(standing[:, 1], standing[:, 0]))) > 120
    assert np.count_nonzero(behind) > 100


def test_only_the_last_metres_count():
    assert driven(RIGHT, 3.0).clouds <= 3 / APART + 1 < driven(RIGHT, 20.0).clouds


def test_a_robot_that_turns_adds_no_clouds_for_ever():
    growing = GrowingCloud(20.0)
    for i in range(MOST + 10):
        place = (0.0, 0.0, 15.0 * i)
        submap = growing.add(seen(*place)[::4], i * NS // 10, pose(*place))
    assert submap.clouds == MOST


def test_a_jump_begins_a_new_submap_and_an_empty_cloud_is_bridged():
    growing = GrowingCloud(20.0)
    for i in range(10):
        submap = growing.add(seen(*PATH[i]), i * NS // 10, RIGHT[i])
    bridged = growing.add(np.empty((0, 4)), NS, RIGHT[9])
    jumped = growing.add(seen(*PATH[9]), NS + NS // 10, pose(500, 0, 0))
    assert submap.clouds == bridged.clouds > 3 and jumped.clouds == 1


@given(st.floats(-8, 8), st.floats(-1, 1), st.floats(-0.8, 0.8))
def test_distortion_by_motion_is_undone(forward, left, turn):
    draw = np.random.default_rng(0)
    still, seconds = draw.uniform(-20, 20, (2000, 3)), draw.uniform(0, 0.1, 2000)
    turns = Rotation.from_rotvec(np.outer(seconds, (0, 0, turn))).as_matrix()
    moving = np.einsum("nji,nj->ni", turns, still - np.outer(seconds, (forward, left, 0)))
    measured = np.column_stack([moving, np.zeros(2000), seconds])
    corrected = undistorted(measured, np.array([0, 0, turn, forward, left, 0]))
    assert np.abs(corrected - still).max() < 0.08  # of 32 moments of 3 ms
    np.testing.assert_array_equal(undistorted(measured[:, :4], np.ones(6)), moving)


@pytest.mark.parametrize("wrong", [np.nan, 1e9])
def test_times_that_cannot_be_leave_the_cloud_as_it_is(wrong):
    points = np.ones((10, 5))
    points[3, 4] = wrong
    np.testing.assert_array_equal(undistorted(points, np.ones(6)), points[:, :3])


def test_a_cloud_that_stands_alone_is_corrected_by_odometry():
    growing, points = GrowingCloud(20.0), np.zeros((100, 5))
    points[:, 0], points[:, 4] = 10.0, np.linspace(0, 0.1, 100)
    growing.alone(points, 0, pose(0, 0, 0))
    after = growing.alone(points, NS // 10, pose(1, 0, 0))
    np.testing.assert_allclose(after[[0, -1], 0], (10, 11), atol=0.05)
