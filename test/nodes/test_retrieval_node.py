"""The retrieval node ranks as the library does, whatever sensors die, repeat themselves or send what is unusable."""

from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from retrieval_robot import FAST, NS, Robot, ids, started
from rosgraph_msgs.msg import Clock

from any2any_ros import msg
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.learning import head
from any2any_ros.nodes import messages
from any2any_ros.nodes.retrieval_node import RetrievalNode
from any2any_ros.observation import Observation
from any2any_ros.retrieval import adopted, calibration
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.retriever import bare_retriever


@pytest.fixture
def robot(bench, small_map):
    return started(bench, *small_map)


def test_it_ranks_as_the_library_does(robot):
    robot.see("camera", 3, NS)
    robot.see("lidar", 3, NS)
    heard = robot.answer()
    places = robot.reference.places
    library = bare_retriever(places, RawMean())
    expected = library.rank(places.observation(3), 5)
    assert ids(heard) == [m.id for m in expected.matches] and heard.matches[0].id == "place/03"
    assert list(heard.modalities) == ["camera", "lidar"] and not heard.missing
    assert [messages.time_ns(s) for s in heard.stamps] == [NS, NS]
    np.testing.assert_allclose([m.score for m in heard.matches], [m.score for m in expected.matches], rtol=1e-6)
    assert heard.header.frame_id == "map" and heard.matches[0].pose.position.x == 30.0
    again = messages.ranking(heard)
    assert again.matches[0].pair_probability.shape == (2, 2)


def test_an_adopted_sensor_alone_is_answered(bench, small_map):
    """It is not in the map's places: its head asks them by the camera's vectors."""
    folder, reference = small_map
    camera = reference.places.embeddings["camera"]
    learnt = head.fit(3 * camera[:, :6], camera, head.Space.of(camera), head.Recipe(True, 1e-3, 10.0))
    record = EncoderRecord("thermal", "thermal-test", 6)
    trust = calibration.Calibration(RawMean(), None, adopted.fingerprints(reference, "thermal", record), 5.0)
    adopted.save(adopted.Adopted("thermal", record, {"camera": learnt}, trust), folder)
    node = bench.node(RetrievalNode, map=str(folder), **FAST)
    robot = Robot(bench, reference)
    robot.see("thermal", 7, NS, 3 * camera[7, :6])
    heard = robot.answer()
    assert list(heard.modalities) == ["thermal"] and list(heard.missing) == ["camera", "lidar"]
    library = adopted.load(folder)["thermal"].retriever(reference)
    expected = library.rank(Observation({"thermal": 3 * camera[7, :6]}), 5)
    assert ids(heard) == [m.id for m in expected.matches] and heard.matches[0].id == "place/07"
    robot.see("camera", 3, 2 * NS)
    assert list(robot.answer().modalities) == ["camera"]
    robot.see("thermal", 7, 3 * NS, 3 * camera[7, :6], encoder="thermal-other")
    bench.until(lambda: node.health.refused == 1)
    assert any("thermal" in line.name for line in node.status())


def test_a_dead_sensor_is_left_out_and_back_at_once(bench, small_map):
    robot = started(bench, *small_map, wait=2.0, source_timeout=1.0)
    for stamp in (1, 2):
        robot.see("camera", 3, stamp * NS // 10)
        robot.see("lidar", 3, stamp * NS // 10)
        robot.answer()
    robot.bench.until(lambda: list(robot.rankings[-1].modalities) == ["camera", "lidar"])
    robot.bench.until(lambda: not robot.rankings[-1].modalities)  # both have fallen silent
    robot.see("lidar", 4, 9 * NS // 10)
    heard = robot.answer()
    assert list(heard.modalities) == ["lidar"] and list(heard.missing) == ["camera"]
    assert heard.matches[0].id == "place/04"
    robot.see("camera", 5, NS)
    robot.see("lidar", 5, NS)
    robot.bench.until(lambda: list(robot.rankings[-1].modalities) == ["camera", "lidar"])


def test_nobody_waits_for_the_dead(bench, small_map):
    """A sensor that falls silent holds up one moment by `wait` at most, and none after that."""
    folder, reference = small_map
    node = bench.node(RetrievalNode, map=str(folder), source_timeout=30.0, wait=3.0)
    robot = Robot(bench, reference)

    def answered_after(stamp_ns):
        began = node.get_clock().now().nanoseconds
        robot.see("lidar", 3, stamp_ns)
        modalities = list(robot.answer().modalities)
        return modalities, (node.get_clock().now().nanoseconds - began) / NS

    for i in range(1, 4):
        robot.see("camera", 3, i * NS // 10)
        answered_after(i * NS // 10)
    modalities, waited = answered_after(4 * NS // 10)
    assert modalities == ["camera", "lidar"] and waited >= 2.999
    assert answered_after(5 * NS // 10)[1] < 2


def test_all_dead_is_said_once(robot):
    robot.see("camera", 3, NS)
    robot.bench.until(lambda: robot.rankings)
    robot.bench.until(lambda: not robot.rankings[-1].modalities)
    heard = robot.rankings[-1]
    assert not heard.matches and heard.probability == 0 and not heard.accepted
    assert sorted(heard.missing) == ["camera", "lidar"]
    count = len(robot.rankings)
    robot.bench.spin(0.5)
    assert len(robot.rankings) == count
    assert robot.node.status()[0].level == DiagnosticStatus.ERROR


def test_source_timeouts_may_differ(bench, small_map):
    folder, reference = small_map
    bench.node(RetrievalNode, map=str(folder), source_timeouts__camera=10.0, **FAST)
    robot = Robot(bench, reference)
    robot.see("camera", 3, NS)
    robot.see("lidar", 3, NS)
    robot.answer()
    bench.spin(0.5)
    robot.see("lidar", 3, 2 * NS)
    assert list(robot.answer().modalities) == ["camera", "lidar"]


BAD = {
    "unknown modality": ({"modality": "thermal", "vector": np.ones(8)}, "the map's modalities are camera, lidar"),
    "wrong dimension": ({"modality": "camera", "vector": np.ones(5)}, "it has 5 dimensions"),
    "another encoder": ({"modality": "camera", "vector": np.ones(8), "encoder": "clip"}, "encoder 'clip' made it"),
    "no encoder": ({"modality": "camera", "vector": np.ones(8), "encoder": ""}, "it does not name its encoder"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_an_unusable_embedding_is_told_and_the_next_answered(robot, name, capfd):
    wrong, why = BAD[name]
    robot.see(place=0, stamp_ns=NS, **wrong)
    robot.bench.until(lambda: robot.node.health.refused)
    assert why in capfd.readouterr().err and not robot.rankings
    robot.see("camera", 7, 2 * NS)
    assert robot.answer().matches[0].id == "place/07"


@pytest.mark.parametrize("vector", [[], [np.nan] * 8, [np.inf] + [0.0] * 7])
def test_an_embedding_that_is_no_vector_is_told(robot, vector, capfd):
    robot.publisher.publish(msg.Embedding(modality="camera", vector=vector, encoder="camera-test"))
    robot.bench.until(lambda: robot.node.health.refused)
    assert "no usable vector" in capfd.readouterr().err
    robot.see("camera", 7, 2 * NS)
    assert robot.answer().matches[0].id == "place/07"


def test_a_looping_bag_starts_afresh(robot):
    """Stamps that jump back by more than the timeout are a new start, not messages out of order."""
    for stamp in (100, 101, 2, 3):
        robot.see("camera", stamp % 20, stamp * NS)
        robot.see("lidar", stamp % 20, stamp * NS)
        robot.bench.until(
            lambda s=stamp: robot.rankings and robot.rankings[-1].header.stamp.sec == s
            and len(robot.rankings[-1].modalities) == 2
        )  # fmt: skip
        assert robot.rankings[-1].matches[0].id == f"place/{stamp % 20:02d}"


def test_simulated_time_decides_who_is_alive(bench, small_map):
    folder, reference = small_map
    node = bench.node(RetrievalNode, map=str(folder), use_sim_time=True, **FAST)
    robot = Robot(bench, reference)
    clock = bench.publisher(Clock, "/clock")

    def tick(seconds):
        clock.publish(Clock(clock=messages.time_message(int(seconds * NS))))
        bench.until(lambda: abs(node.now_ns() - seconds * NS) < NS // 1000)

    tick(50)
    robot.see("camera", 3, 50 * NS)
    robot.see("lidar", 3, 50 * NS)
    assert len(robot.answer().modalities) == 2
    bench.spin(0.6)  # wall time passes, the robot's does not
    robot.see("lidar", 3, 50 * NS + NS // 10)
    assert len(robot.answer().modalities) == 2
    tick(51)
    robot.see("lidar", 3, 51 * NS)
    assert list(robot.answer().modalities) == ["lidar"]
    tick(10)  # the bag begins again
    bench.spin(0.2)
    robot.see("camera", 6, 10 * NS)
    robot.see("lidar", 6, 10 * NS)
    bench.until(lambda: robot.rankings[-1].header.stamp.sec == 10 and len(robot.rankings[-1].modalities) == 2)


def test_observation_of_nothing(robot):
    ranking = robot.node.localizer.retriever.rank(Observation({}), 5)
    assert not ranking.matches and ranking.missing == ("camera", "lidar")


def test_the_node_survives_being_taken_down_and_up(robot):
    node = robot.node
    node.trigger_deactivate()
    robot.see("camera", 3, NS)
    robot.bench.spin(0.2)
    assert not robot.rankings
    node.trigger_cleanup()
    assert node.localizer.reference is None
    node.trigger_configure()
    node.trigger_activate()
    robot.bench.until(lambda: robot.publisher.get_subscription_count())
    robot.see("camera", 3, 2 * NS)
    assert robot.answer().matches[0].id == "place/03"
    assert Path(node.config.map).is_dir()
