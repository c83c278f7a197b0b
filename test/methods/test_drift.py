"""Drift is seen soon, and nothing is seen where nothing drifts; the ranks are what theory says."""

import numpy as np
import pytest

from any2any_ros.methods import drift
from any2any_ros.methods.drift import BLOCK, DriftTest, Familiarity


def walk(count, seed, shift=0.0, memory=0.8):
    """Return similarities that depend on their neighbours as those of a drive do: standard deviation 1."""
    draw = np.random.default_rng(seed)
    values = [draw.normal()]
    for _ in range(count - 1):
        values.append(memory * values[-1] + np.sqrt(1 - memory**2) * draw.normal())
    return np.array(values) + shift


def watched(calibration, drive, seed=0):
    """Return after how many queries a drive of one sensor is suspect; None if never."""
    test = DriftTest(Familiarity.fit({"camera": calibration}), seed)
    for i, value in enumerate(drive, start=1):
        test.update({"camera": value})
        if test.suspects:
            return i
    return None


@pytest.mark.parametrize(("memory", "at_most"), [(0.0, 0.05), (0.8, 0.12)])
def test_an_unchanged_world_stays_silent(memory, at_most):
    """The promise is for blocks that do not depend on each other; where they do a little, it is nearly kept."""
    drives = ((walk(240, 2 * s, memory=memory), walk(1000, 2 * s + 1, memory=memory)) for s in range(100))
    alarms = [watched(calibration, drive, s) is not None for s, (calibration, drive) in enumerate(drives)]
    assert np.mean(alarms) <= at_most


@pytest.mark.parametrize("before", [0, 300])
def test_a_drift_is_seen_before_a_hundred_queries_whenever_it_begins(before):
    found = []
    for s in range(30):
        drive = np.concatenate([walk(before, 500 + s) if before else [], walk(100, 900 + s, shift=-4.0)])
        found.append(watched(walk(240, s), drive, s))
    seen = [f is not None and f > before for f in found]
    assert np.mean(seen) >= 0.95


def test_a_world_that_is_more_familiar_than_it_was_is_no_alarm():
    assert watched(walk(240, 0), walk(500, 1, shift=3.0)) is None


def test_the_capital_is_a_martingale():
    """Its mean over exchangeable streams stays 1, however early it is stopped."""
    draw = np.random.default_rng(0)
    for blocks in (1, 5):
        capital = []
        for seed in range(4000):
            values = draw.permutation(8 + blocks).astype(float)
            watch = drift._Watch(values[:8].tolist())
            for value in values[8:]:
                watch._bet(value, np.random.default_rng(seed))
            capital.append(watch.capital)
        assert np.mean(capital) == pytest.approx(1.0, abs=4 * np.std(capital) / np.sqrt(4000))


def test_a_constant_stream_is_all_ties_and_no_alarm():
    assert watched(np.ones(200), np.ones(1000)) is None


def test_only_whole_blocks_count_and_the_order_is_the_drive_s():
    values = np.arange(10.0 * BLOCK + 3)
    found = Familiarity.fit({"camera": values}).blocks["camera"]
    np.testing.assert_allclose(found, np.arange(10) * BLOCK + (BLOCK - 1) / 2)


def test_what_is_missing_is_left_out():
    values = np.arange(10.0 * BLOCK)
    holes = np.insert(values, [3, 50], np.nan)
    np.testing.assert_array_equal(
        Familiarity.fit({"camera": holes}).blocks["camera"], Familiarity.fit({"camera": values}).blocks["camera"]
    )
    test = DriftTest(Familiarity.fit({"camera": values}))
    test.update({"camera": np.nan, "thermal": 0.0})  # neither is taken
    assert test.strength == {"camera": 1.0}


def test_a_sensor_that_calibration_hardly_saw_is_not_watched():
    found = Familiarity.fit({"camera": walk(BLOCK * drift.FEWEST - 1, 0), "lidar": walk(BLOCK * drift.FEWEST, 0)})
    assert set(found.blocks) == {"lidar"} and DriftTest(Familiarity({})).suspects == ()


def test_the_sensor_that_drifts_is_named_and_the_others_are_not():
    calibration = {m: walk(240, i) for i, m in enumerate(("audio", "camera", "lidar"))}
    test = DriftTest(Familiarity.fit(calibration))
    streams = {m: walk(200, 10 + i, shift=-5.0 * (m == "lidar")) for i, m in enumerate(calibration)}
    for i in range(200):
        test.update({m: stream[i] for m, stream in streams.items()})
    assert test.suspects == ("lidar",) and test.strength["lidar"] > 60 > test.strength["camera"]
