"""Chunks of sound become mono samples, or are refused with a reason."""

from types import SimpleNamespace

import numpy as np
import pytest

from any2any_ros import samples
from any2any_ros.errors import Any2AnyError


def sound_message(data, encoding="S16LE", channels=1, rate=8000):
    return SimpleNamespace(data=data, encoding=encoding, channels=channels, sample_rate=rate)


@pytest.mark.parametrize("spare", [0, 1])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(("encoding", "kind", "full"), [("S16LE", "<i2", 32768), ("F32LE", "<f4", 1)])
def test_channels_are_averaged_and_a_broken_last_frame_dropped(encoding, kind, full, channels, spare):
    frames = np.array([[-full, 0, full // 2], [full // 4, -full // 2, 0], [0, 0, 0]], dtype=kind)[:, :channels]
    raw = frames.tobytes() + b"\x7f" * spare * (frames.itemsize * channels - 1)
    heard = samples.sound(sound_message(raw, encoding, channels))
    assert heard.samples.dtype == np.float32 and heard.rate == 8000
    np.testing.assert_allclose(heard.samples, frames.astype(float).mean(axis=1) / full, atol=1e-7)


def test_sixteen_bits_become_floats_without_loss():
    every = np.arange(-32768, 32768).astype("<i2")
    heard = samples.sound(sound_message(every.tobytes())).samples
    np.testing.assert_array_equal(np.round(heard * 32768.0).astype(int), every)


def test_channels_of_full_scale_do_not_overflow_when_averaged():
    assert samples.sound(sound_message(np.full(4, 32767, "<i2").tobytes(), channels=2)).samples.min() > 0.999


def test_no_sound_is_an_empty_piece():
    assert samples.sound(sound_message(b"")).samples.shape == (0,)


@pytest.mark.parametrize("change", [{"encoding": "MP3"}, {"channels": 0}, {"rate": 0}], ids=str)
def test_sound_that_cannot_be_read_is_refused(change):
    with pytest.raises(Any2AnyError, match="S16LE or F32LE"):
        samples.sound(sound_message(b"\0\0", **change))


def chunk(field, values, number, channels=1, name="audio_data", rate=44100):
    info = SimpleNamespace(format=number, channels=channels, rate=rate)
    return SimpleNamespace(audio=SimpleNamespace(info=info, **{name: SimpleNamespace(**{field: values})}))


@pytest.mark.parametrize("name", ["audio_data", "audio"])
@pytest.mark.parametrize(
    ("field", "number", "values"),
    [("float32_data", 1, [0.5, -1.0]), ("int32_data", 2, [1 << 30, -(1 << 31)]),
     ("int16_data", 8, [1 << 14, -(1 << 15)]), ("int8_data", 16, [64, -128]), ("uint8_data", 32, [192, 0])],
)  # fmt: skip
def test_sound_of_audio_common_is_read_as_its_format_says(field, number, values, name):
    heard = samples.described_sound(chunk(field, values, number, name=name))
    assert heard.samples.tolist() == [0.5, -1.0] and heard.rate == 44100
    stereo = samples.described_sound(chunk(field, np.array(values * 2), number, 2, name))
    assert stereo.samples.tolist() == [-0.25, -0.25]


@pytest.mark.parametrize("change", [{"number": 4}, {"channels": 0}, {"rate": 0}], ids=str)
def test_sound_of_audio_common_that_cannot_be_read_is_refused(change):
    with pytest.raises(Any2AnyError, match="PortAudio's format"):
        samples.described_sound(chunk("int16_data", [0], **({"number": 8} | change)))


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: SimpleNamespace(audio=m)], ids=["plain", "stamped"])
def test_captured_sound_is_what_audio_capture_publishes_by_default(wrap):
    heard = samples.captured_sound(wrap(SimpleNamespace(data=np.array([16384, -32768], "<i2").tobytes() + b"\1")))
    assert heard.samples.tolist() == [0.5, -1.0] and heard.rate == 16000
    with pytest.raises(Any2AnyError, match="it is MP3"):
        samples.captured_sound(wrap(SimpleNamespace(data=b"\xff\xfb\x90\x00")))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(value):
    with pytest.raises(Any2AnyError, match="samples that are not finite"):
        samples.sound(sound_message(np.array([0.5, value], "<f4").tobytes(), "F32LE"))
