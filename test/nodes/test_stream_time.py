"""A stream of sound goes on when the stamps of single parts are wrong."""

import numpy as np
import pytest

from any2any_ros.nodes.stream_time import StreamTime
from any2any_ros.samples import NS, Sound
from any2any_ros.sounds import Window

STEP = NS // 10


def times(offsets, latency=lambda i: 0):
    """Return the times of parts that come ten times a second, whose stamps are off by so many seconds."""
    stream = StreamTime()
    return [stream.of(i * STEP + int(off * NS), i * STEP + latency(i)) for i, off in enumerate(offsets)]


@pytest.mark.parametrize("shift", [0, -3600, 10**9])
def test_stamps_that_keep_pace_are_taken(shift):
    draw = np.random.default_rng(0)
    assert times([shift] * 50, lambda i: int(draw.integers(0, NS))) == [i * STEP + shift * NS for i in range(50)]


def test_stamps_at_random_are_replaced_by_the_time_of_arrival():
    draw = np.random.default_rng(0)
    assert times([0, *draw.uniform(-1e9, 1e9, 50)]) == [i * STEP for i in range(51)]


def test_a_new_clock_is_believed_after_three_parts():
    assert times([0] * 5 + [100] * 5) == [i * STEP + 100 * NS * (i >= 7) for i in range(10)]


def test_sound_with_some_wrong_stamps_is_still_heard():
    draw, stream, window = np.random.default_rng(0), StreamTime(), Window(1.0, 0.5)
    heard = []
    for i in range(50):
        stamp = int(draw.choice([0, i * STEP, i * STEP - 100 * NS, i * STEP + 100 * NS, 2**31 * NS]))
        heard.append(window.hear(Sound(np.ones(800, np.float32), 8000), stream.of(stamp, i * STEP)))
    assert sum(sound is not None for sound in heard) > 25
