"""Refinement by scans in a running node: it never delays the stream, says why it does nothing, and ends cleanly."""

import array
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from lifecycle_msgs.msg import State
from rclpy.qos import qos_profile_sensor_data
from retrieval_robot import Sure
from sensor_msgs.msg import PointCloud2, PointField
from streets import save_with_scans

from any2any_ros import msg, srv
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry import refiner, registration
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.geometry.registration import Registration
from any2any_ros.nodes import messages
from any2any_ros.nodes.retrieval_node import RetrievalNode
from any2any_ros.observation import Embedding
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.map_folder import SCANS

NS = 1_000_000_000
FAST = {"source_timeout": 30.0, "wait": 0.05, "watch": 0.05}
LISTENING = {"cloud_topic": "points", "cloud_period": 0.0, **FAST}


def street(place, n=4000):
    """Return points (N, 3): poles of all heights on flat ground, another street at each place."""
    draw = np.random.default_rng(place)
    ground = np.column_stack([draw.uniform(-35, 35, (n, 2)), np.full(n, -1.7)])
    foot, height = draw.uniform(-35, 35, (80, 2)), draw.uniform(2, 9, 80)
    poles = [
        np.column_stack([np.tile(f, (30, 1)), np.linspace(-1.7, h, 30)]) for f, h in zip(foot, height, strict=True)
    ]
    return np.concatenate([ground, *poles])


def cloud(points, stamp_ns):
    message = PointCloud2(height=1, width=len(points), point_step=12, row_step=12 * len(points), is_dense=True)
    message.header.stamp = messages.time_message(stamp_ns)
    message.fields = [PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate("xyz")]
    message.data = array.array("B", np.ascontiguousarray(points, dtype="<f4").tobytes())
    return message


class Robot:
    """Publishes embeddings and clouds, and hears both kinds of answers."""

    def __init__(self, bench, folder, reference, **parameters):
        self.bench, self.reference = bench, reference
        self.node = bench.node(RetrievalNode, map=str(folder), **(LISTENING | parameters))
        self.quick, self.refined = bench.listen(msg.Ranking, "matches"), bench.listen(msg.Ranking, "refined_matches")
        self._embeddings = bench.publisher(msg.Embedding, "embeddings")
        self._points = bench.publisher(PointCloud2, "points", qos_profile_sensor_data)

    def see(self, place, stamp_ns, points=None):
        """See a place with the LiDAR; points: its scan, published first."""
        if points is not None:
            self._points.publish(cloud(points, stamp_ns))
        vector, encoder = self.reference.places.embeddings["lidar"][place], self.reference.fingerprints["lidar"]
        self._embeddings.publish(messages.embedding_message(Embedding("lidar", vector, stamp_ns, encoder=encoder), 0.0))
        count = len(self.quick)
        self.bench.until(lambda: len(self.quick) > count)
        return self.quick[-1]

    def line(self):
        found = [line for line in self.node.status() if "scan refinement" in line.name]
        return found[0] if found else None


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """Whatever a test was at when its node was shut down."""
    yield
    assert not any(thread.name == "inbox" for thread in threading.enumerate())


@pytest.fixture
def scanned_map(small_map):
    """The small map, with a scan of each of its places."""
    folder, reference = small_map
    scans = ((name, street(i)) for i, name in enumerate(reference.places.ids))
    return folder, save_with_scans(reference, folder, scans)


@pytest.fixture
def laying(monkeypatch):
    """Lay by comparing where the points are on average, in a second for five: scans are really laid further down."""

    def register_prepared(query, reference):
        time.sleep(0.2)
        apart = np.linalg.norm(query.points.mean(axis=0) - reference.points.mean(axis=0))
        moved = np.eye(4)
        moved[0, 3] = 1.5
        return Registration(moved, np.exp(-apart), 0.1, True)

    monkeypatch.setattr(refiner, "register_prepared", register_prepared)
    monkeypatch.setattr(registration, "open3d", lambda: None)


def test_nothing_is_refined_without_a_cloud_topic(bench, scanned_map):
    node = bench.node(RetrievalNode, map=str(scanned_map[0]), **FAST)
    assert not [line for line in node.status() if "scan refinement" in line.name]
    assert bench.peer.count_publishers("refined_matches") == 0
    assert not any(thread.name == "inbox" for thread in threading.enumerate())


def test_the_stream_does_not_wait_for_the_refinement(bench, scanned_map, laying):
    robot = Robot(bench, *scanned_map)
    waits = []
    for i in range(1, 16):
        began = time.monotonic()
        quick = robot.see(3, i * NS // 10, street(3))
        waits.append(time.monotonic() - began)
        assert quick.matches[0].id == "place/03" and quick.matches[0].pose.position.x == 30.0
        bench.spin(0.1)
    bench.until(lambda: robot.refined)
    assert np.median(waits) < 0.5  # a refinement takes a second
    refined = robot.refined[0]
    assert refined.matches[0].id == "place/03" and refined.matches[0].pose.position.x == 31.5
    assert refined.matches[0].refined and refined.matches[0].overlap == pytest.approx(1, abs=0.1)
    assert not robot.quick[0].matches[0].refined and np.isnan(robot.quick[0].matches[0].overlap)
    assert refined.header.stamp == robot.quick[0].header.stamp and list(refined.modalities) == ["lidar"]
    assert refined.latency > 0.9
    # The newest moment is the next to be refined, not the one after the first.
    bench.until(lambda: len(robot.refined) > 1)
    assert messages.time_ns(robot.refined[1].header.stamp) > 5 * NS // 10


def test_the_old_topic_names_carry_the_same_messages(bench, scanned_map, laying):
    """`checked_matches` and `checked_place` are aliases of `refined_matches` and `refined_place` for one release."""
    robot = Robot(bench, *scanned_map)
    old_matches = bench.listen(msg.Ranking, "checked_matches")
    places, old_places = (bench.listen(PoseWithCovarianceStamped, f"{name}_place") for name in ("refined", "checked"))
    retriever = robot.node.localizer.retriever
    retriever.refiner = replace(retriever.refiner, confidence=Sure(places=1))
    robot.see(3, NS, street(3))
    bench.until(lambda: robot.refined and old_matches and places and old_places)
    for new, old in ((robot.refined[0], old_matches[0]), (places[0], old_places[0])):
        assert str(old) == str(new)  # NaN included; bytes would differ in what lies between the fields
    assert robot.refined[0].accepted and places[0].pose.pose.position.x == 31.5


def test_a_cloud_may_come_after_its_moment_was_answered(bench, scanned_map, laying):
    robot = Robot(bench, *scanned_map)
    assert (robot.line().level, robot.line().message) == (DiagnosticStatus.WARN, "no point cloud has arrived")
    robot.see(2, NS)
    bench.spin(0.2)
    assert not robot.node._refinement._busy
    robot._points.publish(cloud(street(4), NS + NS // 5))  # another moment's
    bench.spin(0.2)
    assert not robot.node._refinement._busy
    robot._points.publish(cloud(street(2), NS))
    bench.until(lambda: robot.refined)
    assert robot.refined[0].matches[0].id == "place/02"


def test_rankings_are_refined_as_often_as_cloud_period_says(bench, scanned_map, laying):
    robot = Robot(bench, *scanned_map, cloud_period=3600.0)
    for i in range(1, 4):
        robot.see(3, i * NS, street(3))
        bench.until(lambda: robot.refined)
        bench.spin(0.1)
    assert len(robot.refined) == 1 and robot.node._refinement.count == 1
    line = robot.line()
    assert line.level == DiagnosticStatus.OK and line.message == "refining"
    assert float(next(v.value for v in line.values if v.key == "seconds")) > 0.9


def test_the_thread_ends_with_the_node(bench, scanned_map, laying):
    before = threading.active_count()
    robot = Robot(bench, *scanned_map)
    robot.see(3, NS, street(3))
    bench.until(lambda: robot.node._refinement._busy)
    began = time.monotonic()
    robot.node.trigger_deactivate()
    assert time.monotonic() - began < 3 and threading.active_count() == before
    bench.spin(0.3)
    assert not robot.refined
    robot.node.trigger_activate()
    robot.see(4, 2 * NS, street(4))
    bench.until(lambda: robot.refined)
    assert robot.refined[0].matches[0].id == "place/04"
    robot.see(5, 3 * NS, street(5))  # and the test ends during a refinement: see `no_thread_is_left`
    bench.until(lambda: robot.node._refinement._busy)


def test_a_map_loaded_meanwhile_is_not_answered_for(bench, scanned_map, laying, tmp_path):
    """What was laid belongs to the old map; nobody publishes it as the new one's."""
    folder, reference = scanned_map
    robot = Robot(bench, folder, reference)
    robot.see(3, NS, street(3))
    bench.until(lambda: robot.node._refinement._busy)
    others = reference.places.take(range(10, 20))
    reference_map.save(reference_map.ReferenceMap(others, reference.encoders, "other"), tmp_path / "other")
    assert bench.call(srv.LoadMap, "/retrieval/load_map", path=str(tmp_path / "other")).places == 10
    bench.until(lambda: not robot.node._refinement._busy)
    bench.spin(0.2)
    assert not robot.refined and "no scans" in robot.line().message


def test_without_open3d_it_says_so_once_and_ranks_on(bench, scanned_map, monkeypatch, capfd):
    def absent():
        raise Any2AnyError("Cannot register scans", "Open3D is absent (no module)", "pip install it")

    monkeypatch.setattr(registration, "open3d", absent)
    robot = Robot(bench, *scanned_map)
    for i in range(1, 6):
        assert robot.see(3, i * NS, street(3)).matches[0].id == "place/03"
    bench.spin(0.3)
    assert not robot.refined
    assert capfd.readouterr().err.count("Open3D is absent") == 1
    line = robot.line()
    assert line.level == DiagnosticStatus.WARN and "pip install it" in line.message


def test_a_map_without_scans_is_told(bench, small_map, capfd):
    robot = Robot(bench, *small_map)
    assert robot.see(3, NS, street(3)).matches[0].id == "place/03"
    assert "rankings are not refined by scans: the map has no scans" in capfd.readouterr().err
    assert robot.line().level == DiagnosticStatus.WARN


def test_a_mounting_that_is_none_is_told(bench, scanned_map, capfd):
    node = bench.node(RetrievalNode, map=str(scanned_map[0]), **(LISTENING | {"cloud_mounting": "ahead"}))
    assert "'ahead' is no mounting" in capfd.readouterr().err
    assert node._state_machine.current_state[0] == State.PRIMARY_STATE_INACTIVE


def test_a_bad_cloud_and_a_damaged_scan_are_reported_and_the_next_is_refined(bench, scanned_map, laying, capfd):
    folder, reference = scanned_map
    Clouds(reference.part(SCANS, folder))._file("place/02").write_bytes(b"hello")
    robot = Robot(bench, folder, reference)
    bad = cloud(street(3), NS)
    bad.fields = []
    robot._points.publish(bad)
    robot.see(3, NS)
    bench.until(lambda: "no field x, y, z" in robot.node._refinement._error)
    bench.until(lambda: not robot.node._refinement._busy)
    robot.see(2, 2 * NS, street(2))
    bench.until(lambda: robot.refined or "place/02" in robot.node._refinement._error)
    robot.see(3, 3 * NS, street(3))
    bench.until(lambda: robot.refined and robot.refined[-1].header.stamp.sec == 3)
    assert robot.refined[-1].matches[0].id == "place/03"
    assert "no field x, y, z" in capfd.readouterr().err


def test_scans_are_really_laid(bench, scanned_map):
    """With Open3D: the pose is the robot's own, through its LiDAR's mounting, and the stream is not held up."""
    pytest.importorskip("open3d", reason="Open3D is absent: pip install 'any2any_ros[open3d]'", exc_type=ImportError)
    robot = Robot(bench, *scanned_map, cloud_mounting=f"0.5 0 0 0 0 {np.pi / 2}")
    places = bench.listen(PoseWithCovarianceStamped, "refined_place")
    retriever = robot.node.localizer.retriever
    retriever.refiner = replace(retriever.refiner, confidence=Sure(places=1))
    left = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    there = np.array([2.0, -1.0, 0.0])  # where the robot stands in the place's frame, and it faces left, too
    of_robot = (street(3) - there) @ left
    of_lidar = (of_robot - [0.5, 0.0, 0.0]) @ left
    waits = []
    for i in range(1, 40):
        began = time.monotonic()
        robot.see(3, i * NS // 10, of_lidar)
        waits.append(time.monotonic() - began)
        bench.spin(max(0.0, 0.1 - waits[-1]))
        if robot.refined and places:
            break
    bench.until(lambda: robot.refined and places)
    best, pose = robot.refined[0].matches[0], places[0].pose
    assert best.id == "place/03" and robot.refined[0].accepted
    np.testing.assert_allclose([best.pose.position.x, best.pose.position.y], [32, -1], atol=0.1)
    turn = messages.pose_array(pose.pose)[:3, :3]
    np.testing.assert_allclose(turn, left, atol=0.02)
    covariance = np.array(pose.covariance).reshape(6, 6)
    assert covariance[0, 0] == pytest.approx(0.25**2) and places[0].header.frame_id == "map"
    assert np.median(waits) < 0.1 and max(waits) < 0.5
