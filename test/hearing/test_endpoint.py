"""Each judge finds sentences in a stream. The cutting is the same for all, and tested with a judge that cannot err."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.encoders.speech import LevelEndpointer, SpeechConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.hearing import endpoint
from any2any_ros.hearing.endpoint import EndpointConfig, SphinxDetector, VoiceEndpointer
from any2any_ros.protocols import Endpointer
from any2any_ros.samples import NS, Sound

RATE = 1000


class Loud:
    """Speech is what is louder than nothing; noticed at once, or later."""

    def __init__(self, rate, delay=0.0):
        self.block, self.delay = rate // 50, delay
        self._late = [False] * round(delay * 50)

    def __call__(self, block):
        self._late.append(bool(np.abs(block).max() > 0.01))
        return self._late.pop(0)


def stream(*seconds):
    """Return quiet and speech in turn, beginning with quiet; every sample of speech is its own number."""
    parts = [np.zeros(round(s * RATE), np.float32) for s in seconds]
    for i, part in enumerate(parts[1::2], 1):
        part += np.float32(0.1 * i) + np.arange(len(part), dtype=np.float32) * np.float32(1e-6)
    return np.concatenate(parts)


def hear(listener, x, chunk=100, rate=RATE, start_ns=0):
    found = []
    for at in range(0, len(x), chunk):
        piece = x[at : at + chunk]
        found.append(listener.hear(Sound(piece, rate), start_ns + (at + len(piece)) * NS // rate))
    return [u for u in found if u is not None]


@pytest.mark.parametrize("delay", [0.0, 0.3])
@settings(max_examples=30)
@given(chunk=st.integers(10, 400), lengths=st.lists(st.integers(20, 300), min_size=1, max_size=4))
def test_every_utterance_comes_out_whole_with_a_margin(delay, chunk, lengths):
    seconds = [1.0]
    for length in lengths:
        seconds += [length * 0.01, 2.0]
    found = hear(VoiceEndpointer(lambda rate: Loud(rate, delay), SpeechConfig()), stream(*seconds), chunk)
    assert len(found) == len(lengths)
    for i, (utterance, length) in enumerate(zip(found, lengths, strict=True), 1):
        spoken = utterance.samples[utterance.samples != 0]
        assert len(spoken) == 10 * length and spoken[0] == np.float32(0.1 * i)
        assert len(utterance.samples) - len(spoken) <= 2 * 0.1 * RATE + 2 * RATE // 50 + delay * RATE


def test_a_short_pause_does_not_end_an_utterance_and_a_click_is_none():
    assert len(hear(VoiceEndpointer(Loud, SpeechConfig()), stream(1, 0.5, 0.4, 0.5, 2))) == 1
    assert len(hear(VoiceEndpointer(Loud, SpeechConfig()), stream(1, 0.5, 0.8, 0.5, 2))) == 2
    assert hear(VoiceEndpointer(Loud, SpeechConfig()), stream(1, 0.04, 2)) == []


def test_who_does_not_stop_is_cut():
    found = hear(VoiceEndpointer(Loud, SpeechConfig(longest=3.0)), stream(1, 10, 2))
    assert len(found) == 4 and all(len(u.samples) <= 3.3 * RATE for u in found)
    assert sum(len(u.samples) for u in found) >= 10 * RATE


def test_memory_does_not_grow_in_a_quiet_room():
    listener = VoiceEndpointer(Loud, SpeechConfig())
    hear(listener, np.zeros(600 * RATE, np.float32), 1000)
    assert len(listener._sound) < RATE


def test_a_gap_and_another_rate_begin_anew():
    listener = VoiceEndpointer(Loud, SpeechConfig())
    assert hear(listener, stream(1, 0.5)) == []
    assert hear(listener, stream(1), start_ns=100 * NS) == []
    assert hear(listener, stream(1, 0.5), start_ns=101 * NS) == []
    assert hear(listener, np.zeros(4000, np.float32), rate=2 * RATE, start_ns=102 * NS + NS // 2) == []


def test_what_was_given_out_does_not_change_afterwards():
    listener = VoiceEndpointer(Loud, SpeechConfig())
    (first,) = hear(listener, stream(1, 0.5, 2))
    kept = first.samples.copy()
    hear(listener, stream(1, 0.7, 2), start_ns=100 * NS)
    np.testing.assert_array_equal(first.samples, kept)


# --- the real judges ------------------------------------------------------------------------------------------


def judge(name):
    if name == "sphinx":
        pytest.importorskip("pocketsphinx", reason="pip install 'any2any_ros[speech]'")
    if name == "silero" and importlib.util.find_spec("silero_vad") is None:
        pytest.skip("no silero_vad: pip install --no-deps silero-vad")
    return endpoint.build(EndpointConfig(endpoint=name))


def test_the_default_needs_nothing():
    assert isinstance(endpoint.build(), LevelEndpointer)


@pytest.mark.parametrize("name", ["energy", "sphinx", "silero"])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_sentences_come_out_of_a_stream(say, name, rate):
    listener = judge(name)
    assert isinstance(listener, Endpointer)
    quiet = np.zeros(int(1.5 * rate), np.float32)
    said = [say(text, rate=rate).samples for text in ("bring me the blue mug", "find a red apple")]
    x = np.concatenate([quiet, said[0], quiet, said[1], quiet])
    x += np.random.default_rng(0).normal(0, 1e-3, len(x)).astype(np.float32)
    found = hear(listener, x, rate // 10, rate)
    assert len(found) == 2
    for utterance, words in zip(found, said, strict=True):
        loud = np.abs(words) > 0.05 * np.abs(words).max()
        spoken = np.flatnonzero(loud)[-1] - np.flatnonzero(loud)[0]
        assert 0.95 * spoken <= len(utterance.samples) <= spoken + 0.8 * rate


@pytest.mark.parametrize("name", ["energy", "sphinx", "silero"])
def test_a_quiet_room_is_no_utterance(name):
    noise = np.random.default_rng(0).normal(0, 1e-3, 160000).astype(np.float32)
    assert hear(judge(name), noise, 1600, 16000) == []


def test_a_rate_that_a_judge_cannot_use_is_told():
    listener = judge("sphinx")
    with pytest.raises(Any2AnyError, match="3924 Hz"):
        listener.hear(Sound(np.zeros(400, np.float32), 3924), NS)
    assert SphinxDetector(8000).block == 240
