"""A task: queries whose right references are known, in folds and stretches."""

import numpy as np
import pytest
from noisy_drives import NOISE, drive

from any2any_ros.calibration.task import Task


@pytest.mark.parametrize(
    ("folds", "stretches"),
    [([0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 2, 2]), ([3, 3, 3], [0, 0, 0]), ([0, 1, 2, 3, 0], [0, 1, 2, 3, 4])],
)
def test_a_stretch_is_a_run_of_queries_of_one_fold(folds, stretches):
    _, task = drive(NOISE)
    rows = np.arange(len(folds))
    task = Task(task.queries.take(rows), task.positive[rows], folds=np.array(folds))
    assert task.stretches.tolist() == stretches


def test_a_task_without_queries_has_no_stretch():
    _, task = drive(NOISE)
    assert task.take(np.empty(0, dtype=np.intp)).stretches.shape == (0,)
