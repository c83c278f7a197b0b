"""Heads: a known linear relation is found, a shared layout helps where moments are few, and nonsense is refused."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from any2any_ros import storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import head
from any2any_ros.learning.head import Head, Recipe, Space

PLAIN = Recipe(False, 1e-3, 10.0)


def world(seed=0, moments=120, places=80, dimension=12, new=9, noise=0.01):
    """Return moments x, y of a linear relation, and the map's vectors."""
    draw = np.random.default_rng(seed)
    y, mixing = draw.normal(size=(moments, dimension)), draw.normal(size=(dimension, dimension))[:, :new]
    return y @ mixing + noise * draw.normal(size=(moments, new)), y, draw.normal(size=(places, dimension)), mixing


def test_places_are_found_by_a_sensor_that_sees_the_same_differently():
    x, y, places, mixing = world(new=12)
    learnt = head.fit(x, y, Space.of(places), PLAIN)
    similarity = learnt.query(places @ mixing) @ learnt.reference(places).T
    assert (similarity.argmax(axis=1) == np.arange(len(places))).all()


def test_it_is_ridge_regression_seen_along_the_axes_of_the_map():
    x, y, places, _ = world()
    space, recipe = Space.of(places), Recipe(False, 0.7, 10.0)
    learnt = head.fit(x, y, space, recipe)
    centred = x - x.mean(axis=0)
    strength = 0.7 * (centred**2).sum() / len(x)
    oracle = Ridge(alpha=strength).fit(x, y)
    seen = (oracle.predict(x) - y.mean(axis=0)) @ space.whitened(10.0)
    np.testing.assert_allclose(learnt.query(x), seen / np.linalg.norm(seen, axis=1, keepdims=True), atol=1e-5)


def test_fully_whitened_places_are_equally_spread():
    _, _, places, _ = world()
    space = Space.of(places * np.logspace(0, 2, 12))
    seen = (places * np.logspace(0, 2, 12) - space.mean) @ space.whitened(0.0)
    np.testing.assert_allclose(np.cov(seen.T, bias=True), np.eye(seen.shape[1]), atol=1e-8)


def test_a_shared_layout_tells_from_few_moments_what_else_takes_many():
    draw = np.random.default_rng(1)
    y, places = draw.normal(size=(10, 40)), draw.normal(size=(200, 40))
    x, queries = (2.5 * v + 3 + 0.3 * draw.normal(size=v.shape) for v in (y, places))
    right = []
    for same_layout in (False, True):
        learnt = head.fit(x, y, Space.of(places), Recipe(same_layout, 10.0, 10.0))
        right.append((learnt.query(queries) @ learnt.reference(places).T).argmax(axis=1) == np.arange(200))
    assert right[0].mean() < 0.5 < 0.9 < right[1].mean()


@pytest.mark.parametrize(("new", "known"), [(5, 9), (9, 5)])
def test_layouts_of_different_length_are_compared_as_far_as_both_go(new, known):
    draw = np.random.default_rng(2)
    learnt = head.fit(
        draw.normal(size=(20, new)), draw.normal(size=(20, known)), Space.of(draw.normal(size=(30, known))),
        Recipe(True, 1.0, 1.0),
    )  # fmt: skip
    assert np.isfinite(learnt.query(draw.normal(size=(3, new)))).all()


def test_both_sides_are_unit_vectors_and_the_mean_is_none():
    x, y, places, _ = world()
    learnt = head.fit(x, y, Space.of(places), PLAIN)
    np.testing.assert_allclose(np.linalg.norm(learnt.query(x), axis=1), 1, atol=1e-5)
    assert not learnt.query(x.mean(axis=0)[None]).any() and learnt.query(x).dtype == np.float32
    assert not learnt.reference(places.mean(axis=0)[None]).any()


def test_a_sensor_that_always_says_the_same_learns_nothing_and_breaks_nothing():
    _, y, places, _ = world()
    for same_layout in (False, True):
        learnt = head.fit(np.ones((len(y), 4)), y, Space.of(places), Recipe(same_layout, 1.0, 1.0))
        assert not learnt.query(np.ones((3, 4))).any()


def test_it_is_kept_without_loss(tmp_path):
    x, y, places, _ = world()
    learnt = head.fit(x, y, Space.of(places), PLAIN)
    storage.save(learnt, tmp_path / "head")
    np.testing.assert_array_equal(storage.load(tmp_path / "head", Head).query(x), learnt.query(x))


def test_what_cannot_be_learnt_from_is_refused():
    x, y, places, _ = world()
    space = Space.of(places)
    broken = x.copy()
    broken[3, 2] = np.nan
    for a, b in ((x[:5], y), (x[:1], y[:1]), (x, y[:, :5]), (broken, y), (x[0], y[0])):
        with pytest.raises(Any2AnyError, match="Cannot learn a head"):
            head.fit(a, b, space, PLAIN)
    for none in (places[:1], np.full((3, 4), np.nan), places[0]):
        with pytest.raises(Any2AnyError, match="Cannot learn a head"):
            Space.of(none)
    with pytest.raises(Any2AnyError, match="do not fit the head"):
        head.fit(x, y, space, PLAIN).query(x[:, :5])
