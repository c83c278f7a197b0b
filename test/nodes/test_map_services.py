"""No request delays the answers: what takes long is done in a thread, and only the request waits."""

import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Pose, Quaternion
from retrieval_robot import NS, ids, started

from any2any_ros import encoders, files, srv
from any2any_ros.nodes import messages
from any2any_ros.nodes.process_health import RECENT
from any2any_ros.observation import Embedding
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap


@pytest.fixture
def robot(bench, small_map):
    return started(bench, *small_map)


def request(robot, kind, name, **fields):
    client = robot.bench.peer.create_client(kind, f"/retrieval/{name}")
    robot.bench.until(client.service_is_ready)
    return client.call_async(kind.Request(**fields))


def test_answers_go_on_while_the_map_is_saved(robot, tmp_path):
    with files.locked(tmp_path / "saved"):  # as while another process saves a map there
        first = request(robot, srv.SaveMap, "save_map", path=str(tmp_path / "saved"))
        robot.bench.until(lambda: robot.node.map_services._waiting)
        second = request(robot, srv.SaveMap, "save_map", path=str(tmp_path / "also"))
        robot.see("camera", 7, NS)
        robot.see("lidar", 7, NS)
        assert ids(robot.answer())[0] == "place/07"
        given = messages.embedding_message(Embedding("camera", np.ones(8), NS), 0.0)
        pose = Pose(orientation=Quaternion(w=1.0))
        added = robot.bench.call(srv.AddPlace, "/retrieval/add_place", id="later", pose=pose, embeddings=[given])
        assert added.error_code == added.OK
        assert not first.done() and not second.done()
    robot.bench.until(lambda: first.done() and second.done())
    assert (first.result().places, second.result().places) == (20, 21)  # of the moment when each was begun
    assert len(reference_map.load(tmp_path / "saved")) == 20 and len(reference_map.load(tmp_path / "also")) == 21


def test_a_map_that_is_saved_elsewhere_stays_calibrated(bench, small_map, tmp_path):
    folder = Path(__file__).parents[1] / "formats" / "today" / "adopted"
    robot = started(bench, folder, reference_map.load(folder))
    assert robot.node.localizer.calibrated and robot.node.localizer.map.adopted
    reply = robot.bench.call(srv.SaveMap, "/retrieval/save_map", path=str(tmp_path / "saved"))
    assert not reply.error_code
    assert not robot.bench.call(srv.LoadMap, "/retrieval/load_map", path=str(tmp_path / "saved")).error_code
    assert robot.node.localizer.calibrated and robot.node.localizer.map.adopted
    assert robot.node.localizer.map.folder == tmp_path / "saved"


def test_a_save_that_has_begun_is_ended_before_the_node(robot, tmp_path):
    lock = files.locked(tmp_path / "saved")
    lock.__enter__()
    reply = request(robot, srv.SaveMap, "save_map", path=str(tmp_path / "saved"))
    robot.bench.until(lambda: robot.node.map_services._waiting)
    threading.Timer(0.2, partial(lock.__exit__, None, None, None)).start()
    robot.node.trigger_deactivate()
    robot.node.trigger_cleanup()
    assert len(reference_map.load(tmp_path / "saved")) == 20
    robot.bench.until(reply.done)
    assert reply.result().places == 20


def map_line(robot):
    (line,) = [line for line in robot.node.status() if line.name == "retrieval: map"]
    return line


@pytest.mark.parametrize(
    ("kind", "name", "path", "why"),
    [
        (srv.LoadMap, "load_map", "nowhere", "it has no map.json"),
        (srv.SaveMap, "save_map", "/proc/nowhere", "Cannot write the map /proc/nowhere"),
    ],
)
def test_a_request_that_failed_is_named_until_the_next_one_or_for_a_while(robot, tmp_path, kind, name, path, why):
    assert robot.bench.call(kind, f"/retrieval/{name}", path=path).error_code
    line = map_line(robot)
    assert line.level == DiagnosticStatus.WARN and line.message.startswith("in use; ") and why in line.message
    robot.node.map_services._failed_at -= RECENT
    line = map_line(robot)
    assert (line.level, line.message) == (DiagnosticStatus.OK, "in use") and why in line.values[-1].value
    assert robot.bench.call(srv.LoadMap, "/retrieval/load_map", path="nowhere").error_code
    assert not robot.bench.call(srv.SaveMap, "/retrieval/save_map", path=str(tmp_path / "saved")).error_code
    line = map_line(robot)
    assert (line.level, line.message, line.values[-1].value) == (DiagnosticStatus.OK, "in use", "")


class SlowEncoder:
    """An encoder of texts that takes as long as the test wants, as one does whose network is read from the disk."""

    def __init__(self):
        self.real, self.go_on = encoders.build("text", {}), threading.Event()
        self.fingerprint = self.real.fingerprint

    def encode(self, text):
        assert self.go_on.wait(30)
        return self.real.encode(text)


def test_answers_go_on_while_a_text_is_encoded(robot, tmp_path):
    slow, camera = SlowEncoder(), robot.reference.places.only(["camera"])
    columns = {**camera.embeddings, "text": [slow.real.encode(f"house number {i}") for i in range(20)]}
    records = {"camera": robot.reference.encoders["camera"], "text": EncoderRecord.of(slow.real)}
    reference_map.save(ReferenceMap(type(camera)(columns, camera.poses, camera.ids), records, "told"), tmp_path)
    robot.node.map_services.loading.load_now(tmp_path)
    robot.node.localizer.map._text = slow
    reply = request(robot, srv.Rank, "rank", text="house number 12")
    robot.bench.until(lambda: robot.node.map_services._waiting)
    robot.see("camera", 3, NS)
    assert ids(robot.answer())[0] == "place/03" and not reply.done()
    slow.go_on.set()
    robot.bench.until(reply.done)
    assert ids(reply.result().ranking)[0] == "place/12"
