"""CSA against scikit-learn's canonical correlations, its invariances, and degenerate input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cross_decomposition import CCA

from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import csa


def related(seed, n=400, da=6, db=4, shared=3, noise=0.5):
    draw = np.random.default_rng(seed)
    z = draw.normal(size=(n, shared))
    a = z @ draw.normal(size=(shared, da)) + noise * draw.normal(size=(n, da))
    b = z @ draw.normal(size=(shared, db)) + noise * draw.normal(size=(n, db))
    return a, b


@pytest.mark.parametrize("seed", range(3))
def test_correlations_equal_scikit_learn(seed):
    a, b = related(seed)
    ours = csa.fit(a, b, ridge=0).correlations
    cca = CCA(n_components=4, max_iter=20000, tol=1e-12).fit(a, b)
    u, v = cca.transform(a, b)
    theirs = [np.corrcoef(u[:, i], v[:, i])[0, 1] for i in range(4)]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_similarity_ignores_invertible_linear_maps_and_shifts(seed):
    a, b = related(seed)
    draw = np.random.default_rng(seed + 1)

    def well_conditioned(d):
        q, _ = np.linalg.qr(draw.normal(size=(d, d)))
        return q * draw.uniform(0.5, 2, d)

    ma, mb = well_conditioned(6), well_conditioned(4)
    plain = csa.fit(a, b, ridge=0).similarity(a[:20], b[:30])
    moved = csa.fit(a @ ma + 3, b @ mb - 7, ridge=0).similarity(a[:20] @ ma + 3, b[:30] @ mb - 7)
    np.testing.assert_allclose(plain, moved, atol=1e-7)


@given(st.integers(0, 1000), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_similarity_is_bounded_by_the_first_correlation(seed, dim):
    a, b = related(seed)
    fitted = csa.fit(a, b, dim=dim)
    assert np.abs(fitted.similarity(a, b)).max() <= fitted.correlations[0] + 1e-12


def test_both_sides_fold_into_one_inner_product():
    a, b = related(0)
    fitted = csa.fit(a, b, dim=3)
    np.testing.assert_allclose(fitted.query(a) @ fitted.reference(b).T, fitted.similarity(a, b), atol=1e-6)


def test_length_is_one_after_truncation():
    a, b = related(0)
    fitted = csa.fit(a, b, dim=2)
    lengths = np.linalg.norm(fitted.query(a) / np.sqrt(fitted.correlations), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


def test_a_partner_is_more_alike_than_a_stranger():
    a, b = related(0, noise=0.05)
    fitted = csa.fit(a[:300], b[:300])
    s = fitted.similarity(a[300:], b[300:])
    rank = (s > np.diag(s)[:, None]).sum(axis=1)
    assert (rank < 5).mean() > 0.6  # chance 0.05


def test_rank_deficient_and_constant_columns_survive():
    a, b = related(0)
    a = np.column_stack([a, a[:, :2] * 2, np.full(len(a), 3.0)])
    ours = csa.fit(a, b, ridge=0)
    np.testing.assert_allclose(ours.correlations, csa.fit(a[:, :6], b, ridge=0).correlations, atol=1e-8)
    assert np.isfinite(ours.similarity(a, b)).all()


def test_zero_and_mean_vectors_are_like_nothing():
    a, b = related(0)
    fitted = csa.fit(a, b)
    assert np.isfinite(fitted.similarity(np.zeros((1, 6)), b)).all()
    assert np.allclose(fitted.similarity(a.mean(axis=0, keepdims=True), b), 0)


def test_one_side_constant_knows_nothing():
    a, _ = related(0)
    fitted = csa.fit(a, np.ones((len(a), 3)))
    assert fitted.correlations.size == 0
    assert (fitted.similarity(a[:2], np.ones((4, 3))) == 0).all()


def test_more_dimensions_than_rows():
    draw = np.random.default_rng(0)
    fitted = csa.fit(draw.normal(size=(10, 50)), draw.normal(size=(10, 40)), ridge=1e-2)
    assert np.isfinite(fitted.correlations).all() and (fitted.correlations <= 1).all()


def test_validation_keeps_the_directions_that_are_shared():
    a, b = related(1, n=600, da=20, db=20, shared=4, noise=1.0)
    chosen = csa.fit_by_validation(a, b).correlations.size
    assert chosen <= 8
    every = csa.fit(a, b)
    assert every.correlations.size == 20


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (np.zeros((3, 2)), np.zeros((4, 2)), "paired"),
        (np.zeros((1, 2)), np.zeros((1, 2)), "1 paired"),
        (np.array([[np.nan, 1], [1, 2]]), np.ones((2, 2)), "finite"),
        (np.zeros(3), np.zeros(3), "paired"),
    ],
)
def test_unusable_rows_are_refused(a, b, why):
    with pytest.raises(Any2AnyError, match=why):
        csa.fit(a, b)
