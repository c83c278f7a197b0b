"""Streams of sound: what goes on, what is kept, what another rate makes of it."""

import numpy as np
import pytest
from bombs import outcome

from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS, Sound
from any2any_ros.sounds import Continuity, Window, resampled


def chunk(value, seconds=0.5, rate=8000):
    return Sound(np.full(int(seconds * rate), value, np.float32), rate)


def test_a_chunk_goes_on_where_the_last_one_ended():
    stream = Continuity()
    assert [stream.goes_on(chunk(0), t * NS // 2) for t in (1, 2, 3, 5, 6)] == [False, True, True, False, True]
    assert not stream.goes_on(chunk(0, rate=16000), 7 * NS // 2)


def test_a_little_jitter_is_no_gap():
    stream = Continuity()
    stream.goes_on(chunk(0), NS)
    assert stream.goes_on(chunk(0), NS + NS // 2 + NS // 10) and not stream.goes_on(chunk(0), 3 * NS)


def test_chunks_that_were_overtaken_are_refused_and_the_stream_goes_on():
    window = Window(1.0, 0.5)
    for i in [0, 1, 2, 3, 4, 5, 7, 8, 6, 10, 11, 9, 13, 14, 12, 16]:  # of each three, the first comes last
        if i in (6, 9, 12):
            with pytest.raises(Any2AnyError, match="out of order"):
                window.hear(chunk(i, 0.1), (i + 1) * NS // 10)
        else:
            heard = window.hear(chunk(i, 0.1), (i + 1) * NS // 10)
    assert heard.samples[::800].tolist() == [3.0, 4.0, 5.0, 7.0, 8.0, 10.0, 11.0, 13.0, 14.0, 16.0]


def test_after_a_clock_was_set_back_the_stream_begins_again():
    stream = Continuity()
    stream.goes_on(chunk(0, 0.1), 10 * NS)
    for i in (0, 1):
        with pytest.raises(Any2AnyError, match="out of order"):
            stream.goes_on(chunk(0, 0.1), 10 * NS - NS // 2 + i * NS // 10)
    assert not stream.goes_on(chunk(0, 0.1), 10 * NS - NS // 2 + 2 * NS // 10)
    assert stream.goes_on(chunk(0, 0.1), 10 * NS - NS // 2 + 3 * NS // 10)


def test_a_window_keeps_the_last_seconds():
    window = Window(1.0, 0.6)
    assert window.hear(chunk(1), NS // 2) is None
    both = window.hear(chunk(2), NS)
    assert both.samples.tolist() == [1.0] * 4000 + [2.0] * 4000
    assert window.hear(chunk(3), 3 * NS // 2).samples.tolist() == [2.0] * 4000 + [3.0] * 4000
    assert window.hear(chunk(4), 9 * NS) is None  # what came before a gap is forgotten


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 16000), (44100, 16000), (48000, 16000), (16000, 48000)])
def test_another_rate_is_the_same_tone(rate, wanted):
    made = resampled(np.sin(2 * np.pi * 440 * np.arange(rate) / rate), rate, wanted)
    expected = np.sin(2 * np.pi * 440 * np.arange(wanted) / wanted)
    assert len(made) == wanted
    np.testing.assert_allclose(made[wanted // 10 : -wanted // 10], expected[wanted // 10 : -wanted // 10], atol=5e-3)


def test_the_same_rate_is_left_alone():
    samples = np.arange(5.0)
    assert resampled(samples, 8000, 8000) is samples


def test_an_odd_rate_takes_neither_time_nor_memory():
    """Between 383,999 and 16,000 Hz the exact filter would have 8 million values."""
    _, grown = outcome(lambda: resampled(np.zeros(40_000), 383_999, 16000))
    assert len(resampled(np.zeros(383_999), 383_999, 16000)) == 16000 and grown < 50
