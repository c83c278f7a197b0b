"""What COX is measured against: they learn what pairs teach, and from nothing else."""

import numpy as np
import pytest

from any2any_ros.learning import cox_baselines
from any2any_ros.learning.cox_baselines import Task
from any2any_ros.observation import ObservationSet


def task(pairs=40, missing=0.0, seed=0):
    """Return a task of four classes and two known sensors, and the test's classes; a pair is of one row of both."""
    draw = np.random.default_rng(seed)
    kinds, mirrors = 2 * draw.normal(size=(4, 3)), draw.normal(size=(3, 3, 6))
    label, asked = np.arange(80) % 4, np.arange(60) % 4
    what = kinds[label] + 0.3 * draw.normal(size=(80, 3))
    new, *known = (what @ m + 0.3 * draw.normal(size=(80, 6)) for m in mirrors)
    columns = dict(zip("ab", known, strict=True))
    columns["a"][draw.random(80) < missing] = np.nan
    test = (kinds[asked] + 0.3 * draw.normal(size=(60, 3))) @ mirrors[0] + 0.3 * draw.normal(size=(60, 6))
    rows = np.arange(pairs)
    data = ObservationSet(columns, np.tile(np.eye(4), (80, 1, 1)), tuple(map(str, range(80))))
    return Task(new, data, label, np.stack([rows, rows], axis=1), test), asked


@pytest.mark.parametrize("method", [cox_baselines.erm, cox_baselines.ridge])
@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_pairs_teach_the_classes(method, missing):
    given, asked = task(missing=missing)
    found = method(given)
    assert found.shape == (60, 4)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert np.mean(found.argmax(axis=1) == asked) > 0.8  # chance 1/4


def test_erm_knows_no_class_without_a_pair_and_ridge_may():
    given, _ = task()
    few = Task(given.new, given.known, given.known_class, given.pairs[given.pairs[:, 0] % 4 != 3], given.test)
    assert few.classes == 4 and few.labels.sum() == 30 and few.labels[:, 3].sum() == 0
    assert not (cox_baselines.erm(few).argmax(axis=1) == 3).any()
    assert cox_baselines.ridge(few).shape == (60, 4)


def test_a_known_sensor_that_no_pair_has_is_left_out():
    given, asked = task(pairs=40)
    given.known.embeddings["a"][:40] = np.nan
    assert np.mean(cox_baselines.ridge(given).argmax(axis=1) == asked) > 0.8


def test_new_samples_without_a_pair_change_no_more_than_the_scale():
    given, _ = task()
    x, test = cox_baselines.standard(given)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=0.1)
    expected = cox_baselines.classified(x[:40], given.labels[:40], test)
    np.testing.assert_allclose(cox_baselines.erm(given), expected, atol=1e-6)
