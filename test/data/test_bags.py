"""Bags: a drive is written to a bag, and comes back from it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from bag_files import MODALITIES, STORE
from rosbags.highlevel import AnyReader
from scipy.spatial.transform import Rotation

from any2any_ros import encoders, samples
from any2any_ros.data import bags, carmen, kitti
from any2any_ros.data.bag_reading import open_reader
from any2any_ros.errors import Any2AnyError


def messages(path):
    """Return (topic, type, stamp, message) of everything in a bag, in order of time."""
    with AnyReader([path], default_typestore=STORE) as reader:
        return [(c.topic, c.msgtype, t, reader.deserialize(raw, c.msgtype)) for c, t, raw in reader.messages()]


def test_every_sample_comes_back_bit_by_bit(bag, drive):
    topics = {f"/{encoders.build(m).topic}": m for m in MODALITIES}
    kinds = {f"/{e.topic}": e.accepts for e in map(encoders.build, MODALITIES)}
    stamps, seen = drive.stamps_ns.tolist(), set()
    for topic, msgtype, stamp, message in messages(bag):
        if topic == f"/{bags.TRUTH}":
            continue
        i = stamps.index(stamp)
        expected, found = drive.sample(topics[topic], i), samples.decode(msgtype, message, kinds[topic])
        if topics[topic] == "audio":
            assert found.rate == expected.rate
            expected, found = expected.samples, found.samples
        np.testing.assert_array_equal(found, expected)
        assert samples.stamp_ns(message) in (stamp, None)
        seen.add((topics[topic], i))
    assert seen == {(m, i) for m in MODALITIES for i in range(len(drive)) if drive.sample(m, i) is not None}


def test_poses_come_back(bag, drive):
    poses = [(t, m.pose, m.header) for topic, _, t, m in messages(bag) if topic == f"/{bags.TRUTH}"]
    assert [t for t, _, _ in poses] == drive.stamps_ns.tolist()
    for (_, pose, header), expected in zip(poses, drive.poses, strict=True):
        assert header.frame_id == "map"
        p, q = pose.position, pose.orientation
        np.testing.assert_allclose([p.x, p.y, p.z], expected[:3, 3])
        np.testing.assert_allclose(Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix(), expected[:3, :3], atol=1e-12)


def test_a_laser_log_comes_back(tmp_path):
    lines = "".join(f"FLASER 4 1.5 80 2.5 3 {x} 0 0 0 0 0 {x + 5} host {x}\n" for x in range(3))
    (tmp_path / "house.log").write_text(lines)
    log = carmen.read(tmp_path / "house.log")
    written = messages(bags.write(log, tmp_path / "bag"))
    found = [samples.decode(t, m, "scan") for topic, t, _, m in written if topic == "/scan"]
    for i, scan in enumerate(found):
        expected = log.sample("laser_scan", i)
        np.testing.assert_array_equal(scan.ranges, expected.ranges)
        assert (scan.angle_min, scan.angle_increment, scan.range_max) == pytest.approx(
            (expected.angle_min, expected.angle_increment, expected.range_max), abs=1e-7
        )


def test_a_thermal_camera_comes_back_with_all_of_its_bits(laps, tmp_path):
    folder = shutil.copytree(laps / "sequences" / "00", tmp_path / "ring")
    counts = np.arange(28000, 28000 + 24 * 32, dtype=np.uint16).reshape(24, 32)
    (folder / "thermal").mkdir()
    cv2.imwrite(str(folder / "thermal" / "000001.png"), counts)
    bag = bags.write(kitti.read(folder).take(range(3)), tmp_path / "bag")
    (found,) = [m for topic, _, _, m in messages(bag) if topic == "/thermal/image_raw"]
    assert found.encoding == "mono16"
    np.testing.assert_array_equal(samples.thermal(found), counts)
    with open_reader(bag) as reader:
        assert bags.default_topics(reader)["thermal"] == "/thermal/image_raw"


def test_ros_own_tools_find_a_bag_that_names_its_own_files(bag):
    metadata = (bag / "metadata.yaml").read_text()
    data = [p.name for p in bag.iterdir() if p.suffix in (".mcap", ".db3")]
    assert len(data) == 1 and data[0] in metadata and "unfinished" not in metadata
    assert [p.name for p in bag.parent.iterdir()] == ["ring"]


def test_unknown_poses_are_not_written(drive, tmp_path):
    lost = drive.take(range(4))
    lost.poses[2] = np.nan
    stamps = [t for topic, _, t, _ in messages(bags.write(lost, tmp_path / "bag")) if topic == f"/{bags.TRUTH}"]
    assert stamps == lost.stamps_ns[[0, 1, 3]].tolist()


def test_a_pose_without_a_rotation_is_unknown(drive, tmp_path):
    poses = drive.poses.copy()
    poses[1, :3, :3] = 0
    path = bags.write(replace(drive, poses=poses), tmp_path / "bag")
    with open_reader(path) as reader:
        assert reader.topics["/ground_truth/pose"].msgcount == len(drive) - 1


@pytest.mark.parametrize("stamp", [-1, 2**31 * 10**9])
def test_a_time_that_no_message_can_have_is_refused(drive, tmp_path, stamp):
    stamps = drive.stamps_ns.copy()
    stamps[0 if stamp < 0 else -1] = stamp
    with pytest.raises(Any2AnyError, match="times that no ROS message can have"):
        bags.write(replace(drive, stamps_ns=stamps), tmp_path / "bag")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, Any2AnyError("a", "b", "c")])
def test_an_interrupted_write_leaves_nothing(drive, tmp_path, error):
    def interrupted(loop, what):
        for i in loop:
            if i == 3:
                raise error
            yield i

    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        bags.write(drive, tmp_path / "deep" / "bag", progress=interrupted)
    assert list((tmp_path / "deep").iterdir()) == []
    bags.write(drive, tmp_path / "deep" / "bag")  # and it can be written then


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"storage": "rosbag1"}, "known are mcap, sqlite3"),
        ({"path": "exists"}, "it exists"),
        ({"rows": 0}, "no frames"),
    ],
)
def test_a_bag_that_cannot_be_written_is_refused(drive, tmp_path, change, why):
    (tmp_path / "exists").mkdir()
    (tmp_path / "exists" / "precious").write_text("mine")
    part = drive.take(np.arange(12) < change.get("rows", 12))
    with pytest.raises(Any2AnyError, match=why):
        bags.write(part, tmp_path / change.get("path", "new"), change.get("storage", "mcap"))
    assert (tmp_path / "exists" / "precious").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
