"""CalMRL's EM against the closed form where nothing is missing and the truth that made the data."""

import itertools

import numpy as np
import pytest
from gaussian_world import as_set, made, random_model

from any2any_ros.calibration.scorer import Scorer
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.imputers import calmrl as model_file
from any2any_ros.imputers.calmrl import CalMRL
from any2any_ros.learning import calmrl, calmrl_data
from any2any_ros.learning.calmrl_data import SufficientStatistics
from any2any_ros.retrieval.retriever import bare_retriever


def any_problem(seed):
    """Return a small problem of any shape: noise-free, constant columns, more latent dimensions than rows or data."""
    draw = np.random.default_rng(seed)
    widths = draw.integers(1, 6, size=draw.integers(1, 5))
    missing, noise = draw.choice([0.0, 0.3, 0.7]), draw.choice([0.0, 0.01, 1.0])
    data, _ = made(seed, int(draw.integers(4, 60)), widths, int(draw.integers(1, 4)), missing, noise)
    columns = dict(data.embeddings)
    if draw.random() < 0.2:
        columns["a"] = np.where(np.isnan(columns["a"]), np.nan, np.float32(draw.choice([0.0, 3.0])))
    columns["a"][:2] = columns["a"][2:3] = 1.0  # something can be learnt
    return as_set(columns), int(draw.integers(1, 6))


# --- EM -------------------------------------------------------------------------------------------------------


def test_the_likelihood_never_falls():
    """300 problems of any shape, 25 steps each; benchmarks/calmrl.py does a thousand."""
    for seed in range(300):
        data, latent = any_problem(seed)
        statistics = SufficientStatistics.of(data)
        found = [value for _, value in itertools.islice(calmrl.steps(statistics, latent, seed), 25)]
        assert np.isfinite(found).all(), seed
        # Where there is next to no noise, squares of 1e6 standard deviations cancel: that is what doubles leave.
        assert (np.diff(found) >= -1e-9 * statistics.numbers).all(), seed


@pytest.mark.parametrize("latent", [1, 3])
def test_with_everything_observed_it_is_the_closed_form(latent):
    """Tipping and Bishop 1999: one modality, nothing missing; the noise is the mean of the eigenvalues left out."""
    data, _ = made(0, n=400, widths=(6,), missing=0, noise=0.7)
    found = calmrl.fit(data, latent=latent, iterations=3000, tolerance=1e-13)
    x = data.embeddings["a"].astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    noise = values[:-latent].mean()
    assert found.noise["a"] == pytest.approx(noise, rel=1e-6)
    np.testing.assert_allclose(found.means["a"], x.mean(axis=0), atol=1e-6)
    expected = vectors[:, -latent:] @ np.diag(values[-latent:] - noise) @ vectors[:, -latent:].T
    np.testing.assert_allclose(found.weights["a"] @ found.weights["a"].T, expected, atol=1e-4)


def test_the_world_is_found_from_half_of_it():
    """Against the truth that made the data: the covariance of what was never seen together, too."""
    data, whole = made(1, n=4000, missing=0.5)
    found = calmrl.fit(data, latent=3)
    for m, n in itertools.combinations("abc", 2):
        joint = np.cov(whole.embeddings[m].T, whole.embeddings[n].T)[: len(found.means[m]), len(found.means[m]) :]
        np.testing.assert_allclose(found.weights[m] @ found.weights[n].T, joint, atol=0.25)
    for m in "abc":
        assert found.noise[m] == pytest.approx(0.3**2, rel=0.05)
        np.testing.assert_allclose(found.means[m], whole.embeddings[m].mean(axis=0), atol=0.15)


def test_neither_unit_nor_origin_matters():
    data, _ = made(2)
    scaled = as_set({m: x * {"a": 100, "b": 1, "c": 0.01}[m] + 5 for m, x in data.embeddings.items()})
    one, two = (calmrl.fit(d, latent=2, iterations=200, tolerance=1e-10).impute(d) for d in (data, scaled))
    np.testing.assert_allclose((two.embeddings["a"] - 5) / 100, one.embeddings["a"], atol=2e-2)


def test_held_out_rows_choose_the_latent_size():
    data, _ = made(3, n=1500, widths=(12, 15, 9), latent=4, missing=0.3)
    assert calmrl.fit(data).latent == 4
    assert calmrl.fit(made(3, n=600, widths=(12, 15, 9), latent=3)[0]).latent == 3
    nothing, _ = made(3, n=300, widths=(12, 15, 9), latent=4, missing=0.3, noise=300.0)
    assert calmrl.fit(nothing, latent=0).latent == 1


def test_the_same_seed_gives_the_same_model():
    data, _ = made(4)
    one, two, other = (calmrl.fit(data, latent=2, iterations=3, seed=s) for s in (0, 0, 1))
    assert all(one.weights[m].tobytes() == two.weights[m].tobytes() for m in "abc")
    assert not np.allclose(one.weights["a"], other.weights["a"])


def test_more_rows_than_are_looked_at_together(monkeypatch):
    data, _ = made(5)
    whole = calmrl.fit(data, latent=2, iterations=5)
    monkeypatch.setattr(model_file, "CHUNK", 7)
    monkeypatch.setattr(calmrl_data, "CHUNK", 7)
    chunked = calmrl.fit(data, latent=2, iterations=5)
    for m in "abc":
        np.testing.assert_allclose(whole.weights[m], chunked.weights[m], atol=1e-9)
    assert chunked.log_likelihood(data) == pytest.approx(whole.log_likelihood(data))


def test_second_moments_are_all_that_em_needs():
    """The statistics of many rows are few, and as likely under any model as the rows themselves."""
    data, _ = made(6, n=3000)
    statistics = SufficientStatistics.of(data)
    assert all(len(group.ones) <= 1 + 5 + 7 + 4 for group in statistics.groups)
    assert sum(group.count for group in statistics.groups) == sum(o.modalities != () for o in data)
    model = random_model()
    centred = CalMRL(model.weights, {m: mu - statistics.means[m] for m, mu in model.means.items()}, model.noise)
    found = sum(centred.group_posterior(group).log_likelihood for group in statistics.groups)
    assert found == pytest.approx(model.log_likelihood(data), rel=1e-8)


def test_numbers_that_repeat_one_another_have_second_moments_too():
    data, _ = made(7, n=500)
    twice = as_set({**data.embeddings, "b": np.tile(data.embeddings["b"], 2), "c": np.zeros((500, 3))})
    found = calmrl.fit(twice, latent=3)
    np.testing.assert_allclose(found.weights["b"][:7], found.weights["b"][7:], atol=1e-5)
    assert np.isfinite(found.log_likelihood(twice))


def test_what_stands_in_missing_slots_changes_nothing():
    """No payload of a NaN, no modality it has not learnt, no column instead of an absent one."""
    model, (data, _) = random_model(), made(0, n=40)
    columns = dict(data.embeddings)
    bits = columns["b"].view(np.uint32)
    bits[~data.present("b")] = np.random.default_rng(0).integers(0x7F800001, 0x7FFFFFFF, (1, 7))
    columns["smell"] = np.full((40, 2), 1e18)
    other = as_set(columns)
    for one, two in ((data, other), (data.only("ac"), as_set({**columns, "b": np.full((40, 7), np.nan)}))):
        assert model.log_likelihood(one) == model.log_likelihood(two)
        np.testing.assert_array_equal(model.posterior(one)[0], model.posterior(two)[0])
        for m in "abc":
            np.testing.assert_array_equal(model.impute(one).embeddings[m], model.impute(two).embeddings[m])
    np.testing.assert_array_equal(model.impute(other).embeddings["smell"], columns["smell"].astype(np.float32))
    fitted = [calmrl.fit(d.only("abc"), latent=2, iterations=4) for d in (data, other)]
    assert fitted[0].weights["b"].tobytes() == fitted[1].weights["b"].tobytes()


# --- what a fitted model is good for --------------------------------------------------------------------------


def test_one_modality_finds_another():
    data, _ = made(8, n=800, widths=(12, 12, 12), latent=6, missing=0.5)
    model, (_, new) = calmrl.fit(data, latent=6), made(8, n=800, widths=(12, 12, 12), latent=6)
    retriever = bare_retriever(new.only(["b"]), RawMean(), model.alignments(["a"], ["b"]))
    _, scores = Scorer.of(retriever).scores(new.only(["a"]))
    assert (scores.argmax(axis=1) == np.arange(800)).mean() > 0.5  # chance 1/800


# --- little to learn from -------------------------------------------------------------------------------------


def test_two_rows_one_modality_and_constant_columns():
    two = calmrl.fit(as_set({"a": np.array([[1.0, 2.0, 5.0], [3.0, 2.0, 5.0]])}))
    assert two.latent == 1 and two.modalities == ("a",)
    np.testing.assert_allclose(two.means["a"], [2, 2, 5], atol=1e-6)
    assert np.isfinite(two.weights["a"]).all() and two.noise["a"] > 0
    for value in (0.0, 3.0):
        constant = calmrl.fit(as_set({"a": np.full((9, 4), value), "b": np.random.default_rng(0).normal(size=(9, 2))}))
        whole = constant.impute(as_set({"b": np.ones((1, 2))}))
        np.testing.assert_allclose(whole.embeddings["a"], value, atol=1e-5)


def test_what_follows_from_another_without_noise_is_imputed_exactly():
    draw = np.random.default_rng(0)
    a = draw.normal(size=(50, 3))
    found = calmrl.fit(as_set({"a": a, "b": a @ draw.normal(size=(3, 4))}), latent=3)
    new = draw.normal(size=(5, 3))
    draw = np.random.default_rng(0)
    draw.normal(size=(50, 3))
    np.testing.assert_allclose(
        found.impute(as_set({"a": new})).embeddings["b"], new @ draw.normal(size=(3, 4)), atol=0.02
    )


def test_a_modality_that_was_never_seen_stays_missing():
    data, _ = made(0)
    columns = {**data.embeddings, "c": np.full((200, 4), np.nan)}
    columns["d"] = columns["c"].copy()
    columns["d"][7] = 1.0  # one row says nothing of what varies
    found = calmrl.fit(as_set(columns), latent=2)
    assert found.modalities == ("a", "b")
    whole = found.impute(as_set(columns))
    assert not whole.present("c").any() and whole.present("d").sum() == 1 and whole.present("a").all()


def test_data_that_nothing_can_be_learnt_from_is_refused():
    with pytest.raises(Any2AnyError, match=r"of 1 rows, none of the modalities \(a\) has two"):
        calmrl.fit(as_set({"a": np.ones((1, 3))}))
    with pytest.raises(Any2AnyError, match=r"of 2 rows, none of the modalities \(none\)"):
        calmrl.fit(as_set({"a": np.ones((2, 3))}).only([]))


@pytest.mark.parametrize("given", [{"latent": -1}, {"iterations": 0}, {"seed": -1}, {"tolerance": -1.0}])
def test_settings_out_of_range_are_refused(given):
    (name,) = given
    with pytest.raises(Any2AnyError, match=f"Setting '{name}'"):
        calmrl.fit(made(0)[0], **given)
