"""Which moment a retrieval node answers next: each in turn after a short pause, only the newest after a long one."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from retrieval_robot import NS, Robot, ids

from any2any_ros import srv
from any2any_ros.nodes import messages
from any2any_ros.nodes.arrivals import richest
from any2any_ros.nodes.retrieval_node import RetrievalNode
from any2any_ros.observation import Embedding, Observation
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.reference_map import ReferenceMap

TENTH = NS // 10


@pytest.fixture
def robot(bench, small_map):
    """Give a robot whose node is spun only when a test says so. An answer may be half of source_timeout late: 0.5 s."""
    node = bench.node(RetrievalNode, map=str(small_map[0]), source_timeout=1.0, wait=0.1, watch=10.0)
    robot = Robot(bench, small_map[1])
    robot.node = node
    robot.start = time.time_ns() - NS  # so that no stamp is in the future
    see(robot, 0)
    bench.until(lambda: robot.rankings)
    return robot


def see(robot, place):
    """Show a place to both sensors, a tenth of a second after the place before it."""
    for modality in ("camera", "lidar"):
        robot.see(modality, place, robot.start + place * TENTH)


def answered(robot):
    return [round((messages.time_ns(r.header.stamp) - robot.start) / TENTH) for r in robot.rankings]


def counts(robot):
    (line,) = [s for s in robot.node.status() if s.name.endswith("answers")]
    return {v.key: int(v.value) for v in line.values if v.key in ("rankings", "skipped", "missed")}, line.message


def test_after_a_short_pause_every_moment_is_answered_in_turn(robot):
    for place in range(1, 9):
        see(robot, place)
    robot.bench.until(lambda: len(robot.rankings) == 9)
    assert answered(robot) == list(range(9))
    assert counts(robot)[0] == {"rankings": 9, "skipped": 0, "missed": 0}


def test_after_a_long_pause_only_the_newest_moment_is_answered(robot):
    for place in range(1, 8):
        see(robot, place)
    time.sleep(0.6)  # the node is busy with something else
    see(robot, 8)
    robot.bench.until(lambda: len(robot.rankings) == 2)
    assert answered(robot) == [0, 8] and ids(robot.rankings[-1])[0] == "place/08"
    found, text = counts(robot)
    assert found == {"rankings": 2, "skipped": 7, "missed": 0} and "moments are skipped" in text
    see(robot, 9)
    robot.bench.until(lambda: len(robot.rankings) == 3)
    assert answered(robot) == [0, 8, 9]


def test_a_sensor_ten_times_as_fast_does_not_keep_those_of_others_from_being_answered(robot):
    """80 clouds wait, and with every tenth comes a picture. After 0.1 s the node answers what both saw."""
    for cloud in range(10, 90):
        for modality in ("camera", "lidar")[cloud % 10 != 0 :]:
            robot.see(modality, 1 + cloud // 10, robot.start + cloud * TENTH // 10)
    time.sleep(0.12)
    see(robot, 9)
    robot.bench.until(lambda: robot.rankings and answered(robot)[-1] == 9)
    seen = {round((messages.time_ns(r.stamps[0]) - robot.start) / TENTH) for r in robot.rankings}
    assert seen == set(range(10))  # every picture
    assert len(robot.rankings) < 40 and counts(robot)[0]["skipped"] > 40


def moment(stamp, **measured):
    return Observation.of([Embedding(m, np.ones(2), t) for m, t in measured.items()], stamp), stamp


def test_of_near_moments_the_one_of_most_sensors_stays_and_then_the_first():
    alone, both, again = moment(0, camera=0), moment(4, camera=4, lidar=5), moment(8, camera=8, lidar=-90)
    later = moment(30, camera=30)
    assert richest([alone, both, again, later], 10) == [both, later]
    assert richest([alone, again], 10) == [alone] and richest([alone, later], 10) == [alone, later]
    assert richest([], 10) == []


@given(
    st.lists(st.tuples(st.integers(0, 100), st.lists(st.integers(0, 100), max_size=3)), max_size=20), st.integers(0, 30)
)
def test_every_moment_that_goes_has_one_of_as_many_sensors_near_it_or_near_one_that_went(found, slop):
    moments = [moment(at, **{f"m{i}": t for i, t in enumerate(stamps)}) for at, stamps in sorted(found)]
    kept = richest(moments, slop)
    assert [m for m in moments if any(m is k for k in kept)] == kept  # in their order
    assert all(b[1] - a[1] > slop for a, b in pairwise(kept)) and bool(kept) == bool(moments)
    most = [sum(abs(t - m[1]) <= slop for t in m[0].stamps_ns.values()) for m in moments]
    if moments and max(most) > 0:
        richest_kept = max(sum(abs(t - k[1]) <= slop for t in k[0].stamps_ns.values()) for k in kept)
        assert richest_kept == max(most)  # the best of all is never lost


def test_what_did_not_fit_into_the_queue_of_the_middleware_is_counted(robot):
    for _ in range(150):
        see(robot, 1)
    robot.bench.until(lambda: counts(robot)[0]["missed"] >= 100)  # of 300; there is room for 200


def test_an_embedding_that_has_arrived_is_not_waited_for_in_vain(robot):
    """The node was busy when it came, and the wait for it is over: both are due at once."""
    robot.see("camera", 1, robot.start + TENTH)
    robot.bench.until(lambda: robot.node.localizer.assembler.waiting)
    robot.see("lidar", 1, robot.start + TENTH)
    time.sleep(0.2)
    robot.bench.until(lambda: len(robot.rankings) == 2)
    assert list(robot.rankings[-1].modalities) == ["camera", "lidar"]


def test_services_and_timers_have_their_turn_between_two_answers(robot, monkeypatch):
    rank = robot.node.localizer.answer

    def slow(moment):
        time.sleep(0.05)
        return rank(moment)

    monkeypatch.setattr(robot.node.localizer, "answer", slow)
    for place in range(1, 9):
        see(robot, place)
    reply = robot.bench.call(srv.Rank, "/retrieval/rank", k=3)
    assert reply.error_code == reply.OK and len(robot.rankings) < 9
    robot.bench.until(lambda: len(robot.rankings) == 9)


def test_an_answer_that_fails_takes_no_other_with_it(robot, monkeypatch):
    rank = robot.node.localizer.answer

    def fragile(moment):
        if moment.stamp_ns == robot.start + TENTH:
            raise ZeroDivisionError
        return rank(moment)

    monkeypatch.setattr(robot.node.localizer, "answer", fragile)
    for place in range(1, 4):
        see(robot, place)

    def goes_on():
        try:
            robot.bench.until(lambda: len(robot.rankings) == 3)
        except ZeroDivisionError:  # as runtime.spin does
            return goes_on()

    goes_on()
    assert answered(robot) == [0, 2, 3]


def test_moments_that_wait_are_ranked_in_another_map_as_far_as_it_knows_their_sensors(robot, small_map, tmp_path):
    _, reference = small_map
    other = {"camera": reference.encoders["camera"], "lidar": replace(reference.encoders["lidar"], fingerprint="new")}
    reference_map.save(ReferenceMap(reference.places, other, "other"), tmp_path / "other")
    see(robot, 1)
    see(robot, 2)
    waiting = robot.node._arrivals._moments
    robot.bench.until(lambda: len(waiting) == 1)  # the first has been answered, the second is next
    robot.node.map_services.loading.load_now(tmp_path / "other")
    robot.bench.until(lambda: len(robot.rankings) == 3)
    assert answered(robot) == [0, 1, 2]
    assert [list(r.modalities) for r in robot.rankings] == [["camera", "lidar"], ["camera", "lidar"], ["camera"]]
