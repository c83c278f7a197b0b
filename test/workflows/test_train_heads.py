"""What imputing is worth for heads that are trained on incomplete objects: how far the anchor shifts without it."""

import numpy as np
import pytest

from any2any_ros.learning import calmrl, emma, emma_evaluation
from any2any_ros.learning.emma import EmmaConfig
from any2any_ros.workflows import described_objects
from any2any_ros.workflows.train_heads import imputation

SEEDS = 12


def imputed(objects, seed):
    """Return the rows of `imputation` for heads that were trained briefly on objects of which speech is incomplete."""
    objects.embeddings["speech"][::3] = np.nan
    config = EmmaConfig(
        loss="calmrl", warm_up=100, dims=16, hidden=24, steps=150, interval=25, learning_rate=0.003, seed=seed
    )
    part = described_objects.split(objects, seed)
    train, held_out, test = (objects.take(part == i) for i in range(3))
    imputer = calmrl.fit(train.observations)
    judge = emma_evaluation.validation(held_out, seed, "instance", 20)
    heads = emma.fit(train.observations, train.instances, config, judge, imputed=imputer.impute(train.observations))
    return imputation(heads, imputer, test.observations, seed)


def test_imputing_shifts_the_anchor_less_than_a_gap_in_the_mean_over_seeds(make_objects):
    """Only in the mean: one training is judged by 15 to 20 views, and the gain over a gap has a deviation of 0.15.

    For one seed, its sign even depends on the matrix kernels of the CPU (docs/calmrl.md). Compared with means in place
    of the gaps, CalMRL shifts the anchor less with every seed.
    """
    pytest.importorskip("torch", reason="PyTorch is absent: make torch")
    rows = [imputed(make_objects(classes=10, seed=seed), seed) for seed in range(SEEDS)]
    assert all([row["imputed by"] for row in found] == ["nothing", "means", "CalMRL"] for found in rows)
    nothing, means, ours = np.array([[row["shift"] for row in found] for found in rows]).T
    assert np.mean(ours) < np.mean(nothing) and np.sum(ours < nothing) > SEEDS / 2
    assert (ours < means).all()
