"""The whole table: what is said to be there is seen there, by colour and by depth."""

from dataclasses import replace

import numpy as np
import pytest

from any2any_ros.errors import Any2AnyError
from any2any_ros.sim.tabletop import CameraConfig, SceneConfig, TabletopConfig, scene
from any2any_ros.sim.tabletop.table import LENGTH, TOP, WIDTH

SMALL = CameraConfig(width=160, height=120, focal=131.0)
FEW = SceneConfig(objects=5, frames=4)
OBJECTS = TabletopConfig()


@pytest.fixture(scope="module")
def table():
    return scene(3, OBJECTS, FEW, SMALL)


@pytest.fixture(scope="module")
def frames(table):
    return list(table)


def in_the_map(frame, mask):
    """Return the points (N, 3) of a frame's pixels in the map, by its own intrinsics and pose."""
    v, u = np.nonzero(mask & np.isfinite(frame.depth))
    z, k = frame.depth[v, u].astype(float), frame.intrinsics
    optical = np.stack([(u - k[0, 2]) / k[0, 0] * z, (v - k[1, 2]) / k[1, 1] * z, z], axis=1)
    return optical @ frame.pose[:3, :3].T + frame.pose[:3, 3]


def test_frames_have_shapes_kinds_and_increasing_stamps(table, frames):
    assert len(table) == len(frames) == 4
    assert np.diff([f.stamp_ns for f in frames]).tolist() == [200_000_000] * 3 and frames[0].stamp_ns == 1_000_000_000
    for frame in frames:
        assert frame.rgb.shape == (120, 160, 3) and frame.rgb.dtype == np.uint8
        assert frame.depth.shape == (120, 160) and frame.depth.dtype == np.float32
        assert (np.isnan(frame.depth) | (frame.depth > 0.3)).all()
        np.testing.assert_allclose(frame.intrinsics, [[131, 0, 79.5], [0, 131, 59.5], [0, 0, 1]])


def test_poses_are_those_of_an_optical_frame(frames):
    for frame in frames:
        turn = frame.pose[:3, :3]
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(turn) == pytest.approx(1) and np.allclose(frame.pose[3], [0, 0, 0, 1])
        assert turn[2, 2] < -0.2 and turn[2, 1] < -0.7  # looks down; its y points down
        assert 1.0 < frame.pose[2, 3] < 1.6
    assert np.linalg.norm(frames[0].pose[:2, 3] - frames[-1].pose[:2, 3]) > 1


def test_depth_lies_on_the_things_it_belongs_to(table, frames):
    """Every pixel's point, by depth, intrinsics and pose, falls into the true box of the thing that owns the pixel."""
    seen = 0
    for frame in frames:
        for row, thing in enumerate(table.things):
            points = in_the_map(frame, frame.thing == row)
            inside = ((points > thing.low - 0.02) & (points < thing.high + 0.02)).all(axis=1)
            if len(points) > 10:
                seen += 1
                assert inside.mean() > 0.9, thing.instance
        on_top = in_the_map(frame, frame.thing == -1)
        assert (np.abs(on_top[:, 2] - TOP) < 0.02).mean() > 0.7
    assert seen > len(frames) * 3


def test_things_stand_on_the_table_apart_from_each_other(table):
    assert len(table.things) == 5 and len({t.instance for t in table.things}) == 5
    for thing in table.things:
        assert thing.low[2] == pytest.approx(TOP, abs=0.006)
        assert abs(thing.pose[0, 3] - 2.0) < LENGTH / 2 and abs(thing.pose[1, 3] - 1.0) < WIDTH / 2
        assert thing.instance.startswith(thing.label.replace(" ", "_")) and thing.body.name == thing.instance
    for i, one in enumerate(table.things):
        for other in table.things[:i]:
            apart = np.linalg.norm((one.pose - other.pose)[:2, 3])
            assert apart > 0.02


def test_some_classes_stand_there_twice(table):
    labels = [t.label for t in scene(0, OBJECTS, replace(FEW, objects=8), SMALL).things]
    assert len(set(labels)) < len(labels)


def test_equal_seeds_are_equal_in_any_order_and_others_are_not(table, frames):
    again = scene(3, OBJECTS, FEW, SMALL)
    np.testing.assert_array_equal(again.frame(2).rgb, frames[2].rgb)
    np.testing.assert_array_equal(again.frame(2).depth, frames[2].depth)
    assert [t.instance for t in scene(4, OBJECTS, FEW, SMALL).things] != [t.instance for t in table.things]


@pytest.mark.parametrize("seed", range(12))
def test_sixteen_things_find_room(seed):
    try:
        assert len(scene(seed, OBJECTS, replace(FEW, objects=16), SMALL).things) == 16
    except Any2AnyError as error:
        assert "do not fit" in error.what  # noqa: PT017 - a crowd of plates and lamps may not


def test_more_things_than_there_are_is_refused(table):
    with pytest.raises(Any2AnyError, match="Cannot put 5 objects"):
        scene(0, replace(OBJECTS, classes=2, instances=2), FEW, SMALL)
    with pytest.raises(IndexError):
        table.frame(4)
