"""Processes of ours: they start, end on any signal, can be killed and started again, and leave nothing behind."""

import os
import signal
import time

import pytest

from any2any_ros.nodes import topology
from any2any_ros.nodes.bringup import Bringup


def wait(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def said(folder, name):
    log = folder / f"{name}.log"
    return log.read_text() if log.exists() else ""


@pytest.fixture
def system(small_map, tmp_path):
    processes = [
        topology.Process("retrieval_node", "retrieval", {"map": str(small_map[0])}),
        topology.Process("encoder_node", "text_encoder", {"encoder": "text"}),
    ]
    with Bringup(processes, topology.environment("loopback"), log_folder=tmp_path / "logs") as made:
        made.logs = tmp_path / "logs"
        wait(lambda: "20 places" in said(made.logs, "retrieval") and "caption" in said(made.logs, "text_encoder"))
        yield made


def test_they_end_gently_and_soon(system):
    began = time.monotonic()
    assert system.stop() == {"retrieval": 0, "text_encoder": 0}
    assert time.monotonic() - began < 10


def test_sigterm_ends_them_too(system):
    for name in ("retrieval", "text_encoder"):
        system.kill(name, signal.SIGTERM)
    wait(lambda: system.ended() == {"retrieval": 0, "text_encoder": 0}, 5)


def test_one_is_killed_and_started_again(system):
    system.kill("text_encoder")
    assert system.ended() == {} and list(system.running) == ["retrieval"]
    system.start("text_encoder")
    wait(lambda: said(system.logs, "text_encoder").count("caption ->") == 2)
    assert system.ended() == {}


def test_one_that_hangs_is_ended_in_the_end(system):
    os.kill(system.running["text_encoder"].pid, signal.SIGSTOP)
    assert system.stop() == {"retrieval": 0, "text_encoder": -signal.SIGKILL}


def test_a_wrong_parameter_ends_the_process_with_2(small_map, tmp_path):
    process = topology.Process("retrieval_node", "retrieval", {"map": "", "source_timeout": "soon"})
    with Bringup([process], topology.environment("loopback"), log_folder=tmp_path) as system:
        wait(lambda: system.ended() == {"retrieval": 2})
    assert "'source_timeout' cannot be 'soon'" in said(tmp_path, "retrieval")


def test_overrides_reach_the_nodes(small_map, tmp_path):
    overrides = tmp_path / "p.yaml"
    overrides.write_text("retrieval:\n  ros__parameters:\n    source_timeout: -1.0\n")
    process = topology.Process("retrieval_node", "retrieval", {"map": str(small_map[0])})
    with Bringup([process], topology.environment("loopback"), overrides, tmp_path) as system:
        wait(lambda: system.ended() == {"retrieval": 2})
    assert "source_timeout" in said(tmp_path, "retrieval")
