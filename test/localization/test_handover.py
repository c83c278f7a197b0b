"""When another localizer is told where the robot is."""

import numpy as np
import pytest

from any2any_ros.localization.guard import Localization, State
from any2any_ros.localization.handover import Handover, HandoverConfig

S = 10**9


def localized(again=False):
    return Localization(State.LOCALIZED, "", pose=np.eye(4), covariance=np.eye(3), relocalized=again)


LOST = Localization(State.LOST, "")


def wide(deviation):
    return np.diag([deviation**2, 0.01, 0, 0, 0, 0.1])


def test_it_is_told_once_for_each_relocalization():
    handover = Handover(HandoverConfig(rest=0.0))
    assert handover.tells(localized(again=True), 0) and not handover.tells(localized(), S)
    assert not handover.tells(LOST, 2 * S)
    assert handover.tells(localized(again=True), 3 * S) and not handover.tells(localized(), 4 * S)


def test_a_healthy_localizer_is_not_told():
    handover = Handover()
    handover.hear(wide(0.2), 0)
    assert handover.healthy(S) and not handover.tells(localized(again=True), S)
    handover.hear(wide(2.0), 2 * S)  # and as soon as it is no longer
    assert not handover.healthy(2 * S) and handover.tells(localized(), 2 * S)
    assert not handover.tells(localized(), 30 * S)


def test_between_healthy_and_ill_it_stays_what_it_was():
    handover = Handover()
    assert not handover.healthy(0)
    handover.hear(wide(0.8), 0)
    assert not handover.healthy(0)
    handover.hear(wide(0.4), 0)
    handover.hear(wide(0.8), 0)
    assert handover.healthy(0)


def test_a_localizer_that_has_fallen_silent_is_not_healthy():
    handover = Handover()
    handover.hear(wide(0.1), 0)
    assert handover.healthy(9 * S) and not handover.healthy(11 * S)


def test_it_is_told_no_more_often_than_it_can_bear():
    handover = Handover()
    told = [handover.tells(localized(again=True), t * S) for t in range(25)]
    assert [t for t, one in enumerate(told) if one] == [0, 10, 20]


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_covariance_that_is_none_is_not_healthy_or_is_taken_for_zero(value):
    handover = Handover()
    broken = wide(0.1)
    broken[0, 0] = value
    handover.hear(broken, 0)
    assert handover.healthy(0) == (value == -1.0)


def test_who_is_not_localized_tells_nothing():
    handover = Handover()
    assert not handover.tells(LOST, 0) and not handover.tells(Localization(State.AMBIGUOUS, ""), 0)
