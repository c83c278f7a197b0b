"""A submap grows while the robot drives, whatever its odometry says, and begins anew after a jump."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from rooms import cast, room

from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS, Scan
from any2any_ros.submaps.growing import APART, LOST, MOST, GrowingSubmap
from any2any_ros.submaps.planar import HERE, Planar
from any2any_ros.submaps.track import BACK, JUMP, PAUSE

ROOM = room(2, boxes=0)
STEP = Planar(0.1 + 0j, 0.1)  # 63 of them are a circle of 2 m
EMPTY = Scan(np.full(180, np.inf, np.float32), -np.pi / 2, np.pi / 180, 30.0)


def circle(steps):
    """Return the poses of a drive on a circle inside the room."""
    poses = [Planar(-1j, 0.0)]
    for _ in range(steps):
        poses.append(poses[-1].then(STEP))
    return poses


def scan_at(pose, beams=180, fov=np.pi):
    return cast(ROOM, beams, fov, pose.shift, pose.turn)


def driven(poses, odometry, length=10.0):
    """Return the last submap of a drive, scans 0.1 s apart."""
    growing = GrowingSubmap(length, 0.05, 25.0)
    for i, (pose, drove) in enumerate(zip(poses, odometry, strict=True)):
        submap = growing.add(scan_at(pose), i * NS // 10, drove)
    return submap


def matrices(poses):
    return [pose.matrix for pose in poses]


def off_the_walls(points, pose):
    """Return how far points (N,) of a submap around a pose lie from the room's walls."""
    at, start, along = pose(points), ROOM[:, 0], ROOM[:, 1] - ROOM[:, 0]
    share = np.clip(((at[:, None] - start) * along.conj()).real / np.abs(along) ** 2, 0, 1)
    return np.abs(at[:, None] - start - share * along).min(axis=1)


def drifting(poses, shift, turn):
    """Return odometry whose every step is wrong by a share of the step."""
    wrong = [HERE]
    for one, other in pairwise(poses):
        step = one.inverse().then(other)
        wrong.append(wrong[-1].then(Planar(step.shift * (1 + shift), step.turn * (1 + turn))))
    return matrices(wrong)


@pytest.mark.parametrize("how", ["right", "wrong", "none"])
def test_the_walls_of_a_room_stay_where_they_are(how):
    poses = circle(40)
    odometry = {"right": matrices(poses), "wrong": drifting(poses, 0.1, -0.2), "none": [None] * len(poses)}[how]
    submap = driven(poses, odometry)
    off = off_the_walls(submap.points, poses[-1])
    assert submap.scans > 10 and np.median(off) < 0.02 and np.quantile(off, 0.95) < 0.06


def test_odometry_alone_would_not_do():
    poses = circle(40)
    end = drifting(poses, 0.1, -0.2)[-1]
    assert np.abs(np.linalg.solve(poses[0].matrix, poses[-1].matrix) - end).max() > 0.3


def test_odometry_may_lie_in_any_frame_of_three_dimensions():
    poses = circle(10)
    frame = np.array([[0.0, 0, 1, 5], [1, 0, 0, 6], [0, 1, 0, 7], [0, 0, 0, 1]])
    plain, tilted = (driven(poses, odometry) for odometry in (matrices(poses), [frame @ m for m in matrices(poses)]))
    np.testing.assert_allclose(plain.points, tilted.points, atol=1e-9)


def test_only_the_last_metres_count():
    poses = circle(100)
    short, long = (driven(poses, matrices(poses), length) for length in (1.0, 5.0))
    assert 3 <= short.scans <= 1 / APART + 1 and 18 <= long.scans <= 5 / APART + 1


def test_a_robot_that_stands_or_turns_adds_no_scans_for_ever():
    still = driven([HERE] * 30, [HERE.matrix] * 30)
    turning = [Planar(0j, 0.3 * i) for i in range(MOST + 40)]
    assert still.scans == 1 and driven(turning, matrices(turning)).scans == MOST


JUMPS = {
    "time goes back": (lambda stamp: stamp - BACK - NS, HERE),
    "odometry jumps": (lambda stamp: stamp, Planar(JUMP + 1 + 0j, 0.0)),
}


@pytest.mark.parametrize("why", JUMPS)
def test_a_jump_begins_a_new_submap(why):
    moved, offset = JUMPS[why]
    poses, growing = circle(10), GrowingSubmap(10.0, 0.05, 25.0)
    for i, pose in enumerate(poses):
        before = growing.add(scan_at(pose), i * NS // 10, pose.matrix)
    after = growing.add(scan_at(poses[-1]), moved(NS), offset.then(poses[-1]).matrix)
    assert before.scans > 3 and after.scans == 1


@pytest.mark.parametrize(("seconds", "scans"), [(0.1, 4), (PAUSE / NS + 1, 1)])
def test_a_pause_without_odometry_begins_a_new_submap(seconds, scans):
    growing = GrowingSubmap(10.0, 0.05, 25.0)
    for i in range(4):
        growing.add(scan_at(Planar(0.25 * i + 0j, 0.0)), i * NS // 5, None)
    assert growing.add(scan_at(Planar(0.75 + 0j, 0.0)), int((0.6 + seconds) * NS), None).scans == scans


def test_a_blind_moment_is_bridged_by_odometry():
    poses, growing = circle(12), GrowingSubmap(10.0, 0.05, 25.0)
    for i, pose in enumerate(poses):
        blind = 5 <= i < 5 + LOST - 1
        submap = growing.add(EMPTY if blind else scan_at(pose), i * NS // 10, pose.matrix)
    assert submap.scans >= 4
    assert np.quantile(off_the_walls(submap.points, poses[-1]), 0.95) < 0.06


def test_a_laser_that_stays_blind_ends_the_submap():
    growing = GrowingSubmap(10.0, 0.05, 25.0)
    growing.add(scan_at(HERE), 0, HERE.matrix)
    for i in range(LOST + 1):
        submap = growing.add(EMPTY, (i + 1) * NS // 10, HERE.matrix)
    assert submap.scans == 0 and len(submap.points) == 0
    assert growing.add(scan_at(HERE), 2 * NS, HERE.matrix).scans == 1


def test_scans_of_another_place_do_not_spoil_a_submap():
    growing, other = GrowingSubmap(10.0, 0.05, 25.0), room(7, boxes=0) * 1.5 + 0.7
    growing.add(scan_at(HERE), 0, HERE.matrix)
    found = [growing.add(cast(other, 180, np.pi), i * NS // 10, HERE.matrix) for i in range(1, LOST + 2)]
    assert [len(submap.points) for submap in found[: LOST - 1]] == [180] * (LOST - 1)


def test_a_robot_that_is_carried_away_begins_a_new_submap_though_some_walls_fit():
    """Its odometry saw nothing, and a third of the points finds a wall of the room where it was."""
    growing, hall = GrowingSubmap(10.0, 0.05, 25.0), room(2, boxes=0) * 1.6
    for i in range(5):
        before = growing.add(scan_at(Planar(0.25 * i + 0j, 0.0)), i * NS, Planar(0.25 * i + 0j, 0.0).matrix)
    found = [
        growing.add(cast(hall, 360, at=0.25j * i), (5 + i) * NS, Planar(1.0 + 0.25j * i, 0.0).matrix)
        for i in range(LOST + 1)
    ]
    assert before.scans == 5 and [s.scans for s in found] == [5] * LOST + [1]


def test_a_scan_that_is_refused_changes_nothing():
    poses, growing, other = circle(6), *(GrowingSubmap(10.0, 0.05, 25.0) for _ in range(2))
    for i, pose in enumerate(poses):
        if i == 3:
            with pytest.raises(Any2AnyError, match="its first angle is nan"):
                growing.add(replace(scan_at(pose), angle_min=np.nan), i * NS // 10 - 1, HERE.matrix)
        one, same = (g.add(scan_at(pose), i * NS // 10, pose.matrix) for g in (growing, other))
    assert one.points.tobytes() == same.points.tobytes()


def test_the_same_drive_gives_the_same_submap():
    poses = circle(20)
    one, other = (driven(poses, drifting(poses, 0.05, 0.05)) for _ in range(2))
    assert one.points.tobytes() == other.points.tobytes()
