"""The grounding node over real topics and its real action: what it sees, what it answers, and what it refuses."""

import array

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionClient
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from visualization_msgs.msg import Marker, MarkerArray

from any2any_ros import action, encoders, msg
from any2any_ros.config import GroundingNodeConfig
from any2any_ros.data import gold
from any2any_ros.nodes import messages
from any2any_ros.nodes.grounding_node import GroundingNode
from any2any_ros.objects import grounding_model
from any2any_ros.objects.grounding_model import Model
from any2any_ros.objects.heads import EMMA
from any2any_ros.retrieval.reference_map import EncoderRecord
from any2any_ros.samples import NS
from any2any_ros.sim import tabletop
from any2any_ros.sim.tabletop import voices

Result = action.RetrieveObject.Result
PLUGS = {"camera": "crop", "depth": "depth", "text": "text"}
CAMERA = tabletop.CameraConfig(width=320, height=240, focal=262.5)
DIMS = 16


@pytest.fixture(scope="module")
def frames():
    """Three looks at a table with four objects."""
    scene = tabletop.scene(3, config=tabletop.SceneConfig(objects=4, frames=3, sweep=20), camera=CAMERA)
    return list(scene)


@pytest.fixture
def model(tmp_path):
    """Heads that were never trained: what they answer is arbitrary, and how they are asked is not."""
    draw, records, state = np.random.default_rng(0), {}, [{}, {}, {}, {}]
    for m, plug in PLUGS.items():
        encoder = encoders.build(plug)
        records[m] = EncoderRecord(plug, encoder.fingerprint, encoder.dimension)
        widths = [encoder.dimension, 8, 8, DIMS]
        state[0][m], state[1][m] = np.zeros(widths[0], np.float32), np.ones(widths[0], np.float32)
        for layer in range(3):
            shape = widths[layer : layer + 2]
            state[2][f"{m}/{layer}"] = (draw.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)
            state[3][f"{m}/{layer}"] = (0.1 * draw.normal(size=shape[1])).astype(np.float32)
    grounding_model.save(Model(EMMA(*state), records), tmp_path / "model")
    return tmp_path / "model"


class Robot:
    """A grounding node, its cameras and whoever gives it commands."""

    def __init__(self, bench, model, **parameters):
        self.bench = bench
        self.node = bench.node(GroundingNode, **{"model": str(model), "hearing": "none"} | parameters)
        self.client = ActionClient(bench.peer, action.RetrieveObject, "retrieve_object")
        bench.until(self.client.server_is_ready)
        self.feedback = []
        self.to = {
            "rgb": bench.peer.create_publisher(Image, "camera/image_raw", qos_profile_sensor_data),
            "depth": bench.peer.create_publisher(Image, "depth/image_raw", qos_profile_sensor_data),
            "info": bench.peer.create_publisher(CameraInfo, "camera/camera_info", qos_profile_sensor_data),
            "pose": bench.peer.create_publisher(PoseStamped, "camera/pose", qos_profile_sensor_data),
        }
        bench.until(lambda: all(p.get_subscription_count() for p in self.to.values()))

    def see(self, frame, rgb=True, depth=True):
        """Show one frame, and wait until it has been looked at."""
        before = self.node._views
        self.to["info"].publish(CameraInfo(k=frame.intrinsics.ravel()))
        if rgb:
            self.to["rgb"].publish(image(frame.rgb, "rgb8", frame.stamp_ns))
        if depth:
            millimetres = np.nan_to_num(frame.depth * 1000).round().astype("<u2")
            self.to["depth"].publish(image(millimetres, "16UC1", frame.stamp_ns))
        pose = PoseStamped(pose=messages.pose_message(frame.pose))
        pose.header.stamp = messages.time_message(frame.stamp_ns)
        self.to["pose"].publish(pose)
        self.bench.until(lambda: self.node._views > before)

    def send(self, text="", timeout=0.0):
        """Send a goal; return its handle as soon as it is accepted."""
        goal = action.RetrieveObject.Goal(text=text, timeout=timeout)
        future = self.client.send_goal_async(goal, feedback_callback=lambda f: self.feedback.append(f.feedback.state))
        self.bench.until(future.done)
        assert future.result().accepted
        return future.result()

    def ends(self, handle):
        """Return how a goal ended, and its result."""
        future = handle.get_result_async()
        self.bench.until(future.done)
        return future.result().status, future.result().result

    def ask(self, text):
        return self.ends(self.send(text))


def image(pixels, encoding, stamp_ns):
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=pixels[0].nbytes)
    message.data = array.array("B", np.ascontiguousarray(pixels).tobytes())
    message.header.stamp = messages.time_message(stamp_ns)
    return message


@pytest.fixture
def robot(bench, model):
    return Robot(bench, model)


def test_what_was_seen_is_answered_with(robot, frames):
    heard = robot.bench.listen(msg.Ranking, "object_matches")
    for frame in frames[:2]:
        robot.see(frame)
    objects = robot.node.grounder.memory.believed
    assert 3 <= len(objects) <= 5
    status, result = robot.ask("bring me the blue mug")
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Result.NOT_CALIBRATED)
    assert result.heard == "bring me the blue mug" and "not calibrated" in result.error_msg
    best = result.ranking.matches[0]
    known = next(o for o in objects if o.id == best.id)
    p = result.goal_pose.pose.position
    np.testing.assert_allclose([p.x, p.y, p.z], known.centre, atol=1e-6)
    assert result.goal_pose.header.frame_id == "map" and len(result.ranking.matches) == len(objects)
    expected = robot.node.grounder.answer(robot.node.grounder.command("bring me the blue mug"))
    assert best.score == pytest.approx(expected.matches[0].score)
    robot.bench.until(lambda: heard and heard[0].matches[0].id == best.id)
    robot.bench.until(lambda: "ranking" in robot.feedback)


def test_before_anything_is_seen_there_is_nothing_to_bring(robot):
    status, result = robot.ask("the red bowl")
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Result.NO_OBJECTS)
    assert "no objects" in result.error_msg and not result.ranking.matches


@pytest.mark.parametrize("text", ["   ", "x" * 10_000, "Bring mir die blaue Tasse", "把蓝色的杯子拿给我", "!?…"])
def test_odd_commands_are_answered_or_refused_and_never_the_end(robot, frames, text):
    robot.see(frames[0])
    robot.see(frames[1])
    status, result = robot.ask(text)
    assert status == GoalStatus.STATUS_ABORTED
    assert result.error_code in (Result.NOT_UNDERSTOOD, Result.NOT_CALIBRATED) and result.error_msg
    assert robot.ask("a mug")[1].error_code == Result.NOT_CALIBRATED  # it still answers


def test_nobody_speaks(robot):
    status, result = robot.ends(robot.send(timeout=0.3))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Result.NOTHING_HEARD)
    assert robot.feedback == ["listening"]


def test_a_newer_command_supersedes_the_one_that_is_listened_for(robot, frames):
    robot.see(frames[0])
    robot.see(frames[1])
    first = robot.send()
    second = robot.send("the mug")
    assert robot.ends(first)[1].error_code == Result.SUPERSEDED
    assert robot.ends(second)[1].error_code == Result.NOT_CALIBRATED


def test_listening_is_canceled(robot):
    handle = robot.send()
    future = handle.cancel_goal_async()
    robot.bench.until(future.done)
    assert len(future.result().goals_canceling) == 1
    status, result = robot.ends(handle)
    assert (status, result.error_code) == (GoalStatus.STATUS_CANCELED, Result.CANCELED)
    assert robot.ends(robot.send(timeout=0.2))[1].error_code == Result.NOTHING_HEARD  # and listens again


def test_a_node_that_is_deactivated_while_it_listens_says_so(robot):
    handle = robot.send()
    robot.node.trigger_deactivate()
    assert robot.ends(handle)[1].error_code == Result.NOT_ACTIVE
    assert robot.ask("the mug")[1].error_code == Result.NOT_ACTIVE


def test_without_depth_known_objects_are_looked_at_again(bench, model, frames):
    robot = Robot(bench, model, source_timeout=0.5)
    robot.see(frames[0])
    robot.see(frames[1])
    objects = {o.id: o.sightings for o in robot.node.grounder.memory.believed}
    bench.until(lambda: not robot.node._cameras.alive)
    assert robot.node.status()[0].level == DiagnosticStatus.ERROR
    robot.see(frames[2], depth=False)
    assert robot.node._cameras.alive == ("camera",)
    assert {o.id for o in robot.node.grounder.memory.believed} == set(objects)
    assert robot.node.status()[0].level == DiagnosticStatus.WARN and "camera alone" in robot.node.status()[0].message
    counts = [o.counts for o in robot.node.grounder.memory.believed]
    assert any(c["camera"] > c["depth"] for c in counts)


def test_without_colour_objects_are_found_by_depth_alone(robot, frames):
    for frame in frames[:2]:
        robot.see(frame, rgb=False)
    assert len(robot.node.grounder.memory) >= 3
    assert all(set(o.counts) == {"depth"} for o in robot.node.grounder.memory.believed)
    assert robot.ask("the mug")[1].error_code == Result.NOT_CALIBRATED


def test_objects_are_kept_from_one_start_to_the_next(bench, model, frames, tmp_path):
    kept = tmp_path / "objects"
    robot = Robot(bench, model, objects=str(kept))
    robot.see(frames[0])
    robot.see(frames[1])
    before = {o.id: o.centre for o in robot.node.grounder.memory.believed}
    robot.node.trigger_deactivate()
    robot.node.trigger_cleanup()
    robot.node.trigger_configure()
    after = {o.id: o.centre for o in robot.node.grounder.memory.believed}
    assert set(after) == set(before) and before
    for name, centre in before.items():
        np.testing.assert_allclose(after[name], centre)


def test_bad_pictures_are_counted_and_the_next_one_is_seen(robot, frames):
    wrong = image(frames[0].rgb, "rgb8", frames[0].stamp_ns)
    wrong.encoding = "plaid"
    robot.to["rgb"].publish(wrong)
    other = image(np.ones((4, 4), dtype="<u2"), "16UC1", frames[0].stamp_ns)
    robot.to["depth"].publish(other)
    robot.bench.until(lambda: robot.node._cameras.refused)
    assert "plaid" in robot.node._cameras.error
    robot.to["info"].publish(CameraInfo())
    robot.bench.until(lambda: "intrinsics" in robot.node._cameras.error)
    robot.see(frames[1])
    assert robot.node.grounder.memory.everything


def test_colour_and_depth_of_two_sizes_are_told(robot, frames):
    frame = frames[0]
    robot.to["info"].publish(CameraInfo(k=frame.intrinsics.ravel()))
    robot.to["rgb"].publish(image(frame.rgb[:100], "rgb8", NS))
    robot.to["depth"].publish(image(np.ones((50, 320), dtype="<u2"), "16UC1", NS))
    pose = PoseStamped(pose=messages.pose_message(frame.pose))
    pose.header.stamp = messages.time_message(NS)
    robot.to["pose"].publish(pose)
    robot.bench.until(lambda: "registered" in robot.node._cameras.error)


def test_objects_are_drawn(robot, frames):
    drawn = robot.bench.listen(MarkerArray, "object_markers")
    robot.see(frames[0])
    robot.see(frames[1])
    robot.bench.until(lambda: drawn and len(drawn[-1].markers) > 1)
    kinds = {m.ns: m.type for m in drawn[-1].markers if m.ns}
    assert kinds == {"objects": Marker.CUBE, "names": Marker.TEXT_VIEW_FACING}


@pytest.mark.parametrize(
    ("parameters", "why"), [({}, "parameter model is empty"), ({"model": "/nowhere"}, "model.json")]
)
def test_a_node_without_a_model_says_why(bench, parameters, why, capfd):
    node = bench.node(GroundingNode, hearing="none", **parameters)
    assert not node.status()
    assert why in capfd.readouterr().err


# --- spoken -----------------------------------------------------------------------------------------------------


def speak(robot, samples, rate=16000, after=1.5):
    """Say it to the robot in chunks of 0.1 s, in a quiet room, with a pause after it."""
    draw, size = np.random.default_rng(0), rate // 10
    whole = np.concatenate([np.zeros(rate // 2), samples, np.zeros(int(after * rate))])
    whole = whole + 0.001 * draw.normal(size=len(whole))
    publisher = robot.bench.publisher(msg.AudioStamped, "speech/audio")
    for i in range(0, len(whole) - size + 1, size):
        pcm = np.clip(32768 * whole[i : i + size], -32768, 32767).astype("<i2")
        message = msg.AudioStamped(sample_rate=rate, channels=1, encoding="S16LE", data=array.array("B", pcm.tobytes()))
        message.header.stamp = messages.time_message(NS + round((i + size) / rate * NS))
        publisher.publish(message)
        robot.bench.spin(0.005)


def test_a_spoken_command_is_answered(bench, model, frames, tmp_path):
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is absent: pip install 'any2any_ros[speech]'")
    if not voices.available():
        pytest.skip("espeak-ng is absent: apt install espeak-ng")
    voices.say("bring me the blue mug", 0, tmp_path / "said.wav", np.random.default_rng(0))
    robot = Robot(bench, model, hearing="sphinx")
    robot.see(frames[0])
    robot.see(frames[1])
    handle = robot.send(timeout=30.0)
    sound = gold.sound(tmp_path / "said.wav")
    speak(robot, sound.samples, sound.rate)
    _, result = robot.ends(handle)
    assert (result.error_code, result.heard) == (Result.NOT_CALIBRATED, "bring me the blue mug")
    assert "heard" in robot.feedback


@pytest.mark.parametrize("kind", ["silence", "noise", "hum"])
def test_what_is_no_speech_is_no_command(robot, frames, kind):
    robot.see(frames[0])
    robot.see(frames[1])
    time, draw = np.arange(16000) / 16000, np.random.default_rng(1)
    sound = {"silence": 0 * time, "noise": 0.1 * draw.normal(size=16000), "hum": 0.3 * np.sin(2 * np.pi * 120 * time)}[
        kind
    ]
    handle = robot.send(timeout=4.0)
    speak(robot, sound)
    _, result = robot.ends(handle)
    assert result.error_code in (Result.NOTHING_HEARD, Result.NOT_UNDERSTOOD) and not result.heard


def test_ten_minutes_of_talk_are_no_command_and_no_flood(robot, frames):
    """Without a pause it is cut where the longest utterance ends; the node answers on."""
    robot.see(frames[0])
    robot.see(frames[1])
    handle = robot.send(timeout=60.0)
    draw, rate = np.random.default_rng(2), 8000
    talk = draw.normal(size=600 * rate) * (0.1 + 0.1 * np.sin(np.arange(600 * rate) / 700))
    publisher = robot.bench.publisher(msg.AudioStamped, "speech/audio")
    for i in range(0, len(talk), 5 * rate):
        pcm = np.clip(32768 * talk[i : i + 5 * rate], -32768, 32767).astype("<i2")
        message = msg.AudioStamped(sample_rate=rate, channels=1, encoding="S16LE", data=array.array("B", pcm.tobytes()))
        message.header.stamp = messages.time_message(NS + round((i / rate + 5) * NS))
        publisher.publish(message)
        robot.bench.spin(0.005)
    _, result = robot.ends(handle)
    assert result.error_code == Result.NOT_UNDERSTOOD and "say it again" in result.error_msg
    assert robot.ask("the mug")[1].error_code == Result.NOT_CALIBRATED


@pytest.mark.parametrize("size", [float("nan"), float("inf"), -1e300])
def test_a_detection_without_a_box_is_refused_and_the_others_count(size):
    from types import SimpleNamespace

    from any2any_ros.nodes.cameras import Cameras

    def detection(width):
        centre = SimpleNamespace(position=SimpleNamespace(x=10.0, y=10.0))
        return SimpleNamespace(bbox=SimpleNamespace(center=centre, size_x=width, size_y=4.0))

    told = []
    logger = SimpleNamespace(warning=lambda text, **options: told.append(text))
    node = SimpleNamespace(now_ns=lambda: 0, get_logger=lambda: logger)
    cameras = Cameras(node, GroundingNodeConfig(), lambda view: None)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0))
    cameras._detections(SimpleNamespace(header=header, detections=[detection(size), detection(6.0)]))
    assert cameras._boxes[0][1] == ((7, 8, 13, 12),) and cameras.refused == 1 and "box" in told[0]
