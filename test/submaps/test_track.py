"""What continues a drive, and what does not."""

import numpy as np
import pytest

from any2any_ros.samples import NS
from any2any_ros.submaps.track import BACK, JUMP, PAUSE, Track

LOST = 4


def at(x):
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


def test_the_motion_is_that_of_odometry():
    track = Track(LOST)
    track.advance(0, at(3.0))
    move = track.advance(NS, at(4.5))
    assert move.goes_on and move.after == NS and move.motion[0, 3] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("before", "stamp", "now", "goes_on"),
    [
        (at(0), NS, at(JUMP - 0.1), True), (at(0), NS, at(JUMP + 0.1), False), (at(0), 1000 * NS, at(0), True),
        (at(0), -BACK, at(0), True), (at(0), -BACK - 1, at(0), False), (None, PAUSE, None, True),
        (None, PAUSE + 1, None, False), (None, NS, at(900), True), (at(0), NS, None, True),
    ],
)  # fmt: skip
def test_what_is_the_same_drive(before, stamp, now, goes_on):
    track = Track(LOST)
    track.advance(0, before)
    move = track.advance(stamp, now)
    assert move.goes_on == goes_on and (move.motion is not None) == (goes_on and None not in (_(before), _(now)))


def _(pose):
    return None if pose is None else 1


def test_many_misfits_end_a_drive():
    track = Track(LOST)
    for i in range(LOST):
        assert track.advance(i, at(0)).goes_on
        track.judge(False)
    assert not track.advance(LOST, at(0)).goes_on and track.lost == 0


def test_one_fit_forgives_the_misfits_before():
    track = Track(LOST)
    for i in range(20):
        assert track.advance(i, at(0)).goes_on
        track.judge(i % LOST == 0)
