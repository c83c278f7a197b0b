"""Bags: what is written is read back, and a bag of a drive gives the observations of that drive."""

from __future__ import annotations

import os
import shutil

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from scipy.spatial.transform import Rotation, Slerp

from any2any_ros import cdr, encoders, samples
from any2any_ros.config import AliveConfig
from any2any_ros.data import bag_messages, bags, carmen, kitti
from any2any_ros.data.drive import encode
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS

STORE = cdr.typestore()
MODALITIES = ("audio", "camera", "lidar", "text")


@pytest.fixture(scope="module")
def built():
    return {m: encoders.build(m) for m in MODALITIES}


@pytest.fixture(scope="module")
def drive(laps):
    return kitti.read(laps, "01").take(range(12))


@pytest.fixture(scope="module", params=bags.STORAGES)
def bag(request, drive, tmp_path_factory):
    return bags.write(drive, tmp_path_factory.mktemp(request.param) / "ring", request.param)


def messages(path):
    """Return (topic, type, stamp, message) of everything in a bag, in order of time."""
    with AnyReader([path], default_typestore=STORE) as reader:
        return [(c.topic, c.msgtype, t, reader.deserialize(raw, c.msgtype)) for c, t, raw in reader.messages()]


# --- drive -> bag ---------------------------------------------------------------------------------------------


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
    with bags.open_reader(bag) as reader:
        assert bags.default_topics(reader)["thermal"] == "/thermal/image_raw"


def test_ros_own_tools_find_a_bag_that_names_its_own_files(bag):
    metadata = (bag / "metadata.yaml").read_text()
    data = [p.name for p in bag.iterdir() if p.suffix in (".mcap", ".db3")]
    assert len(data) == 1 and data[0] in metadata and f".ring.{os.getpid()}" not in metadata
    assert [p.name for p in bag.parent.iterdir()] == ["ring"]


def test_unknown_poses_are_not_written(drive, tmp_path):
    lost = drive.take(range(4))
    lost.poses[2] = np.nan
    stamps = [t for topic, _, t, _ in messages(bags.write(lost, tmp_path / "bag")) if topic == f"/{bags.TRUTH}"]
    assert stamps == lost.stamps_ns[[0, 1, 3]].tolist()


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


def test_what_was_left_by_a_killed_process_is_no_obstacle(drive, tmp_path):
    unfinished = tmp_path / f".bag.{os.getpid()}"  # in a container, the next process has the same number
    unfinished.mkdir()
    (unfinished / "half").touch()
    bags.write(drive, tmp_path / "bag")
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]


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


# --- bag -> observations --------------------------------------------------------------------------------------


def test_a_bag_gives_the_observations_of_its_drive(bag, drive, built):
    expected = encode(drive, {m: encoders.build(m) for m in MODALITIES})
    found = bags.observe(bag, {m: encoders.build(m) for m in MODALITIES})
    assert len(found) == len(drive) and found.ids[3] == "ring/000003"
    np.testing.assert_allclose(found.poses, expected.poses, atol=1e-9)
    for m in MODALITIES:
        has, last = expected.present(m), np.full(built[m].dimension, np.nan)
        for i in range(len(drive)):
            own = expected.embeddings[m][i]
            if has[i] and (i == 0 or has[i - 1]):
                np.testing.assert_array_equal(found.embeddings[m][i], own)
            else:
                # What is missing is what was heard last; and who let one moment down is not awaited in the next.
                kept = found.embeddings[m][i].tobytes()
                assert kept in (last.astype(np.float32).tobytes(), own.tobytes() if has[i] else b"")
            last = own if has[i] else last


def test_a_laser_log_and_its_bag_give_the_same_vectors(shared_data, tmp_path):
    log = carmen.read(shared_data / "laser2d" / "fhw-corrected.log.gz").take(range(0, 60, 3))
    scan = {"laser_scan": encoders.build("laser_scan")}
    found = bags.observe(bags.write(log, tmp_path / "bag"), scan)
    np.testing.assert_array_equal(found.embeddings["laser_scan"], encode(log, scan).embeddings["laser_scan"])


def test_only_the_sensors_that_are_asked_for_are_encoded(bag, built):
    found = bags.observe(bag, {"lidar": built["lidar"]})
    assert found.modalities == ("lidar",)


def test_default_topics_are_those_of_the_encoders_there_are(bag):
    with bags.open_reader(bag) as reader:
        assert bags.default_topics(reader) == {m: f"/{encoders.build(m).topic}" for m in MODALITIES}


def written(path, *topics):
    """Write a bag of (topic, type, [(received ns, message)]) and return its path."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        queue = []
        for topic, msgtype, content in topics:
            connection = writer.add_connection(topic, msgtype, typestore=STORE)
            queue += [(t, connection, STORE.serialize_cdr(message, msgtype)) for t, message in content]
        for t, connection, raw in sorted(queue, key=lambda item: item[0]):
            writer.write(connection, t, raw)
    return path


def text(words):
    return STORE.types["std_msgs/msg/String"](data=words)


def cloud(stamp, seed=0):
    points = np.random.default_rng(seed).normal(0, 10, (500, 4)).astype(np.float32)
    return bag_messages.cloud_message(STORE, points, bag_messages.header(STORE, stamp, "lidar"))


def test_messages_without_a_header_bear_the_time_they_came(tmp_path, built):
    path = written(
        tmp_path / "bag", ("/caption", "std_msgs/msg/String", [(7 * NS, text("a")), (9 * NS, text("a mill"))])
    )
    found = bags.observe(path, {"text": built["text"]})
    assert len(found) == 1  # "a" says nothing
    np.testing.assert_array_equal(found.embeddings["text"][0], built["text"].encode("a mill"))


def test_a_stamp_is_the_headers_not_the_time_it_came(tmp_path, built):
    """The LiDAR's driver takes 30 ms; the caption comes when the scan was begun."""
    scans = [(t * NS + 30_000_000, cloud(t * NS)) for t in (1, 2, 3)]
    words = [(t * NS, text(f"mill {t}")) for t in (1, 2, 3)]
    path = written(
        tmp_path / "bag",
        ("/lidar/points", "sensor_msgs/msg/PointCloud2", scans),
        ("/caption", "std_msgs/msg/String", words),
    )
    found = bags.observe(path, {m: built[m] for m in ("lidar", "text")})
    assert len(found) == 3 and found.present("lidar").all() and found.present("text").all()


def test_a_message_that_cannot_be_used_is_left_out(tmp_path, built):
    empty = STORE.types["sensor_msgs/msg/PointCloud2"](
        header=bag_messages.header(STORE, 2 * NS, ""), height=1, width=0, fields=[], is_bigendian=False, point_step=16,
        row_step=0, data=np.empty(0, np.uint8), is_dense=True,
    )  # fmt: skip
    content = [(NS, cloud(NS)), (2 * NS, empty), (3 * NS, cloud(3 * NS))]
    path = written(tmp_path / "bag", ("/lidar/points", "sensor_msgs/msg/PointCloud2", content))
    assert len(bags.observe(path, {"lidar": built["lidar"]})) == 2


def test_one_topic_may_feed_two_encoders(bag, built):
    other = encoders.build("lidar", {"descriptor": "bev", "sectors": 20})
    topics = {"lidar": "lidar/points", "map_view": "/lidar/points"}
    found = bags.observe(bag, {"lidar": built["lidar"], "map_view": other}, topics)
    assert found.modalities == ("lidar", "map_view")
    assert found.present("lidar").tolist() == found.present("map_view").tolist()


def test_a_sensor_that_pauses_costs_the_others_no_moment(tmp_path, built):
    """As live: a moment is closed when patience ends, not when somebody speaks again ten seconds later."""
    words = [(t, text(f"mill {t}")) for t in (NS, 2 * NS, 12 * NS)]
    path = written(
        tmp_path / "bag",
        ("/caption", "std_msgs/msg/String", words),
        ("/lidar/points", "sensor_msgs/msg/PointCloud2", [(NS, cloud(NS))]),
        ("/clock", "std_msgs/msg/String", [(60 * NS, text("later"))]),
    )
    found = bags.observe(path, {m: built[m] for m in ("lidar", "text")}, alive=AliveConfig(source_timeout=3.0))
    assert found.present("text").tolist() == [True, True, True]
    assert found.present("lidar").tolist() == [True, True, False]


# --- point clouds ---------------------------------------------------------------------------------------------


def test_the_cloud_nearest_to_a_stamp_is_given(tmp_path):
    content = [(t * NS + 90_000_000, cloud(t * NS, seed=t)) for t in (1, 2, 3)]
    path = written(tmp_path / "bag", ("/lidar/points", "sensor_msgs/msg/PointCloud2", content))
    stamps = np.array([3 * NS, 2 * NS + 40_000_000, 2 * NS + 60_000_000, NS - 10, NS])
    found = list(bags.clouds(path, "lidar/points", stamps))
    assert [i for i, _ in found] == [3, 4, 1, 0]  # none within 50 ms of the third
    for (_, points), seed in zip(found, (1, 1, 2, 3), strict=True):
        np.testing.assert_array_equal(points, samples.cloud(cloud(0, seed)))


def test_clouds_that_are_not_there_are_no_error(tmp_path):
    bad = STORE.types["sensor_msgs/msg/PointCloud2"](
        header=bag_messages.header(STORE, 2 * NS, ""), height=1, width=0, fields=[], is_bigendian=False, point_step=16,
        row_step=0, data=np.empty(0, np.uint8), is_dense=True,
    )  # fmt: skip
    topics = [("/lidar/points", "sensor_msgs/msg/PointCloud2", [(NS, cloud(NS)), (2 * NS, bad)])]
    path = written(tmp_path / "bag", *topics, ("/caption", "std_msgs/msg/String", [(NS, text("a mill"))]))
    stamps = np.array([2 * NS, NS])
    assert [i for i, _ in bags.clouds(path, "/lidar/points", stamps)] == [1]  # the other says nothing
    assert not list(bags.clouds(path, "/nowhere", stamps)) and not list(bags.clouds(path, "/caption", stamps))
    assert not list(bags.clouds(path, "/lidar/points", stamps[:0]))


# --- poses ----------------------------------------------------------------------------------------------------


def random_poses(count, seed=0):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(count, 3)) * 50, Rotation.random(count, draw)


def pose_messages(kind, stamps, positions, turns):
    make, out = STORE.types, []
    for stamp, p, q in zip(stamps, positions, turns.as_quat(), strict=True):
        pose = make["geometry_msgs/msg/Pose"](
            position=make["geometry_msgs/msg/Point"](*p), orientation=make["geometry_msgs/msg/Quaternion"](*q)
        )
        header = bag_messages.header(STORE, stamp, "odom")
        covariance = np.zeros(36)
        if kind == "geometry_msgs/msg/PoseStamped":
            message = make[kind](header=header, pose=pose)
        else:
            with_covariance = make["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=covariance)
            rest = {}
            if kind == "nav_msgs/msg/Odometry":
                zero = make["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
                twist = make["geometry_msgs/msg/Twist"](linear=zero, angular=zero)
                rest = {
                    "child_frame_id": "base_link",
                    "twist": make["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=covariance),
                }
            message = make[kind](header=header, pose=with_covariance, **rest)
        out.append((stamp + 5_000_000, message))  # it comes 5 ms after it was true
    return out


@pytest.mark.parametrize("kind", bags.POSE_TYPES)
def test_poses_are_interpolated_between_messages(tmp_path, built, kind):
    at = np.array([10, 11, 13, 14]) * NS
    positions, turns = random_poses(4)
    asked = np.array([9.5, 10, 10.25, 12.5, 14, 14.01]) * NS
    words = [(int(t), text(f"mill {t}")) for t in asked]
    path = written(
        tmp_path / "bag",
        ("/odom", kind, pose_messages(kind, at.tolist(), positions, turns)),
        ("/caption", "std_msgs/msg/String", words),
    )
    found = bags.observe(path, {"text": built["text"]}, pose_topic="odom").poses
    assert np.isnan(found[[0, -1]]).all()  # before the first and after the last, nothing is known
    inside = asked[1:-1]
    expected = np.array([np.interp(inside, at, positions[:, axis]) for axis in range(3)]).T
    np.testing.assert_allclose(found[1:-1, :3, 3], expected, atol=1e-9)
    np.testing.assert_allclose(found[1:-1, :3, :3], Slerp(at, turns)(inside).as_matrix(), atol=1e-9)
    np.testing.assert_array_equal(found[1:-1, 3], np.tile([0, 0, 0, 1], (4, 1)))


def test_poses_that_are_none_are_left_out(tmp_path, built):
    """Many a driver publishes zeros, or NaN, until it knows where it is."""
    kind, positions, turns = bags.POSE_TYPES[0], np.zeros((4, 3)), Rotation.identity(4)
    content = pose_messages(kind, [NS, 2 * NS, 3 * NS, 4 * NS], positions, turns)
    content[0][1].pose.orientation.w = 0.0
    content[1][1].pose.position.x = np.nan
    content[3][1].pose.position.x = 8.0
    path = written(
        tmp_path / "bag",
        ("/odom", kind, content),
        ("/caption", "std_msgs/msg/String", [(int(t * NS), text(f"mill {t}")) for t in (1.5, 3.5)]),
    )
    found = bags.observe(path, {"text": built["text"]}, pose_topic="/odom").poses
    assert np.isnan(found[0]).all() and found[1, 0, 3] == pytest.approx(4.0)


def test_without_a_pose_topic_poses_are_unknown(bag, built):
    found = bags.observe(bag, {"lidar": built["lidar"]}, pose_topic="/nowhere")
    assert len(found) and np.isnan(found.poses).all()


def test_a_pose_topic_of_another_type_is_refused(bag, built):
    with pytest.raises(Any2AnyError, match=r"Topic /caption holds no poses: its type is std_msgs/msg/String"):
        bags.observe(bag, {"lidar": built["lidar"]}, pose_topic="caption")


# --- bags that cannot be used ---------------------------------------------------------------------------------


def test_a_topic_of_another_type_is_refused(bag, built):
    with pytest.raises(Any2AnyError, match=r"Topic /caption cannot be encoded as lidar: its type is std_msgs") as error:
        bags.observe(bag, {"lidar": built["lidar"]}, {"lidar": "/caption"})
    assert "sensor_msgs/msg/PointCloud2" in error.value.remedy


def test_topics_that_are_not_there_are_told_with_those_that_are(bag, built):
    with pytest.raises(Any2AnyError, match=r"its topics are /camera/image_raw, /caption, /ground_truth/pose, /lidar"):
        bags.observe(bag, {"lidar": built["lidar"]}, {"lidar": "/front/points"})


def test_an_empty_bag_is_refused(tmp_path, built):
    path = written(tmp_path / "bag", ("/lidar/points", "sensor_msgs/msg/PointCloud2", []))
    with pytest.raises(Any2AnyError, match="is empty"):
        bags.observe(path, {"lidar": built["lidar"]})


def test_damage_anywhere_is_told_and_nothing_else_is_raised(bag, tmp_path, built):
    """Cut short, or with bytes changed: rosbags and its storage libraries raise a dozen kinds of error there."""
    draw, refused = np.random.default_rng(0), 0
    for i in range(30):
        damaged = tmp_path / str(i)
        damaged.mkdir()
        for file in bag.iterdir():
            data = bytearray(file.read_bytes())
            if file.suffix != ".yaml":
                for at in draw.integers(len(data), size=(0, 1, 40)[i % 3]):
                    data[at] = draw.integers(256)
                data = data[: draw.integers(len(data))] if i % 3 == 0 else data
            (damaged / file.name).write_bytes(data)
        try:
            bags.observe(damaged, {"lidar": built["lidar"]})
        except Any2AnyError:
            refused += 1
    assert refused >= 10


def test_what_is_no_bag_is_refused(tmp_path, built, bag):
    (tmp_path / "folder").mkdir()
    cut = tmp_path / "cut"
    cut.mkdir()
    for file in bag.iterdir():
        whole = file.read_bytes()
        (cut / file.name).write_bytes(whole if file.suffix == ".yaml" else whole[: len(whole) // 2])
    for path in (tmp_path / "folder", tmp_path / "absent", cut):
        with pytest.raises(Any2AnyError, match="Cannot read the bag"):
            bags.observe(path, {"lidar": built["lidar"]})
