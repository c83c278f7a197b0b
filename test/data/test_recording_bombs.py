"""A small recording that promises more than a robot has memory for is refused by name, and takes no memory."""

from __future__ import annotations

import gzip
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from bombs import outcome, png

from any2any_ros import limits
from any2any_ros.data import carmen, gold, kitti, wav
from any2any_ros.data.sources import open_recording
from any2any_ros.samples import NS


def hole(path, size=1 << 34):
    """Write a file that takes no disk."""
    path.unlink(missing_ok=True)
    with open(path, "wb") as stream:
        stream.truncate(size)


# --- KITTI ------------------------------------------------------------------------------------------------------


@pytest.fixture
def drive(tmp_path):
    for name in ("velodyne", "image_2", "thermal"):
        (tmp_path / name).mkdir()
    np.ones((3, 4), np.float32).tofile(tmp_path / "velodyne" / "000000.bin")
    for name in ("image_2", "thermal"):
        (tmp_path / name / "000000.png").write_bytes(png(8, 6))
    return tmp_path


def test_a_frame_of_a_high_number_takes_no_memory(drive):
    (drive / "velodyne" / "9999999999.bin").write_bytes(bytes(16))
    said, grown = outcome(lambda: kitti.read(drive).sample("lidar", 1))
    assert said == "" and grown < 20


@pytest.mark.parametrize("name", ["times.txt", "captions.txt", "calib.txt", "velodyne_points/timestamps.txt"])
def test_a_huge_file_beside_the_frames_is_refused(drive, name):
    (drive / name).parent.mkdir(exist_ok=True)
    if name == "calib.txt":
        (drive / "poses").mkdir()
        (drive / "poses" / "x.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
        (drive / "sequences").mkdir()
        (drive / "sequences" / "x").symlink_to(drive)
    hole(drive / name)
    said, grown = outcome(lambda: kitti.read(drive, "x" if name == "calib.txt" else None))
    assert said.startswith("Cannot read") and name in said and "are read" in said and grown < 20


@pytest.mark.parametrize(("modality", "name"), [("lidar", "velodyne/000000.bin"), ("camera", "image_2/000000.png")])
def test_a_huge_sample_is_refused(drive, modality, name):
    hole(drive / name)
    said, grown = outcome(lambda: kitti.read(drive).sample(modality, 0))
    assert said.startswith("Cannot read") and name in said and "17,179,869,184 bytes" in said and grown < 20


@pytest.mark.parametrize(("modality", "folder"), [("camera", "image_2"), ("thermal", "thermal")])
def test_a_small_picture_of_many_pixels_is_refused(drive, modality, folder):
    (drive / folder / "000000.png").write_bytes(png(9000, 9000))
    said, grown = outcome(lambda: open_recording(drive).drive.sample(modality, 0))
    assert f"{folder}/000000.png" in said and "81,000,000 pixels" in said and grown < 20


# --- sounds -----------------------------------------------------------------------------------------------------


def sound_in_a_hole(path, seconds, rate=16000):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(b"")
    size = 2 * seconds * rate
    with open(path, "r+b") as stream:
        stream.truncate(44 + size)
        for at, value in ((4, 36 + size), (40, size)):
            stream.seek(at)
            stream.write(struct.pack("<I", value))
    return path


def test_a_long_sound_is_refused_and_of_a_long_part_the_end_is_read(tmp_path):
    path = sound_in_a_hole(tmp_path / "day.wav", 60_000)
    said, grown = outcome(lambda: wav.read(path))
    assert "it lasts 60000 s, and at most 60 s are read" in said and grown < 20
    with open(path, "r+b") as stream:
        stream.seek(44 + 2 * 16000 * 50_000 - 2)
        stream.write(b"\x00\x40")
    said, grown = outcome(lambda: wav.read(path, 0, 50_000 * NS))
    assert said == "" and grown < 50
    part = wav.read(path, 0, 50_000 * NS).samples
    assert len(part) == 60 * 16000 and part[-1] == 0.5


@pytest.mark.parametrize("header", [(1, 99), (1, 4_000_000_000), (65, 16000), (65_535, 16000)], ids=str)
def test_a_sound_of_an_odd_rate_or_many_channels_is_refused(tmp_path, header):
    channels, rate = header
    with wave.open(str(tmp_path / "odd.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(8))
    with open(tmp_path / "odd.wav", "r+b") as stream:
        stream.seek(22)
        stream.write(struct.pack("<HI", channels, rate))
    said, _ = outcome(lambda: wav.read(tmp_path / "odd.wav"))
    assert said.startswith("Cannot read the sound") and f"{channels} channels and {rate} Hz" in said


# --- laser logs -------------------------------------------------------------------------------------------------

SCAN = b"FLASER 4 1 2 3 4 0 0 0 9 9 9 1 host 1\n"


def log(path: Path, content: bytes, times: int) -> Path:
    """Write a gzipped log of `content` repeated; one block is compressed once."""
    block = gzip.compress(content * 1000, 9)
    path.write_bytes(block * (times // 1000))
    return path


def test_a_packed_log_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LOG_BYTES", 1 << 25)
    path = log(tmp_path / "x.log.gz", b"PARAM robot_frontlaser_offset 0.0 nohost 0\n", 1_000_000)
    assert path.stat().st_size < 1 << 19
    said, grown = outcome(lambda: open_recording(path))
    assert "Cannot read the laser log" in said and "at most 33,554,432 are read" in said and grown < 50


def test_a_packed_line_without_end_is_refused(tmp_path):
    path = log(tmp_path / "x.log.gz", b"FLASER 999 " + b"1 " * 10_000, 1000)
    said, grown = outcome(lambda: open_recording(path))
    assert "bytes in a line, and at most 1,048,576 are read" in said and grown < 50


def test_scans_of_too_many_values_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LOG_VALUES", 100_000)
    said, grown = outcome(lambda: carmen.read(log(tmp_path / "x.log.gz", SCAN, 10_000)))
    assert "Cannot use the log" in said and "at most 100,000 are read" in said and grown < 50


def test_a_scan_takes_as_much_as_its_values(tmp_path):
    """So that the cap of all values is one of the memory: 4 bytes a value, and some for the pose."""
    path = log(tmp_path / "x.log.gz", SCAN, 20_000)
    said, grown = outcome(lambda: carmen.read(path))
    assert said == "" and grown * (1 << 20) < 10 * 20_000 * (4 + 7 * carmen.OVERHEAD)
    assert len(carmen.read(log(tmp_path / "y.log.gz", SCAN, 2000))) == 2000


# --- described objects ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [b"mug_1_1\ta mug\n", b"\t", b"\n"], ids=["lines", "columns", "empty lines"])
def test_a_packed_table_without_end_is_refused(tmp_path, line):
    table = gzip.compress(b"item_id\ttext\n" + line * (20_000_000 // len(line)), 1)
    (tmp_path / "text.tsv.gz").write_bytes(table)
    said, grown = outcome(lambda: gold.read(tmp_path))
    assert said.startswith("Cannot read") and "text.tsv.gz" in said and grown < 50


def test_a_table_of_the_largest_size_stays_below_the_cap_of_a_node(tmp_path):
    (tmp_path / "text.tsv").write_bytes(b"item_id\ttext\n" + b"a_0_0\tb\n" * (limits.TEXT_BYTES // 8 // 8))
    said, grown = outcome(lambda: gold.read(tmp_path))
    assert said == "" and grown < 700 / 8  # an eighth of it


@pytest.mark.parametrize("name", ["images/RGB/mug/mug_1/mug_1_1.png", "images/depth/mug/mug_1/mug_1_1.png"])
def test_a_small_picture_of_an_object_with_many_pixels_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(png(9000, 9000))
    view = gold.read(tmp_path).views[0]
    said, grown = outcome(lambda: gold.sample(view, "camera" if "RGB" in name else "depth"))
    assert "mug_1_1.png" in said and "81,000,000 pixels" in said and grown < 20
