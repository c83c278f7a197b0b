"""When a process that has ended is started again, and that `any2any bringup` does so."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from any2any_ros.nodes.restarts import PAUSE, SOON, Restarts


def test_a_process_that_has_lived_is_started_again_at_once():
    restarts = Restarts(["camera"], 10.0)
    assert restarts.ended("camera", 10.0 + SOON) and restarts.due(10.0 + SOON) == ["camera"]


def test_one_that_ends_soon_waits_and_the_others_do_not_wait_for_it():
    restarts = Restarts(["camera", "lidar"], 0.0)
    restarts.started("lidar", 8.0)
    assert restarts.ended("lidar", 9.0) and restarts.ended("camera", 9.0)
    assert restarts.due(9.0) == ["camera"]
    assert sorted(restarts.due(9.0 + PAUSE)) == ["camera", "lidar"]


def test_an_end_is_new_once():
    restarts = Restarts(["camera"], 0.0)
    assert [restarts.ended("camera", 9.0), restarts.ended("camera", 9.1)] == [True, False]
    restarts.started("camera", 9.2)
    assert restarts.due(20.0) == [] and restarts.ended("camera", 20.0)


def test_one_that_is_forgotten_is_not_started_again():
    restarts = Restarts(["camera"], 0.0)
    assert restarts.ended("camera", 9.0)
    restarts.forget("camera")
    assert restarts.due(20.0) == []


@pytest.fixture
def bringup(small_map, tmp_path):
    """Give `any2any bringup` of a map, with one encoder."""
    command = [sys.executable, "-m", "any2any_ros.cli.main", "bringup", str(small_map[0]), "--modality", "text",
               "--dds-profile", "loopback", "--logs", str(tmp_path / "logs")]  # fmt: skip
    log = tmp_path / "said.txt"
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    process.said, process.logs = log, tmp_path / "logs"
    yield process
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0


def node(bringup):
    """Return the process id of the retrieval node; None while there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == bringup.pid and b"__node:=retrieval" in (folder / "cmdline").read_bytes():
                return int(folder.name)
        except OSError:  # it has ended
            continue
    return None


def wait(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def test_bringup_starts_a_killed_node_again_without_a_pause(bringup):
    log = bringup.logs / "retrieval.log"
    wait(lambda: log.exists() and "20 places" in log.read_text())
    first = node(bringup)
    wait(lambda: time.time() - Path(f"/proc/{first}").stat().st_ctime > SOON + 0.2)
    os.kill(first, signal.SIGKILL)
    killed = time.monotonic()
    wait(lambda: node(bringup) not in (None, first))
    assert time.monotonic() - killed < PAUSE / 2
    assert bringup.said.read_text().count("retrieval ended with -9") == 1
