"""COX on data that is odd, and on data that it must refuse."""

import numpy as np
import pytest
from cox_worlds import NEW, WIDTHS, aligned_world, right, some_pairs, world
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import cox
from any2any_ros.learning.cox import CoxConfig
from any2any_ros.observation import ObservationSet

# --- what may be odd ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modalities", [("depth",), ("camera", "depth"), tuple(WIDTHS)])
@pytest.mark.parametrize("explore", [True, False])
def test_any_number_of_known_modalities(modalities, explore):
    x, here, known, there = world(15, modalities=modalities)
    model = cox.fit(x, known, some_pairs(here, there, per_class=2), there, CoxConfig(explore=explore))
    assert right(model) > 0.8 and model.modalities == tuple(sorted(modalities))


def test_nobody_agrees_and_everybody_does():
    """Classes at random for half of the known modalities: agreement is rare. One known modality agrees with itself."""
    x, here, known, there = world(16)
    draw = np.random.default_rng(0)
    noise = {m: draw.normal(size=v.shape) for m, v in known.embeddings.items()}
    confused = ObservationSet(noise, known.poses, known.ids)
    for explore in (True, False):
        model = cox.fit(x, confused, some_pairs(here, there), there, CoxConfig(explore=explore))
        assert model.agreement < 1 and np.isfinite(model.posterior(x)).all()
    alone = cox.fit(x, known.only(["lidar"]), some_pairs(here, there), there)
    assert alone.agreement == 1


@pytest.mark.parametrize("explore", [True, False])
def test_all_disagree_and_there_is_no_label(explore):
    """A second camera shows of every class what the first shows of the next one: no agreement, and no anchor."""
    x, _, known, there = aligned_world(24)
    following = [np.flatnonzero(there == (c + 1) % 4)[i // 4] for i, c in enumerate(there)]
    camera = known.embeddings["camera"]
    twins = ObservationSet({"camera": camera, "twin": camera[following]}, known.poses, known.ids)
    model = cox.fit(x, twins, None, there, CoxConfig(explore=explore, rounds=1))
    assert model.agreement < 1 and np.isfinite(model.posterior(x)).all()


def test_two_rows_and_a_single_pair():
    x, _, known, there = world(17, new=2)
    model = cox.fit(x, known, [(0, 0)], there)
    assert model.classify(x)[0] == there[0] and np.isfinite(model.posterior(x)).all()


def test_features_that_never_change():
    x, here, known, there = world(18)
    x[:, 0] = 1e6
    flat = {**known.embeddings, "depth": np.full((len(known), 5), 3.0)}
    model = cox.fit(x, ObservationSet(flat, known.poses, known.ids), some_pairs(here, there), there)
    assert (model.classify(x) == here).mean() > 0.8
    same = cox.fit(np.zeros((20, 3)), known, [(0, 0), (1, 1)], there)
    assert np.isfinite(same.posterior(np.zeros((1, 3)))).all()


def test_known_modalities_with_holes():
    """A pair whose partner lacks a modality, a class that a modality has never seen, one that nobody recorded."""
    x, here, known, there = world(19)
    columns = {m: v.copy() for m, v in known.embeddings.items()}
    columns["camera"][::3] = np.nan
    columns["depth"][there == 2] = np.nan
    columns["sonar"] = np.full((len(known), 3), np.nan)
    holes = ObservationSet(columns, known.poses, known.ids)
    model = cox.fit(x, holes, some_pairs(here, there, per_class=2), there)
    assert right(model) > 0.9 and model.modalities == tuple(WIDTHS)
    assert np.isfinite(model.project(x, "depth")).all()


def test_one_new_sample_with_several_partners():
    x, here, known, there = world(20)
    pairs = np.concatenate([some_pairs(here, there), [(0, j) for j in np.flatnonzero(there == here[0])[:5]]])
    assert right(cox.fit(x, known, pairs, there)) > 0.9


def test_the_unit_of_a_feature_does_not_matter():
    x, here, known, there = world(21)
    pairs = some_pairs(here, there)
    one, two = cox.fit(x, known, pairs, there), cox.fit(1000 * x - 5, known, pairs, there)
    np.testing.assert_allclose(one.posterior(x), two.posterior(1000 * x - 5), atol=1e-3)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 25), st.integers(1, 6), st.integers(2, 5), st.booleans())
def test_whatever_is_given_posteriors_are_posteriors(seed, count, width, classes, explore):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(count, width)) * draw.integers(0, 2, width)
    m = int(draw.integers(classes, 30))
    label = np.concatenate([np.arange(classes), draw.integers(0, classes, m - classes)])
    columns = {k: draw.normal(size=(m, w)) for k, w in list(WIDTHS.items())[: draw.integers(1, 4)]}
    known = ObservationSet(columns, np.full((m, 4, 4), np.nan), tuple(map(str, range(m))))
    pairs = np.stack([draw.integers(0, count, 3), draw.integers(0, m, 3)], axis=1)
    model = cox.fit(x, known, pairs, label, CoxConfig(explore=explore, rounds=1))
    posterior = model.posterior(x)
    assert posterior.shape == (count, classes) and (posterior >= 0).all()
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    assert 0 <= model.agreement <= 1


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"new": np.zeros(5)}, "cannot be connected"),
        ({"new": np.full((5, 2), np.nan)}, "not all are finite"),
        ({"new": np.zeros((1, 2))}, "at least two rows"),
        ({"labels": np.zeros(120)}, "1 classes"),
        ({"labels": np.arange(3)}, r"labels of shape \(3,\)"),
        ({"pairs": [(0, 500)]}, "pairs cannot be used"),
        ({"pairs": [(-1, 0)]}, "pairs cannot be used"),
        ({"pairs": [(0.5, 0.5)]}, "whole numbers"),
        ({"pairs": [1, 2, 3]}, "pairs cannot be used"),
        ({"labelled": {500: 1}}, "new sample 500"),
        ({"labelled": {1: 77}}, "class 77"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, what):
    x, here, known, there = world(22)
    given = {"new": x, "known": known, "pairs": some_pairs(here, there), "labels": there} | change
    with pytest.raises(Any2AnyError, match=what):
        cox.fit(**given)


def test_what_it_was_not_taught_is_refused():
    x, here, known, there = world(23)
    model = cox.fit(x, known, some_pairs(here, there), there)
    with pytest.raises(Any2AnyError, match="does not know 'sonar'"):
        model.project(x, "sonar")
    for wrong in (x[:, :3], x[0], np.full((1, NEW), np.inf)):
        with pytest.raises(Any2AnyError, match="cannot take 'new' features"):
            model.posterior(wrong)
    with pytest.raises(Any2AnyError, match="cannot take 'depth' features"):
        model.known_posterior(x, "depth")
    with pytest.raises(Any2AnyError, match="a modality that was recorded"):
        cox.fit(x, known.only([]), None, there)
