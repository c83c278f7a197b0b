"""The made-up worlds are what they say they are: what is shared, what is blind, what is missing, what is right."""

import dataclasses

import numpy as np
import pytest

from any2any_ros.errors import Any2AnyError
from any2any_ros.sim import regimes
from any2any_ros.sim.regimes import FOLDS, MODALITIES, NOISE, SPACING, RegimeConfig, make

WHOLE = RegimeConfig(missing=0.0)


def parts(trial):
    return trial.reference, trial.calibration.queries, trial.test.queries


def places(observations):
    return np.round(observations.poses[:, 0, 3] / SPACING).astype(int)


def present(observations):
    return np.stack([observations.present(m) for m in MODALITIES], axis=1)


def standardised(observations, m):
    vectors = observations.embeddings[m].astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def similarity_of_laps(regime, m, n, seed=0):
    """Return the cosines (places,) of what m saw on the first lap of the map and n on the second."""
    reference = make(regime, seed, WHOLE).reference
    first, second = np.split(np.arange(len(reference)), 2)
    np.testing.assert_array_equal(places(reference)[first], places(reference)[second])
    return (standardised(reference, m)[first] * standardised(reference, n)[second]).sum(axis=1)


@pytest.mark.parametrize("regime", NOISE)
def test_the_right_references_are_those_of_the_query_s_place(regime):
    trial = make(regime, 3)
    for task in (trial.calibration, trial.test):
        queries, positive = task.queries, task.positive
        assert positive.shape == (300, 600) and (positive.sum(axis=1) == 2).all()
        for q, r in np.ndindex(20, 600):
            assert positive[q, r] == (places(queries)[q] == places(trial.reference)[r])


@pytest.mark.parametrize("config", [RegimeConfig(), RegimeConfig(places=9, laps=3)], ids=["even", "odd"])
def test_calibration_and_test_share_no_place_and_the_map_has_all(config):
    trial = make("redundant", 0, config)
    calibration, test = set(places(trial.calibration.queries)), set(places(trial.test.queries))
    assert not calibration & test and calibration | test == set(range(config.places)) == set(places(trial.reference))
    assert len(calibration) == config.places // 2


def test_visits_of_one_place_are_in_one_fold_and_no_fold_is_empty():
    trial = make("redundant", 0)
    assert set(trial.calibration.folds) == set(range(FOLDS))
    of_place = {}
    for place, fold in zip(places(trial.calibration.queries), trial.calibration.folds, strict=True):
        assert of_place.setdefault(place, fold) == fold


@pytest.mark.parametrize("regime", NOISE)
def test_a_seed_is_a_world(regime):
    one, again, other = make(regime, 1), make(regime, 1), make(regime, 2)
    for trio in zip(*map(parts, (one, again, other)), strict=True):
        for m in MODALITIES:
            values = [part.embeddings[m] for part in trio]
            np.testing.assert_array_equal(values[0], values[1])
            assert not np.array_equal(values[0], values[2], equal_nan=True)


@pytest.mark.parametrize("regime", NOISE)
def test_half_of_the_sensors_are_off_on_both_sides_but_never_all(regime):
    trial = make(regime, 0)
    for part in parts(trial):
        seen = present(part)
        assert seen.any(axis=1).all()
        # Of the 8 subsets the empty one is drawn again: each sensor is in 4 of the other 7.
        assert seen.mean(axis=0) == pytest.approx(np.full(3, 4 / 7), abs=0.1)
        assert len(np.unique(seen, axis=0)) == 7


def test_a_visit_without_sensors_comes_only_when_asked_for():
    seen = present(make("redundant", 0, RegimeConfig(empty=True)).reference)
    assert (~seen.any(axis=1)).mean() == pytest.approx(1 / 8, abs=0.05)
    assert present(make("redundant", 0, WHOLE).reference).all()


def test_redundant_sensors_see_the_same_thing():
    """Cosine of two noisy views of one vector: 1 / (1 + noise^2), across sensors as within one."""
    expected = 1 / (1 + NOISE["redundant"][0] ** 2)
    for m, n in (("a", "a"), ("a", "b"), ("b", "c")):
        assert similarity_of_laps("redundant", m, n).mean() == pytest.approx(expected, abs=0.04)


def test_strong_and_weak_sensors_see_things_of_their_own():
    for m, noise in zip(MODALITIES, NOISE["strong_weak"], strict=True):
        assert similarity_of_laps("strong_weak", m, m).mean() == pytest.approx(1 / (1 + noise**2), abs=0.04)
    assert abs(similarity_of_laps("strong_weak", "a", "b").mean()) < 0.04
    assert NOISE["strong_weak"][0] * 2 < min(NOISE["strong_weak"][1:])


def test_each_complementary_sensor_is_blind_in_a_district_of_its_own():
    config = RegimeConfig(missing=0.0, laps=1, dimension=256)
    reference = make("complementary", 0, config).reference
    blind = []
    for m in MODALITIES:
        vectors = standardised(reference, m)
        alike = vectors @ vectors.T - np.eye(len(vectors))
        # In the district all are alike: every place of it resembles a third of the world, the others resemble nothing.
        resembles = (alike > 0.25).sum(axis=1)
        assert ((resembles < 5) | (resembles > 60)).all()
        blind.append(resembles > 60)
    np.testing.assert_array_equal(np.sum(blind, axis=0), 1)
    assert np.mean(blind, axis=1) == pytest.approx(np.full(3, 1 / 3), abs=0.1)


def test_wrong_wishes_are_refused():
    with pytest.raises(Any2AnyError, match="no regime 'sunny': known are complementary, redundant, strong_weak"):
        make("sunny", 0)
    # A share of 1 would draw for ever.
    for wrong in ({"missing": 1.0}, {"missing": -0.1}, {"places": 7}, {"laps": 0}, {"dimension": 0}):
        with pytest.raises(Any2AnyError, match=next(iter(wrong))):
            dataclasses.replace(RegimeConfig(), **wrong)


def test_the_smallest_world_has_every_fold():
    trial = regimes.make("complementary", 0, RegimeConfig(places=8, laps=1, dimension=1))
    assert sorted(trial.calibration.folds) == [0, 1, 2, 3] and len(trial.test) == 4
