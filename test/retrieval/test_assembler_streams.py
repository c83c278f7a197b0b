"""What holds of the moments of any streams of messages."""

from assembled import Robot
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_streams import replay, streams


@settings(max_examples=200)
@given(streams(), st.booleans())
def test_moments_are_in_order_and_each_message_begins_at_most_one(messages, expect_all):
    moments = replay(messages, expected=tuple("abcd") if expect_all else ())
    stamps = [stamp for _, stamp, _ in moments]
    assert stamps == sorted(set(stamps))
    assert set(stamps) <= {stamp for _, _, stamp in messages}


@settings(max_examples=200)
@given(streams(), st.booleans())
def test_a_moment_uses_the_newest_of_exactly_those_alive(messages, expect_all):
    for closed, _, used in replay(messages, expected=tuple("abcd") if expect_all else ()):
        newest, heard = {}, {}
        for received, modality, stamp in messages:
            if received <= closed and stamp > newest.get(modality, -1):
                newest[modality], heard[modality] = stamp, received
        alive = {m: stamp for m, stamp in newest.items() if closed - heard[m] <= 2000}
        # What came in the same instant may have come just after.
        same_instant = {m for r, m, _ in messages if r == closed}
        assert {m: s for m, s in used.items() if m not in same_instant} == {
            m: s for m, s in alive.items() if m not in same_instant
        }


@settings(max_examples=200)
@given(streams())
def test_nobody_waits_longer_than_patience_nor_for_the_dead(messages):
    robot = Robot()
    last_heard, since = {}, None
    for received, modality, stamp in messages:
        if since is not None and received > since + 50:
            robot.flush(since + 50)
            since = None
        robot.hear(modality, stamp, received)
        last_heard[modality] = received
        others = [m for m, r in last_heard.items() if m != modality and received - r <= 2000]
        assert others or not robot.assembler.waiting, "nobody else is alive, and yet the moment waits"
        since = (since if since is not None else received) if robot.assembler.waiting else None


@settings(max_examples=200)
@given(streams())
def test_every_message_of_a_sensor_alone_is_answered(messages):
    """While one sensor speaks and the others have been dead for long, each of its messages is a moment at once."""
    answered = {(closed, stamp) for closed, stamp, _ in replay(messages)}
    last = {}
    told_until = -1
    for received, modality, stamp in messages:
        dead = all(received - r > 2000 for m, r in last.items() if m != modality)
        if dead and stamp > told_until:
            assert (received, stamp) in answered
        last[modality] = received
        told_until = max(told_until, stamp)
