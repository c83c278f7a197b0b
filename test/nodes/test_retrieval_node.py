"""The retrieval node over real topics and services: answers, dropouts, recovery, bad input, clocks."""

from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Point, Pose, PoseWithCovarianceStamped, Quaternion
from rcl_interfaces.msg import Log
from rosgraph_msgs.msg import Clock
from visualization_msgs.msg import MarkerArray

from any2any_ros import msg, srv
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.learning import head
from any2any_ros.nodes import messages, runtime
from any2any_ros.nodes.retrieval_node import RetrievalNode
from any2any_ros.observation import Embedding, Observation
from any2any_ros.retrieval import adopted, calibration, reference_map, retriever
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.reference_map import EncoderRecord
from any2any_ros.retrieval.retriever import bare_retriever
from any2any_ros.trust.drift import Difference, DriftTest

NS = 1_000_000_000
FAST = {"source_timeout": 0.3, "wait": 0.1, "watch": 0.05}


class Robot:
    """Publishes the embeddings of places of the map, and hears the answers."""

    def __init__(self, bench, reference):
        self.bench, self.reference = bench, reference
        self.rankings = bench.listen(msg.Ranking, "matches")
        self.publisher = bench.publisher(msg.Embedding, "embeddings")

    def see(self, modality, place, stamp_ns, vector=None, encoder=None):
        if vector is None:
            vector = self.reference.places.embeddings[modality][place]
        embedding = Embedding(modality, vector, stamp_ns, "", encoder or f"{modality}-test")
        self.publisher.publish(messages.embedding_message(embedding, 0.0))

    def answer(self):
        """Wait for the next ranking."""
        count = len(self.rankings)
        self.bench.until(lambda: len(self.rankings) > count)
        return self.rankings[-1]


@pytest.fixture
def robot(bench, small_map):
    folder, reference = small_map
    node = bench.node(RetrievalNode, map=str(folder), **FAST)
    made = Robot(bench, reference)
    made.node = node
    return made


def ids(ranking):
    return [match.id for match in ranking.matches]


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


def test_a_dead_sensor_is_left_out_and_back_at_once(robot):
    for stamp in (1, 2):
        robot.see("camera", 3, stamp * NS // 10)
        robot.see("lidar", 3, stamp * NS // 10)
        assert list(robot.answer().modalities) == ["camera", "lidar"]
    robot.bench.spin(FAST["source_timeout"] + 0.05)
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


def test_a_bad_map_is_told_and_a_good_one_loaded_later(bench, small_map, tmp_path, capfd):
    folder, reference = small_map
    node = bench.node(RetrievalNode, map=str(tmp_path / "nowhere"), **FAST)
    assert "has no map.json" in capfd.readouterr().err
    assert node.status()[0].level == DiagnosticStatus.ERROR
    reply = bench.call(srv.LoadMap, "/retrieval/load_map", path=str(tmp_path / "still_nowhere"))
    assert reply.error_code == reply.BAD_MAP and "has no map.json" in reply.error_msg
    assert bench.call(srv.Rank, "/retrieval/rank").error_code == srv.Rank.Response.NO_MAP
    assert bench.call(srv.SaveMap, "/retrieval/save_map").error_code == srv.SaveMap.Response.NO_MAP
    assert bench.call(srv.AddPlace, "/retrieval/add_place").error_code == srv.AddPlace.Response.NO_MAP
    reply = bench.call(srv.LoadMap, "/retrieval/load_map", path=str(folder))
    assert (reply.error_code, reply.places) == (reply.OK, 20)
    robot = Robot(bench, reference)
    robot.see("lidar", 2, NS)
    assert robot.answer().matches[0].id == "place/02"


def test_a_bad_map_does_not_replace_the_one_in_use(robot, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "map.json").write_text('{"format": 99}')
    reply = robot.bench.call(srv.LoadMap, "/retrieval/load_map", path=str(tmp_path / "bad"))
    assert reply.error_code == reply.BAD_MAP and "its format is 99" in reply.error_msg
    robot.see("camera", 7, NS)
    assert robot.answer().matches[0].id == "place/07"


def test_rank_on_request(robot):
    bench, reference = robot.bench, robot.reference
    reply = bench.call(srv.Rank, "/retrieval/rank")
    assert reply.error_code == reply.NOTHING_ALIVE
    given = messages.embedding_message(Embedding("lidar", reference.places.embeddings["lidar"][9], NS), 0.0)
    reply = bench.call(srv.Rank, "/retrieval/rank", embeddings=[given], k=3)
    assert ids(reply.ranking)[0] == "place/09" and len(reply.ranking.matches) == 3
    reply = bench.call(srv.Rank, "/retrieval/rank", text="a red house")
    assert reply.error_code == reply.BAD_INPUT and "holds no text" in reply.error_msg
    wrong = messages.embedding_message(Embedding("lidar", np.ones(3), NS), 0.0)
    reply = bench.call(srv.Rank, "/retrieval/rank", embeddings=[wrong])
    assert reply.error_code == reply.BAD_INPUT and "3 dimensions" in reply.error_msg
    robot.see("camera", 4, NS)
    robot.answer()
    assert ids(bench.call(srv.Rank, "/retrieval/rank").ranking)[0] == "place/04"


def test_a_place_is_added_found_and_saved(robot, tmp_path):
    bench = robot.bench
    vector = np.full(8, 0.5, dtype=np.float32)
    given = messages.embedding_message(Embedding("camera", vector, NS), 0.0)
    pose = Pose(position=Point(x=1.0, y=2.0), orientation=Quaternion(w=1.0))
    reply = bench.call(srv.AddPlace, "/retrieval/add_place", id="kitchen", pose=pose, embeddings=[given])
    assert (reply.error_code, reply.id) == (reply.OK, "kitchen")
    again = bench.call(srv.AddPlace, "/retrieval/add_place", id="kitchen", pose=pose, embeddings=[given])
    assert again.error_code == again.BAD_INPUT and "twice" in again.error_msg
    robot.see("camera", 0, 2 * NS, vector=vector)
    assert robot.answer().matches[0].id == "kitchen"
    saved = bench.call(srv.SaveMap, "/retrieval/save_map", path=str(tmp_path / "saved"))
    assert (saved.error_code, saved.places) == (saved.OK, 21)
    found = reference_map.load(tmp_path / "saved").places
    assert found.ids[-1] == "kitchen" and found.poses[-1, :2, 3].tolist() == [1.0, 2.0]
    assert not found.present("lidar")[-1]


@pytest.mark.parametrize(
    "pose", [Pose(orientation=Quaternion(w=0.0)), Pose(position=Point(x=float("nan")), orientation=Quaternion(w=1.0))]
)
def test_a_place_without_a_pose_is_refused(robot, pose):
    given = messages.embedding_message(Embedding("camera", np.ones(8), NS), 0.0)
    reply = robot.bench.call(srv.AddPlace, "/retrieval/add_place", pose=pose, embeddings=[given])
    assert reply.error_code == reply.BAD_INPUT and "pose" in reply.error_msg


def test_a_map_that_cannot_be_written_is_told(robot):
    reply = robot.bench.call(srv.SaveMap, "/retrieval/save_map", path="/proc/nowhere")
    assert reply.error_code == reply.NOT_WRITTEN and "Cannot write the map" in reply.error_msg


def test_an_empty_map_answers_nothing_and_does_not_crash(bench, small_map, tmp_path):
    _, reference = small_map
    empty = reference_map.ReferenceMap(reference.places.take([]), reference.encoders, "empty")
    reference_map.save(empty, tmp_path / "empty")
    bench.node(RetrievalNode, map=str(tmp_path / "empty"), **FAST)
    robot = Robot(bench, reference)
    robot.see("camera", 3, NS)
    heard = robot.answer()
    assert not heard.matches and list(heard.modalities) == ["camera"]


class Sure:
    """A confidence that accepts everything, and takes the first three for the place set."""

    def probability(self, candidates, modalities):
        return np.linspace(0.9, 0.5, len(candidates.near))

    def accepts(self, candidates, modalities):
        return True

    def presence(self, candidates, modalities):
        return 1.0

    def place_set(self, candidates, modalities):
        return 3


def test_an_accepted_answer_becomes_a_place_and_markers(robot):
    robot.node.localizer.retriever.confidence = Sure()
    places = robot.bench.listen(PoseWithCovarianceStamped, "place")
    pictures = robot.bench.listen(MarkerArray, "markers", 1)
    robot.see("camera", 3, NS)
    heard = robot.answer()
    robot.bench.until(lambda: places and pictures)
    assert heard.accepted and heard.probability == pytest.approx(0.9) and len(heard.place_set) == 3
    assert heard.ambiguous  # places are 10 m apart
    pose = places[0].pose
    assert pose.pose.position.x == 30.0 and places[0].header.frame_id == "map"
    covariance = np.array(pose.covariance).reshape(6, 6)
    assert (np.linalg.eigvalsh(covariance) > 0).all() and covariance[0, 0] > 100  # as wide as the set
    kinds = {marker.ns for marker in pictures[0].markers}
    assert {"matches", "place_set"} <= kinds


def test_nothing_is_accepted_without_calibration(robot):
    places = robot.bench.listen(PoseWithCovarianceStamped, "place")
    robot.see("camera", 3, NS)
    heard = robot.answer()
    robot.bench.until(lambda: robot.node.localizer.alive)  # at the next look, well before it is stale
    line = robot.node.status()[0]
    assert line.level == DiagnosticStatus.WARN and "calibrate" in line.message
    robot.bench.spin(0.2)
    assert not heard.accepted and np.isnan(heard.probability) and not places


def test_diagnostics_name_every_sensor_of_the_map(robot):
    for i in range(1, 5):
        robot.see("camera", 3, i * NS // 10)
        robot.answer()
        robot.bench.spin(0.05)
    robot.bench.until(lambda: robot.node.localizer.alive == ("camera",))
    lines = {line.name: line for line in robot.node.status()}
    assert lines["retrieval: camera"].message == "alive" and lines["retrieval: lidar"].message == "never received"
    rate = next(v.value for v in lines["retrieval: camera"].values if v.key == "rate")
    assert float(rate) == pytest.approx(10, abs=0.5)
    robot.bench.until(lambda: not robot.node.localizer.alive)
    assert next(x for x in robot.node.status() if x.name == "retrieval: camera").message == "stale"


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


def test_a_drifted_sensor_is_a_warning(robot):
    """Its numbers are no longer those that the calibration promised: /diagnostics says so, and of which sensor."""
    draw = np.random.default_rng(0)
    test = DriftTest({"camera": Difference.fit(draw.normal(size=(300, 8)))})
    robot.node.localizer.drift, robot.node.localizer.calibrated = test, True
    for _ in range(100):
        test.update({"camera": 3 + draw.normal(size=8)})
    robot.see("camera", 3, NS)
    robot.answer()
    robot.bench.until(lambda: robot.node.localizer.alive and robot.node.health.drifted)
    lines = {line.name: line for line in robot.node.status()}
    for name in ("retrieval: answers", "retrieval: camera"):
        assert lines[name].level == DiagnosticStatus.WARN and "unlike its calibration" in lines[name].message
    assert robot.node.health.newly_drifted(robot.node.localizer) == []  # said once in the log


def test_a_large_map_is_opened_from_disk_and_the_first_time_is_told(bench, small_map, monkeypatch):
    """The node logs what the library says; the second opening has nothing to say."""
    folder, reference = small_map
    for module in (retriever, reference_map):
        monkeypatch.setattr(module, "LARGE", 3)
    known = {m: r.fingerprint for m, r in reference.encoders.items()}
    fusion = LikelihoodRatio(np.eye(2) * 20, np.zeros((2, 2)))
    calibration.save(calibration.Calibration(fusion, None, known, 5.0), folder)
    node = bench.node(RetrievalNode, start=False, map=str(folder), **FAST)
    logged = bench.listen(Log, "/rosout")
    with runtime.library_logs(node):
        node.autostart()
        bench.until(lambda: any("this large map is opened for the first time" in line.msg for line in logged))
        bench.until(lambda: any("prepared in" in line.msg for line in logged))
        node.use_map(folder)
    robot = Robot(bench, reference)
    for place in (3, 5):
        robot.see("camera", place, place * NS)
        robot.see("lidar", place, place * NS)
        assert ids(robot.answer())[0] == f"place/{place:02d}"
    assert sum("opened for the first time" in line.msg for line in logged) == 1
    assert not [line.msg for line in logged if line.level > Log.WARN]
    assert isinstance(node.localizer.retriever.searcher, LargeMapSearcher)
