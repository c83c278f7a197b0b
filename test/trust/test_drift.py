"""Drift is seen soon, and nothing is seen where nothing drifts; distances are those of the textbook."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros import storage
from any2any_ros.trust import drift
from any2any_ros.trust.drift import FEWEST, WINDOW, Difference, DriftTest

D = 40


def walk(count, seed, shift=0.0, memory=0.8):
    """Return differences (count, D) that depend on their neighbours, as those of a drive do, of unequal spread."""
    draw = np.random.default_rng(seed)
    values = [draw.normal(size=D)]
    for _ in range(count - 1):
        values.append(memory * values[-1] + np.sqrt(1 - memory**2) * draw.normal(size=D))
    spread = 1 / np.sqrt(1 + np.arange(D))
    direction = np.random.default_rng(1000 + seed).normal(size=D)
    return (spread * (np.array(values) + shift * direction / np.linalg.norm(direction))).astype(np.float32)


def warned(calibration, drive):
    """Return after how many places a drive of one sensor is suspect; None if never."""
    test = DriftTest({"camera": Difference.fit(calibration)})
    for i, value in enumerate(drive, start=1):
        test.update({"camera": value})
        if test.suspects:
            return i
    return None


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_an_unchanged_world_stays_silent(memory):
    drives = [(walk(400, 2 * s, memory=memory), walk(400, 2 * s + 1, memory=memory)) for s in range(20)]
    assert np.mean([warned(calibration, drive) is not None for calibration, drive in drives]) <= 0.1


@pytest.mark.parametrize("before", [0, 150])
def test_a_drift_is_seen_before_a_hundred_places_whenever_it_begins(before):
    seen = []
    for s in range(20):
        drive = np.concatenate([walk(before + 1, 500 + s)[:before], walk(100, 900 + s, shift=4.0)])
        found = warned(walk(240, s), drive)
        seen.append(found is not None and before < found < before + 100)
    assert np.mean(seen) >= 0.95


def test_a_sensor_that_is_itself_again_is_no_suspect_any_more():
    test = DriftTest({"camera": Difference.fit(walk(400, 0))})
    for value in walk(WINDOW, 1, shift=6.0):
        test.update({"camera": value})
    assert test.suspects == ("camera",)
    for value in walk(WINDOW, 3):
        test.update({"camera": value})
    assert test.suspects == ()


def test_the_sensor_that_drifts_is_named_and_the_others_are_not():
    names = ("audio", "camera", "lidar")
    test = DriftTest({m: Difference.fit(walk(400, i)) for i, m in enumerate(names)})
    streams = {m: walk(WINDOW, 10 + i, shift=5.0 * (m == "lidar")) for i, m in enumerate(names)}
    for i in range(WINDOW):
        test.update({m: stream[i] for m, stream in streams.items()})
    assert test.suspects == ("lidar",) and test.strength["lidar"] > 1 > test.strength["camera"] > 0


def test_nothing_is_said_before_the_window_is_full():
    test = DriftTest({"camera": Difference.fit(walk(240, 0))})
    for value in walk(WINDOW - 1, 1, shift=50.0):
        test.update({"camera": value})
    assert test.strength == {"camera": 0.0} and test.suspects == ()


def test_the_distance_is_hotelling_s_where_every_direction_has_its_own_spread():
    """T^2 with the pooled covariance known, over its expected value; one of them is what the others leave."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(300, 6)) @ draw.normal(size=(6, 6))
    window = draw.normal(size=(50, 6)) @ draw.normal(size=(6, 6))
    usual = Difference.fit(rows.astype(np.float32))
    off = window.mean(axis=0) - rows.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(rows.T))
    expected = ((vectors.T @ off) ** 2 / values).sum() / (6 * (1 / 50 + 1 / 300))
    assert usual.distance(window.astype(np.float32)) == pytest.approx(expected, rel=0.02)


def test_places_that_do_not_depend_on_each_other_are_about_one_off():
    draw = np.random.default_rng(0)
    usual = Difference.fit(draw.normal(size=(2000, D)).astype(np.float32))
    assert np.mean([usual.distance(draw.normal(size=(WINDOW, D))) for _ in range(200)]) == pytest.approx(1, abs=0.1)


def test_the_limit_is_a_quantile_of_the_calibration_drive_s_own_windows():
    """By a million draws of the gamma variable that has their mean and variance."""
    rows = walk(300, 0)
    found = []
    for start in range(0, 300, drift.STEP):
        inside = np.arange(start, start + WINDOW) % 300
        found.append(Difference._fit_directions(np.roll(rows, -start, axis=0)[WINDOW:]).distance(rows[inside]))
    mean, variance = np.mean(found), np.var(found, ddof=1)
    draws = np.random.default_rng(0).gamma(mean**2 / variance, variance / mean, 1_000_000)
    assert Difference.fit(rows).limit == pytest.approx(np.quantile(draws, 1 - drift.RISK), rel=0.02)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 100), st.integers(2, 60))
def test_neither_units_nor_a_turn_of_the_space_change_the_answer(seed, unit, width):
    draw = np.random.default_rng(seed)
    rows, window = draw.normal(size=(FEWEST, width)) + 0.3, draw.normal(size=(WINDOW, width)) + 0.5
    turn = np.linalg.qr(draw.normal(size=(width, width)))[0] * unit
    plain, turned = Difference._fit_directions(rows), Difference._fit_directions(rows @ turn)
    assert turned.distance(window @ turn) == pytest.approx(plain.distance(window), rel=0.05)


def test_views_that_never_differ_are_no_alarm_and_any_difference_then_is():
    same = np.zeros((FEWEST, D), dtype=np.float32)
    assert warned(same, same) is None
    assert warned(same, walk(100, 0)) is not None


def test_what_is_missing_is_left_out():
    rows = walk(FEWEST, 0)
    holes = np.insert(rows, [3, 50], np.nan, axis=0)
    assert Difference.fit(holes).limit == Difference.fit(rows).limit
    test = DriftTest({"camera": Difference.fit(rows)})
    for _ in range(2 * WINDOW):
        test.update({"camera": np.full(D, np.nan, dtype=np.float32), "thermal": np.ones(3, dtype=np.float32)})
    assert test.strength == {"camera": 0.0}


def test_a_sensor_that_calibration_hardly_saw_is_not_watched():
    assert Difference.fit(walk(FEWEST, 0)) is not None
    assert Difference.fit(walk(FEWEST - 1, 0)) is None
    assert DriftTest({}).suspects == ()


def test_what_is_usual_is_kept_as_it_was(tmp_path):
    found = Difference.fit(walk(FEWEST, 0))
    storage.save(found, tmp_path / "usual")
    again, window = storage.load(tmp_path / "usual", Difference), walk(WINDOW, 1)
    assert again.distance(window) == found.distance(window) and again.limit == found.limit
