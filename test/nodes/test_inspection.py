"""`any2any doctor`'s look at a living system: rates, QoS mismatches, skewed clocks, silent topics."""

import json
import threading
import time

import pytest
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String

from any2any_ros.cli import main as command
from any2any_ros.nodes import inspection, messages, runtime

SECOND = 10**9


@pytest.fixture(params=["system", "simulated"])
def street(request):
    """Publish three topics from a thread of another participant: a good one, one an hour old, and a mismatch.

    simulated: in 1970, with /clock.
    """
    simulated = request.param == "simulated"
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("street", context=context)
    good = node.create_publisher(Image, "camera/image_raw", 10)
    old = node.create_publisher(Image, "rear/image_raw", 10)
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    mute = node.create_publisher(String, "caption", best_effort)
    node.create_subscription(String, "caption", lambda m: None, 10)  # reliable: cannot hear it
    node.create_publisher(Image, "left/image_raw", 10)
    clock = node.create_publisher(Clock, "/clock", 10) if simulated else None
    done, began = threading.Event(), time.time_ns() - 5000 * SECOND

    def publish():
        while not done.wait(0.05):
            now = node.get_clock().now().nanoseconds - (began if simulated else 0)
            if clock is not None:
                clock.publish(Clock(clock=messages.time_message(now)))
            for publisher, age in ((good, 0), (old, 3600 * SECOND)):
                message = Image(height=1, width=1, encoding="mono8", step=1, data=b"\0")
                message.header.stamp = messages.time_message(now - age)
                publisher.publish(message)
            mute.publish(String(data="hello"))

    thread = threading.Thread(target=publish)
    thread.start()
    yield request.param
    done.set()
    thread.join()
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_each_ill_is_named(street):
    runtime.start([])
    node = rclpy.create_node("doctor")
    try:
        found = {t.name: t for t in inspection.inspect(node, 3.0)}
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    assert found["/camera/image_raw"].verdict() == "ok"
    assert found["/camera/image_raw"].hertz == pytest.approx(20, rel=0.4)
    assert found["/camera/image_raw"].readers == "camera"
    clock = "/clock" if street == "simulated" else "this clock"
    assert f"3600.0 s behind {clock}" in found["/rear/image_raw"].verdict()
    assert "nothing arrived" in found["/left/image_raw"].verdict()
    assert "street cannot receive from street" in found["/caption"].verdict()
    assert "best effort publisher and reliable subscription" in found["/caption"].verdict().lower()


def test_the_command_tells_it_and_exits_with_1(street, tmp_path, capsys):
    began = time.monotonic()
    code = command.main(["doctor", "--seconds", "2", "--json", str(tmp_path / "d.json")])
    assert code == 1 and time.monotonic() - began < 10
    told = json.loads((tmp_path / "d.json").read_text())
    assert {t["topic"] for t in told["topics"]} >= {"/camera/image_raw", "/rear/image_raw", "/caption"}
    printed = capsys.readouterr().out
    assert "rclpy" in printed and "/rear/image_raw" in printed


def test_a_quiet_system_is_told(capsys):
    assert command.main(["doctor", "--seconds", "0.5"]) == 0
    assert "is a driver running" in capsys.readouterr().out
