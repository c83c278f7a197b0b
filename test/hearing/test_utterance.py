"""Every sound is refused with a reason, or comes out at 16 kHz, centred, its peak at half of full scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros.errors import Any2AnyError
from any2any_ros.hearing._utterance import prepare
from any2any_ros.samples import Sound


def tone(rate, seconds=1.0, hertz=440.0, offset=0.0):
    t = np.arange(round(seconds * rate)) / rate
    return Sound((offset + 0.01 * np.sin(2 * np.pi * hertz * t)).astype(np.float32), rate)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 44101])
def test_a_tone_stays_the_same_tone_at_any_rate(rate):
    x, remark = prepare(tone(rate), 10)
    assert remark == "" and len(x) == pytest.approx(16000, abs=2) and np.abs(x).max() == pytest.approx(0.5)
    spectrum = np.abs(np.fft.rfft(x[:16000] * np.hanning(len(x[:16000]))))
    assert np.argmax(spectrum) == pytest.approx(440, abs=1)
    assert spectrum[500:].max() < 0.01 * spectrum.max()  # no image of it


def test_an_offset_and_loudness_do_not_matter():
    quiet, loud = prepare(tone(16000), 10)[0], prepare(tone(16000, offset=0.3), 10)[0]
    np.testing.assert_allclose(quiet, loud, atol=1e-4)


def test_what_is_too_long_is_cut_and_said():
    x, remark = prepare(tone(8000, 600), 15)
    assert len(x) == 15 * 16000
    assert remark == "it lasts 600 s; only the first 15 s were transcribed"


@pytest.mark.parametrize(
    ("sound", "why"),
    [
        (Sound(np.ones(4000, np.float32), 7999), "7999 Hz is too low for speech"),
        (Sound(np.ones(4000, np.float32), 0), "0 Hz is too low for speech"),
        (Sound(np.empty(0, np.float32), 16000), "0 s is too short"),
        (Sound(np.ones(1199, np.float32), 8000), "0.15 s is too short"),
        (Sound(np.zeros(8000, np.float32), 8000), "digital silence"),
        (Sound(np.full(8000, 0.5, np.float32), 8000), "digital silence"),
        (Sound(np.full(8000, np.nan, np.float32), 8000), "not finite"),
        (Sound(np.full(8000, -np.inf, np.float32), 8000), "not finite"),
        (Sound(np.ones((8000, 2), np.float32), 8000), "2 dimensions, not one channel"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_cannot_be_speech_is_refused(sound, why):
    with pytest.raises(Any2AnyError, match=why):
        prepare(sound, 10)


@settings(max_examples=60)
@given(
    hnp.arrays(np.float32, st.integers(0, 4000), elements=st.floats(-1, 1, width=32)),
    st.sampled_from([-1, 0, 7999, 8000, 44100, 192_000]),
)
def test_any_sound_is_prepared_or_refused(samples, rate):
    try:
        x, _ = prepare(Sound(samples, rate), 1.0)
    except Any2AnyError as error:
        assert error.what == "Cannot transcribe a sound"  # noqa: PT017 - either outcome is right
    else:
        assert np.isfinite(x).all() and len(x) <= 16001 and np.abs(x).max() == pytest.approx(0.5)
