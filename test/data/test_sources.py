"""A path is opened as what it is: a KITTI folder, a laser log, or a bag; and all are observed alike."""

from __future__ import annotations

import numpy as np
import pytest
from bag_files import text, written
from pose_messages import FIX, NS, fix

from any2any_ros import cdr, encoders
from any2any_ros.config import PoseConfig
from any2any_ros.data import bags, kitti, sources
from any2any_ros.data.bag_poses import PoseSource
from any2any_ros.data.bag_reading import open_reader
from any2any_ros.data.sources import IN_BUILDINGS, ON_ROADS, BagSource, DriveSource, open_recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.retrieval import reference_map
from any2any_ros.workflows.build_map import write_map


@pytest.fixture(scope="module")
def bag(laps, tmp_path_factory):
    return bags.write(kitti.read(laps, "00"), tmp_path_factory.mktemp("bag") / "ring")


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "house.log"
    path.write_text("".join(f"FLASER 4 1 2 3 4 {0.2 * i} 0 0 0 0 0 {i} host {i}\n" for i in range(11)))
    return path


def test_a_folder_is_a_kitti_drive(laps):
    source = open_recording(laps, "00")
    assert isinstance(source, DriveSource) and source.name == "00" and source.place == ON_ROADS
    assert source.modalities == ("audio", "camera", "lidar", "text")
    alone = open_recording(laps / "sequences" / "00")
    assert alone.name == "00"
    np.testing.assert_array_equal(alone.drive.poses, source.drive.poses)  # which lie beside `sequences`


def test_a_file_is_a_laser_log(log):
    source = open_recording(log)
    assert isinstance(source, DriveSource) and source.modalities == ("laser_scan",)
    assert source.place == IN_BUILDINGS and source.place.keyframe == 0.5


def test_a_folder_with_metadata_is_a_bag(bag):
    source = open_recording(bag)
    assert isinstance(source, BagSource) and source.name == "ring" and source.place == ON_ROADS
    assert source.modalities == ("audio", "camera", "lidar", "text") and source.poses == PoseSource()


def test_named_topics_take_the_place_of_the_default_ones(bag):
    source = open_recording(bag, topics={"front": "/camera/image_raw"}, pose_topic="ground_truth/pose")
    assert source.modalities == ("front",) and source.poses.topic == "ground_truth/pose"


@pytest.mark.parametrize("options", [{"topics": {"lidar": "/points"}}, {"pose_topic": "/points"}], ids=str)
def test_a_topic_that_is_not_there_is_an_error_that_lists_what_is(bag, options):
    """Case 10."""
    topics = "/camera/image_raw, /caption, /ground_truth/pose, /lidar/points, /microphone/audio"
    with pytest.raises(Any2AnyError, match=f"There is no topic /points in the bag .*: its topics are {topics}"):
        open_recording(bag, **options)


def test_options_that_do_not_apply_are_errors(bag, laps, log):
    for path, options, name in (
        (bag, {"sequence": "00"}, "sequence"),
        (log, {"sequence": "00"}, "sequence"),
        (log, {"topics": {"laser_scan": "/scan"}}, "topic"),
        (laps, {"sequence": "00", "pose_topic": "/odom"}, "pose-topic"),
        (log, {"poses": "slam.txt"}, "poses"),
        (laps, {"sequence": "00", "pose_settings": PoseConfig(pose_gap_time=3.0)}, "pose-gap-time"),
    ):
        with pytest.raises(Any2AnyError, match=f"--{name} cannot be used with {path}"):
            open_recording(path, **options)


def test_places_in_buildings_are_smaller():
    assert (IN_BUILDINGS.hit_radius, IN_BUILDINGS.path_gap) == (2.0, 20.0)
    assert ON_ROADS.hit_radius == 5.0


@pytest.mark.parametrize(("keyframe", "count"), [(0.0, 24), (11.0, 12), (1000.0, 1)])
def test_a_drive_and_its_bag_are_observed_alike(laps, bag, keyframe, count):
    built = {m: encoders.build(m) for m in ("lidar", "text")}
    drive, recorded = (open_recording(*a).observe(built, keyframe) for a in ((laps, "00"), (bag,)))
    assert len(drive) == len(recorded) == count
    np.testing.assert_allclose(recorded.poses, drive.poses, atol=1e-9)
    for m in built:
        np.testing.assert_array_equal(recorded.embeddings[m], drive.embeddings[m])


def test_a_drive_and_its_bag_hand_out_the_scans_of_their_keyframes(laps, bag):
    drive, recorded = open_recording(laps, "00"), open_recording(bag)
    built, whole = {"lidar": encoders.build("lidar")}, kitti.read(laps, "00")
    frames = drive.observe(built, 11.0)
    one = dict(drive.clouds(frames))
    two = dict(recorded.clouds(recorded.observe(built, 11.0)))
    assert len(one) == 12 and list(one) == list(frames.ids)
    for (name, points), same in zip(one.items(), two.values(), strict=True):
        np.testing.assert_array_equal(points, whole.sample("lidar", whole.ids().index(name)))
        np.testing.assert_array_equal(points, same)
    assert list(dict(drive.clouds(frames.take([3, 1])))) == [frames.ids[3], frames.ids[1]]


def test_a_frame_without_a_scan_is_left_out(laps, log, bag):
    source = open_recording(laps, "01")
    found = dict(source.clouds(source.observe({}, 0.0)))
    assert len(found) == 23 and "01/000005" not in found
    house = open_recording(log)
    assert not list(house.clouds(house.observe({}, 0.0)))
    words = open_recording(bag, topics={"text": "/caption"})
    assert not list(words.clouds(words.observe({"text": encoders.build("text")}, 0.0)))


def test_keyframes_count_the_way_driven(log):
    assert open_recording(log).observe({}, 0.5).ids == ("house/000000", "house/000003", "house/000006", "house/000009")


def test_a_path_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(Any2AnyError, match=r"There is no .*absent"):
        open_recording(tmp_path / "absent")


def test_a_bag_without_a_default_topic_says_how_to_name_them(tmp_path):
    from rosbags.rosbag2 import StoragePlugin, Writer

    store = cdr.typestore()
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=store)
        writer.write(topic, 1, store.serialize_cdr(store.types["std_msgs/msg/String"](data="x"), "std_msgs/msg/String"))
    with pytest.raises(Any2AnyError, match=r"none of its topics is a default one: /chatter") as error:
        open_recording(tmp_path / "bag")
    assert "--topic" in error.value.remedy


def test_a_bag_is_searched_once_for_what_it_says_of_sensors_and_poses(bag, monkeypatch):
    opened = []
    monkeypatch.setattr(sources, "open_reader", lambda path: opened.append(path) or open_reader(path))
    recording = open_recording(bag)
    assert recording.sensor_topics() and not recording.base_frame and recording.origin is None
    recording.placed(None).sensor_topics()
    assert len(opened) == 2  # to find the topics, and to ask what they are


def test_a_damaged_bag_and_an_odd_folder_are_refused(tmp_path):
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information:\n  version: 9\n")
    with pytest.raises(Any2AnyError, match="Cannot read the bag"):
        open_recording(tmp_path)
    (tmp_path / "metadata.yaml").unlink()
    with pytest.raises(Any2AnyError, match="is no KITTI drive"):
        open_recording(tmp_path)


def test_two_drives_by_satellite_are_put_into_one_frame(tmp_path):
    """The second drive begins 100 m north of the first: its map would lie there, too."""
    paths = []
    for name, north in (("first", 0.0), ("second", 100.0)):
        at = 49.0 + (north + np.arange(12) * 5.0) / 111_229.0
        fixes = [((i + 1) * NS, fix((i + 1) * NS, latitude, 8.4)) for i, latitude in enumerate(at)]
        words = [((i + 1) * NS, text(f"mill {i + north}")) for i in range(12)]
        paths.append(written(tmp_path / name, ("/fix", FIX, fixes), ("/caption", "std_msgs/msg/String", words)))
    first, second = (open_recording(path, pose_topic="/fix") for path in paths)
    reference = write_map(first, tmp_path / "map")
    assert reference_map.load(tmp_path / "map").origin == reference.origin == (49.0, 8.4, 100.0)
    built = {"text": encoders.build("text")}
    poses = second.placed(reference.origin).observe(built, 0.0).poses
    np.testing.assert_allclose(poses[:, 1, 3], 100 + np.arange(12) * 5.0, atol=0.05)
    np.testing.assert_allclose(second.observe(built, 0.0).poses[0, :3, 3], 0, atol=1e-6)
    with pytest.raises(Any2AnyError, match="The poses of second and of the map have two frames"):
        second.placed(None)


def test_a_drive_without_satellites_stays_where_it_is(bag, laps):
    for source in (open_recording(bag), open_recording(laps, "00")):
        assert source.origin is None and source.placed((49.0, 8.4, 0.0)) is source
