"""Batches: every row in its turn, a negative of another class beside it; complete rows first, where that is asked."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.learning.emma_batches import batches, schedule


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=40).filter(lambda c: len(set(c)) > 1),
    st.integers(1, 50),
    st.integers(0, 99),
)
def test_negatives_are_of_another_class_and_rows_come_once_an_epoch(labels, size, seed):
    classes = np.unique(labels, return_inverse=True)[1]
    drawn = list(batches(classes, size, 7, seed))
    assert len(drawn) == 7
    for rows, others in drawn:
        assert len(rows) == len(others) == len(set(rows.tolist())) == min(size, len(classes))
        assert (classes[rows] != classes[others]).all()
    per_epoch = len(classes) // min(size, len(classes))
    first = np.concatenate([rows for rows, _ in drawn[:per_epoch]])
    assert len(set(first.tolist())) == len(first)


def test_every_object_of_another_class_is_equally_likely_a_negative():
    classes = np.array([0, 1, 1, 2, 0, 2, 2, 1])
    drawn = Counter()
    for rows, others in batches(classes, 8, 4000, 0):
        drawn.update(others[rows == 1].tolist())
    shares = np.array([drawn[i] for i in np.flatnonzero(classes != 1)]) / 4000
    assert shares.sum() == pytest.approx(1) and np.allclose(shares, 1 / 5, atol=0.03)


def test_training_warms_up_on_complete_rows_alone():
    classes = np.arange(30) % 3
    complete = np.zeros(30, dtype=bool)
    complete[[1, 2, 5, 10, 20]] = True  # of classes 1, 2, 2, 1, 2
    drawn = list(schedule(classes, complete, 4, 8, 10, 0))
    assert len(drawn) == 10
    for number, (rows, others) in enumerate(drawn):
        assert (classes[rows] != classes[others]).all()
        assert (number >= 4) or (complete[rows].all() and complete[others].all() and len(rows) == 5)
    assert not all(complete[rows].all() for rows, _ in drawn[4:]) and len(drawn[4][0]) == 8


@pytest.mark.parametrize("few", [[], [3], [3, 6, 9]])
def test_too_few_complete_rows_warm_nothing_up(few):
    classes = np.arange(30) % 3
    complete = np.isin(np.arange(30), few)  # none, one, three of one class
    every, plain = schedule(classes, complete, 4, 8, 6, 1), batches(classes, 8, 6, 1)
    for (rows, others), (same, as_well) in zip(every, plain, strict=True):
        assert rows.tolist() == same.tolist() and others.tolist() == as_well.tolist()


def test_a_warm_up_longer_than_the_training_ends_with_it():
    classes = np.arange(12) % 3
    drawn = list(schedule(classes, np.arange(12) < 6, 99, 4, 5, 0))
    assert len(drawn) == 5 and all((rows < 6).all() for rows, _ in drawn)
