"""The encoder node over real topics: what comes out, what is refused, and what diagnostics say about it."""

import array
import sys
import textwrap
import threading

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image, LaserScan, PointCloud2, PointField
from std_msgs.msg import String

from any2any_ros import encoders, msg
from any2any_ros.nodes import messages
from any2any_ros.nodes.encoder_node import EncoderNode

PICTURE = np.random.default_rng(0).integers(0, 255, (48, 96, 3), dtype=np.uint8)
POINTS = np.random.default_rng(1).uniform(-20, 20, (500, 4)).astype(np.float32)


def image(pixels=PICTURE, encoding="rgb8", stamp_ns=5_000_000_007):
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=3 * pixels.shape[1])
    message.data = array.array("B", pixels.tobytes())
    message.header.stamp, message.header.frame_id = messages.time_message(stamp_ns), "front_camera"
    return message


def cloud(points=POINTS, names=("x", "y", "z", "intensity")):
    fields = [PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(names)]
    message = PointCloud2(height=1, width=len(points), point_step=16, row_step=16 * len(points), fields=fields)
    message.data = array.array("B", points.tobytes())
    message.header.stamp = messages.time_message(1_000)
    return message


def test_an_image_becomes_the_library_s_embedding(bench):
    node = bench.node(EncoderNode, encoder="camera")
    heard = bench.listen(msg.Embedding, "embeddings")
    bench.publisher(Image, "camera/image_raw").publish(image())
    bench.until(lambda: heard)
    expected = encoders.build("camera")
    assert np.array_equal(np.array(heard[0].vector, dtype=np.float32), expected.encode(PICTURE))
    assert heard[0].modality == "camera" and heard[0].encoder == expected.fingerprint
    assert messages.time_ns(heard[0].header.stamp) == 5_000_000_007
    assert heard[0].header.frame_id == "front_camera" and heard[0].encode_seconds > 0
    assert node.status()[0].level == DiagnosticStatus.OK


def test_a_compressed_image_is_read_when_told_so(bench):
    bench.node(EncoderNode, encoder="camera", message_type="sensor_msgs/msg/CompressedImage", topic="front/compressed")
    heard = bench.listen(msg.Embedding, "embeddings")
    png = cv2.imencode(".png", PICTURE[..., ::-1])[1]
    message = CompressedImage(format="png", data=array.array("B", png.tobytes()))
    bench.publisher(CompressedImage, "front/compressed").publish(message)
    bench.until(lambda: heard)
    np.testing.assert_array_equal(np.array(heard[0].vector, dtype=np.float32), encoders.build("camera").encode(PICTURE))


@pytest.mark.parametrize(
    ("plug", "message_class", "topic", "message"),
    [
        ("lidar", PointCloud2, "lidar/points", cloud()),
        ("text", String, "caption", String(data="a red house on the left")),
        (
            "laser_scan", LaserScan, "scan",
            LaserScan(angle_min=-1.5, angle_increment=0.01, range_max=30.0, ranges=[5 + 0.01 * i for i in range(300)]),
        ),
        (
            "audio", msg.AudioStamped, "microphone/audio",
            msg.AudioStamped(
                sample_rate=8000, channels=1, encoding="S16LE",
                data=array.array("B", (8000 * np.sin(np.arange(8000) / 7)).astype("<i2").tobytes()),
            ),
        ),
    ],
)  # fmt: skip
def test_every_kind_of_sensor_is_encoded(bench, plug, message_class, topic, message):
    bench.node(EncoderNode, encoder=plug)
    heard = bench.listen(msg.Embedding, "embeddings")
    bench.publisher(message_class, topic).publish(message)
    bench.until(lambda: heard)
    assert len(heard[0].vector) == encoders.build(plug).dimension
    assert np.linalg.norm(heard[0].vector) == pytest.approx(1, abs=1e-5)


def test_a_text_is_stamped_when_it_comes(bench):
    bench.node(EncoderNode, encoder="text")
    heard = bench.listen(msg.Embedding, "embeddings")
    before = bench.peer.get_clock().now().nanoseconds
    bench.publisher(String, "caption").publish(String(data="a tower"))
    bench.until(lambda: heard)
    assert before <= messages.time_ns(heard[0].header.stamp) <= bench.peer.get_clock().now().nanoseconds


BAD = [
    ("camera", Image, "camera/image_raw", image(encoding="fisheye12"), image(), "fisheye12"),
    ("camera", Image, "camera/image_raw", image(np.zeros((48, 96, 3), np.uint8)), image(), "same colour"),
    ("lidar", PointCloud2, "lidar/points", cloud(names=("a", "b", "c", "d")), cloud(), "no field x, y, z"),
    ("lidar", PointCloud2, "lidar/points", cloud(POINTS[:3]), cloud(), "3 of its 3 points"),
    ("text", String, "caption", String(data="?!"), String(data="a tower"), "names nothing"),
]


@pytest.mark.parametrize(("plug", "message_class", "topic", "bad", "good", "why"), BAD, ids=[b[-1] for b in BAD])
def test_a_bad_message_is_told_and_the_next_one_encoded(bench, plug, message_class, topic, bad, good, why, capfd):
    node = bench.node(EncoderNode, encoder=plug)
    heard = bench.listen(msg.Embedding, "embeddings")
    publisher = bench.publisher(message_class, topic)
    publisher.publish(bad)
    bench.until(lambda: node._health.refused.count == 1)
    status = node.status()[0]
    assert status.level == DiagnosticStatus.ERROR and why in status.message
    assert not heard
    publisher.publish(good)
    bench.until(lambda: heard)
    status = node.status()[0]
    assert status.level == DiagnosticStatus.WARN and status.message.startswith("some messages are refused: ")
    assert why in status.message and capfd.readouterr().err.count(why) == 1


def test_a_sensor_whose_messages_are_good_again_is_well_again(bench):
    node = bench.node(EncoderNode, encoder="text", silent_after=0.5)
    publisher = bench.publisher(String, "caption")

    def said():
        publisher.publish(String(data="a tower"))
        bench.spin(0.02)
        return node.status()[0].message

    publisher.publish(String(data="?!"))
    bench.until(lambda: node._health.refused.count)
    bench.until(lambda: "some messages are refused" in said())
    bench.until(lambda: said() == "encoding")
    assert node.status()[0].level == DiagnosticStatus.OK


def test_garbage_on_the_wire_does_not_end_the_node(bench):
    node = bench.node(EncoderNode, encoder="camera")
    node._receive(b"\x00\x01\x00\x00 this is no image", {})
    node._receive(b"", {})
    bench.until(lambda: node._health.refused.count >= 1)
    heard = bench.listen(msg.Embedding, "embeddings")
    bench.publisher(Image, "camera/image_raw").publish(image())
    bench.until(lambda: heard)


def test_only_the_newest_is_encoded_and_the_rest_counted(bench, tmp_path, monkeypatch):
    """A plug in a file of the user's own, busy for 0.3 s a message."""
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "__init__.py").write_text("")
    (tmp_path / "users" / "slow_plug.py").write_text(
        textwrap.dedent(
            """
            import time
            import numpy as np
            from any2any_ros.encoders.text import TextConfig, TextEncoder

            class Slow(TextEncoder):
                plug = "users.slow_plug"
                modality = "text"

                def encode(self, sample):
                    time.sleep(0.3)
                    return super().encode(sample)
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    node = bench.node(EncoderNode, encoder="users.slow_plug")
    heard = bench.listen(msg.Embedding, "embeddings")
    bench.publisher(String, "caption")
    for i in range(6):
        node._receive(serialize_message(String(data=f"word{i}")), {})
    last = encoders.build("text").encode("word5")
    bench.until(lambda: heard and np.array_equal(np.array(heard[-1].vector, dtype=np.float32), last))
    bench.spin(0.4)
    assert len(heard) <= 2  # the first, if the worker was quick, and the newest
    assert node._inbox.dropped == 6 - len(heard)
    sys.modules.pop("users.slow_plug")


def chunk(second, samples=800):
    tone = (8000 * np.sin(np.arange(samples) / 7 + second)).astype("<i2")
    message = msg.AudioStamped(sample_rate=8000, channels=1, encoding="S16LE", data=array.array("B", tone.tobytes()))
    message.header.stamp = messages.time_message(int(second * 1e9))
    return message


def test_a_bad_chunk_of_sound_costs_no_other_chunk_that_waits(bench):
    node = bench.node(EncoderNode, encoder="audio", settings__shortest=0.45)
    heard = bench.listen(msg.Embedding, "embeddings")
    chunks = [(serialize_message(chunk(1 + i / 10)), 0) for i in range(5)]
    node._encode([chunks[0], chunks[1], (b"noise", 0), chunks[2], chunks[3], chunks[4], (b"", 0)])
    bench.until(lambda: heard)
    assert node._health.refused.count == 2 and messages.time_ns(heard[0].header.stamp) == 1_400_000_000


def test_parts_of_a_stream_that_are_missing_are_told(bench):
    node = bench.node(EncoderNode, encoder="audio", silent_after=0.5)
    gate = threading.Event()
    node._inbox._work = lambda waiting: gate.wait(10)  # busy for long
    raw = serialize_message(chunk(1))
    for number in range(3):
        node._receive(raw, {"publication_sequence_number": number})
    assert node.status()[0].level == DiagnosticStatus.WARN and "missing" not in node.status()[0].message
    for number in range(3, 60):
        node._receive(raw, {"publication_sequence_number": number + 2 * (number > 30)})
    (line,) = node.status()
    gate.set()
    values = {pair.key: int(pair.value) for pair in line.values if pair.key in ("dropped", "missed")}
    assert values["missed"] == 2 and values["dropped"] >= 7
    assert line.level == DiagnosticStatus.WARN
    assert line.message.startswith(f"{values['dropped'] + 2} parts of the stream are missing")


def test_silence_is_explained(bench):
    node = bench.node(EncoderNode, encoder="camera", silent_after=0.05)
    bench.spin(0.1)
    assert "nobody publishes" in node.status()[0].message
    bench.stranger().create_publisher(CompressedImage, "camera/image_raw", 10)
    bench.until(lambda: "CompressedImage" in node.status()[0].message)
    assert node.status()[0].level == DiagnosticStatus.WARN


def test_a_qos_mismatch_is_told(bench, capfd):
    node = bench.node(EncoderNode, encoder="text", reliability="reliable", silent_after=0.05)
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    wrong = bench.peer.create_publisher(String, "caption", qos)
    bench.until(lambda: "peer: Best effort publisher and reliable subscription" in node.status()[0].message)
    good = bench.publisher(String, "caption")
    good.publish(String(data="a tower"))
    bench.until(lambda: node._health.encoded.count)
    assert node.status()[0].message.startswith("QoS mismatch on /caption: encoder cannot receive from peer")
    assert node.status()[0].level == DiagnosticStatus.WARN
    bench.peer.destroy_publisher(wrong)
    bench.until(lambda: "QoS" not in node.status()[0].message)


def test_sound_that_never_gets_long_enough_is_not_said_to_be_encoded(bench):
    """Each chunk leaves a gap behind the one before, so that the window of sound begins anew every time."""
    node = bench.node(EncoderNode, encoder="audio", silent_after=0.2)
    publisher = bench.publisher(msg.AudioStamped, "microphone/audio")
    for second in range(1, 4):
        message = msg.AudioStamped(sample_rate=8000, channels=1, encoding="S16LE", data=[0, 10] * 800)
        message.header.stamp.sec = second
        publisher.publish(message)
        bench.spin(0.05)
    bench.until(lambda: node.status()[0].message == "messages arrive, but none was encoded for 0.2 s")


def test_diagnostics_come_once_a_second(bench):
    bench.node(EncoderNode, encoder="text")
    heard = bench.listen(DiagnosticArray, "/diagnostics")
    bench.spin(2.5)
    assert 2 <= len(heard) <= 4
    keys = {pair.key for pair in heard[-1].status[0].values}
    assert {"age", "rate", "dropped", "encode_seconds", "qos_mismatch"} <= keys


def test_the_lifecycle_starts_and_stops_the_work(bench):
    node = bench.node(EncoderNode, start=False, encoder="text")
    publisher = bench.peer.create_publisher(String, "caption", 10)
    heard = []
    bench.peer.create_subscription(msg.Embedding, "embeddings", heard.append, 10)
    node.trigger_configure()
    publisher.publish(String(data="early"))
    bench.spin(0.3)
    assert not heard
    for _ in range(2):  # down to unconfigured and up again
        heard.clear()
        node.trigger_activate()
        bench.until(lambda: publisher.get_subscription_count() and bench.peer.count_publishers("embeddings"))
        bench.spin(0.2)
        publisher.publish(String(data="now"))
        bench.until(lambda: heard)
        node.trigger_deactivate()
        bench.until(lambda: not publisher.get_subscription_count())
        assert not node.status()
        node.trigger_cleanup()
        node.trigger_configure()


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"encoder": "sonar"}, "no encoder 'sonar'"),
        ({"encoder": "camera", "message_type": "std_msgs/msg/String"}, "cannot read std_msgs/msg/String"),
        ({"encoder": "lidar", "settings__descriptor": "cubic"}, "descriptor"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_told_and_the_node_stays(bench, parameters, why, capfd):
    node = bench.node(EncoderNode, **parameters)
    bench.spin(0.1)
    assert why in capfd.readouterr().err
    assert node.status() == []
