"""A node's process: a callback that fails ends nothing, and nothing outlives the process that started it."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rosgraph_msgs.msg import Clock

from any2any_ros.config import PARENT
from any2any_ros.nodes import runtime, topology
from any2any_ros.nodes.bringup import Bringup
from any2any_ros.nodes.lifecycle import ManagedNode


class Fragile(ManagedNode):
    """Its timer fails each time but the third."""

    def __init__(self):
        super().__init__("fragile")
        self.calls = 0
        self.create_timer(0.02, self._fail)

    def _fail(self):
        self.calls += 1
        if self.calls != 3:
            raise ZeroDivisionError(f"call {self.calls}")


def test_what_a_callback_raises_is_counted_told_and_ends_nothing(bench):
    node, stop = Fragile(), threading.Event()
    lines = []
    node._diagnostics.publish = lambda message: lines.extend(message.status)
    spinning = threading.Thread(target=runtime.spin, args=(node, Flag(stop)))
    spinning.start()
    try:
        wait(lambda: node.calls >= 6)
    finally:
        stop.set()
        spinning.join(5)
    assert not spinning.is_alive()
    node._diagnose()
    node.destroy_node()
    assert lines[-1].name == "fragile: process" and "ZeroDivisionError('call " in lines[-1].message
    assert {v.key: v.value for v in lines[-1].values}["failures"] == str(node.calls - 1)


class Flag:
    def __init__(self, event):
        self._event = event

    def __bool__(self):
        return self._event.is_set()


def wait(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def test_a_status_that_fails_is_told_and_the_other_lines_are_published(bench):
    class Confused(ManagedNode):
        def status(self):
            raise KeyError("camera")

    bench.add(Confused("confused"))
    heard = bench.listen(DiagnosticArray, "/diagnostics")
    bench.until(lambda: len(heard) > 1)
    lines = {line.name: line for line in heard[-1].status}
    assert lines["confused: process"].level == DiagnosticStatus.ERROR
    assert "KeyError('camera')" in lines["confused: process"].message and "confused: clock" in lines


def test_a_clock_before_or_after_time_ends_no_node_and_is_named(bench, small_map, tmp_path):
    """/clock of -1 s: rclpy raises where it takes the time."""
    processes = [
        topology.Process("retrieval_node", "retrieval", {"map": str(small_map[0]), "use_sim_time": True}),
        topology.Process("encoder_node", "text_encoder", {"encoder": "text", "use_sim_time": True}),
    ]
    with Bringup(processes, topology.environment("loopback"), log_folder=tmp_path) as system:
        heard, clock = bench.listen(DiagnosticArray, "/diagnostics"), bench.publisher(Clock, "/clock")
        bench.until(lambda: clock.get_subscription_count() == 2)

        def told(second, text):
            """Tell the clocks this time until both nodes say so."""
            clock.publish(Clock(clock=Time(sec=second, nanosec=999_999_999)))
            lines = [{line.name: line.message for line in message.status} for message in heard[-10:]]
            said = {name: lines_of[name] for lines_of in lines for name in lines_of if name.endswith(": clock")}
            return len(said) == 2 and all(text in message for message in said.values())

        for second, text in ((5, "of /clock"), (-1, "not be negative"), (-(2**31), "not be"), (2**31 - 1, "ahead")):
            bench.until(lambda second=second, text=text: told(second, text))
        failures = [line for message in heard for line in message.status if "callback failed" in line.message]
        assert not failures and system.ended() == {}
        assert system.stop() == {"retrieval": 0, "text_encoder": 0}


ORPHAN = """
import os, sys, time
from any2any_ros.nodes import topology
from any2any_ros.nodes.bringup import Bringup
process = topology.Process("encoder_node", "text_encoder", {"encoder": "text"})
with Bringup([process], topology.environment("loopback")) as system:
    print(system.running["text_encoder"].pid, flush=True)
    time.sleep(60)
"""


def test_nodes_end_when_the_process_that_started_them_is_killed():
    starter = subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True)
    try:
        pid = int(starter.stdout.readline())
        time.sleep(1.5)  # it has started to spin, or soon will
        starter.kill()
        starter.wait(5)
        wait(lambda: not running(pid))
    finally:
        starter.kill()


def running(pid):
    try:
        state = open(f"/proc/{pid}/stat").read().split(") ")[1][0]  # noqa: SIM115
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_start_that_fails_midway_ends_those_that_have_started(monkeypatch, tmp_path):
    processes = [topology.Process("encoder_node", name, {"encoder": "text"}) for name in ("one", "two")]
    system = Bringup(processes, topology.environment("loopback"), log_folder=tmp_path)
    real = system.start

    def start(name):
        if name == "two":
            raise OSError("no more processes")
        real(name)

    monkeypatch.setattr(system, "start", start)
    with pytest.raises(OSError, match="no more processes"), system:
        pass
    assert system.running == {}


def test_a_node_that_was_shut_down_ends_gently(small_map, tmp_path):
    """By a lifecycle manager, before Ctrl-C."""
    code = (
        "import os, signal, sys, threading\n"
        "from any2any_ros.nodes import runtime\n"
        "from any2any_ros.nodes.lifecycle import ManagedNode\n"
        "class Node(ManagedNode):\n"
        "    def __init__(self):\n"
        "        super().__init__('done')\n"
        "        self.create_timer(0.2, self.end)\n"
        "    def end(self):\n"
        "        self.trigger_shutdown()\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(runtime.main(Node))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, env=os.environ)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


def test_only_the_process_that_started_it_is_watched(monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    monkeypatch.setenv(PARENT, str(os.getppid()))
    watching = runtime.Stop()
    monkeypatch.setenv(PARENT, "1234567")
    other = runtime.Stop()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert watching and not other


@pytest.mark.parametrize("rotation", [np.zeros((3, 3)), np.full((3, 3), 1e308), -np.eye(3), np.full((3, 3), np.inf)])
def test_a_pose_without_a_rotation_is_unknown(rotation):
    from any2any_ros.nodes import messages

    pose = np.eye(4)
    pose[:3, :3] = rotation
    message = messages.pose_message(pose)
    assert np.isnan([message.position.x, message.orientation.w]).all()
