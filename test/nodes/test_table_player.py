"""What is played arrives as a robot's cameras and microphone would send it."""

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CameraInfo, Image

from any2any_ros import msg, samples
from any2any_ros.node_config import GroundingNodeConfig
from any2any_ros.nodes import messages
from any2any_ros.nodes.table_player import CameraPlayer, Microphone
from any2any_ros.samples import NS
from any2any_ros.sim.tabletop import CameraConfig, SceneConfig, TabletopConfig, scene

TOPICS = GroundingNodeConfig()


@pytest.fixture(scope="module")
def frames():
    camera = CameraConfig(width=64, height=48, focal=52)
    return list(scene(0, TabletopConfig(classes=3, instances=2), SceneConfig(objects=2, frames=3), camera))


def test_frames_arrive_as_they_are_to_and_fro(bench, frames):
    player = CameraPlayer(bench.peer, frames, 20.0)
    colour, depth = bench.listen(Image, TOPICS.rgb_topic), bench.listen(Image, TOPICS.depth_topic)
    info, poses = bench.listen(CameraInfo, TOPICS.info_topic), bench.listen(PoseStamped, TOPICS.pose_topic)
    with player:
        bench.until(lambda: min(map(len, (colour, depth, info, poses))) >= 5)
    assert player.is_seen
    order = [frames[i] for i in (0, 1, 2, 1, 0)]
    for frame, c, d, i, p in zip(order, colour, depth, info, poses, strict=False):
        assert np.array_equal(samples.image(c), frame.rgb)
        assert np.allclose(samples.depth(d), frame.depth, atol=6e-4, equal_nan=True)
        assert np.allclose(np.array(i.k).reshape(3, 3), frame.intrinsics) and (i.width, i.height) == (64, 48)
        assert np.allclose(messages.pose_array(p.pose), frame.pose)
        assert len({messages.time_ns(m.header.stamp) for m in (c, d, i, p)}) == 1


def test_a_dead_camera_is_silent_and_nothing_comes_after_the_end(bench, frames):
    player = CameraPlayer(bench.peer, frames, 50.0, alive=("depth",))
    colour, depth = bench.listen(Image, TOPICS.rgb_topic), bench.listen(Image, TOPICS.depth_topic)
    with player:
        bench.until(lambda: len(depth) >= 5)
        assert colour == []
        player.alive = ("camera",)
        bench.until(lambda: len(colour) >= 5)
    bench.spin(0.2)
    count, shown = len(depth), player.shown
    bench.spin(0.3)
    assert len(depth) == count and player.shown == shown


def test_the_microphone_never_pauses_and_all_that_is_said_is_in_it(bench):
    microphone = Microphone(bench.peer, 16000)
    heard = bench.listen(msg.AudioStamped, TOPICS.speech_topic, 50)
    said = (0.5 * np.sin(np.arange(4000) / 5)).astype(np.float32)
    with microphone:
        bench.until(lambda: len(heard) >= 2)
        quiet = len(heard)
        ended = microphone.say(said)
        assert ended > 0
        bench.until(lambda: len(heard) >= quiet + 5)
    chunks = [samples.decode("any2any_ros/msg/AudioStamped", m, "sound") for m in heard]
    stream = np.concatenate([c.samples for c in chunks])
    assert {c.rate for c in chunks} == {16000}
    found = np.correlate(stream, said, "valid")
    at = int(np.argmax(found))
    assert np.abs(stream[at : at + len(said)] - said).max() < 0.02
    assert 0.0005 < stream[: at - 100].std() < 0.005  # the room before it
    stamps = np.array([messages.time_ns(m.header.stamp) for m in heard])
    assert set(np.diff(stamps)) == {NS // 10}
