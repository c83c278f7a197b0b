"""The sound of a KITTI folder: every frame gets what was heard since the one before."""

from __future__ import annotations

import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kitti_files import PERIOD, PLACES

from any2any_ros.data import kitti
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS


def recorded(path):
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768, file.getframerate()


def heard(drive):
    chunks = [drive.sample("audio", i) for i in range(len(drive))]
    return [np.empty(0, np.float32) if c is None else c.samples for c in chunks]


def test_the_chunks_tile_the_recording_exactly(laps):
    drive = kitti.read(laps, "00")
    whole, rate = recorded(laps / "sequences" / "00" / "audio.wav")
    chunks = heard(drive)
    assert drive.sample("audio", 0) is None and {len(c) for c in chunks[1:]} == {int(PERIOD * rate)}
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 90_000_000), min_size=2, max_size=12), st.sampled_from([7919, 8000, 44100]), st.data())
def test_any_frames_of_any_times_tile_the_recording(tmp_path_factory, steps, rate, data):
    folder = tmp_path_factory.mktemp("drive")
    stamps = np.cumsum(steps)
    (folder / "velodyne").mkdir()
    for i in range(len(steps)):
        np.ones((1, 4), np.float32).tofile(folder / "velodyne" / f"{i:06d}.bin")
    np.savetxt(folder / "times.txt", stamps / NS, fmt="%.9f")
    frames = int(np.ceil(stamps[-1] * rate / NS)) + 5
    with wave.open(str(folder / "audio.wav"), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(np.arange(frames).astype("<i2").tobytes())
    drive = kitti.read(folder)
    kept = sorted(data.draw(st.sets(st.integers(0, len(steps) - 1), min_size=1)))
    for part, first in ((drive, 0), (drive.take(kept), round((stamps[kept[0] - 1] if kept[0] else 0) * rate / NS))):
        joined = np.concatenate(heard(part)) * 32768
        last = part.stamps_ns[-1] - drive.stamps_ns[0] + stamps[0]
        np.testing.assert_array_equal(joined, np.arange(first, round(last * rate / NS)).astype("<i2"))


def test_sound_that_ends_early_is_heard_as_far_as_it_goes(ring):
    file = ring / "sequences" / "00" / "audio.wav"
    whole, rate = recorded(file)
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes((whole[: 5 * rate] * 32768).astype("<i2").tobytes())
    drive = kitti.read(ring, "00")
    np.testing.assert_array_equal(np.concatenate(heard(drive)), whole[: 5 * rate])
    assert drive.sample("audio", PLACES - 1) is None


def test_two_channels_are_averaged(ring):
    file = ring / "sequences" / "00" / "audio.wav"
    whole, rate = recorded(file)
    mono = (whole * 32768).astype("<i2")
    with wave.open(str(file), "wb") as out:
        out.setparams((2, 2, rate, 0, "NONE", ""))
        out.writeframes(np.column_stack([mono, np.zeros_like(mono)]).tobytes())
    np.testing.assert_allclose(np.concatenate(heard(kitti.read(ring, "00"))), whole / 2, atol=1e-7)


@pytest.mark.parametrize("damage", ["empty", "no wave", "8 bits"])
def test_sound_that_cannot_be_read_is_refused(ring, damage):
    file = ring / "sequences" / "00" / "audio.wav"
    if damage == "8 bits":
        with wave.open(str(file), "wb") as out:
            out.setparams((1, 1, 8000, 0, "NONE", ""))
            out.writeframes(bytes(100_000))
    else:
        file.write_bytes(b"" if damage == "empty" else b"RIFF and then something else")
    with pytest.raises(Any2AnyError, match=r"Cannot read the sound .*audio\.wav"):
        kitti.read(ring, "00").sample("audio", 3)
