"""Known motions are found again; where the surfaces say nothing, the guess stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import cast, room

from any2any_ros.submaps.matching import Target, Trust, matched
from any2any_ros.submaps.planar import HERE, Planar
from any2any_ros.submaps.surfaces import surfaces

ROOM = room(1)
LOOSE = Trust(0.5, 0.3)


def seen(at=0j, yaw=0.0, walls=ROOM, beams=360, fov=2 * np.pi):
    return surfaces(cast(walls, beams, fov, at, yaw), 0.05, 25.0)


TARGET = Target(seen())


def difference(one, other):
    motion = one.inverse().then(other)
    return abs(motion.shift), abs(motion.turn)


@settings(deadline=None)
@given(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-0.15, 0.15))
def test_a_known_motion_is_found(x, y, turn):
    true = Planar(complex(x, y), turn)
    match = matched(seen(true.shift, true.turn), TARGET, HERE, LOOSE)
    shift, turned = difference(match.pose, true)
    assert shift < 0.02 and turned < 0.01 and match.overlap > 0.9


@settings(deadline=None)
@given(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-0.15, 0.15))
def test_a_wrong_guess_is_corrected_with_half_a_circle_in_sight(x, y, turn):
    true, off = Planar(0.3 + 0.1j, 0.2), Planar(complex(x, y), turn)
    match = matched(seen(true.shift, true.turn, beams=180, fov=np.pi), TARGET, true.then(off), LOOSE)
    shift, turned = difference(match.pose, true)
    assert shift < 0.03 and turned < 0.015


def test_along_a_corridor_the_guess_stays_and_across_it_is_corrected():
    corridor = np.array([[-99 + 1j, 99 + 1j], [-99 - 1j, 99 - 1j]])
    target = Target(seen(walls=corridor))
    match = matched(seen(walls=corridor), target, Planar(0.5 + 0.3j, 0.1), Trust(0.1, 0.1))
    assert match.pose.shift == pytest.approx(0.5, abs=0.02) and match.pose.turn == pytest.approx(0, abs=0.01)


def test_a_guess_that_is_trusted_stays():
    tight = matched(seen(0.2), TARGET, HERE, Trust(1e-4, 1e-4))
    assert difference(tight.pose, HERE)[0] < 0.01


def test_somebody_beside_the_robot_does_not_move_it():
    person = 0.6 + np.array([0.2 + 0.2j, -0.2 + 0.2j, -0.2 - 0.2j, 0.2 - 0.2j])
    walls = np.concatenate([ROOM, np.stack([person, np.roll(person, -1)], axis=1)])
    match = matched(seen(0.1 + 0.05j, walls=walls), TARGET, HERE, LOOSE)
    assert difference(match.pose, Planar(0.1 + 0.05j, 0.0))[0] < 0.03


@pytest.mark.parametrize("points", [0, 3])
def test_too_few_points_leave_the_guess(points):
    few = surfaces(cast(ROOM, max(points, 1)), 0.05, 25.0 if points else 0.06)
    assert len(few) == points
    guess = Planar(0.1j, 0.1)
    assert matched(few, TARGET, guess, LOOSE) == (guess, 0.0)


def test_an_empty_target_leaves_the_guess():
    empty = Target(surfaces(cast(ROOM), 0.05, 0.06))
    assert matched(seen(), empty, HERE, LOOSE) == (HERE, 0.0)
    assert empty.overlap(seen().points) == 0.0


@settings(deadline=None, max_examples=30)
@given(st.floats(-1.2, 1.2), st.floats(-1.2, 1.2), st.floats(-0.7, 0.7), st.integers(2, 6))
def test_a_search_finds_a_large_motion(x, y, turn, seed):
    walls, true = room(seed, boxes=0), Planar(complex(x, y), turn)
    target, scan = Target(seen(walls=walls)), seen(true.shift, true.turn, walls)
    match = matched(scan, target, HERE, Trust(0.7, 0.5))
    assert match.overlap > 0.7 and difference(match.pose, true)[0] < 0.1
