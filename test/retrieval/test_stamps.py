"""Whose clock is wrong, what came twice and what is late: one sensor's stamps never spoil the others' answers."""

from itertools import permutations

import numpy as np
import pytest
from assembled import MS, Robot

from any2any_ros.observation import Embedding

SENSORS = {"camera": 15, "lidar": 20, "audio": 60, "scan": 5}  # latency, ms
BEGINS = 1_700_000_000_000  # ms since 1970
ENDS = 2**31 * 1000  # the end of ROS time, ms


def drive(clocks=None, moments=48, now=lambda t: t, robot=None):
    """Return the robot and (stamp, used) of all moments, at 10 Hz. clocks: measured -> stamp, by modality, ms."""
    robot = robot or Robot(expected=tuple(SENSORS))
    answered = []
    for t in range(BEGINS, BEGINS + 100 * moments, 100):
        for modality, latency in sorted(SENSORS.items(), key=lambda item: item[1]):
            stamp = (clocks or {}).get(modality, lambda sensed: sensed)(t)
            answered += robot.hear(modality, stamp, now(t + latency), sample=t % 10**6)
        answered += [moment for moment in [robot.flush(now(t + 70))] if moment]
    return robot, answered


def noise(spread, seed=0):
    draw = np.random.default_rng(seed)
    return lambda t: t + int(draw.integers(-spread, spread))


WRONG = {
    "past": lambda t: t - 37_000,
    "future": lambda t: t + 37_000,
    "end of time": lambda t: t + ENDS,
    "never set": lambda t: 0,
    "since boot": lambda t: t - BEGINS + 35_000,
    "set back": lambda t: t - 37_000 * (t > BEGINS + 2000),
    "set ahead": lambda t: t + 37_000 * (t > BEGINS + 2000),
    "noise": noise(100_000),
    "now and then": lambda t: t + 37_000 * (t // 100 % 3 == 0),
    "stands still": lambda t: min(t, BEGINS + 1000),
    "twice as fast": lambda t: 2 * t - BEGINS,
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("bad", ["camera", "scan"])
def test_one_sensor_with_wrong_stamps_stays_in_every_ranking_and_spoils_none(bad, name):
    robot, answered = drive({bad: WRONG[name]})
    good = set(SENSORS) - {bad}
    for t in range(BEGINS, BEGINS + 4800, 100):
        assert [used for _, used in answered if all(used.get(m) == t for m in good)], t - BEGINS
    assert sum(len(used) < len(SENSORS) for _, used in answered) <= 3  # until the sensors know each other
    assert len(answered) <= 48 + 12  # of its own, it has few moments
    troubled = {m for m, c in robot.assembler.stamps.clocks.items() if c.at_arrival.count or c.late.count}
    assert troubled == {bad}
    assert robot.assembler.stamps.clocks[bad].at_arrival.recent((BEGINS + 4800) * MS)


@pytest.mark.parametrize("bad", ["camera", "scan"])
@pytest.mark.parametrize("shift", [-1900, -300, 200, 300, 900, 1900])
def test_a_clock_that_is_somewhat_wrong_spoils_no_moment_either(bad, shift):
    robot, answered = drive({bad: lambda t: t + shift})
    good = set(SENSORS) - {bad}
    for t in range(BEGINS, BEGINS + 4800, 100):
        assert [used for _, used in answered if all(used.get(m) == t for m in good)], t - BEGINS
    assert all(stamp <= BEGINS + 4900 for stamp, _ in answered[1:])
    assert not any(robot.assembler.stamps.clocks[m].at_arrival.count for m in good)


def test_the_error_of_a_clock_is_known():
    robot, _ = drive({"lidar": lambda t: t + 37_200})
    assert robot.assembler.stamps.clocks["lidar"].error_ns / 1e9 == pytest.approx(37.2, abs=0.1)
    assert not robot.assembler.stamps.clocks["lidar"].alone


def test_a_clock_that_is_right_again_is_believed_at_once():
    robot, answered = drive({"lidar": lambda t: t + 37_000 * (t < BEGINS + 2000)})
    assert not robot.assembler.stamps.clocks["lidar"].wrong
    assert all(used == dict.fromkeys(SENSORS, stamp) for stamp, used in answered[-20:])
    assert not robot.assembler.stamps.clocks["lidar"].at_arrival.recent((BEGINS + 8000) * MS)


def test_a_clock_near_the_limit_is_judged_once():
    """Its errors scatter around 2 s; it counts as right again only within 1 s."""
    turns, robot = [], Robot()
    scatter = noise(300)
    for t in range(BEGINS, BEGINS + 20_000, 100):
        robot.hear("camera", t, t + 10)
        robot.hear("lidar", scatter(t) - min(2000, (t - BEGINS) // 4), t + 20)
        turns.append(robot.assembler.stamps.clocks["lidar"].wrong)
    assert np.count_nonzero(np.diff(turns)) == 1 and turns[-1]


@pytest.mark.parametrize("latency", [500, 1900])
def test_a_slow_encoder_is_no_wrong_clock(latency):
    robot = Robot()
    for t in range(BEGINS, BEGINS + 5000, 100):
        robot.hear("camera", t, t + 10)
        robot.hear("slow", t - latency, t + 20)
    assert not any(c.at_arrival.count or c.late.count for c in robot.assembler.stamps.clocks.values())


@pytest.mark.parametrize("now", [lambda t: t + 10**11, lambda t: 5 * t - 4 * BEGINS + 10**11, lambda t: t - 500])
def test_a_replay_without_its_clock_is_no_wrong_clock(now):
    """Also five times slower than it was recorded, and with a robot's clock that lags."""
    robot, answered = drive(now=now)
    assert answered == [(t, dict.fromkeys(SENSORS, t)) for t in range(BEGINS, BEGINS + 4800, 100)]
    assert not any(c.at_arrival.count for c in robot.assembler.stamps.clocks.values())


@pytest.mark.parametrize("speed", [1, 4])
def test_a_bag_that_loops_without_its_clock_begins_again(speed):
    robot, _ = drive()
    later = BEGINS + 10_000
    restarts = robot.assembler.restarts
    _, answered = drive(now=lambda t: later + (t - BEGINS) // speed, robot=robot)
    assert robot.assembler.restarts == restarts + 1
    assert answered == [(t, dict.fromkeys(SENSORS, t)) for t in range(BEGINS, BEGINS + 4800, 100)]
    assert not any(c.wrong for c in robot.assembler.stamps.clocks.values())


def test_a_clock_that_jumps_back_begins_again():
    robot, _ = drive()
    _, answered = drive(robot=robot)
    assert answered == [(t, dict.fromkeys(SENSORS, t)) for t in range(BEGINS, BEGINS + 4800, 100)]


def test_when_everything_is_slow_at_once_nothing_is_forgotten():
    """All processors are busy for two seconds: every embedding comes three seconds late."""
    robot = Robot(expected=tuple(SENSORS))
    for t in range(BEGINS, BEGINS + 6000, 100):
        for modality, latency in SENSORS.items():
            robot.hear(modality, t, t + latency + 3000 * (t >= BEGINS + 2000))
    assert robot.assembler.restarts == 1 and robot.alive(BEGINS + 9000) == tuple(sorted(SENSORS))
    assert not any(c.wrong or c.late.count for c in robot.assembler.stamps.clocks.values())


def test_a_sensor_alone_is_judged_by_the_robot_s_clock_once_they_have_agreed():
    robot = Robot()
    assert robot.hear("a", BEGINS, BEGINS) == [(BEGINS, {"a": BEGINS})]
    assert robot.hear("a", BEGINS + ENDS, BEGINS + 100) == [(BEGINS + 100, {"a": BEGINS + ENDS})]
    assert robot.assembler.stamps.clocks["a"].alone
    assert robot.hear("a", BEGINS + 200, BEGINS + 200) == [(BEGINS + 200, {"a": BEGINS + 200})]


def test_a_sensor_alone_is_answered_while_the_robot_s_clock_stands_still():
    robot = Robot()
    for t in range(BEGINS, BEGINS + 2000, 100):
        assert len(robot.hear("a", t, min(t, BEGINS + 500))) == 1
    stamps = [stamp for stamp, _ in robot.run(*[("a", t, t) for t in range(BEGINS + 2000, BEGINS + 3000, 100)])]
    assert stamps == list(range(BEGINS + 2000, BEGINS + 3000, 100))


def test_a_sensor_alone_that_never_agreed_with_the_robot_s_clock_keeps_its_stamps():
    """They may be those of a bag that is replayed without its clock."""
    robot = Robot()
    for t in range(0, 1000, 100):
        assert robot.hear("a", t, BEGINS + t) == [(t, {"a": t})]


# --- twice, late, and in another order -------------------------------------------------------------------------------


def shuffled(order, count=48):
    return [start + 100 * i for start in range(BEGINS, BEGINS + 100 * count, 300) for i in order]


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("which", [("camera",), ("camera", "lidar"), ("lidar",)])
def test_frames_in_another_order_are_each_answered(order, which):
    """Within three, as they come: each moment has a ranking, of what was measured then."""
    robot, answered = Robot(), []
    for i, t in enumerate(shuffled(order)):
        now = BEGINS + 100 * i + 250
        for modality in which:
            answered += robot.hear(modality, t, now)
        answered += [moment for moment in [robot.flush(now + 60)] if moment]
    assert sorted(stamp for stamp, _ in answered) == list(range(BEGINS, BEGINS + 4800, 100))
    assert all(used[which[0]] == stamp for stamp, used in answered)
    clocks = robot.assembler.stamps.clocks
    assert clocks[which[0]].late.count == 0
    assert (clocks[which[0]].reordered.count > 0) == (order != (0, 1, 2))


def test_a_sensor_in_another_order_does_not_hold_up_the_others():
    robot, answered = Robot(expected=("camera", "lidar")), []
    for i, t in enumerate(shuffled((2, 0, 1))):
        answered += robot.hear("lidar", BEGINS + 100 * i, BEGINS + 100 * i + 10)
        answered += robot.hear("camera", t, BEGINS + 100 * i + 20)
        answered += [moment for moment in [robot.flush(BEGINS + 100 * i + 70)] if moment]
    assert {used["lidar"] for _, used in answered} == set(range(BEGINS, BEGINS + 4800, 100))
    assert all("camera" in used for _, used in answered[1:])


def test_a_moment_of_the_past_has_what_was_measured_then():
    robot = Robot(expected=("a", "b"))
    robot.run(("a", 0), ("b", 0), ("a", 200), ("b", 200), ("b", 300, 310))
    robot.flush(350)
    assert robot.hear("b", 400) == []
    robot.flush(450)
    assert robot.hear("b", 350, 460) == []  # it is within the slop of 300
    assert robot.hear("b", 100, 470) == [(100, {"a": 0, "b": 100})]


def test_what_is_older_than_the_last_few_is_late():
    robot = Robot()
    robot.run(*[("a", t) for t in range(0, 1000, 100)])
    assert robot.hear("a", 150, 1000) == [] and robot.assembler.stamps.clocks["a"].late.count == 1


def test_a_message_that_comes_twice_is_counted_and_changes_nothing():
    robot = Robot()
    for t in range(0, 1000, 100):
        assert robot.hear("a", t, t) == [(t, {"a": t})]
        assert robot.run(("a", t, t + 10), ("a", max(0, t - 200), t + 20)) == []
    assert robot.assembler.stamps.clocks["a"].repeated.count == 20
    assert robot.assembler.stamps.clocks["a"].late.count == 0


def test_one_message_far_behind_is_late_and_two_in_a_row_are_a_clock_that_was_set_back():
    robot, _ = drive()
    now = BEGINS + 4800
    lidar = robot.assembler.stamps.clocks["lidar"]
    assert robot.hear("lidar", now - 5000, now) == [] and (lidar.late.count, lidar.wrong) == (1, False)
    robot.hear("lidar", now, now + 20)
    assert robot.hear("lidar", now - 4900, now + 30) == [] and (lidar.late.count, lidar.wrong) == (2, False)
    robot.hear("lidar", now - 4800, now + 100)
    assert (lidar.late.count, lidar.at_arrival.count, lidar.wrong) == (2, 1, True)


def test_the_same_stamp_with_another_vector_is_a_clock_that_stands_still():
    robot = Robot()
    stuck = [Embedding("a", [float(i)], BEGINS * MS) for i in range(5)]
    used = [robot.assembler.add(e, (BEGINS + 100 * i) * MS)[0].embeddings["a"][0] for i, e in enumerate(stuck)]
    assert used == [0, 1, 2, 3, 4] and robot.alive(BEGINS + 2300) == ("a",)
