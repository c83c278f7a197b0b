"""Which moment a retrieval node answers next: each in turn after a short pause, only the newest after a long one."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from retrieval_robot import NS, Robot, ids

from any2any_ros import srv
from any2any_ros.nodes import messages
from any2any_ros.nodes.retrieval_node import RetrievalNode
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
