"""A small bag that unpacks to more than a robot has memory for is refused, and takes no memory."""

from __future__ import annotations

import shutil
import sqlite3
from collections import namedtuple

import pytest
from bag_files import STORE, text, written
from bombs import outcome
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from any2any_ros import limits
from any2any_ros.data import bag_limits, bags
from any2any_ros.data.bag_reading import open_reader, serialised
from any2any_ros.data.report import SensorReport
from any2any_ros.samples import NS

STRING = "std_msgs/msg/String"
HUGE = 140_000_000  # bytes


def packed(path, size, mode, storage=StoragePlugin.MCAP):
    """Write a bag with a message of so many zeros, packed by zstd."""
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/caption", STRING, typestore=STORE)
        writer.write(connection, NS, bytes(size))
    return path


def read(path):
    with open_reader(path) as reader:
        return [len(raw) for _, _, raw in serialised(reader, [])]


def without_index(path):
    """Take the summary out of an mcap file, so that it is read from its beginning."""
    (file,) = path.glob("*.mcap")
    content = bytearray(file.read_bytes())
    content[-28:-20] = bytes(8)  # where the summary begins
    file.write_bytes(content)


def promising_little(path):
    """Let the chunk of an mcap file say that it holds 100 bytes."""
    (file,) = path.glob("*.mcap")
    content = file.read_bytes()
    size = next(n for n in range(HUGE, HUGE + 1000) if content.count(n.to_bytes(8, "little")))
    file.write_bytes(content.replace(size.to_bytes(8, "little"), (100).to_bytes(8, "little")))


@pytest.fixture(scope="module")
def bombs(tmp_path_factory):
    """Write the bags in another process, whose memory ends with it."""
    folder = tmp_path_factory.mktemp("bags")
    said, _ = outcome(lambda: packed(folder / "storage", HUGE, CompressionMode.STORAGE))
    assert said == ""
    said, _ = outcome(lambda: packed(folder / "message", HUGE, CompressionMode.MESSAGE))
    assert said == "" and all(f.stat().st_size < 200_000 for f in folder.glob("*/*"))
    return folder


@pytest.mark.parametrize("spoil", [None, without_index, promising_little])
def test_a_chunk_that_would_burst_is_refused(bombs, tmp_path, spoil):
    path = shutil.copytree(bombs / "storage", tmp_path / "storage")
    if spoil:
        spoil(path)
    said, grown = outcome(lambda: read(path))
    most = "100" if spoil is promising_little else "134,217,728"
    assert said.startswith(f"Cannot read the bag {path}") and f"more than {most} bytes when" in said and grown < 20


def test_a_message_that_would_burst_is_refused(bombs):
    said, grown = outcome(lambda: read(bombs / "message"))
    assert said.startswith("Cannot read the bag") and "more than 134,217,728 bytes" in said
    assert grown < 350  # two of these


def test_a_file_that_would_fill_the_disk_is_refused(tmp_path, monkeypatch):
    packed(tmp_path / "bag", 3_000_000, CompressionMode.FILE, StoragePlugin.SQLITE3)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(bag_limits.SPARE + 1_000_000))
    said, grown = outcome(lambda: read(tmp_path / "bag"))
    assert "more than 1,000,000 bytes when it is unpacked" in said and grown < 20
    monkeypatch.undo()
    assert read(tmp_path / "bag") == [3_000_000]


@pytest.mark.parametrize("mode", [CompressionMode.STORAGE, CompressionMode.MESSAGE])
def test_what_is_packed_and_small_comes_back(tmp_path, mode):
    assert read(packed(tmp_path / "bag", 100_000, mode)) == [100_000]


def test_chunks_packed_by_lz4_are_limited_too():
    import lz4.frame

    unpack = bag_limits.storage_mcap.DECOMPRESSORS["lz4"]
    assert unpack(lz4.frame.compress(b"abc"), 3) == b"abc"
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        unpack(lz4.frame.compress(bytes(10_000_000)), 1000)


def test_a_message_that_a_database_would_compute_is_refused(tmp_path):
    """A column of zeros that are nowhere stored: 900 MB in a file of 40 kB."""
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection("/caption", STRING, typestore=STORE)
        writer.write(connection, NS, STORE.serialize_cdr(text("a mill"), STRING))
    with sqlite3.connect(tmp_path / "bag" / "bag.db3") as database:
        database.executescript(
            "ALTER TABLE messages RENAME TO old;"
            "CREATE TABLE messages(id INTEGER, topic_id INTEGER, timestamp INTEGER,"
            " data BLOB AS (zeroblob(900000000)));"
            "INSERT INTO messages(id, topic_id, timestamp) SELECT id, topic_id, timestamp FROM old;"
        )
    database.close()
    said, grown = outcome(lambda: read(tmp_path / "bag"))
    assert said.startswith("Cannot read the bag") and "too big" in said and grown < 20


def test_other_databases_are_not_limited(tmp_path):
    apsw = bag_limits.apsw
    before = list(apsw.connection_hooks)
    read(packed(tmp_path / "bag", 100, CompressionMode.MESSAGE, StoragePlugin.SQLITE3))
    assert apsw.connection_hooks == before


def test_metadata_without_end_are_refused(tmp_path):
    path = written(tmp_path / "bag", ("/caption", STRING, [(NS, text("a mill"))]))
    (path / "metadata.yaml").write_bytes(b"[" + b"[]," * 500_000 + b"[]]")
    said, grown = outcome(lambda: read(path))
    assert "1,500,004 bytes, and at most 1,048,576 are read" in said and grown < 20


def test_settings_of_a_topic_without_end_are_refused():
    for module in (bag_limits.reader, bag_limits.storage_mcap, bag_limits.storage_sqlite3):
        assert module.parse_qos("") == []
        with pytest.raises(ValueError, match="QoS settings of a topic have 300,000 characters"):
            module.parse_qos("[]," * 100_000)


def test_a_message_that_is_too_large_is_told_and_not_decoded(tmp_path, built, monkeypatch):
    path = written(tmp_path / "bag", ("/caption", STRING, [(NS, text("a mill " * 1000))]))
    monkeypatch.setattr(limits, "SMALL_MESSAGE_BYTES", 7000)
    report = SensorReport()
    assert len(bags.observe(path, {"text": built["text"]}, report=report)) == 0
    assert "at most 7,000 are read" in report.first_reason
