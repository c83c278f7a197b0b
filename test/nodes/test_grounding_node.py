"""The grounding node over real topics and its real action: what it sees, what it answers, and what it refuses."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from grounding_robot import Result, Robot, image, looks, save_model
from sensor_msgs.msg import CameraInfo
from visualization_msgs.msg import Marker, MarkerArray

from any2any_ros import msg
from any2any_ros.errors import Any2AnyError
from any2any_ros.node_config import GroundingNodeConfig
from any2any_ros.nodes import messages
from any2any_ros.nodes.cameras import Cameras
from any2any_ros.nodes.grounding_node import GroundingNode
from any2any_ros.objects import approach
from any2any_ros.objects.object_memory import ObjectMemory
from any2any_ros.samples import NS


@pytest.fixture(scope="module")
def frames():
    return looks()


@pytest.fixture
def model(tmp_path):
    return save_model(tmp_path / "model")


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
    p = best.pose.position
    np.testing.assert_allclose([p.x, p.y, p.z], known.centre, atol=1e-6)
    np.testing.assert_allclose(
        messages.pose_array(result.goal_pose.pose), approach.stand(known, frames[1].pose[:3, 3], 0.6), atol=1e-6
    )
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


def test_a_node_that_was_killed_starts_with_the_objects_that_it_saved_while_it_saw(bench, model, frames, tmp_path):
    robot = Robot(bench, model, objects=str(tmp_path / "objects"), save_period=0.1)
    for frame in frames[:2]:
        time.sleep(0.15)
        robot.see(frame)
    before = {o.id for o in robot.node.grounder.memory.believed}
    robot.bench.until(lambda: (tmp_path / "objects" / "map.json").exists())
    records = robot.node.grounder.model.reference_records()
    robot.bench.until(
        lambda: {o.id for o in ObjectMemory.load(tmp_path / "objects", records).believed} == before != set()
    )


def test_a_full_disk_does_not_stop_the_eyes(bench, model, frames):
    robot = Robot(bench, model, objects="/proc/objects", save_period=0.1)
    for frame in frames[:2]:
        time.sleep(0.15)
        robot.see(frame)
    assert robot.node.grounder.memory.believed


def test_bad_pictures_are_counted_and_the_next_one_is_seen(robot, frames):
    wrong = image(frames[0].rgb, "rgb8", frames[0].stamp_ns)
    wrong.encoding = "plaid"
    robot.to["rgb"].publish(wrong)
    other = image(np.ones((4, 4), dtype="<u2"), "16UC1", frames[0].stamp_ns)
    robot.to["depth"].publish(other)
    robot.bench.until(lambda: robot.node._cameras.refused.count)
    assert "plaid" in robot.node._cameras.error
    robot.to["info"].publish(CameraInfo())
    robot.bench.until(lambda: "intrinsics" in robot.node._cameras.error)
    robot.see(frames[1])
    assert robot.node.grounder.memory.everything
    (line,) = robot.node.status()
    assert line.level == DiagnosticStatus.WARN
    assert line.message.startswith("sees by camera and depth; some messages are refused: ")


def test_garbage_on_the_wire_is_counted_and_the_next_one_is_seen(robot, frames):
    for to in robot.to.values():
        to.publish(b"\x00\x01\x00\x00 this is nothing")
    robot.bench.until(lambda: robot.node._cameras.refused.count == len(robot.to))
    assert "Cannot read a message of type " in robot.node._cameras.error
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


def cameras_alone():
    """Return the cameras of no node, and the list of their warnings."""
    told = []
    logger = SimpleNamespace(warning=lambda text, **options: told.append(text))
    node = SimpleNamespace(now_ns=lambda: 0, get_logger=lambda: logger)
    return Cameras(node, GroundingNodeConfig(), lambda view: None), told


def detections(*widths):
    centre = SimpleNamespace(position=SimpleNamespace(x=10.0, y=10.0))
    header = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0))
    boxes = [SimpleNamespace(bbox=SimpleNamespace(center=centre, size_x=width, size_y=4.0)) for width in widths]
    return SimpleNamespace(header=header, detections=boxes)


@pytest.mark.parametrize("size", [float("nan"), float("inf"), -1e300])
def test_a_detection_without_a_box_is_refused_and_the_others_count(size):
    cameras, told = cameras_alone()
    cameras._detections(detections(size, 6.0))
    assert cameras.views.boxes[0][1] == ((7, 8, 13, 12),) and cameras.refused.count == 1 and "box" in told[0]


def test_more_detections_than_any_detector_sends_are_refused():
    cameras, _ = cameras_alone()
    with pytest.raises(Any2AnyError, match="it has 1,001 boxes, and at most 1,000"):
        cameras._detections(detections(*[6.0] * 1001))
    assert not cameras.views.boxes
