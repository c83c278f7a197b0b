"""A bag in any container is read: ROS 1, single files, without metadata.yaml, cut, split, packed."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from bag_files import STORE, text, written
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from any2any_ros import encoders
from any2any_ros.data import bags
from any2any_ros.data.bag_limits import ZSTD
from any2any_ros.data.bag_reading import is_bag, open_reader, serialised
from any2any_ros.data.sources import open_recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS

STRING = "std_msgs/msg/String"
MODES = {"file": CompressionMode.FILE, "message": CompressionMode.MESSAGE, "storage": CompressionMode.STORAGE}
WORDS = [f"mill {i}" for i in range(6)]


def captions(path, storage=StoragePlugin.MCAP, mode=None):
    """Write a bag of six captions, one a second."""
    writer = Writer(path, version=9, storage_plugin=storage)
    if mode:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        topic = writer.add_connection("/caption", STRING, typestore=STORE)
        for i, words in enumerate(WORDS):
            writer.write(topic, (i + 1) * NS, STORE.serialize_cdr(text(words), STRING))
    return path


def read(path):
    """Return the observations and the report of a bag of captions."""
    recording = open_recording(path)
    return recording.observe({"text": encoders.build("text")}, 0.0), recording.report


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return read(captions(tmp_path_factory.mktemp("whole") / "bag"))[0].embeddings["text"]


@pytest.mark.parametrize("storage", bags.STORAGES)
def test_a_file_alone_and_a_folder_without_metadata_are_read(tmp_path, storage, expected):
    path = captions(tmp_path / "bag", bags.STORAGES[storage])
    (path / "metadata.yaml").unlink()
    (file,) = path.iterdir()
    for bag in (path, file):
        places, report = read(bag)
        np.testing.assert_array_equal(places.embeddings["text"], expected)
        assert report.topic("text", "/caption", "").promised == 6
        assert ("ros2 bag reindex bag" in report.table()) == (bag == path)


@pytest.mark.parametrize("mode", MODES)
def test_a_packed_bag_is_read(tmp_path, mode, expected):
    places, _ = read(captions(tmp_path / "bag", mode=MODES[mode]))
    np.testing.assert_array_equal(places.embeddings["text"], expected)


def test_packed_messages_without_metadata_are_read(tmp_path, expected):
    path = captions(tmp_path / "bag", mode=CompressionMode.MESSAGE)
    (path / "metadata.yaml").unlink()
    np.testing.assert_array_equal(read(path)[0].embeddings["text"], expected)


def parts(folder, *times):
    """Write a bag that is split in files, one for each list of seconds, and no metadata.yaml."""
    folder.mkdir()
    for i, seconds in enumerate(times):
        part = written(folder / f"{i}", ("/caption", STRING, [(t * NS, text(f"mill {t}")) for t in seconds]))
        shutil.move(next(part.glob("*.mcap")), folder / f"bag_{i}.mcap")
        shutil.rmtree(part)
    return folder


def test_the_parts_of_a_split_bag_are_one(tmp_path):
    path = parts(tmp_path / "bag", (1, 2), (3, 4))
    with open_reader(path) as reader:
        assert [received for _, received, _ in serialised(reader, [])] == [NS, 2 * NS, 3 * NS, 4 * NS]
    assert read(path)[1].topic("text", "/caption", "").messages_encoded == 4


def test_a_split_bag_of_which_a_part_is_missing_is_read_and_told(tmp_path):
    path = captions(tmp_path / "bag")
    metadata = path / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("- bag.mcap", "- bag.mcap\n  - bag_1.mcap"))
    places, report = read(path)
    assert len(places) == 6 and "read without its metadata.yaml" in report.table() and "bag_1.mcap" in report.table()


def test_the_last_file_of_a_killed_recorder_is_left_out(tmp_path):
    path = parts(tmp_path / "bag", (1, 2), (3, 4))
    (path / "bag_2.mcap").touch()
    places, report = read(path)
    assert len(places) == 4 and "bag_2.mcap is left out: " in report.table()
    for file in path.iterdir():
        file.write_bytes(b"")
    with pytest.raises(Any2AnyError, match="seems to be empty"):
        open_recording(path)


@pytest.mark.parametrize("share", [0.6, 0.99])
@pytest.mark.parametrize("with_metadata", [True, False])
def test_of_a_cut_mcap_all_whole_messages_are_read_and_the_cure_is_named(tmp_path, share, with_metadata):
    path = tmp_path / "bag"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection("/caption", STRING, typestore=STORE)
        for i in range(40):  # chunks of a megabyte
            writer.write(topic, (i + 1) * NS, STORE.serialize_cdr(text(f"mill {i} " * 7000), STRING))
    (file,) = path.glob("*.mcap")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    if not with_metadata:
        (path / "metadata.yaml").unlink()
    places, report = read(path)
    row = report.topic("text", "/caption", "")
    assert 0.3 * 40 < row.messages_read == row.messages_encoded == len(places) < 40
    assert "bag.mcap is cut" in report.table() and "mcap recover bag.mcap" in report.table()
    assert ("40 messages were promised" in report.table()) == with_metadata


def test_settings_in_the_metadata_may_differ_from_the_storage(tmp_path, expected):
    """Case 04: the QoS in metadata.yaml is often rewritten."""
    path = captions(tmp_path / "bag")
    metadata = path / "metadata.yaml"
    qos = "offered_qos_profiles: [{history: keep_last, depth: 10, reliability: reliable, durability: volatile, " \
          "deadline: {sec: 0, nsec: 0}, lifespan: {sec: 0, nsec: 0}, liveliness: automatic, " \
          "liveliness_lease_duration: {sec: 0, nsec: 0}, avoid_ros_namespace_conventions: false}]"  # fmt: skip
    changed = metadata.read_text().replace("offered_qos_profiles: []", qos)
    assert changed != metadata.read_text()
    metadata.write_text(changed)
    np.testing.assert_array_equal(read(path)[0].embeddings["text"], expected)


def test_fewer_messages_than_the_metadata_promises_are_told(tmp_path):
    path = captions(tmp_path / "bag")
    metadata = path / "metadata.yaml"
    metadata.write_text(re.sub(r"message_count: 6", "message_count: 9", metadata.read_text()))
    assert "text (/caption): 9 messages were promised, and 6 came" in read(path)[1].table()


def test_metadata_of_a_recorder_that_was_killed_promises_nothing(tmp_path):
    path = captions(tmp_path / "bag")
    metadata = path / "metadata.yaml"
    metadata.write_text(re.sub(r"message_count: 6", "message_count: 0", metadata.read_text()))
    places, report = read(path)
    assert len(places) == 6 and "because of this: it promises no message" in report.table()


def test_a_type_that_nobody_can_parse_spoils_no_other_topic(tmp_path, expected):
    """Case 05."""
    with Writer(tmp_path / "odd", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        odd = writer.add_connection(
            "/odd", "my_msgs/srv/Odd_Event", msgdef="int32 a\n---\n", rihs01="RIHS01_0", typestore=STORE
        )
        topic = writer.add_connection("/caption", STRING, typestore=STORE)
        writer.write(odd, NS, b"\0\1\0\0\0\0\0\0")
        for i, words in enumerate(WORDS):
            writer.write(topic, (i + 1) * NS, STORE.serialize_cdr(text(words), STRING))
    places, report = read(tmp_path / "odd")
    np.testing.assert_array_equal(places.embeddings["text"], expected)
    assert report.notes == [
        "Topic /odd cannot be read: my_msgs/srv/Odd_Event: its definition in the bag cannot be parsed"
    ]
    with pytest.raises(Any2AnyError, match="cannot be encoded as text: its type is my_msgs/srv/Odd_Event"):
        open_recording(tmp_path / "odd", topics={"text": "/odd"}).observe({"text": encoders.build("text")}, 0.0)


def test_a_topic_that_is_not_cdr_spoils_no_other_topic(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection("/caption", STRING, typestore=STORE)
        odd = writer.add_connection("/odd", STRING, typestore=STORE, serialization_format="json")
        writer.write(odd, NS, b"{}")
        writer.write(topic, NS, STORE.serialize_cdr(text("a mill"), STRING))
    places, report = read(tmp_path / "bag")
    assert len(places) == 1 and report.notes[-1] == "Topic /odd cannot be read: its messages are json, not CDR"


def ros1(path, frames=3):
    """Write a ROS 1 bag of pictures and captions."""
    store = get_typestore(Stores.ROS1_NOETIC)
    make = store.types
    with Writer1(path) as writer:
        pictures = writer.add_connection("/camera/image_raw", "sensor_msgs/msg/Image", typestore=store)
        words = writer.add_connection("/caption", STRING, typestore=store)
        for i in range(frames):
            stamp = make["builtin_interfaces/msg/Time"](sec=i + 1, nanosec=0)
            header = make["std_msgs/msg/Header"](seq=i, stamp=stamp, frame_id="camera")
            pixels = np.random.default_rng(i).integers(0, 256, 40 * 60 * 3, np.uint8)
            image = make["sensor_msgs/msg/Image"](header, 40, 60, "rgb8", 0, 180, pixels)
            writer.write(pictures, (i + 1) * NS, store.serialize_ros1(image, image.__msgtype__))
            writer.write(words, (i + 1) * NS, store.serialize_ros1(make[STRING](WORDS[i]), STRING))
    return path


def test_a_ros_1_bag_is_read(tmp_path, expected):
    """Case 13."""
    path = ros1(tmp_path / "old.bag")
    recording, built = open_recording(path), {m: encoders.build(m) for m in ("camera", "text")}
    places = recording.observe(built, 0.0)
    assert recording.modalities == ("camera", "text") and places.ids[0] == "old.bag/000000"
    np.testing.assert_array_equal(places.embeddings["text"], expected[:3])
    pixels = np.random.default_rng(1).integers(0, 256, 40 * 60 * 3, np.uint8).reshape(40, 60, 3)
    np.testing.assert_array_equal(places.embeddings["camera"][1], built["camera"].encode(pixels))


def spoilt(tmp_path):
    """Return files that are no bags, and what is said of them."""
    (tmp_path / "empty.mcap").touch()
    (tmp_path / "short.mcap").write_bytes(b"\x89MCAP0\r\n")
    (tmp_path / "lfs.db3").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (tmp_path / "words.mcap").write_text("no bag\n" * 9)
    (tmp_path / "packed.mcap.zstd").write_bytes(ZSTD.compress(b"bag"))
    ros1(tmp_path / "old.bag").rename(tmp_path / "old.bag.active")
    shutil.copy(next(captions(tmp_path / "new").glob("*.mcap")), tmp_path / "new.db3")
    (tmp_path / "cut.bag").write_bytes((tmp_path / "old.bag.active").read_bytes()[:5000])
    return {
        "empty.mcap": "the file is empty", "short.mcap": "it is cut before its first whole part",
        "lfs.db3": "git lfs pull", "words.mcap": "it is not an mcap file",
        "packed.mcap.zstd": "zstd -d packed.mcap.zstd", "old.bag.active": "its name does not end in .bag",
        "new.db3": "it is an mcap file, and its name does not end in .mcap", "cut.bag": "rosbag reindex cut.bag",
    }  # fmt: skip


def test_what_is_wrong_with_a_file_is_said_as_what_it_is(tmp_path):
    for name, why in spoilt(tmp_path).items():
        assert is_bag(tmp_path / name)
        with pytest.raises(Any2AnyError, match=re.escape(why)) as error:
            open_recording(tmp_path / name)
        assert str(error.value).startswith("Cannot read the bag") and len(str(error.value).splitlines()) == 1


def test_messages_that_a_killed_recorder_left_beside_the_database_are_told(tmp_path):
    path = captions(tmp_path / "bag", StoragePlugin.SQLITE3)
    (path / "bag.db3-wal").write_bytes(bytes(99))
    assert "bag.db3-wal, which is not read" in read(path)[1].table()
