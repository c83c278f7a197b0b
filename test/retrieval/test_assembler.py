"""Who is alive and when a moment is complete: told message by message, and held on random streams."""

from itertools import permutations

import pytest
from assembled import MS, Robot


def test_one_sensor_gets_one_moment_a_message():
    assert Robot().run(("a", 0), ("a", 100), ("a", 130)) == [(0, {"a": 0}), (100, {"a": 100}), (130, {"a": 130})]


def test_a_sensor_faster_than_the_slop_gets_one_moment_a_message():
    robot = Robot()
    moments = robot.run(*[("imu", 5 * i) for i in range(50)])
    assert [stamp for stamp, _ in moments] == [5 * i for i in range(50)] and not robot.assembler.waiting


def test_the_first_moment_waits_for_everyone_expected():
    robot = Robot(expected=("a", "b", "c"))
    assert robot.hear("a", 0) == [] and robot.assembler.waiting
    assert robot.hear("b", 10) == []
    assert robot.hear("c", 20) == [(0, {"a": 0, "b": 10, "c": 20})]


def test_who_was_expected_and_never_came_is_awaited_once():
    robot = Robot(expected=("a", "b"))
    assert robot.hear("a", 0) == []
    assert robot.flush(50) == (0, {"a": 0})
    assert robot.flush(60) is None
    assert robot.hear("a", 100) == [(100, {"a": 100})]


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_the_order_within_a_moment_does_not_matter(order):
    robot = Robot(expected=tuple("abc"))
    for start in (0, 100, 200):
        moments = robot.run(*[(m, start + i) for i, m in enumerate(order)])
        assert moments == [(start, {m: start + i for i, m in enumerate(order)})]


@pytest.mark.parametrize(("apart", "together"), [(50, True), (51, False)])
def test_the_slop_tells_one_moment_from_two(apart, together):
    robot = Robot(expected=("a", "b"))
    first = [(0, {"a": 0, "b": apart})] if together else [(0, {"a": 0})]
    assert robot.run(("a", 0), ("b", apart)) == first


def test_a_moment_bears_its_earliest_stamp():
    """A text without a stamp of its own bears the time of its arrival, and may come first."""
    robot = Robot(expected=("camera", "text"))
    assert robot.run(("text", 130), ("camera", 100, 131)) == [(100, {"camera": 100, "text": 130})]
    robot.hear("text", 200)
    assert robot.hear("camera", 160, received=201) == [(160, {"camera": 160, "text": 200})]


def test_a_moment_is_never_moved_before_the_one_already_told():
    robot = Robot()
    robot.run(("a", 0), ("b", 0), ("a", 40), ("b", 40))
    assert robot.hear("a", 80) == []
    assert robot.hear("late", 30, received=81) == []
    assert robot.hear("b", 80) == [(80, {"a": 80, "b": 80, "late": 30})]


def test_a_new_moment_closes_the_one_that_waits():
    robot = Robot(expected=("a", "b"))
    assert robot.run(("a", 0), ("a", 100)) == [(0, {"a": 0}), (100, {"a": 100})]  # b is awaited only once


def test_a_slower_sensor_gives_its_newest_and_is_awaited_only_when_it_is_due():
    robot = Robot(expected=("fast", "slow"))
    robot.run(("fast", 0), ("slow", 0))
    for t in range(100, 1000, 100):
        robot.hear("fast", t)
    robot.run(("fast", 1000), ("slow", 1000))  # now its period is known
    for t in range(1100, 2000, 100):
        assert robot.hear("fast", t) == [(t, {"fast": t, "slow": 1000})]
    assert robot.hear("fast", 2000) == []
    assert robot.hear("slow", 2000) == [(2000, {"fast": 2000, "slow": 2000})]


@pytest.mark.parametrize("dropped", [1, 2, 15])
def test_a_sensor_whose_messages_were_dropped_is_awaited_as_before(dropped):
    """Or the moments after a dropout would be closed with its embedding of the moment before."""
    robot = Robot(expected=("a", "b"))
    for t in range(0, 1000, 100):
        assert robot.run(("a", t), ("b", t)) == [(t, {"a": t, "b": t})]
    for t in range(1000, 1000 + 100 * dropped, 100):
        robot.hear("a", t)
        robot.flush(t + 50)
    back = 1000 + 100 * dropped
    robot.run(("a", back), ("b", back))
    for t in range(back + 100, back + 1000, 100):
        assert robot.run(("a", t), ("b", t)) == [(t, {"a": t, "b": t})]


def test_who_let_a_moment_pass_is_not_awaited_again_until_it_speaks():
    robot = Robot(expected=("a", "b"))
    robot.run(("a", 0), ("b", 0), ("a", 100), ("b", 100))
    assert robot.hear("a", 200) == []  # b is due
    assert robot.flush(250) == (200, {"a": 200, "b": 100})
    assert robot.hear("a", 300) == [(300, {"a": 300, "b": 100})]
    robot.hear("b", 300)
    assert robot.hear("a", 400) == []  # it spoke, so it is awaited


def test_a_silent_sensor_is_left_out_after_its_timeout():
    robot = Robot(source_timeouts={"b": 0.5}, expected=("a", "b", "c"))
    robot.run(("a", 0), ("b", 0), ("c", 0))
    used = {t: robot.run(("a", t)) or [robot.flush(t + 50)] for t in range(100, 2300, 100)}
    for t, ((_, who),) in used.items():
        # Judged when the moment closes: at once, or 50 ms later.
        assert ("c" in who) == (t <= 2000) and ("b" in who) == (t <= 500 - 50 * (t == 100))
    assert robot.alive(2000) == ("a", "c") and robot.alive(2101) == ("a",)


def test_it_is_alive_again_with_its_next_message():
    robot = Robot()
    robot.run(("a", 0), ("b", 0))
    for t in range(100, 5000, 100):
        robot.hear("a", t)
    robot.flush(5000)
    assert robot.alive(5000) == ("a",)
    robot.hear("b", 5000)
    assert robot.flush(5050) == (5000, {"a": 4900, "b": 5000})
    assert robot.alive(5050) == ("a", "b")


def test_a_sensor_that_comes_back_slower_is_learnt_afresh():
    robot = Robot(expected=("a", "b"))
    for t in range(0, 500, 100):
        robot.run(("a", t), ("b", t))
    for t in range(500, 5000, 100):
        robot.hear("a", t)
    robot.run(("a", 5000), ("b", 5000))
    for t in range(5100, 6000, 100):
        robot.hear("a", t)
    robot.run(("a", 6000), ("b", 6000))
    assert robot.hear("a", 6100) == [(6100, {"a": 6100, "b": 6000})]  # once a second now: not due


def test_a_driver_that_repeats_its_last_message_is_dead():
    robot = Robot()
    robot.hear("a", 1000)
    for t in range(1100, 5000, 100):
        assert robot.hear("a", 1000, received=t) == []
    assert robot.alive(3001) == ()


def test_age_is_counted_from_reception_not_from_the_stamp():
    robot = Robot()
    robot.hear("a", 0, received=1900)  # a slow encoder
    assert robot.alive(3900) == ("a",) and robot.alive(3901) == ()


def test_a_message_older_than_its_predecessor_never_replaces_it():
    robot = Robot()
    robot.hear("a", 1000)
    assert robot.run(("a", 900, 1010), ("a", 1000, 1020)) == [(900, {"a": 900})]
    assert robot.assembler.now(1020 * MS).embeddings["a"][0] == 1000


def test_a_jump_back_beyond_the_timeout_is_a_new_start():
    robot = Robot(expected=("a", "b"))
    robot.run(("a", 9000), ("b", 9000), ("a", 9100))
    assert robot.hear("a", 10) == []  # everyone expected is awaited anew
    assert robot.alive(10) == ("a",)
    assert robot.hear("b", 20) == [(10, {"a": 10, "b": 20})]


def test_after_a_reset_nothing_is_known():
    robot = Robot(expected=("a", "b"))
    robot.run(("a", 0), ("b", 0), ("a", 100))
    robot.assembler.reset()
    assert robot.alive(100) == () and not robot.assembler.waiting and robot.flush(100) is None
    assert robot.hear("a", 50) == []
    assert robot.hear("b", 50) == [(50, {"a": 50, "b": 50})]


def test_who_comes_too_late_serves_the_next_moment_and_is_none_of_its_own():
    robot = Robot(expected=("a", "b"))
    robot.run(("a", 0), ("b", 0))
    robot.hear("a", 100)
    assert robot.flush(150) == (100, {"a": 100, "b": 0})
    assert robot.hear("b", 100, received=180) == []
    assert robot.hear("a", 200) == []
    assert robot.flush(250) == (200, {"a": 200, "b": 100})


def test_a_slow_encoder_never_takes_moments_back_in_time():
    """b is three periods late: its messages serve, and none is a moment that lies before one already told."""
    robot = Robot(expected=("a", "b"))
    moments = []
    for t in range(0, 2000, 100):
        if t % 1000 == 0:
            moments += robot.hear("a", t)
        if t >= 300:
            moments += robot.hear("b", t - 300, received=t)
    stamps = [stamp for stamp, _ in moments]
    assert stamps == sorted(set(stamps)) and {0, 1000} <= set(stamps)


def test_a_driver_whose_clock_is_ahead_silences_nobody():
    robot = Robot()
    robot.run(("ahead", 5000, 0), ("a", 0))
    robot.flush(50)
    answered = [robot.run(("a", t)) or [robot.flush(t + 50)] for t in range(100, 1000, 100)]
    assert all(moment and moment[0][1]["a"] == t for t, moment in zip(range(100, 1000, 100), answered, strict=True))


def test_now_is_the_newest_of_everyone_alive():
    robot = Robot()
    assert robot.assembler.now(7 * MS).embeddings == {} and robot.assembler.now(7 * MS).stamp_ns == 7 * MS
    robot.run(("a", 0), ("b", 2500))
    now = robot.assembler.now(2600 * MS)
    assert now.modalities == ("b",) and now.stamp_ns == 2500 * MS
