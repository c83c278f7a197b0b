"""`any2any localize`: one line, and an exit code."""

import json
import os
import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from any2any_ros.nodes import topology


def run(*words, domain):
    environment = {**os.environ, **topology.environment("loopback"), "ROS_DOMAIN_ID": str(domain)}
    command = [sys.executable, "-m", "any2any_ros.cli.main", "localize", "--dds-profile", "loopback", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


class Answering:
    """An action server that localizes every goal at the centre of its region; "unmapped" without one."""

    def __init__(self, domain):
        import rclpy
        from rclpy.action import ActionServer
        from rclpy.executors import SingleThreadedExecutor

        os.environ.update(topology.environment("loopback"))
        from any2any_ros import action

        self.action, self.goals = action.Localize, []
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("answering", context=self.context)
        ActionServer(self.node, action.Localize, "localize", self._execute)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.ended = False
        self.thread = threading.Thread(target=self._spin)
        self.thread.start()

    def _spin(self):
        while not self.ended:
            self.executor.spin_once(timeout_sec=0.05)

    def _execute(self, goal):
        request, result = goal.request, self.action.Result(error_code=2, error_msg="it is in no place")
        self.goals.append(request)
        if request.radius:
            result = self.action.Result(error_code=0, error_msg="two answers agree", probability=0.9, places=["a"])
            result.pose.header.frame_id = "map"
            result.pose.pose.pose.position.x, result.pose.pose.pose.position.y = request.x, request.y
            result.pose.pose.pose.orientation.z = result.pose.pose.pose.orientation.w = float(np.sqrt(0.5))
            goal.succeed()
        else:
            goal.abort()
        return result

    def close(self):
        import rclpy

        self.ended = True
        self.thread.join()
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def answering():
    domain = random.randint(101, 200)
    made = Answering(domain)
    made.domain = domain
    yield made
    made.close()


def test_it_prints_where_the_robot_is_and_writes_it(answering, tmp_path):
    done = run(
        "--near", "12", "-4", "30", "--sensor", "lidar", "--json", str(tmp_path / "f.json"), domain=answering.domain
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "localized: x 12.00 m, y -4.00 m, yaw 1.571 rad in map: two answers agree\n"
    assert json.loads((tmp_path / "f.json").read_text())["places"] == ["a"]
    assert list(answering.goals[0].sensors) == ["lidar"]
    done = run("--timeout", "3", domain=answering.domain)
    assert (done.returncode, done.stdout) == (1, "unmapped: it is in no place\n")


def test_wrong_arguments_are_refused(answering):
    for words in (["--timeout", "-1"], ["--timeout", "nan"], ["--near", "1", "2"], ["--near", "a", "2", "3"]):
        assert run(*words, domain=answering.domain).returncode == 2
    assert not answering.goals


def test_without_a_system_it_says_what_to_start():
    began = time.monotonic()
    done = run(domain=random.randint(201, 230))
    assert done.returncode == 2 and "any2any bringup MAP" in done.stderr and time.monotonic() - began < 40
