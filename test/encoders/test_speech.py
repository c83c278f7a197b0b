"""The speech descriptor: loudness, rate, speed and silence around do not matter; what is said does."""

import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros.encoders.speech import LevelEndpointer, SpeechConfig, SpeechEncoder
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS, Sound

ENCODER = SpeechEncoder(SpeechConfig(descriptor="course"))
PATTERNS = SpeechEncoder()
RATE = 8000


def say(word, rate=RATE, seconds=0.6, pitch=120.0, silence=0.0, loudness=0.1):
    """Return a made-up word: a buzz through two formants that glide from one vowel to the next, `word` of them."""
    t = np.arange(int(seconds * rate)) / rate
    vowels = np.random.default_rng(word).uniform([250, 900], [900, 2600], (4, 2))
    formants = [np.interp(t / seconds, np.linspace(0, 1, 4), column) for column in vowels.T]
    harmonics = pitch * np.arange(1, int(3700 / pitch))[:, None]
    gain = sum(1 / (1 + ((harmonics - f) / 120) ** 2) for f in formants)
    x = loudness * (gain * np.sin(2 * np.pi * harmonics * t)).sum(axis=0) * np.hanning(len(t)) ** 0.3
    room = 1e-4 * loudness * np.random.default_rng(9).normal(size=len(x) + 2 * int(silence * rate))
    room[int(silence * rate) : int(silence * rate) + len(x)] += x
    return Sound(room.astype(np.float32), rate)


def similarity(one, other):
    return float(ENCODER.encode(one) @ ENCODER.encode(other))


@pytest.fixture(scope="module")
def strangers():
    """The highest similarity of two different words."""
    vectors = np.array([ENCODER.encode(say(word)) for word in range(12)])
    return (vectors @ vectors.T - 2 * np.eye(12)).max()


@pytest.mark.parametrize("descriptor", ["patterns", "course"])
@pytest.mark.parametrize(
    "change",
    [{"moments": 2, "patterns": 8}, {"cepstra": 2, "bands": 40}, {"frame": 0.005, "hop": 0.1}, {"span": 1.0}],
    ids=str,
)
def test_has_the_dimension_it_declares(descriptor, change):
    encoder = SpeechEncoder(SpeechConfig(descriptor=descriptor, **change))
    assert encoder.encode(say(0)).shape == (encoder.dimension,)


def test_the_dimension_by_default():
    assert PATTERNS.dimension == 512 and ENCODER.dimension == 520 and ENCODER.rate == 8000


def sentence(words, seed=0, pitch=120.0):
    """Return words one after the other, with a breath between."""
    breath = np.zeros(800, np.float32)
    return np.concatenate([x for word in words for x in (breath, say(word, pitch=pitch).samples)])


def test_patterns_tell_which_words_a_sentence_has_wherever_they_stand():
    same = [PATTERNS.encode(Sound(sentence(order), RATE)) for order in ((1, 2, 3), (3, 1, 2))]
    other = PATTERNS.encode(Sound(sentence((4, 5, 6)), RATE))
    one_new = PATTERNS.encode(Sound(sentence((1, 2, 6)), RATE))
    assert 1 - same[0] @ same[1] < 0.5 * (1 - same[0] @ one_new) < 0.5 * (1 - same[0] @ other)
    courses = [ENCODER.encode(Sound(sentence(order), RATE)) for order in ((1, 2, 3), (3, 1, 2))]
    assert courses[0] @ courses[1] < 0.5


def test_patterns_are_means_of_cosines_of_every_span():
    """Against loops, each span's ripples worked out from sums."""
    encoder = SpeechEncoder(SpeechConfig(patterns=8, cepstra=3, span=0.07))
    cepstra = np.random.default_rng(0).normal(size=(9, 3))
    expected = np.zeros(8)
    for frame in range(9):
        span = np.array([cepstra[min(max(frame + i, 0), 8)] for i in range(-3, 4)])
        ripples = []
        for c, k in np.ndindex(3, 5):
            scale = np.sqrt((1 if k == 0 else 2) / 7) / np.sqrt(7)
            ripples.append(scale * sum(x * np.cos(np.pi * k * (2 * t + 1) / 14) for t, x in enumerate(span[:, c])))
        expected += np.cos(np.array(ripples) @ encoder._directions + encoder._phases) / 9
    np.testing.assert_allclose(encoder._patterns(cepstra), expected, atol=1e-12)


@pytest.mark.parametrize("change", [{"loudness": 0.001}, {"rate": 16000}, {"rate": 44100}, {"silence": 1.0}], ids=str)
def test_patterns_forget_loudness_rate_and_silence(change):
    for word in range(4):
        here, there, stranger = (PATTERNS.encode(s) for s in (say(word), say(word, **change), say(word + 1)))
        assert 1 - here @ there < 0.3 * (1 - here @ stranger)


@pytest.mark.parametrize("gain", [8.0, 0.1, 0.001])
def test_loudness_does_not_matter(gain):
    louder = Sound(say(0).samples * np.float32(gain), RATE)
    assert similarity(say(0), louder) > 0.9999


@pytest.mark.parametrize("rate", [7600, 11025, 16000, 22050, 44100, 48000, 44101])
def test_the_sample_rate_matters_little(rate, strangers):
    for word in range(4):
        assert similarity(say(word), say(word, rate)) > max(0.8, strangers + 0.1)


@pytest.mark.parametrize("seconds", [0.4, 0.9])
def test_speaking_faster_or_slower_matters_little(seconds, strangers):
    for word in range(4):
        assert similarity(say(word), say(word, seconds=seconds)) > max(0.6, strangers)


@pytest.mark.parametrize("silence", [0.1, 1.0])
def test_silence_around_does_not_matter(silence):
    for word in range(4):
        assert similarity(say(word), say(word, silence=silence)) > 0.9


def test_a_microphone_that_colours_matters_little():
    """A fixed filter adds a constant to the logarithm of every spectrum."""
    word = say(1).samples
    coloured = Sound(np.convolve(word, [1.0, -0.5], mode="same").astype(np.float32), RATE)
    assert similarity(say(1), coloured) > 0.9


def test_the_order_of_sounds_is_told_apart():
    for word in range(4):
        backwards = Sound(say(word).samples[::-1].copy(), RATE)
        assert similarity(say(word), backwards) < 0.7


def test_cepstra_are_the_textbook_s():
    """Against sums written out: mel bands, logarithm, DCT-II."""
    draw = np.random.default_rng(0)
    power = draw.random((3, 101))
    bands = power @ ENCODER._bank.T
    logarithm = np.log(bands / bands.max() + 1e-6)
    n = np.arange(26)
    for k in range(13):
        scale = np.sqrt((1 if k == 0 else 2) / 26)
        expected = scale * (logarithm * np.cos(np.pi * k * (2 * n + 1) / 52)).sum(axis=1)
        np.testing.assert_allclose(ENCODER._cepstra(power)[:, k], expected, atol=1e-9)


@settings(max_examples=100)
@given(
    hnp.arrays(np.float32, st.integers(0, 4000), elements=st.floats(-1, 1, width=32)),
    st.sampled_from([100, 7599, 7600, 8000, 44100, 192_000]),
    st.sampled_from([ENCODER, PATTERNS]),
)
def test_any_sound_is_encoded_or_refused(samples, rate, encoder):
    try:
        vector = encoder.encode(Sound(samples, rate))
    except Any2AnyError as error:
        assert error.what == "Cannot use an utterance"  # noqa: PT017 - either outcome is right
    else:
        assert np.isfinite(vector).all() and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def click():
    x = np.zeros(8000, np.float32)
    x[4000:4020] = 0.5
    return x


@pytest.mark.parametrize(
    ("sound", "why"),
    [
        (Sound(np.ones(4000, np.float32), 7599), "7599 Hz is too low for the highest frequency, 3800 Hz"),
        (Sound(np.empty(0, np.float32), 8000), "0 s is too short"),
        (Sound(say(0).samples[:1199], 8000), "0.15 s is too short"),
        (Sound(np.zeros(8000, np.float32), 8000), "digital silence"),
        (Sound(np.full(8000, np.nan, np.float32), 8000), "not finite"),
        (Sound(np.full(8000, np.inf, np.float32), 8000), "not finite"),
        (Sound(click(), 8000), "less than 0.15 s of it is louder than silence"),
        (Sound(np.sin(np.arange(8000) * np.pi / 4).astype(np.float32), 8000), "does not change from beginning to end"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_sound_that_says_nothing_is_refused(sound, why):
    with pytest.raises(Any2AnyError, match=why):
        ENCODER.encode(sound)


# --- real voices ----------------------------------------------------------------------------------------------


def digits(folder):
    """Return the recordings as sounds, what is said (N,) and by whom (N,)."""
    found = []
    for path in sorted(folder.glob("*.wav")):
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
            found.append((Sound(samples, file.getframerate()), *path.stem.split("_")[:2]))
    sounds, said, speaker = zip(*found, strict=True)
    return sounds, np.array(said), np.array(speaker)


def test_a_digit_is_more_like_itself_from_another_mouth(shared_data):
    sounds, said, speaker = digits(shared_data / "speech")
    vectors = np.array([ENCODER.encode(sound) for sound in sounds])
    alike, other = vectors @ vectors.T, speaker[:, None] != speaker
    nearest = np.argmax(np.where(other, alike, -2), axis=1)
    assert np.mean(said[nearest] == said) > 0.3  # chance 0.1
    again = np.argmax(np.where(~other & ~np.eye(80, dtype=bool), alike, -2), axis=1)
    assert np.mean(said[again] == said) > 0.6  # the same speaker; chance 1/19


# --- the stream -----------------------------------------------------------------------------------------------


def stream(words, quiet=1.0, rate=RATE, seed=0):
    """Return the words with quiet between them, and a faint room behind it all."""
    parts = [np.zeros(int(quiet * rate), np.float32)]
    for word in words:
        parts += [word, parts[0]]
    x = np.concatenate(parts)
    return x + np.random.default_rng(seed).normal(0, 1e-4, len(x)).astype(np.float32)


def hear(x, chunk=800, rate=RATE, encoder=None, gap_at=None):
    """Feed chunks to an encoder; return the utterances that come out."""
    encoder, t, found = encoder or SpeechEncoder(), 0, []
    for start in range(0, len(x), chunk):
        piece = x[start : start + chunk]
        t += int(len(piece) / rate * NS) + (NS if gap_at == start else 0)
        found.append(encoder.gather(Sound(piece, rate), t))
    return [u for u in found if u is not None]


@settings(max_examples=20)
@given(st.integers(50, 9000))
def test_a_stream_is_cut_where_somebody_stops_speaking(chunk):
    words = [say(word).samples for word in (1, 2, 3)]
    found = hear(stream(words), chunk)
    assert len(found) == 3
    for utterance, word in zip(found, words, strict=True):
        assert similarity(utterance, Sound(word, RATE)) > 0.9
        assert 0.6 <= len(utterance.samples) / RATE <= 0.9


def test_real_digits_come_out_of_a_stream(shared_data):
    sounds, _, _ = digits(shared_data / "speech")
    chosen = sounds[::9]
    found = hear(stream([s.samples for s in chosen]))
    assert len(found) == len(chosen)
    assert np.mean([similarity(a, b) > 0.5 for a, b in zip(found, chosen, strict=True)]) > 0.8


def test_a_quiet_room_and_a_click_are_no_utterance():
    assert hear(stream([])) == [] and hear(stream([0.3 * np.ones(400, np.float32)])) == []
    noise = np.random.default_rng(0).normal(0, 0.2, 30 * RATE).astype(np.float32)
    assert hear(noise) == []


def test_who_does_not_stop_is_cut():
    talk = np.concatenate([say(word).samples for word in range(30)])
    found = hear(stream([talk]), encoder=SpeechEncoder(SpeechConfig(longest=3.0)))
    assert len(found) >= 5 and all(len(u.samples) <= 3.2 * RATE for u in found)


def test_a_gap_and_another_rate_begin_anew():
    x = stream([say(1).samples], quiet=0.5)
    assert len(hear(x, gap_at=8000)) <= 1
    listener = LevelEndpointer(SpeechConfig())
    assert listener.hear(Sound(say(1).samples, RATE), NS) is None
    assert listener.hear(Sound(np.zeros(32000, np.float32), 16000), 3 * NS) is None


def test_memory_does_not_grow_in_a_quiet_room():
    listener = LevelEndpointer(SpeechConfig())
    for i in range(1, 300):
        listener.hear(Sound(np.full(800, 1e-4, np.float32), RATE), i * NS // 10)
    assert len(listener._sound) <= 2 * 0.6 * RATE


def test_what_was_given_out_does_not_change_afterwards():
    encoder = SpeechEncoder()
    (first,) = hear(stream([say(1).samples]), encoder=encoder)
    kept = first.samples.copy()
    hear(stream([say(2).samples]), encoder=encoder)
    np.testing.assert_array_equal(first.samples, kept)
