"""Random streams of messages, and a node's patience with them, for the tests of retrieval/assembler.py."""

import numpy as np
from assembled import Robot
from hypothesis import strategies as st

SENSORS = st.lists(
    st.tuples(st.integers(20, 1500), st.integers(0, 400), st.integers(0, 15)), min_size=1, max_size=4
)  # period, latency, jitter; ms
LENGTH = 6000  # ms


@st.composite
def streams(draw):
    """Messages (received, modality, stamp) of sensors that lose messages and die for a while."""
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    messages = []
    for name, (period, latency, jitter) in zip("abcd", draw(SENSORS), strict=False):
        died, back = sorted(draw(st.tuples(st.integers(0, LENGTH), st.integers(0, 2 * LENGTH))))
        dropped_share = draw(st.sampled_from([0, 0.1, 0.5]))
        for stamp in range(draw(st.integers(0, period)), LENGTH, period):
            if not died <= stamp < back and noise.random() >= dropped_share:
                sensed = stamp + int(noise.integers(0, jitter + 1))
                messages.append((sensed + latency + int(noise.integers(0, 30)), name, sensed))
    return sorted(messages)


def replay(messages, expected=()):
    """Return (closed at, stamp, used) of every moment, with the node's patience, and what was heard."""
    robot, moments, patience = Robot(expected=expected), [], None
    for received, modality, stamp in messages:
        if patience is not None and received >= patience:
            moments += [(patience, *m) for m in [robot.flush(patience)] if m]
            patience = None
        moments += [(received, *m) for m in robot.hear(modality, stamp, received, sample=received)]
        if not robot.assembler.waiting:
            patience = None
        elif patience is None:
            patience = received + 50
    last = robot.flush(patience or LENGTH)
    return moments + ([(patience or LENGTH, *last)] if last else [])
