"""The retrieval node's map: loaded, replaced, added to, saved, opened from disk."""

import json
import shutil
from pathlib import Path

import fitted_states
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Point, Pose, Quaternion
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile
from retrieval_robot import FAST, NS, Robot, ids, started

from any2any_ros import plugins, srv
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.nodes import messages, runtime
from any2any_ros.nodes.retrieval_node import RetrievalNode
from any2any_ros.observation import Embedding, ObservationSet
from any2any_ros.retrieval import calibration, reference_map, retriever
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap

CALIBRATED = Path(__file__).parents[1] / "formats" / "today" / "refined" / "calibration"


@pytest.fixture
def robot(bench, small_map):
    return started(bench, *small_map)


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


def test_a_map_cannot_make_the_node_import_a_module_and_a_parameter_can(bench, tmp_path, monkeypatch):
    (tmp_path / "a_robot").mkdir()
    (tmp_path / "a_robot" / "words.py").write_text("raise SystemExit('the node imported it')\n")
    monkeypatch.syspath_prepend(tmp_path)
    places = ObservationSet({"text": np.ones((2, 4))}, np.tile(np.eye(4), (2, 1, 1)), ("a", "b"))
    records = {"text": EncoderRecord("a_robot.words", "text-1", 4)}
    reference_map.save(ReferenceMap(places, records, "hostile"), tmp_path / "map")
    bench.node(RetrievalNode, **FAST)
    assert bench.call(srv.LoadMap, "/retrieval/load_map", path=str(tmp_path / "map")).places == 2
    reply = bench.call(srv.Rank, "/retrieval/rank", text="a red house")
    assert reply.error_code == reply.BAD_INPUT and "allow_modules" in reply.error_msg
    assert plugins.allowed_modules() == ()
    bench.node(RetrievalNode, start=False, allow_modules=["a_robot.words"])
    assert plugins.allowed_modules() == ("a_robot.words",)


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


def test_a_request_for_more_than_anyone_needs_is_refused(robot):
    bench, vector = robot.bench, robot.reference.places.embeddings["lidar"][9]
    given = messages.embedding_message(Embedding("lidar", vector, NS), 0.0)
    for request, why in (
        ({"embeddings": [given], "k": 2**32 - 1}, "4,294,967,295 as its k"),
        ({"embeddings": [given] * 65}, "65 embeddings"),
        ({"text": "x" * 65_537}, "65,537 characters"),
        ({"embeddings": [messages.embedding_message(Embedding("lidar", np.ones(65_537), NS), 0.0)]}, "65,537 values"),
    ):
        reply = bench.call(srv.Rank, "/retrieval/rank", **request)
        assert reply.error_code == reply.BAD_INPUT and why in reply.error_msg
    pose = Pose(orientation=Quaternion(w=1.0))
    reply = bench.call(srv.AddPlace, "/retrieval/add_place", pose=pose, embeddings=[given] * 65)
    assert reply.error_code == reply.BAD_INPUT and "65 embeddings" in reply.error_msg
    robot.see("lidar", 3, NS, vector=np.ones(65_537))
    bench.until(lambda: robot.node.health.refused == 1)
    robot.see("lidar", 3, NS)
    assert robot.answer().matches[0].id == "place/03"


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


def test_a_place_without_a_pose_or_with_an_id_that_is_none_is_refused(robot):
    given = messages.embedding_message(Embedding("camera", np.ones(8), NS), 0.0)
    upright = Quaternion(w=1.0)
    for request, why in (
        ({"pose": Pose(orientation=Quaternion(w=0.0))}, "quaternion"),
        ({"pose": Pose(orientation=Quaternion(x=1e308, y=1e308, z=1e308, w=1e308))}, "quaternion"),
        ({"pose": Pose(orientation=Quaternion(w=float("nan")))}, "quaternion"),
        ({"pose": Pose(position=Point(x=float("nan")), orientation=upright)}, "position"),
        ({"pose": Pose(position=Point(x=1e308), orientation=upright)}, "position"),
        ({"pose": Pose(orientation=upright), "id": "x" * 1_000_000}, "one has 1000000 characters"),
        ({"pose": Pose(orientation=upright), "id": "a\nb"}, "cannot be printed"),
    ):
        reply = robot.bench.call(srv.AddPlace, "/retrieval/add_place", embeddings=[given], **request)
        assert reply.error_code == reply.BAD_INPUT and why in reply.error_msg
    robot.see("camera", 4, NS)
    assert robot.answer().matches[0].id == "place/04"


def test_maps_that_are_damaged_one_after_the_other_leave_the_map_in_use(robot, small_map, tmp_path):
    """Each of them used to be opened, and to end the node with its first ranking."""
    bench, reference = robot.bench, robot.reference
    known = {m: r.fingerprint for m, r in reference.encoders.items()}
    wrong = calibration.Calibration(LikelihoodRatio(np.ones((3, 3)), np.zeros((3, 3))), None, known, 5.0)

    def places(folder, **changes):
        (file,) = folder.glob("places-*.npz")
        with np.load(file) as stored:
            np.savez(file, **dict(stored) | changes)

    def no_frame(folder):
        header = (folder / "map.json").read_text()
        (folder / "map.json").write_text(header.replace('"frame_id": "map"', '"frame_id": 7'))

    def no_level(folder):
        calibration.save(calibration.Calibration(RawMean(), None, known, 5.0), folder)
        shutil.copytree(CALIBRATED, folder / "calibration", dirs_exist_ok=True)
        confidence = folder / "calibration" / "confidence"
        header = fitted_states.header(confidence)
        header["values"]["nonconformity"]["keys"].remove("*/0")
        fitted_states.write_header(confidence, json.dumps(header))

    damages = (
        (lambda folder: places(folder, ids=np.array([b"a%02d" % i for i in range(20)])), "array of |S3"),
        (no_frame, "'frame_id' is 7, not a text"),
        (lambda folder: places(folder, poses=np.zeros((20, 4, 4))), "Pose 0 of 20 cannot be used"),
        (lambda folder: calibration.save(wrong, folder), "fitted for (3, 3) pairs of modalities, not (2, 2)"),
        (no_level, "a level of evidence lacks its nonconformity scores"),
    )
    for number, (damage, why) in enumerate(damages):
        folder = Path(shutil.copytree(small_map[0], tmp_path / f"damaged-{number}"))
        damage(folder)
        reply = bench.call(srv.LoadMap, "/retrieval/load_map", path=str(folder))
        assert reply.error_code == reply.BAD_MAP and why in reply.error_msg
        robot.see("camera", number, (number + 1) * NS)
        assert robot.answer().matches[0].id == f"place/{number:02d}"


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


@pytest.mark.usefixtures("no_former_nodes")
def test_a_large_map_is_opened_from_disk_and_the_first_time_is_told(bench, small_map, monkeypatch):
    """The node logs what the library says; the second opening has nothing to say."""
    folder, reference = small_map
    for module in (retriever, reference_map):
        monkeypatch.setattr(module, "LARGE", 3)
    known = {m: r.fingerprint for m, r in reference.encoders.items()}
    fusion = LikelihoodRatio(np.eye(2) * 20, np.zeros((2, 2)))
    calibration.save(calibration.Calibration(fusion, None, known, 5.0), folder)
    node = bench.node(RetrievalNode, start=False, map=str(folder), **FAST)
    # /rosout keeps its last lines for who comes late.
    logged = bench.listen(Log, "/rosout", QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    bench.until(lambda: node.count_subscribers("/rosout") > 0)
    with runtime.library_logs(node):
        node.autostart()
        bench.until(lambda: any("this large map is opened for the first time" in line.msg for line in logged))
        bench.until(lambda: any("prepared in" in line.msg for line in logged))
        node.map_services.loading.load_now(folder)
    robot = Robot(bench, reference)
    for place in (3, 5):
        robot.see("camera", place, place * NS)
        robot.see("lidar", place, place * NS)
        assert ids(robot.answer())[0] == f"place/{place:02d}"
    assert sum("opened for the first time" in line.msg for line in logged) == 1
    assert not [line.msg for line in logged if line.level > Log.WARN]
    assert isinstance(node.localizer.retriever.searcher, LargeMapSearcher)
