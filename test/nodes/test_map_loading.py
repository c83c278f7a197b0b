"""A map is loaded beside the answers: they go on, a second one is refused, and a node that is taken down ends it."""

import fcntl
import os
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from large_maps import RECORDS, fusions, places, trust
from retrieval_robot import FAST, NS, Robot, ids

from any2any_ros import srv
from any2any_ros.nodes import topology
from any2any_ros.nodes.bringup import Bringup
from any2any_ros.nodes.retrieval_node import RetrievalNode
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.large import LARGE
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever


def save(folder, name, count):
    """Write a calibrated map of so many places."""
    reference = ReferenceMap(places(1, count, missing=0), RECORDS, name)
    reference_map.save(reference, folder)
    known = {m: r.fingerprint for m, r in RECORDS.items()}
    calibration.save(Calibration(fusions()["likelihood_ratio"], trust(), known, 5.0), folder)
    return reference


@pytest.fixture(scope="module")
def unopened(tmp_path_factory):
    """A map so large that a process of its own prepares it."""
    folder = tmp_path_factory.mktemp("large") / "map"
    return folder, save(folder, "large", LARGE)


@pytest.fixture
def large(unopened, tmp_path):
    """The folder of a large map that nobody has opened."""
    return Path(shutil.copytree(unopened[0], tmp_path / "large"))


@pytest.fixture
def robot(bench, tmp_path):
    reference = save(tmp_path / "small", "small", 50)
    node = bench.node(RetrievalNode, map=str(tmp_path / "small"), **FAST)
    made = Robot(bench, reference)
    made.node, made.folder = node, tmp_path / "small"
    return made


def answer(robot, places, row, second):
    """Show the robot one of the places, twice; return the ids of the ranking in which all sensors count."""
    for stamp in (second * NS, second * NS + NS // 10):
        for modality, record in RECORDS.items():
            robot.see(modality, row, stamp, places.embeddings[modality][row], record.fingerprint)
    robot.bench.until(lambda: any(whole(ranking, second) for ranking in robot.rankings))
    return next(ids(ranking) for ranking in robot.rankings if whole(ranking, second))


def whole(ranking, second):
    return ranking.header.stamp.sec == second and len(ranking.modalities) == len(RECORDS)


@contextmanager
def held(folder):
    """Hold the lock of a map's shards, as another process that prepares the map does."""
    (folder / "shards").mkdir(exist_ok=True)
    with open(folder / "shards" / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def request(bench, path):
    """Ask for a map; return the future of the reply."""
    client = bench.peer.create_client(srv.LoadMap, "/retrieval/load_map")
    bench.until(client.service_is_ready)
    return client.call_async(srv.LoadMap.Request(path=str(path)))


def children(pid):
    """Return the processes that prepare a map for a node's process."""
    threads = os.listdir(f"/proc/{pid}/task")
    started = [child for thread in threads for child in read(f"/proc/{pid}/task/{thread}/children").split()]
    return [int(child) for child in started if "map_preparation" in read(f"/proc/{child}/cmdline")]


def read(path):
    """Return what a file of /proc says; nothing when its thread or process has ended meanwhile."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_answers_go_on_while_another_map_is_prepared_and_a_third_is_refused(robot, large, unopened):
    bench, places = robot.bench, robot.reference.places
    with held(large):
        reply = request(bench, large)
        bench.until(lambda: children(os.getpid()))
        assert answer(robot, places, 3, 1)[0].startswith("1/") and robot.node.localizer.reference.name == "small"
        (line,) = [line for line in robot.node.status() if line.name == "retrieval: map"]
        assert line.message.startswith(f"loading the map {large}") and line.level == DiagnosticStatus.OK
        third = bench.call(srv.LoadMap, "/retrieval/load_map", path=str(robot.folder))
        assert third.error_code == third.BUSY and f"the map {large} is being loaded" in third.error_msg
        assert not reply.done() and robot.node.localizer.reference.name == "small"
    bench.until(reply.done, 30)
    assert (reply.result().error_code, reply.result().places) == (srv.LoadMap.Response.OK, LARGE)
    places, library = unopened[1].places, Retriever.open(large)
    assert answer(robot, places, 40_000, 2) == [m.id for m in library.rank(places.observation(40_000)).matches]
    assert bench.call(srv.LoadMap, "/retrieval/load_map", path=str(robot.folder)).places == 50


def test_a_map_that_cannot_be_prepared_leaves_the_old_one(robot, large):
    """As where memory is short, and the system kills the process."""
    with held(large):
        reply = request(robot.bench, large)
        robot.bench.until(lambda: children(os.getpid()))
        os.kill(children(os.getpid())[0], signal.SIGKILL)
        robot.bench.until(reply.done)
    assert reply.result().error_code == reply.result().BAD_MAP and "was killed" in reply.result().error_msg
    places = robot.reference.places
    assert answer(robot, places, 3, 1)[0] == places.ids[3]
    (line,) = [line for line in robot.node.status() if line.name == "retrieval: map"]
    assert line.level == DiagnosticStatus.WARN and line.message.startswith("in use; ")
    assert line.values[-1].key == "last_error" and "was killed" in line.values[-1].value


def test_a_node_that_is_taken_down_ends_the_loading_and_tells_the_client(robot, large):
    node, bench = robot.node, robot.bench
    with held(large):
        reply = request(bench, large)
        bench.until(lambda: children(os.getpid()))
        node.trigger_deactivate()
        bench.spin(0.1)
        assert children(os.getpid()) and not reply.done()  # an inactive node may load a map
        node.trigger_cleanup()
        assert not children(os.getpid())
        bench.until(reply.done)
    assert reply.result().error_code == reply.result().STOPPED and "taken down" in reply.result().error_msg
    bench.spin(0.1)
    assert not [s for s in node.services if "map" in s.srv_name]
    node.trigger_configure()
    node.trigger_activate()
    assert bench.call(srv.LoadMap, "/retrieval/load_map", path=str(robot.folder)).places == 50


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_when_the_node_ends(bench, large, tmp_path, number):
    save(tmp_path / "small", "small", 50)
    process = topology.Process("retrieval_node", "retrieval", {"map": str(tmp_path / "small")})
    with held(large), Bringup([process], topology.environment("loopback"), log_folder=tmp_path) as system:
        node = system.running["retrieval"]
        request(bench, large)
        bench.until(lambda: children(node.pid), 30)
        (child,) = children(node.pid)
        system.kill("retrieval", number)
        bench.until(lambda: node.poll() is not None)
        assert node.returncode == (0 if number == signal.SIGTERM else -number)
        bench.until(lambda: not Path(f"/proc/{child}").exists())
    assert "Traceback" not in (tmp_path / "retrieval.log").read_text()
