"""Sounds in files: which part is read, and what is refused."""

import struct

import numpy as np
import pytest

from any2any_ros.data import wav as sounds
from any2any_ros.errors import Any2AnyError

RAMP = np.arange(100)


def file_of(path, data, *, rate=100, channels=1, bits=16, size=None, promised=None):
    """Write a WAV file; `size`: what the header says of the samples, `promised`: of the whole file."""
    head = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(data) if size is None else size)
    path.write_bytes(b"RIFF" + struct.pack("<I", promised or len(body) + len(data)) + body + data)
    return path


def ramp(path, **header):
    return file_of(path, RAMP.astype("<i2").tobytes(), **header)


@pytest.mark.parametrize(("start", "end", "first", "last"), [
    (0, None, 0, 100), (0.1, 0.25, 10, 25), (-5, 0.02, 0, 2), (0.9, 1e9, 90, 100), (5, 6, 0, 0), (0.5, 0.2, 0, 0),
])  # fmt: skip
def test_the_part_between_two_times_is_read(tmp_path, start, end, first, last):
    heard = sounds.read(ramp(tmp_path / "a.wav"), int(start * 1e9), None if end is None else int(end * 1e9))
    assert heard.rate == 100 and heard.samples.dtype == np.float32
    np.testing.assert_array_equal(heard.samples * 32768, RAMP[first:last])


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("spare", [1, 3])
def test_a_broken_last_frame_is_dropped(tmp_path, channels, spare):
    data = RAMP.astype("<i2").tobytes()[: 12 * channels] + b"x" * spare
    assert len(sounds.read(file_of(tmp_path / "a.wav", data, channels=channels, size=2**31)).samples) >= 6


@pytest.mark.parametrize("header", [{"rate": 0}, {"channels": 0}, {"bits": 8}, {"bits": 0}, {"promised": 30}], ids=str)
def test_a_header_that_cannot_be_is_refused(tmp_path, header):
    with pytest.raises(Any2AnyError, match=r"Cannot read the sound .*a\.wav"):
        sounds.read(ramp(tmp_path / "a.wav", **header))


@pytest.mark.parametrize("length", range(46))
def test_a_file_cut_anywhere_is_refused_or_short(tmp_path, length):
    file = ramp(tmp_path / "a.wav")
    file.write_bytes(file.read_bytes()[:length])
    if length < 44:
        with pytest.raises(Any2AnyError, match=r"Cannot read the sound .*a\.wav"):
            sounds.read(file)
    else:
        assert len(sounds.read(file).samples) == (length - 44) // 2


def test_a_folder_is_no_sound(tmp_path):
    with pytest.raises(Any2AnyError, match="Cannot read the sound"):
        sounds.read(tmp_path)
