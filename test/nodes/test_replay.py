"""Replaying a bag: what is published, when, who is silenced, and what the clock says."""

import shutil
import threading
import time

import numpy as np
import pytest
import rclpy
from bag_files import STORE, text, written
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String

from any2any_ros.data import bags, kitti
from any2any_ros.errors import Any2AnyError
from any2any_ros.node_config import ReplayConfig
from any2any_ros.nodes import messages, runtime
from any2any_ros.nodes.replay import Outage, Replay
from any2any_ros.progress import silent

NEVER = type("Never", (), {"__bool__": lambda self: False})()


@pytest.fixture(scope="module")
def bag(laps, tmp_path_factory):
    """24 frames, 0.5 s apart, of camera, LiDAR, sound and captions."""
    return bags.write(kitti.read(laps, "00"), tmp_path_factory.mktemp("bag") / "ring")


class Listener:
    """Hears the replay in a thread of its own, as another process would."""

    def __init__(self):
        runtime.start([])
        self.heard = {"clock": [], "image": [], "caption": []}
        self.node, self.player = rclpy.create_node("listener"), rclpy.create_node("player")
        self.node.create_subscription(Clock, "/clock", lambda m: self._on("clock", messages.time_ns(m.clock)), 1000)
        self.node.create_subscription(
            Image, "camera/image_raw", lambda m: self._on("image", messages.time_ns(m.header.stamp)), 100
        )
        self.node.create_subscription(String, "caption", lambda m: self._on("caption", m.data), 100)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._spin)
        self.thread.start()

    def _on(self, what, value):
        self.heard[what].append((value, time.monotonic()))

    def _spin(self):
        while not self.done.is_set():
            self.executor.spin_once(timeout_sec=0.05)

    def close(self):
        self.done.set()
        self.thread.join()
        self.executor.shutdown()
        self.node.destroy_node()
        self.player.destroy_node()
        rclpy.try_shutdown()


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.close()


def replay(listener, bag, *outages, stop=NEVER, progress=silent, **config):
    told = []
    outages = tuple(Outage.parse(text) for text in outages)
    settings = ReplayConfig(wait=0.5, **config)
    count = Replay(listener.player, bag, settings, outages, tell=told.append, progress=progress).run(stop)
    time.sleep(0.3)
    return count, told


def test_everything_comes_in_its_own_time(listener, bag):
    began = time.monotonic()
    replay(listener, bag, rate=4.0)
    images = listener.heard["image"]
    stamps, came = np.array([s for s, _ in images]) / 1e9, np.array([t for _, t in images])
    assert len(images) == len(listener.heard["caption"]) == 24
    # Never too early; how late depends on the machine, but not as late as at rate 1.
    due = (stamps - stamps[0]) / 4.0
    assert (came - began >= due).all()
    assert (came[-1] - came[0]) < 2 * due[-1]
    clock = [c for c, _ in listener.heard["clock"]]
    assert clock == sorted(clock) and len(clock) > 1000
    assert clock[-1] == int(stamps[-1] * 1e9)


def test_a_silenced_sensor_dies_and_returns_alone(listener, bag):
    replay(listener, bag, "camera@2s-4s", "caption@3-5", rate=10.0)
    seconds = np.array([s for s, _ in listener.heard["image"]]) / 1e9 - 1  # a drive starts at 1 s
    assert not ((seconds >= 2) & (seconds < 4)).any()
    assert len(seconds) == 24 - 4 and len(listener.heard["caption"]) == 24 - 4


def test_start_and_duration_cut_the_bag(listener, bag):
    replay(listener, bag, rate=10.0, start=3.0, duration=2.0)
    seconds = [s / 1e9 - 1 for s, _ in listener.heard["image"]]
    assert seconds == [3.0, 3.5, 4.0, 4.5, 5.0]


def test_a_loop_jumps_the_clock_back(listener, bag):
    class AfterTwoRounds:
        def __bool__(self):
            return len(listener.heard["image"]) >= 30

    replay(listener, bag, stop=AfterTwoRounds(), rate=20.0, loop=True)
    clock = np.array([c for c, _ in listener.heard["clock"]])
    assert (np.diff(clock) < -NS_10).sum() == 1


NS_10 = 10 * 10**9


def test_who_does_not_listen_is_named(listener, bag):
    _, told = replay(listener, bag, rate=50.0)
    assert len(told) == 1 and "/lidar/points" in told[0] and "/camera/image_raw" not in told[0]


@pytest.mark.parametrize("start", [11.6, 1e300])
def test_a_start_after_the_end_is_refused(listener, bag, start):
    with pytest.raises(Any2AnyError, match=r"it ends after 11\.5 s"):
        replay(listener, bag, start=start)


def test_a_duration_beyond_the_end_ends_with_the_bag(listener, bag):
    replay(listener, bag, rate=50.0, start=11.0, duration=1e300)
    assert [s / 1e9 - 1 for s, _ in listener.heard["image"]] == [11.0, 11.5]


@pytest.mark.parametrize("topic", ["/front camera", "caption/", "/1st", "/\u00e9t\u00e9", "/" + "x" * 300, "/clock"])
def test_a_topic_that_ros_cannot_have_is_refused(listener, tmp_path, topic):
    path = written(tmp_path / "bag", (topic, "std_msgs/msg/String", [(10**9, text("a mill"))]))
    with pytest.raises(Any2AnyError, match="Cannot publish the topic"):
        replay(listener, path)


def test_what_cannot_be_published_is_left_out_with_a_line_and_never_imported(listener, tmp_path, monkeypatch):
    for folder in ("evil_robot", "evil_robot/msg"):
        (tmp_path / folder).mkdir()
        code = f"open({str(tmp_path / 'imported')!r}, 'w')\nclass Evil: ...\n"
        (tmp_path / folder / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg("string data", "evil_robot/msg/Evil"))
    evil = store.types["evil_robot/msg/Evil"](data="")
    path = tmp_path / "bag"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind, message in [
            ("/caption", "std_msgs/msg/String", text("a mill")), ("/evil", "evil_robot/msg/Evil", evil),
            ("/front camera", "std_msgs/msg/String", text("a mill")), ("/caption", "evil_robot/msg/Evil", evil),
        ]:  # fmt: skip
            connection = writer.add_connection(topic, kind, typestore=store)
            writer.write(connection, 10**9, store.serialize_cdr(message, kind))
    count, told = replay(listener, path)
    assert count == 1 and [said for said, _ in listener.heard["caption"]] == ["a mill"]
    assert len(told) == 3 and "'/caption' as evil_robot/msg/Evil is left out: " in told[0], told
    assert "'/evil' as evil_robot/msg/Evil is left out: There is no message type" in told[1]
    assert "'/front camera' as std_msgs/msg/String is left out: '/front camera' cannot be the name of" in told[2]
    assert not (tmp_path / "imported").exists()


def test_a_recorded_clock_does_not_compete(listener, tmp_path):
    clock = STORE.types["rosgraph_msgs/msg/Clock"](clock=STORE.types["builtin_interfaces/msg/Time"](sec=77, nanosec=0))
    path = written(tmp_path / "bag", ("/clock", "rosgraph_msgs/msg/Clock", [(10**9, clock)]),
                   ("/caption", "std_msgs/msg/String", [(10**9, text("a mill"))]))  # fmt: skip
    _, told = replay(listener, path)
    assert {c for c, _ in listener.heard["clock"]} == {10**9}
    assert "'/clock' as rosgraph_msgs/msg/Clock is left out" in told[0]


def test_a_latched_topic_reaches_a_late_subscriber(listener, tmp_path):
    latched = Qos(QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, QosTime(0, 0),
                  QosTime(0, 0), QosLiveliness.AUTOMATIC, QosTime(0, 0), False)  # fmt: skip
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection(
            "/description", "std_msgs/msg/String", typestore=STORE, offered_qos_profiles=[latched]
        )
        writer.write(connection, 10**9, STORE.serialize_cdr(text("a mill"), "std_msgs/msg/String"))
    replay(listener, tmp_path / "bag")
    late = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    listener.node.create_subscription(String, "/description", lambda m: listener._on("caption", m.data), late)
    deadline = time.monotonic() + 5
    while not listener.heard["caption"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [said for said, _ in listener.heard["caption"]] == ["a mill"]


def test_a_ros_1_bag_is_converted(listener, tmp_path):
    ros1 = get_typestore(Stores.ROS1_NOETIC)
    with Writer1(tmp_path / "old.bag") as writer:
        connection = writer.add_connection("/camera/image_raw", "sensor_msgs/msg/Image", typestore=ros1)
        header = ros1.types["std_msgs/msg/Header"](1, ros1.types["builtin_interfaces/msg/Time"](5, 6), "camera")
        image = ros1.types["sensor_msgs/msg/Image"](header, 1, 1, "mono8", 0, 1, np.ones(1, np.uint8))
        writer.write(connection, 10**9, ros1.serialize_ros1(image, image.__msgtype__))
    seen = []
    count, _ = replay(
        listener, tmp_path / "old.bag", progress=lambda loop, what: seen.append((len(loop), what)) or loop
    )
    assert count == 1 and [stamp for stamp, _ in listener.heard["image"]] == [5 * 10**9 + 6]
    assert seen == [(1, "replaying old.bag")]


def test_times_that_no_clock_can_have_are_refused(listener, tmp_path):
    path = written(tmp_path / "bag", ("/caption", "std_msgs/msg/String", [(2**31 * 10**9, text("a mill"))]))
    with pytest.raises(Any2AnyError, match="none that /clock can have"):
        replay(listener, path)


def test_damage_in_the_middle_is_told(listener, bag, tmp_path):
    cut = shutil.copytree(bag, tmp_path / "cut")
    file = next(cut.glob("*.mcap"))
    data = bytearray(file.read_bytes())
    data[4000 : len(data) // 2] = b"\xff" * (len(data) // 2 - 4000)
    file.write_bytes(data)
    with pytest.raises(Any2AnyError, match="Cannot read the bag"):
        replay(listener, cut, rate=100.0)


def test_an_unknown_victim_is_refused(listener, bag):
    with pytest.raises(Any2AnyError, match=r"Cannot kill 'radar'.*camera/image_raw"):
        replay(listener, bag, "radar@1s-2s")


def test_a_damaged_bag_is_refused(listener, bag, tmp_path):
    cut = tmp_path / "cut"
    shutil.copytree(bag, cut)
    data = next(cut.glob("*.mcap"))
    data.write_bytes(data.read_bytes()[:5000])
    with pytest.raises(Any2AnyError, match="Cannot read the bag"):
        replay(listener, cut)


@pytest.mark.parametrize("text", [
    "camera", "camera@5s", "camera@5s-2s", "camera@5-5", "@1-2", "camera@a-b", "camera@1.2.3s-4s", "camera@1-2.3.4",
    "camera@.-5", "camera@\u0661-\u0662", f"camera@1-{'9' * 5000}",
])  # fmt: skip
def test_an_outage_that_is_none_is_refused(text):
    with pytest.raises(Any2AnyError, match="camera@20s-40s"):
        Outage.parse(text)


@pytest.mark.parametrize("text", ["camera@20s-40s", "camera@20-40", "camera@20.0s-40"])
def test_an_outage_is_read(text):
    assert Outage.parse(text) == Outage("camera", 20.0, 40.0)
    assert Outage.parse(text).topic == "camera/image_raw"
