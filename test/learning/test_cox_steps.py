"""The steps of COX against plain loops, and what each promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from any2any_ros.learning import cox_steps as steps


def posteriors(seed, n, classes):
    return steps.softmax(np.random.default_rng(seed).normal(size=(n, classes)))


def test_pooling_is_the_geometric_mean():
    one, other = posteriors(0, 5, 3), posteriors(1, 5, 3)
    product = np.sqrt(one * other)
    np.testing.assert_allclose(steps.pooled([one, other]), product / product.sum(axis=1, keepdims=True), atol=1e-9)
    np.testing.assert_allclose(steps.pooled([one]), one, atol=1e-9)


def test_the_learners_loss_equals_plain_loops_and_its_gradient_a_difference():
    draw = np.random.default_rng(0)
    x, target, weight, flat = draw.normal(size=(6, 2)), posteriors(2, 6, 3), draw.random(6), draw.normal(size=9)
    line = flat.reshape(3, 3)
    expected = 0.7 / 2 * sum(line[d, c] ** 2 for d in range(2) for c in range(3))
    for i in range(6):
        logits = [x[i, 0] * line[0, c] + x[i, 1] * line[1, c] + line[2, c] for c in range(3)]
        total = sum(np.exp(logit) for logit in logits)
        expected -= sum(weight[i] * target[i, c] * np.log(np.exp(logits[c]) / total) for c in range(3))
    value, gradient = steps.softmax_loss(flat, x, target, weight, 0.7)
    assert value == pytest.approx(expected, rel=1e-9)
    difference = approx_fprime(flat, lambda p: steps.softmax_loss(p, x, target, weight, 0.7)[0], 1e-7)
    np.testing.assert_allclose(gradient, difference, atol=1e-5)


def test_the_learner_is_scikit_learns():
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(3)
    x, label = draw.normal(size=(60, 4)), draw.integers(0, 3, 60)
    w, b = steps.softmax_regression(x, np.eye(3)[label], np.ones(60), 10.0)
    theirs = LogisticRegression(C=0.1, tol=1e-8, max_iter=1000).fit(x, label)
    np.testing.assert_allclose(steps.softmax(x @ w + b), theirs.predict_proba(x), atol=1e-3)


def test_rows_without_weight_teach_the_learner_nothing():
    draw = np.random.default_rng(4)
    x, target = draw.normal(size=(20, 3)), posteriors(5, 20, 2)
    weight = (np.arange(20) < 12).astype(float)
    one = steps.softmax_regression(x, target, weight, 1.0)
    two = steps.softmax_regression(x[:12], target[:12], weight[:12], 1.0)
    np.testing.assert_array_equal(one[0], two[0])


@pytest.mark.parametrize("n", [3, 30])  # fewer rows than features, and more
def test_ridge_regression_is_scikit_learns(n):
    from sklearn.linear_model import Ridge

    draw = np.random.default_rng(6)
    x, y = draw.normal(size=(n, 8)), draw.normal(size=(n, 2))
    w, b = steps.ridge_regression(x, y, 0.3)
    strength = 0.3 * ((x - x.mean(axis=0)) ** 2).sum() / n
    theirs = Ridge(alpha=strength).fit(x, y)
    np.testing.assert_allclose(x @ w + b, theirs.predict(x), atol=1e-8)


def test_one_row_teaches_a_constant():
    w, b = steps.ridge_regression(np.ones((1, 3)), np.array([[4.0, 5.0]]), 0.1)
    np.testing.assert_allclose(np.zeros((2, 3)) @ w + b, [[4, 5], [4, 5]])


def test_the_graph_equals_plain_loops():
    x = np.random.default_rng(7).normal(size=(9, 2))
    distance = np.linalg.norm(x[:, None] - x[None], axis=2)
    nearest = [sorted((d, j) for j, d in enumerate(row) if j != i)[:3] for i, row in enumerate(distance)]
    w = np.zeros((9, 9))
    for i in range(9):
        for d, j in nearest[i]:
            near = np.exp(-(d**2) / (nearest[i][-1][0] * nearest[j][-1][0]))
            w[i, j] = max(w[i, j], near)
            w[j, i] = max(w[j, i], near)
    degree = w.sum(axis=1)
    expected = [[w[i, j] / np.sqrt(degree[i] * degree[j]) for j in range(9)] for i in range(9)]
    np.testing.assert_allclose(steps.neighbour_graph(x, 3).toarray(), expected, atol=1e-9)


def test_the_graph_of_rows_that_are_all_the_same_and_of_two():
    for x in (np.zeros((6, 2)), np.array([[0.0], [1.0]])):
        graph = steps.neighbour_graph(x, 10).toarray()
        assert np.isfinite(graph).all() and np.abs(np.linalg.eigvalsh(graph)).max() <= 1 + 1e-9


def test_propagation_is_the_closed_form():
    draw = np.random.default_rng(8)
    graph, seeds = steps.neighbour_graph(draw.normal(size=(30, 3)), 4), draw.random((30, 2))
    expected = np.linalg.solve(np.eye(30) - 0.7 * graph.toarray(), seeds)
    np.testing.assert_allclose(steps.propagate(graph, seeds, 0.7), expected, rtol=1e-6)
    np.testing.assert_array_equal(steps.propagate(graph, seeds, 0.0), seeds)


def test_smooth_regression_follows_the_sensors_own_shape():
    """Two half moons, one label each: a line cannot part them, the neighbourhoods can."""
    from sklearn.datasets import make_moons

    x, label = make_moons(200, noise=0.03, random_state=0)
    rows = np.array([np.flatnonzero(label == c)[0] for c in (0, 1)])
    y = np.array([[-1.0], [1.0]])
    graph = steps.neighbour_graph(x, 5)
    found = steps.smooth_regression(x, graph, steps.Examples(rows, y), 0.1, 0.99)[:, 0] > 0
    w, b = steps.ridge_regression(x[rows], y, 0.1)
    straight = (x @ w + b)[:, 0] > 0
    assert (found == label).mean() > (straight == label).mean() + 0.05


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(2, 6), st.sampled_from([0.0, 0.5, 1.0]))
def test_balancing_brings_shares_nearer_and_keeps_rows_whole(seed, n, classes, strength):
    posterior = posteriors(seed, n, classes)
    share = np.random.default_rng(seed).dirichlet(np.full(classes, 5.0))
    found = steps.balanced(posterior, share, strength)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    away, before = (np.abs(p.mean(axis=0) - share).sum() for p in (found, posterior))
    assert away <= before + 1e-9
    if strength == 0:
        np.testing.assert_allclose(found, posterior, atol=1e-9)
    if strength == 1:
        assert away < 0.01


def test_balancing_weighs_classes_and_not_rows():
    """The odds between two rows stay as they are, for every two classes: the nearest posterior of those shares."""
    posterior = posteriors(9, 12, 3)
    found = steps.balanced(posterior, np.array([0.6, 0.3, 0.1]), 1.0)
    odds = np.log(found[:, 0] / found[:, 1]) - np.log(posterior[:, 0] / posterior[:, 1])
    np.testing.assert_allclose(odds, odds[0], atol=1e-6)


def test_nothing_becomes_equal_shares():
    np.testing.assert_allclose(steps.rows_to_one(np.array([[0.0, 0.0], [1.0, 3.0]])), [[0.5, 0.5], [0.25, 0.75]])


# --- Eq. 13 ---------------------------------------------------------------------------------------------------


def test_equation_13_taken_literally_collapses_and_class_matched_targets_do_not():
    """sum over anchors of KL(p || anchor), minimised over p of one sample: whatever p begins as, it ends as the
    normalised geometric mean of all anchors, the same for every sample; of two equally frequent classes, it is chance.
    """
    from scipy.optimize import minimize

    anchors = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]])

    def literal(logits):
        p = steps.softmax(logits[None])[0]
        return sum(float((p * np.log(p / anchor)).sum()) for anchor in anchors)

    for start in ([2.0, 0.0], [0.0, 2.0], [0.3, 0.1]):  # samples of either class
        ends = steps.softmax(minimize(literal, start, method="Nelder-Mead", tol=1e-10).x[None])[0]
        np.testing.assert_allclose(ends, steps.pooled([a[None] for a in anchors])[0], atol=1e-4)
        np.testing.assert_allclose(ends, 0.5, atol=1e-4)

    # As COX does it: two groups of samples, an anchor in each; the others take their own neighbourhood's class.
    x = np.concatenate([np.random.default_rng(0).normal(m, 0.3, (20, 2)) for m in (-1, 1)])
    seeds = np.zeros((40, 2))
    seeds[[0, 20]] = [[0.9, 0.1], [0.1, 0.9]]
    carried = steps.rows_to_one(steps.propagate(steps.neighbour_graph(x, 5), seeds, 0.95))
    np.testing.assert_array_equal(carried.argmax(axis=1), np.arange(40) // 20)
