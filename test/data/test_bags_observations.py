"""A bag gives the observations of the drive it was made from; one that cannot be used is refused."""

from __future__ import annotations

import numpy as np
import pytest
from bag_files import MODALITIES, STORE, text, written
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from any2any_ros import encoders, samples
from any2any_ros.data import bag_messages, bags, carmen
from any2any_ros.data.bag_reading import open_reader
from any2any_ros.data.drive import encode
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS

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
    with open_reader(bag) as reader:
        assert bags.default_topics(reader) == {m: f"/{encoders.build(m).topic}" for m in MODALITIES}


def cloud(stamp, seed=0):
    points = np.random.default_rng(seed).normal(0, 10, (500, 4)).astype(np.float32)
    return bag_messages.cloud_message(STORE, points, bag_messages.header(STORE, stamp, "lidar"))


@pytest.mark.parametrize("storage", bags.STORAGES.values())
def test_a_type_that_only_the_bag_defines_is_read(tmp_path, built, storage):
    point, custom = "livox_ros_driver2/msg/CustomPoint", "livox_ros_driver2/msg/CustomMsg"
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg("float32 x\nfloat32 y\nfloat32 z\nuint8 reflectivity", point))
    store.register(get_types_from_msg(f"std_msgs/Header header\n{point.replace('/msg', '')}[] points", custom))
    points = np.random.default_rng(0).normal(0, 10, (200, 3)).astype(np.float32).tolist()
    header = bag_messages.header(store, NS, "livox")
    message = store.types[custom](header, [store.types[point](*p, 7) for p in points])
    with Writer(tmp_path / "bag", version=9, storage_plugin=storage) as writer:
        connection = writer.add_connection("/livox/lidar", custom, typestore=store)
        writer.write(connection, NS, store.serialize_cdr(message, custom))
    found = bags.observe(tmp_path / "bag", {"lidar": built["lidar"]}, {"lidar": "/livox/lidar"})
    expected = built["lidar"].encode(np.array([[*p, 7] for p in points], np.float32))
    np.testing.assert_array_equal(found.embeddings["lidar"][0], expected)


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
    words = [(t, text(f"mill {t}")) for t in (NS, NS + NS // 2, 12 * NS)]
    path = written(
        tmp_path / "bag",
        ("/caption", "std_msgs/msg/String", words),
        ("/lidar/points", "sensor_msgs/msg/PointCloud2", [(NS, cloud(NS))]),
        ("/clock", "std_msgs/msg/String", [(60 * NS, text("later"))]),
    )
    found = bags.observe(path, {m: built[m] for m in ("lidar", "text")})
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
