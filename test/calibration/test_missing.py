"""Recall, imputation error and shift by the share of the sensors that is off."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from any2any_ros.calibration import missing
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.calibration.task import Task
from any2any_ros.data.availability import sensors_off
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.learning import calmrl
from any2any_ros.learning.calmrl import CalMRL
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.retriever import bare_retriever

NOWHERE = np.eye(4)


def observed(columns):
    count = len(next(iter(columns.values())))
    return ObservationSet(columns, np.tile(NOWHERE, (count, 1, 1)), tuple(str(i) for i in range(count)))


@pytest.fixture
def world():
    """A model of two modalities of one latent each, 40 references and as many queries that look like them."""
    draw = np.random.default_rng(0)
    latent = draw.normal(size=(40, 3))
    views = {m: draw.normal(size=(6, 3)) for m in ("camera", "lidar")}

    def seen():
        return observed({m: latent @ w.T + 0.1 * draw.normal(size=(40, 6)) for m, w in views.items()})

    return seen(), seen()


def test_nothing_missing_is_the_plain_evaluation(world):
    reference, queries = world
    retriever = bare_retriever(reference, RawMean())
    (row,) = missing.by_share(retriever, Task(queries, np.eye(40, dtype=bool)), [0.0])
    scores = Scorer.of(retriever).scores(queries)[1]
    assert row["recall@1"] == pytest.approx((scores.argmax(axis=1) == np.arange(40)).mean())
    assert (row["recall@1_sd"], row["queries"], row["chance@1"]) == (0.0, 40, pytest.approx(1 / 40))
    assert "error" not in row and "shift" not in row


def test_the_more_is_missing_the_less_is_found_and_the_farther_it_moves(world):
    reference, queries = world
    model = calmrl.fit(reference)
    # What the imputer adds says little beyond the sensors themselves, and weighs accordingly.
    retriever = bare_retriever(reference, LikelihoodRatio(np.diag([8.0, 8.0, 1.0]), np.zeros((3, 3))), imputer=model)
    none, some, most = missing.by_share(retriever, Task(queries, np.eye(40, dtype=bool)), [0.0, 0.5, 0.75])
    assert np.isnan(none["error"]) and none["shift"] == 0 and none["shift_means"] == pytest.approx(0)
    # What the views share is nearly everything here, so half of what is missing is known from the rest.
    assert some["error"] < 0.5 and some["shift"] < some["shift_means"]
    assert none["shift"] < some["shift"] < most["shift"]
    assert none["recall@1"] >= some["recall@1"] >= most["recall@1"] > 10 * none["chance@1"]


def test_the_same_seed_switches_the_same_sensors_off(world):
    reference, queries = world
    retriever = bare_retriever(reference, RawMean())
    one, again, other = (
        missing.by_share(retriever, Task(queries, np.eye(40, dtype=bool)), [0.5], seed=s)[0] for s in (1, 1, 2)
    )
    assert one == again and one["recall@1_sd"] > 0 and other != one


def test_error_and_shift_by_hand():
    """One latent, two sensors of one number each, W = (1, 1), no noise to speak of: the one tells the other."""
    model = CalMRL({m: np.ones((1, 1)) for m in "ab"}, {m: np.zeros(1) for m in "ab"}, dict.fromkeys("ab", 1e-06))
    whole = observed({"a": np.array([[1.0], [-1.0]]), "b": np.array([[1.0], [-1.0]])})
    left = observed({"a": np.array([[1.0], [-1.0]]), "b": np.full((2, 1), np.nan)})
    found = missing.imputed(model, whole, left)
    assert found["error"] == pytest.approx(0, abs=1e-3) and found["shift"] == pytest.approx(0, abs=1e-3)
    # Means put b at 0: the latent ends half-way, .5 off, and two queries are 2 apart, sqrt(2 * 1) on average.
    assert found["shift_means"] == pytest.approx(0.5 / np.sqrt(2), abs=1e-3)


def test_a_query_keeps_what_it_has_rather_than_nothing():
    queries = observed({"a": np.array([[1.0], [2.0], [np.nan]]), "b": np.array([[1.0], [np.nan], [np.nan]])})
    left = missing.without(queries, np.array([[True, False], [True, False], [True, False]]))
    assert_array_equal(left.present("a"), [False, True, False])
    assert_array_equal(left.present("b"), [True, False, False])
    assert_allclose(queries.embeddings["a"][:2], [[1], [2]])  # untouched


def test_as_many_are_off_as_was_asked(world):
    off = sensors_off(4000, 4, 0.5, np.random.default_rng(0))
    queries = observed({m: np.zeros((4000, 1)) for m in "abcd"})
    left = missing.without(queries, off)
    off_now = np.mean([~left.present(m) for m in "abcd"])
    assert off_now == pytest.approx((0.5 - 0.5**4) / (1 - 0.5**4), abs=0.02)
