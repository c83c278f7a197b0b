"""Real processes of nodes among messages that promise more than a robot has memory for: the good ones are answered."""

from __future__ import annotations

import array
import re

import cv2
import numpy as np
import pytest
from bombs import png
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CompressedImage, PointCloud2, PointField

from any2any_ros import msg
from any2any_ros.nodes import topology
from any2any_ros.nodes.bringup import Bringup
from any2any_ros.nodes.topology import Process
from any2any_ros.retrieval.sensor_topic import COMPRESSED

GB = 1 << 30
PICTURE = np.random.default_rng(0).integers(0, 255, (48, 96, 3), dtype=np.uint8)
POINTS = np.random.default_rng(1).uniform(-20, 20, (500, 4)).astype(np.float32)


def packed(data, kind="png"):
    return CompressedImage(format=kind, data=array.array("B", bytes(data)))


def jpeg_of_many_pixels():
    data = bytearray(cv2.imencode(".jpg", PICTURE)[1].tobytes())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    return data


def cloud(data, width, step, offsets=(0, 4, 8), kind=7):
    fields = [PointField(name=n, offset=o, datatype=kind, count=1) for n, o in zip("xyz", offsets, strict=True)]
    return PointCloud2(
        height=1, width=width, point_step=step, row_step=width * step, fields=fields, data=array.array("B", bytes(data))
    )


def chunk(rate=8000, channels=1):
    data = array.array("B", (8000 * np.sin(np.arange(8000) / 7)).astype("<i2").tobytes())
    return msg.AudioStamped(sample_rate=rate, channels=channels, encoding="S16LE", data=data)


# sensor -> type of its messages, parameters of its node, a good message, and bombs
SENSORS = {
    "camera": (
        CompressedImage, {"message_type": COMPRESSED},
        packed(cv2.imencode(".png", PICTURE)[1]), [packed(png(30_000, 30_000)), packed(jpeg_of_many_pixels(), "jpeg")],
    ),
    "lidar": (
        PointCloud2, {}, cloud(POINTS.tobytes(), 500, 16),
        [cloud(bytes(8_000_000), 8_000_000, 1, (0, 0, 0), 2), cloud(b"", 0, 1 << 31)],
    ),
    "audio": (
        msg.AudioStamped, {}, chunk(), [chunk(rate=1), chunk(rate=2**32 - 1), chunk(channels=2**32 - 1)],
    ),
}  # fmt: skip


def peak(pid):
    """Return the most memory that a process has had, bytes."""
    with open(f"/proc/{pid}/status") as stream:
        return int(re.search(r"VmHWM:\s+(\d+)", stream.read())[1]) * 1024


def picture_of_the_largest_size():
    pixels = np.zeros((4096, 8192), np.uint8)
    pixels[:2000, :3000] = 255
    return packed(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


@pytest.fixture
def system(bench, tmp_path):
    processes = [
        Process("encoder_node", f"{m}_encoder", {"encoder": m, "modality": m, "topic": f"/{m}/in", **parameters})
        for m, (_, parameters, _, _) in SENSORS.items()
    ]
    with Bringup(processes, topology.environment("loopback"), log_folder=tmp_path) as running:
        yield running


def refused(lines):
    """Return what the newest diagnostics of each sensor say of its refused messages: how many, and why the last one."""
    found = {}
    for status in (status for line in lines for status in line.status):
        values = {v.key: v.value for v in status.values}
        if "encoded" in values:
            found[status.name.split(": ")[1]] = int(values["refused"]), values["last_error"]
    return found


def test_good_messages_are_answered_among_bombs_and_no_node_takes_a_gigabyte(bench, system):
    answers = bench.listen(msg.Embedding, "embeddings")
    lines = bench.listen(DiagnosticArray, "/diagnostics")
    senders = {m: bench.publisher(cls, f"/{m}/in") for m, (cls, *_) in SENSORS.items()}

    def count(modality):
        return len([answer for answer in answers if answer.modality == modality])

    def until_answered(modality, message):
        before = count(modality)
        for _ in range(100):  # again, where the first came before everybody knew everybody
            senders[modality].publish(message)
            bench.spin(0.1)
            if count(modality) > before:
                return
        pytest.fail(f"no answer to {modality}: {refused(lines)}")

    for m, (_, _, good, bombs) in SENSORS.items():
        until_answered(m, good)
        for bomb in 3 * bombs:
            before = count(m)
            senders[m].publish(bomb)
            bench.spin(0.02)  # so that the good message does not take the place of the bomb
            senders[m].publish(good)
            bench.until(lambda m=m, before=before: count(m) > before)
    bench.until(lambda: all(refused(lines).get(m, (0,))[0] >= 3 for m in SENSORS))
    assert all(why.startswith("Cannot use") for _, why in refused(lines).values())
    assert all(peak(process.pid) < GB / 2 for process in system.running.values())
    until_answered("camera", picture_of_the_largest_size())
    assert 100 << 20 < peak(system.running["camera_encoder"].pid) < GB
    assert system.ended() == {}
