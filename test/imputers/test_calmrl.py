"""CalMRL's posterior, imputation and likelihood against dense Gaussian algebra, and worked examples."""

from dataclasses import replace

import numpy as np
import pytest
from gaussian_world import as_set, dense, made, random_model
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros import storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.imputers.calmrl import CalMRL
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment, Imputer


@pytest.mark.parametrize("seed", range(5))
def test_posterior_imputation_and_likelihood_are_the_dense_gaussian_conditional(seed):
    model, (data, _) = random_model(seed), made(seed, n=40)
    mean, covariance = model.posterior(data)
    total, patterns = 0.0, set()
    assert sorted(row for rows, _ in model.posteriors(data) for row in rows) == list(range(40))
    for i, observation in enumerate(data):
        beta, spread, expected, log_density = dense(model, observation)
        np.testing.assert_allclose(mean[i], beta, atol=1e-8)
        np.testing.assert_allclose(covariance[observation.modalities], spread, atol=1e-8)
        for m in model.modalities:
            np.testing.assert_allclose(model.weights[m] @ mean[i] + model.means[m], expected[m], atol=1e-8)
        total += log_density
        patterns.add(observation.modalities)
    assert model.log_likelihood(data) == pytest.approx(total, abs=1e-7)
    assert set(covariance) == patterns and () in patterns and len(patterns) == 8


def test_imputing_keeps_what_was_observed_and_fills_in_the_rest():
    model, (data, _) = random_model(), made(0, n=40)
    whole = model.impute(data)
    for m in "abc":
        seen = data.present(m)
        np.testing.assert_array_equal(whole.embeddings[m][seen], data.embeddings[m][seen])
        assert whole.present(m).all() and whole.embeddings[m].dtype == np.float32
        for i in np.flatnonzero(~seen):
            expected = dense(model, data.observation(i))[2][m]
            np.testing.assert_allclose(whole.embeddings[m][i], expected, rtol=1e-5, atol=1e-5)
    assert whole.ids == data.ids and not data.present("a").all()


def test_worked_example():
    """Scalars W = (1, 2), mu = (0, 1), sigma^2 = (1, 1): docs/calmrl.md."""
    w, mu = {"a": np.array([[1.0]]), "b": np.array([[2.0]])}, {"a": np.array([0.0]), "b": np.array([1.0])}
    model = CalMRL(w, mu, {"a": 1.0, "b": 1.0})
    rows = as_set({"a": np.array([[1.0], [1.0]]), "b": np.array([[np.nan], [3.0]])})
    mean, covariance = model.posterior(rows)
    np.testing.assert_allclose(mean.ravel(), [1 / 2, 5 / 6])
    assert covariance[("a",)] == pytest.approx(1 / 2) and covariance[("a", "b")] == pytest.approx(1 / 6)
    assert model.impute(rows).embeddings["b"].ravel().tolist() == [2.0, 3.0]


def test_nothing_observed_is_the_prior_and_the_mean():
    model, nothing = random_model(), as_set({"a": np.full((2, 5), np.nan)})
    mean, covariance = model.posterior(nothing)
    assert (mean == 0).all() and list(covariance) == [()]
    np.testing.assert_array_equal(covariance[()], np.eye(3))
    whole = model.impute(nothing)
    for m in "abc":
        np.testing.assert_allclose(whole.embeddings[m], np.tile(model.means[m], (2, 1)), rtol=1e-6)
    assert model.log_likelihood(nothing) == 0
    assert model.log_likelihood(nothing.take([])) == 0 and len(model.impute(nothing.take([]))) == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_more_evidence_never_leaves_more_doubt(seed):
    _, (data, whole) = 0, made(seed, n=3)
    _, covariance = random_model(seed).posterior(ObservationSet.concatenate([data, _renamed(whole)]))
    least = np.linalg.eigvalsh(covariance[("a", "b", "c")])
    for found in covariance.values():
        assert (np.linalg.eigvalsh(found) >= least - 1e-12).all()


def _renamed(data):
    return ObservationSet(data.embeddings, data.poses, tuple(f"whole/{i}" for i in data.ids))


# --- one modality against another -----------------------------------------------------------------------------


def test_an_alignment_compares_what_either_modality_says_of_the_latent():
    model, (_, whole) = random_model(), made(0, n=6)
    found = model.alignments(["a", "b"], ["c"])
    assert set(found) == {("a", "c"), ("b", "c")} and all(isinstance(x, Alignment) for x in found.values())
    pair = found[("a", "c")]
    for side, m in ((pair.query, "a"), (pair.reference, "c")):
        mean, _ = model.posterior(whole.only([m]))
        expected = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        np.testing.assert_allclose(side(whole.embeddings[m]), expected, atol=1e-6)
    assert (pair.query(model.means["a"][None]) == 0).all()


@pytest.mark.parametrize("size", [1e12, 1e200])
def test_weights_that_leave_no_covariance_are_an_error(size):
    model, (data, _) = random_model(0), made(0, n=4)
    weights = {m: np.full_like(w, size) for m, w in model.weights.items()}
    with np.errstate(all="ignore"), pytest.raises(Any2AnyError, match="The imputer cannot be used"):
        replace(model, weights=weights).extend(data)


def test_modalities_that_it_has_not_learnt_are_named():
    with pytest.raises(Any2AnyError, match="does not know 'smell': it has learnt a, b, c"):
        random_model().alignments(["a"], ["smell"])
    with pytest.raises(Any2AnyError, match="does not know 'smell'"):
        random_model().latent_direction("smell", np.ones((1, 2)))
    with pytest.raises(Any2AnyError, match="'a' embeddings do not fit"):
        random_model().latent_direction("a", np.ones((1, 2)))


def test_an_empty_column_of_any_width_is_filled_in():
    whole = random_model().impute(as_set({"a": np.ones((2, 5)), "b": np.empty((2, 0)), "c": np.full((2, 9), np.nan)}))
    assert whole.embeddings["b"].shape == (2, 7) and whole.embeddings["c"].shape == (2, 4)


# --- saved, and refused ---------------------------------------------------------------------------------------


def test_it_is_saved_and_read_again(tmp_path):
    model, (data, _) = random_model(), made(0, n=20)
    storage.save(model, tmp_path / "calmrl")
    again = storage.load(tmp_path / "calmrl", CalMRL)
    assert isinstance(again, CalMRL) and isinstance(again, Imputer)
    assert again.noise == model.noise and again.latent == 3
    for m in "abc":
        np.testing.assert_array_equal(again.impute(data).embeddings[m], model.impute(data).embeddings[m])


@pytest.mark.parametrize("what", ["impute", "posterior", "log_likelihood"])
def test_vectors_of_another_encoder_are_refused(what):
    with pytest.raises(Any2AnyError, match=r"'b' embeddings do not fit the imputer: they have 3 dimensions.* on 7"):
        getattr(random_model(), what)(as_set({"a": np.ones((2, 5)), "b": np.ones((2, 3))}))
