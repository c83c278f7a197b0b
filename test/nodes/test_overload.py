"""Sources that are ten times too fast for a node: its answers stay young, and what it leaves out is counted."""

from __future__ import annotations

import array
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import grounding_robot
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from grounding_robot import image
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, LaserScan

from any2any_ros import msg
from any2any_ros.nodes import messages, topology
from any2any_ros.nodes.bringup import Bringup
from any2any_ros.nodes.topology import Process
from any2any_ros.observation import Embedding
from any2any_ros.samples import NS

SLOW_ENCODER = """
    import time
    from any2any_ros.encoders.laser_scan import LaserScanEncoder

    class Slow(LaserScanEncoder):
        plug = "slow.plug"

        def encode(self, sample):
            time.sleep(0.1)
            return super().encode(sample)
"""


def scan():
    ranges = array.array("f", 5 + 0.01 * np.arange(300))
    message = LaserScan(angle_min=-1.5, angle_increment=0.01, range_max=30.0, ranges=ranges)
    message.header.stamp = messages.time_message(time.time_ns())
    return message


def counted(lines, *keys):
    """Return what the newest line of /diagnostics says that has these keys; zeros where there is none yet."""
    found = [{v.key: v.value for v in status.values} for line in lines for status in line.status]
    newest = next((values for values in reversed(found) if set(keys) <= set(values)), dict.fromkeys(keys, "0"))
    return [int(newest[key]) for key in keys]


@pytest.fixture
def slow_plug(tmp_path, monkeypatch):
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "__init__.py").touch()
    (tmp_path / "slow" / "plug.py").write_text(textwrap.dedent(SLOW_ENCODER))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return "slow.plug"


def test_an_encoder_that_is_too_slow_encodes_the_newest_message(bench, slow_plug, tmp_path):
    process = Process("encoder_node", "slow_encoder", {"encoder": slow_plug, "topic": "/scan"})
    with Bringup([process], topology.environment("loopback"), log_folder=tmp_path):
        lines, ages = bench.listen(DiagnosticArray, "/diagnostics"), []
        bench.peer.create_subscription(
            msg.Embedding, "embeddings", lambda m: ages.append(time.time_ns() - messages.time_ns(m.header.stamp)), 10
        )
        publisher = bench.publisher(LaserScan, "/scan")
        sent, until = 0, time.monotonic() + 2
        while time.monotonic() < until:
            publisher.publish(scan())
            sent += 1
            bench.spin(0.01)
        # Each was encoded, dropped or missed, and /diagnostics say how many. The first may have come too early.
        bench.until(lambda: sent * 0.8 <= sum(counted(lines, "encoded", "dropped", "missed")) <= sent)
    encoded, *left_out = counted(lines, "encoded", "dropped", "missed")
    assert sent > 60 and 5 < len(ages) < sent / 3
    # The one in work, and the one that waited for it: 0.2 s. In a queue, the last ones would be 1.8 s old.
    assert np.median(ages) < 0.5e9 and max(ages) < 1.5e9
    assert encoded <= len(ages) and sum(left_out) > sent / 2


SLOW_RETRIEVAL = """
import time
from any2any_ros.nodes import retrieval_node
from any2any_ros.retrieval.opened_map import OpenedMap

rank = OpenedMap.rank

def slow(*arguments, **options):
    time.sleep(0.1)
    return rank(*arguments, **options)

OpenedMap.rank = slow
raise SystemExit(retrieval_node.main())
"""


@pytest.fixture
def slow_retrieval(small_map, tmp_path):
    """Start a retrieval node that needs 0.1 s for an answer, in a process of its own."""
    (tmp_path / "slow_node.py").write_text(SLOW_RETRIEVAL)
    command = [sys.executable, str(tmp_path / "slow_node.py"), "--ros-args", "-p", f"map:={small_map[0]}"]
    command += ["-p", "source_timeout:=0.6", "-p", "wait:=0.02"]
    process = subprocess.Popen(command, env={**os.environ, **topology.environment("loopback")})
    yield process
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0


def test_a_retrieval_node_that_is_too_slow_answers_the_newest_moment(bench, small_map, slow_retrieval):
    """Two sensors at 100 Hz, ten answers a second: no answer is older than half of source_timeout and two answers."""
    lines, ages = bench.listen(DiagnosticArray, "/diagnostics"), []
    bench.peer.create_subscription(
        msg.Ranking, "matches", lambda m: ages.append((time.time_ns() - messages.time_ns(m.header.stamp)) / NS), 10
    )
    publisher = bench.publisher(msg.Embedding, "embeddings")
    vectors = small_map[1].places.embeddings
    sent = 0

    def see():
        for modality in ("camera", "lidar"):
            embedding = Embedding(modality, vectors[modality][3], time.time_ns(), "", f"{modality}-test")
            publisher.publish(messages.embedding_message(embedding, 0.0))
        bench.spin(0.01)

    bench.until(lambda: see() or ages)
    ages.clear()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        see()
        sent += 1
    assert len(ages) > 5 and np.median(ages) < 0.6 and max(ages) < 1.5
    bench.until(lambda: counted(lines, "skipped")[0] > sent / 3)
    overloaded = [s for line in lines for s in line.status if "moments are skipped" in s.message]
    assert overloaded and all(status.level == DiagnosticStatus.WARN for status in overloaded)
    ages.clear()
    for _ in range(5):  # and when the sensors are slow again, it answers at once
        bench.spin(0.2)
        see()
    bench.until(lambda: len(ages) > 3)
    assert ages[-1] < 0.3


# --- objects and sound ------------------------------------------------------------------------------------------


def picture(stamp_ns):
    return image(np.full((48, 64, 3), 99, np.uint8), "rgb8", stamp_ns)


def camera_pose(stamp_ns):
    pose = PoseStamped(pose=messages.pose_message(np.eye(4)))
    pose.header.stamp = messages.time_message(stamp_ns)
    return pose


def test_a_grounding_node_that_is_too_slow_looks_at_the_newest_picture(bench, tmp_path, monkeypatch):
    robot = grounding_robot.Robot(bench, grounding_robot.save_model(tmp_path / "model"))
    node, ages = robot.node, []

    def slow(view):
        ages.append((time.time_ns() - view.stamp_ns) / NS)
        time.sleep(0.1)

    monkeypatch.setattr(node.grounder, "see", slow)
    robot.to["info"].publish(CameraInfo(k=[50.0, 0.0, 32.0, 0.0, 50.0, 24.0, 0.0, 0.0, 1.0]))
    sent, until = 0, time.monotonic() + 2
    while time.monotonic() < until:
        now = time.time_ns()
        robot.to["rgb"].publish(picture(now))
        robot.to["pose"].publish(camera_pose(now))
        sent += 1
        bench.spin(0.01)
    assert sent > 60 and len(ages) > 5 and np.median(ages) < 0.4 and max(ages) < 1.5
    bench.spin(0.3)
    (line,) = node.status()
    values = {v.key: v.value for v in line.values}
    left_out = int(values["dropped"]) + int(values["missed"])
    assert left_out > sent / 3 and sent * 0.8 <= int(values["looks"]) + left_out <= sent


def test_chunks_of_a_command_that_are_missing_are_told(bench, tmp_path, capfd):
    """600 chunks come while an utterance is transcribed; 500 can wait."""
    robot = grounding_robot.Robot(bench, grounding_robot.save_model(tmp_path / "model"))
    listener, gate = robot.node._listener, threading.Event()
    listener._inbox._work = lambda chunks: gate.wait(10)
    raw = serialize_message(msg.AudioStamped(sample_rate=16000, channels=1, encoding="S16LE", data=[0, 0] * 160))
    listener._receive(raw, {"publication_sequence_number": 0})
    bench.until(lambda: len(listener._inbox._items) == 0)  # the thread has begun to work on it
    for number in range(1, 601):
        listener._receive(raw, {"publication_sequence_number": number})
    values = {v.key: v.value for v in robot.node.status()[0].values}
    gate.set()
    assert int(values["sounds_missing"]) == 100
    assert "chunks of sound are missing" in capfd.readouterr().err
