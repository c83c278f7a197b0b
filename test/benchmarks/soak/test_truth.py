"""What should be answered at each moment, and which ranking answers it."""

import pytest

from benchmarks.soak import truth
from benchmarks.soak.kinds import ALLOWANCE, BACK, RESTING, SENSORS
from benchmarks.soak.ledger import LIMIT, SLOP_NS, Answer, Ledger, Moment
from benchmarks.soak.schedule import Fault

S = 10**9
ALL = frozenset(SENSORS)


def test_a_silent_sensor_is_not_alive_and_for_a_while_after_not_sane():
    faults = [Fault("sensor_silent", 10, 16, "camera")]
    others = ALL - {"camera"}
    assert [truth.alive(faults, t) for t in (9.9, 10, 15.9, 16)] == [ALL, others, others, ALL]
    assert [truth.sane(faults, t) for t in (9.9, 10, 16, 16 + ALLOWANCE)] == [ALL, others, others, ALL]


def test_a_sensor_that_sends_too_much_lives():
    faults = [Fault("ten_times", 10, 16, "camera"), Fault("duplicated", 10, 16, "lidar")]
    assert truth.alive(faults, 12) == truth.sane(faults, 12) == ALL
    assert truth.excuse(faults, 10.5) == ""


def test_no_sensor_is_alive_when_all_are_silent():
    assert not truth.alive([Fault("all_silent", 10, 16)], 12)


def test_what_excuses_a_missing_ranking_and_for_how_long():
    faults = [Fault("sensor_silent", 10, 16, "camera"), Fault("retrieval_killed", 30, 36), Fault("cpu_starved", 50, 56)]
    times = {9.9: "", 10.0: truth.CHANGED, 9.9 + ALLOWANCE: truth.CHANGED, 10.1 + ALLOWANCE: "", 17.0: ""}
    times |= {30.0: truth.KILLED, 29.9 + BACK: truth.KILLED, 30.1 + BACK: ""}
    times |= {50.0: truth.STARVED, 55.9 + RESTING: truth.STARVED, 56.1 + RESTING: ""}
    assert {t: truth.excuse(faults, t) for t in times} == times
    assert truth.excuse([], 5.0, jumps=[4.0]) == truth.CHANGED and truth.excuse([], 7.0, jumps=[4.0]) == ""
    assert truth.sane([], 5.0, jumps=[4.0]) == frozenset() and truth.sane([], 7.0, jumps=[4.0]) == ALL


def test_a_command_may_be_lost_around_the_death_of_the_grounding_node():
    faults = [Fault("grounding_killed", 30, 36), Fault("cpu_starved", 50, 56), Fault("retrieval_killed", 70, 76)]
    times = {27.0: "", 28.5: truth.KILLED, 34.9: truth.KILLED, 35.1: "", 52.0: truth.STARVED, 70.5: ""}
    assert {t: truth.excuse_at_the_table(faults, t) for t in times} == times


def test_calm_is_away_from_every_fault():
    faults = [Fault("sensor_silent", 10, 16, "camera")]
    assert [truth.calm(faults, t) for t in (9, 12, 16 + RESTING / 2, 16 + RESTING)] == [True, False, False, True]


def moment(at=100.0, stamp=50 * S, alive=ALL, **more):
    return Moment(at, stamp, frozenset(alive), frozenset(alive), **more)


def answered(one, at, **stamps):
    ledger = Ledger()
    ledger.send(one)
    ledger.answer(Answer(at, stamps))
    return one.delay


def test_a_ranking_answers_the_moment_whose_messages_it_used():
    assert answered(moment(), 100.03, camera=50 * S, lidar=49 * S) == pytest.approx(0.03)
    assert answered(moment(), 100.03, camera=49 * S, lidar=49 * S) is None
    assert answered(moment(), 100.03, camera=50 * S + SLOP_NS) is not None
    assert answered(moment(), 100.03, camera=50 * S + SLOP_NS + 1) is None
    assert answered(moment(), 100.03) is None


def test_a_ranking_of_a_sensor_that_is_out_of_order_answers_nothing():
    assert answered(moment(alive={"lidar"}), 100.03, camera=50 * S) is None
    assert answered(moment(alive={"lidar"}), 100.03, text=50 * S) is not None


def test_a_ranking_that_comes_too_late_answers_nothing():
    assert answered(moment(), 100 + LIMIT + 0.01, camera=50 * S) is None


def test_the_first_ranking_counts_and_tells_which_living_sensors_it_lacks():
    one, ledger = moment(places=frozenset({"a"})), Ledger()
    ledger.send(one)
    ledger.answer(Answer(100.1, {"camera": 50 * S, "audio": 49 * S}, "a", True))
    ledger.answer(Answer(100.2, {"camera": 50 * S, "audio": 49 * S, "lidar": 50 * S}, "b", False))
    assert (one.lacking, one.right, one.accepted) == (("lidar",), True, True)
    assert one.delay == pytest.approx(0.1) and ledger.answers == [100.1, 100.2]


def test_a_moment_without_a_living_sensor_is_not_skipped():
    ledger = Ledger([moment(1.0), moment(2.0, alive=()), moment(3.0)])
    assert [m.at for m in ledger.skipped(0, 2.5)] == [1.0] and len(ledger.skipped(0, 4)) == 2


def test_stamps_that_come_again_after_a_jump_back_belong_to_the_moments_just_sent():
    ledger, first, again = Ledger(), moment(100.0), moment(110.0)
    ledger.send(first)
    ledger.send(again)
    ledger.answer(Answer(110.02, {"camera": 50 * S}))
    assert first.skipped and again.delay == pytest.approx(0.02)


def test_what_is_on_its_way_when_something_changes_is_excused():
    old, answered, new = moment(99.0), moment(99.8), moment(99.9)
    ledger = Ledger()
    for one in (old, answered, new):
        ledger.send(one)
    answered.delay = 0.02
    ledger.excuse(99.7, truth.CHANGED)
    assert [one.excuse for one in (old, answered, new)] == ["", "", truth.CHANGED]
    assert new.sane == frozenset() and answered.sane == ALL
