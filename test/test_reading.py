"""Files that may come from anyone: what they hold, or an error before they take time or memory."""

from __future__ import annotations

import gzip
import json
import os
import struct
import zipfile

import numpy as np
import pytest
from bombs import npy, npz, outcome

from any2any_ros import limits, reading
from any2any_ros.errors import Any2AnyError


def refused(call, most=20):
    """Return why a call raises ValueError, after it took hardly any memory."""

    def told():
        try:
            call()
        except ValueError as error:
            raise Any2AnyError("refused", str(error), "") from error

    said, grown = outcome(told)
    assert said.startswith("refused: ") and grown < most, (said, grown)
    return said


# --- bytes and text ---------------------------------------------------------------------------------------------


def test_content_of_at_most_so_many_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert reading.content(tmp_path / "file", 5) == b"12345" and reading.text(tmp_path / "file", 5) == "12345"
    with pytest.raises(ValueError, match="file has 5 bytes, and at most 4 are read"):
        reading.content(tmp_path / "file", 4)
    with pytest.raises(FileNotFoundError):
        reading.content(tmp_path / "nothing", 5)


def test_a_huge_file_that_takes_no_disk_is_refused(tmp_path):
    with open(tmp_path / "hole", "wb") as stream:
        stream.truncate(1 << 40)
    for read in (reading.content, lambda path, most: reading.values(path, "<f4", most)):
        assert "1,099,511,627,776 bytes" in refused(lambda read=read: read(tmp_path / "hole", limits.MESSAGE_BYTES))


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_ordinary_file_is_refused_and_not_waited_for(tmp_path, kind):
    path = tmp_path / "x"
    {"pipe": os.mkfifo, "device": lambda p: p.symlink_to("/dev/zero"), "folder": os.mkdir}[kind](path)
    with pytest.raises((ValueError, IsADirectoryError)):
        reading.content(path, 100)


def test_bytes_that_are_no_text_are_replaced(tmp_path):
    (tmp_path / "file").write_bytes(b"caf\xe9")
    assert reading.text(tmp_path / "file") == "caf\ufffd"


def test_numbers_after_the_last_whole_one_are_left_out(tmp_path):
    (tmp_path / "file").write_bytes(np.arange(3, dtype="<f4").tobytes() + b"\x01")
    assert reading.values(tmp_path / "file", "<f4", 13).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"a":' * 300_000, "nested too deeply"),
        (b"[" + b"[]," * 6_000_000 + b"[]]", "18,000,004 bytes, and at most 8,388,608 are read"),
    ],
    ids=["lists", "objects", "wide"],
)
def test_json_that_would_burst_is_refused(tmp_path, content, why):
    (tmp_path / "x.json").write_bytes(content)
    assert why in refused(lambda: reading.json_value(tmp_path / "x.json"), most=100)


def test_json_of_the_largest_size_stays_below_the_cap_of_a_node(tmp_path):
    (tmp_path / "x.json").write_bytes(b"[" + b"[]," * (limits.TEXT_BYTES // 4 // 3) + b"[]]")
    said, grown = outcome(lambda: reading.json_value(tmp_path / "x.json"))
    assert said == "" and 25 < grown < 150  # a quarter of the size


# --- logs -------------------------------------------------------------------------------------------------------


def test_lines_of_a_log_plain_or_packed(tmp_path):
    for name, pack in (("log", bytes), ("log.gz", gzip.compress)):
        (tmp_path / name).write_bytes(pack(b"one\r\n\ntwo \xff\nthree"))
        assert list(reading.lines(tmp_path / name, 99)) == [b"one\r\n", b"\n", b"two \xff\n", b"three"]
    (tmp_path / "empty").touch()
    assert list(reading.lines(tmp_path / "empty", 0)) == []


@pytest.mark.parametrize("line", [b"", b"x" * 9999 + b"\n"], ids=["no line break", "many lines"])
def test_a_packed_log_that_would_burst_is_refused(tmp_path, line):
    (tmp_path / "log.gz").write_bytes(gzip.compress((line or b"x") * ((30 << 20) // (len(line) or 1)), 1))
    why = refused(lambda: sum(map(len, reading.lines(tmp_path / "log.gz", 20 << 20))))
    assert ("bytes in a line" if not line else "bytes or more, and at most 20,971,520") in why


# --- arrays -----------------------------------------------------------------------------------------------------


def test_arrays_come_back(tmp_path):
    given = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(["x", "yz"]), "none": np.empty((0, 70_000 // 2))}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", **given)
        found = reading.arrays(tmp_path / "x.npz")
        assert found.keys() == given.keys()
        assert all(np.array_equal(found[k], given[k]) and found[k].shape == given[k].shape for k in given)


def test_a_small_file_of_huge_arrays_is_refused(tmp_path):
    """Each alone could be read."""
    zeros = npy((1 << 22,), "<f8", bytes(1 << 25))
    packed = npz(tmp_path / "x.npz", zipfile.ZIP_DEFLATED, a=zeros, b=zeros, c=zeros)
    assert packed.stat().st_size < 1 << 20
    assert "bytes when it is unpacked, and at most 67,108,864 are read" in refused(lambda: reading.arrays(packed))


def test_arrays_that_share_their_bytes_are_refused(tmp_path):
    """One array, named a thousand times in the archive's directory."""
    content = npz(tmp_path / "x.npz", a=npy((1 << 17,), "<f8", bytes(1 << 20))).read_bytes()
    end = content.rindex(b"PK\x05\x06")
    start = content.index(b"PK\x01\x02")
    directory, tail = content[start:end], bytearray(content[end:])
    tail[8:16] = struct.pack("<HHI", 1000, 1000, 1000 * len(directory))
    (tmp_path / "x.npz").write_bytes(content[:start] + directory * 1000 + tail)
    assert "bytes in arrays that overlap" in refused(lambda: reading.arrays(tmp_path / "x.npz"))


def test_an_array_in_a_hole_is_refused_and_one_on_the_disk_is_read(tmp_path):
    path = npz(tmp_path / "x.npz", a=npy((1 << 14, 1 << 10), "<f8", bytes(1 << 27)))
    assert reading.arrays(path)["a"].shape == (1 << 14, 1 << 10)
    content = path.read_bytes()
    with open(tmp_path / "hole.npz", "wb") as stream:
        stream.write(content[:1000])
        stream.seek(len(content) - 1000)
        stream.write(content[-1000:])
    assert "a hole that no disk holds" in refused(lambda: reading.arrays(tmp_path / "hole.npz"))


@pytest.mark.parametrize(("shape", "dtype"), [((10**12,), "<U0"), ((10**12, 0), "<f4"), ((3, 0, 10**9), "<f4")])
def test_an_array_of_many_rows_that_take_no_bytes_is_refused(tmp_path, shape, dtype):
    path = npz(tmp_path / "x.npz", a=npy(shape, dtype))
    assert "takes no bytes" in refused(lambda: [row.tolist() for row in reading.arrays(path).values()])


@pytest.mark.parametrize("dtype", ["<f8", "<U1000000", "|V1000000"])
def test_an_array_whose_header_promises_more_than_there_is_takes_no_memory(tmp_path, dtype):
    path = npz(tmp_path / "x.npz", a=npy((10**9,), dtype, bytes(100)))
    said, grown = outcome(lambda: _any_error(lambda: reading.arrays(path)))
    assert said and grown < 20


def _any_error(call):
    try:
        call()
    except Exception as error:
        raise Any2AnyError(type(error).__name__, str(error), "") from error


def test_python_objects_are_never_made(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        reading.arrays(tmp_path / "x.npz")


def test_json_is_what_json_is(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"é": [1, None]}))
    assert reading.json_value(tmp_path / "x.json") == {"é": [1, None]}
