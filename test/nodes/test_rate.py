"""Age and rate on any clock, also one that jumps."""

import math

import pytest

from any2any_ros.nodes.rate import WINDOW, Rate

NS = 10**9


def test_nothing_yet():
    assert Rate().age(5 * NS) == math.inf and Rate().hertz(5 * NS) == 0


def test_a_steady_stream():
    rate = Rate()
    for i in range(30):
        rate.tick(i * NS // 10)
    now = 29 * NS // 10
    assert rate.hertz(now) == pytest.approx(10) and rate.age(now) == 0 and rate.count == 30


def test_the_rate_falls_in_silence():
    rate = Rate()
    for i in range(WINDOW):
        rate.tick(i * NS // 10)
    assert rate.hertz(100 * NS) < 0.2 and rate.age(100 * NS) == pytest.approx(98.1)


def test_a_clock_that_jumps_back_starts_afresh():
    rate = Rate()
    for i in range(5):
        rate.tick(100 * NS + i * NS)
    rate.tick(NS)
    assert rate.hertz(NS) == 0 and rate.age(2 * NS) == 1
    rate.tick(2 * NS)
    assert rate.hertz(2 * NS) == pytest.approx(1)
