"""The training loop that EMMA and LIP-Loc share: when there is a checkpoint, which state is the best, and the end."""

from dataclasses import dataclass
from itertools import count

import numpy as np
import pytest

from any2any_ros.learning.checkpoints import checkpoints


@dataclass(frozen=True)
class Schedule:
    steps: int = 10
    interval: int = 3
    patience: int = 2


def run(scores, schedule=Schedule()):
    """Return the checkpoints of a training whose state is the number of steps and whose losses are 1, 2, 3, ..."""
    state, results = [0], iter(scores or ())

    def losses():
        for number in range(1, schedule.steps + 1):
            state[0] = number
            yield float(number)

    validation = None if scores is None else lambda snapshot: next(results)
    return list(checkpoints(losses(), schedule, lambda: state[0], validation))


def test_a_checkpoint_comes_every_interval_and_after_the_last_step():
    found = run(None)
    assert [c.number for c in found] == [3, 6, 9, 10]
    assert [c.loss for c in found] == [2, 5, 8, 10]  # the mean since the one before
    assert [c.best for c in found] == [3, 6, 9, 10] and np.isnan([c.score for c in found]).all()


def test_the_best_state_is_kept_and_patience_ends_the_training():
    found = run([0.1, 0.5, 0.5, 0.4, 0.9], Schedule(steps=20))
    assert [c.number for c in found] == [3, 6, 9, 12]  # twice no better: an equal score is none
    assert [c.best for c in found] == [3, 6, 6, 6] and [c.highest for c in found] == [0.1, 0.5, 0.5, 0.5]


def test_a_validation_that_cannot_tell_leaves_the_state_before_the_first_step():
    found = run([np.nan, np.nan])
    assert [c.best for c in found] == [0, 0] and found[-1].highest == -np.inf


def test_no_step_is_taken_beyond_the_last_checkpoint():
    taken = []
    losses = (taken.append(number) or 1.0 for number in count(1))
    loop = checkpoints(losses, Schedule(steps=1000, interval=2), lambda: None, lambda state: 0.0)
    next(loop)
    assert taken == [1, 2]
    assert len(list(loop)) == 2 and len(taken) == pytest.approx(6)
