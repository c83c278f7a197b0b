"""One sensor with bad stamps does not change what the others are answered, whatever its stamps are."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_streams import LENGTH, replay, streams

BAD, WAIT, SLOP, TIMEOUT = "x", 50, 50, 2000
YEARS_MS = 2**31 * 1000  # the end of ROS time
SHIFTS = st.sampled_from([-YEARS_MS, -37_000, -3_000, -1_900, -300, 300, 900, 1_900, 3_000, 37_000, YEARS_MS])


@st.composite
def bad_stamps(draw):
    """Return the stamps, ms, that a bad clock gives to messages measured at `sensed`."""
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shift, since = draw(SHIFTS), draw(st.integers(0, LENGTH))
    return draw(
        st.sampled_from(
            [
                lambda sensed: sensed + shift,
                lambda sensed: sensed + shift * (sensed >= since),
                lambda sensed: sensed + shift * (noise.random() < 0.5),
                lambda sensed: sensed + shift * (sensed // 1000 % 2),
                lambda sensed: sensed + int(noise.integers(-abs(shift), abs(shift))),
                lambda sensed: shift,
                lambda sensed: sensed + sensed * shift // LENGTH,
            ]
        )
    )


@st.composite
def bad_stream(draw):
    period, latency, clock = draw(st.integers(20, 700)), draw(st.integers(0, 200)), draw(bad_stamps())
    begin, end = sorted(draw(st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH))))
    return [(sensed + latency, BAD, clock(sensed)) for sensed in range(begin, end, period)]


def unanswered(good, bad, expected=()):
    """Return the moments that the good sensors have without the bad one, and that are not answered with it.

    Answered is a moment by what was used without it, or newer, at the same time, give or take `wait`. A moment is also
    answered when its time came first, by a moment whose stamp is no reason for doubt: then what comes later is late.
    """
    alone, together = replay(good, expected), replay(sorted(good + bad), expected)
    for closed, stamp, used in alone:
        received = {m: max(r for r, other, _ in good if other == m and r <= closed) for m in used}
        lasting = {m: used[m] for m in used if closed + WAIT - received[m] <= TIMEOUT}  # still alive when the wait ends
        later = [moment for c, _, moment in together if abs(c - closed) <= WAIT]
        answered = any(all(moment.get(m, -1) >= lasting[m] for m in lasting) for moment in later)
        before = [(c, s) for c, s, _ in together if c <= closed and stamp - SLOP <= s]
        if not answered and not any(s <= c + SLOP or abs(s - stamp) <= SLOP for c, s in before):
            yield closed, stamp, used


@settings(max_examples=150, deadline=None)
@given(streams(), bad_stream(), st.booleans())
def test_one_bad_clock_changes_nothing_for_the_others(good, bad, expect_all):
    assert not list(unanswered(good, bad, expected=tuple("abcd") if expect_all else ()))
