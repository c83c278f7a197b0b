"""The sound descriptor: loudness, rate and chunking do not matter; what a place hums with does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros.encoders.audio import AudioConfig, AudioEncoder
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS, Sound

ENCODER = AudioEncoder()


def hum(seed, rate=8000, seconds=1.0, loudness=0.1):
    """Return the sound of a place: its own tones over its own coloured noise, sampled at some rate."""
    own, noise = np.random.default_rng(seed), np.random.default_rng(1000 + seed)
    t = np.arange(int(seconds * rate)) / rate
    x = sum(
        a * np.sin(2 * np.pi * (f * t + p))
        for a, f, p in zip(own.random(6), own.uniform(80, 3600, 6), own.random(6), strict=True)
    )
    wide = np.interp(t, np.arange(int(seconds * 48000)) / 48000, noise.normal(size=int(seconds * 48000)))
    return Sound((loudness * (x + 0.3 * wide)).astype(np.float32), rate)


def similarity(one, other, encoder=ENCODER):
    return float(encoder.encode(one) @ encoder.encode(other))


@pytest.fixture(scope="module")
def strangers():
    """The highest similarity of the sounds of two places."""
    vectors = np.array([ENCODER.encode(hum(seed)) for seed in range(20)])
    return (vectors @ vectors.T - 2 * np.eye(20)).max()


@pytest.mark.parametrize("bands", [4, 40, 256])
def test_has_the_dimension_it_declares(bands):
    encoder = AudioEncoder(AudioConfig(bands=bands))
    assert encoder.encode(hum(0)).shape == (encoder.dimension,) == (2 * bands,)


@pytest.mark.parametrize("gain", [10.0, 0.1, 0.01])
def test_loudness_does_not_matter(gain):
    louder = Sound(hum(0).samples * np.float32(gain), 8000)
    assert similarity(hum(0), louder) > 0.999


@pytest.mark.parametrize("rate", [11025, 16000, 44100, 48000])
def test_the_sample_rate_matters_little(rate, strangers):
    for seed in range(5):
        assert similarity(hum(seed), hum(seed, rate)) > max(0.8, strangers)


def test_a_constant_voltage_matters_little():
    offset = Sound(hum(0).samples + np.float32(0.05), 8000)
    assert similarity(hum(0), offset) > 0.95


def test_a_place_sounds_like_itself_a_moment_later(strangers):
    for seed in range(5):
        whole = hum(seed, seconds=2.0).samples
        assert similarity(Sound(whole[:8000], 8000), Sound(whole[8000:], 8000)) > strangers


@pytest.mark.parametrize("frame", [0.005, 0.03, 0.064, 1.0])
@pytest.mark.parametrize("bands", [4, 40, 256])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_every_band_hears_something(bands, frame, rate):
    bank = AudioEncoder(AudioConfig(bands=bands, frame=frame))._bank(rate)
    np.testing.assert_allclose(bank.sum(axis=1), 1, atol=1e-9)
    pitch = np.fft.rfftfreq(2 * (bank.shape[1] - 1), 1 / rate)
    centre = bank @ pitch
    assert (np.diff(centre) >= 0).all() and centre[0] >= 60 - 1 / frame and centre[-1] <= 3800 + 1 / frame


@settings(max_examples=150)
@given(
    hnp.arrays(np.float32, st.integers(0, 3000), elements=st.floats(-1, 1, width=32)),
    st.sampled_from([100, 7599, 7600, 8000, 44100, 192_000]),
)
def test_any_sound_is_encoded_or_refused(samples, rate):
    try:
        vector = ENCODER.encode(Sound(samples, rate))
    except Any2AnyError as error:
        assert error.what == "Cannot use a piece of sound"  # noqa: PT017 - either outcome is right
    else:
        assert np.isfinite(vector).all() and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("sound", "why"),
    [
        (Sound(np.ones(99, np.float32), 7599), "7599 Hz is too low for the highest frequency, 3800 Hz"),
        (Sound(np.empty(0, np.float32), 8000), "it is empty"),
        (Sound(np.zeros(8000, np.float32), 8000), "digital silence"),
        (Sound(np.array([0.1, np.nan], np.float32), 8000), "not finite"),
        (Sound(np.array([0.1, np.inf], np.float32), 8000), "not finite"),
    ],
)
def test_sound_that_says_nothing_is_refused(sound, why):
    with pytest.raises(Any2AnyError, match=why):
        ENCODER.encode(sound)


@pytest.mark.parametrize("change", [{"shortest": 2.0}, {"window": 0.2}, {"low": 5000.0}, {"low": 3800.0}], ids=str)
def test_settings_that_leave_nothing_to_hear_are_refused(change):
    with pytest.raises(Any2AnyError, match="nothing to encode"):
        AudioConfig(**change)


# --- the stream -----------------------------------------------------------------------------------------------

RATE = 8000


def listen(chunks, encoder=None, rate=RATE, start=0, gaps=()):
    """Hear the chunks one after another; return what is worth encoding after each."""
    encoder, heard, t = encoder or AudioEncoder(), [], start
    for i, chunk in enumerate(chunks):
        t += dict(gaps).get(i, 0) + int(len(chunk) / rate * NS)
        heard.append(encoder.gather(Sound(np.asarray(chunk, dtype=np.float32), rate), t))
    return heard


@given(st.lists(st.integers(0, 9000), min_size=1, max_size=12))
def test_chunking_does_not_matter(sizes):
    total = sum(sizes)
    stream = np.random.default_rng(0).normal(size=total).astype(np.float32)
    heard = listen(np.split(stream, np.cumsum(sizes)[:-1]))
    for sofar, piece in zip(np.cumsum(sizes), heard, strict=True):
        if sofar < 0.5 * RATE:
            assert piece is None
        else:
            np.testing.assert_array_equal(piece.samples, stream[max(0, sofar - RATE) : sofar])
            assert piece.rate == RATE


def test_too_little_is_not_worth_encoding():
    first, second = listen([np.ones(3999), np.ones(1)])
    assert first is None and len(second.samples) == 4000


@pytest.mark.parametrize(("gap", "kept"), [(0.19, 8000), (-0.19, 8000), (0.21, 5000), (-0.21, 5000), (60, 5000)])
def test_a_gap_begins_anew(gap, kept):
    _, after = listen([np.zeros(5000), np.ones(5000)], gaps=[(1, int(gap * NS))])
    assert len(after.samples) == kept and after.samples[-5000:].all()


def test_jitter_of_the_stamps_does_not_add_up_to_a_gap():
    encoder, draw, t = AudioEncoder(), np.random.default_rng(0), 0
    for _ in range(100):
        t += NS // 10
        piece = encoder.gather(Sound(np.ones(800, np.float32), RATE), t + int(draw.integers(-NS // 12, NS // 12)))
    assert len(piece.samples) == RATE


def test_another_rate_begins_anew():
    encoder = AudioEncoder()
    listen([np.ones(8000)], encoder)
    (piece,) = listen([np.ones(16000)], encoder, rate=16000, start=NS)
    assert piece.rate == 16000 and len(piece.samples) == 16000


def test_what_was_given_out_does_not_change_afterwards():
    encoder = AudioEncoder()
    (first,) = listen([np.ones(6000)], encoder)
    listen([np.zeros(6000)], encoder, start=6000 * NS // RATE)
    assert first.samples.all() and len(first.samples) == 6000
