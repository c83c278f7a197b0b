"""Three synthetic worlds, the regimes, on which fusions are compared.

Each place has one signal for each of three sensors: a Gaussian vector of variance 1. A visit measures the signals with
new Gaussian noise, and with some of the sensors off. The regimes differ in the signals and in the noise:

    complementary  the world has three districts, and each sensor is blind in one of them: all places there look alike
    redundant      all sensors have the same signal, with independent noise
    strong_weak    each sensor has its own signal; one sensor has little noise, the two others have much

The map is made of some laps through all places. As many later laps are the queries: those at one half of the places
calibrate, and those at the other half are the test. The map holds the places of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.calibration.task import Task, Trial
from any2any_ros.config import Settings, setting
from any2any_ros.data.availability import sensors_off
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet

MODALITIES = ("a", "b", "c")
SPACING = 10.0  # metres between neighbouring places
FOLDS = 4
# Standard deviation of the noise of each sensor; that of the signal is 1.
NOISE = {
    "complementary": (1.0, 1.0, 1.0),
    "redundant": (1.4, 1.4, 1.4),
    "strong_weak": (1.0, 4.0, 4.0),
}


@dataclass(frozen=True)
class RegimeConfig(Settings):
    """Size of such a world, and how many of its sensors are off."""

    places: int = setting(300, "number of places, half of them for the test", minimum=2 * FOLDS)
    laps: int = setting(2, "visits of each place, for the map and again for the queries", minimum=1)
    dimension: int = setting(32, "length of the vector of a sensor", minimum=1)
    missing: float = setting(0.5, "share of the sensors that are off, drawn for each visit", minimum=0.0, maximum=0.95)
    empty: bool = setting(False, "whether a visit may have all of its sensors off")


def make(regime: str, seed: int, config: RegimeConfig = RegimeConfig()) -> Trial:
    """Return a world of the regime (a key of NOISE), drawn by `seed`. Raises Any2AnyError for an unknown regime."""
    if regime not in NOISE:
        raise Any2AnyError(f"There is no regime '{regime}'", f"known are {', '.join(NOISE)}", "Choose one")
    draw = np.random.default_rng(seed)
    signals = _signals(regime, draw, config)
    shuffled = draw.permutation(config.places)
    halves = {"calibration": shuffled[: config.places // 2], "test": shuffled[config.places // 2 :]}
    visits = {name: np.tile(places, config.laps) for name, places in halves.items()}
    mapped = np.tile(np.arange(config.places), config.laps)

    def visit(name: str, places: Rows) -> ObservationSet:
        return _visit(name, signals, places, NOISE[regime], draw, config)

    def task(name: str) -> Task:
        folds = np.tile(np.arange(len(halves[name])) % FOLDS, config.laps)
        right = visits[name][:, None] == mapped
        return Task(visit(name, visits[name]), right, folds=folds, same_place=SPACING / 2)

    return Trial(visit("map", mapped), task("calibration"), task("test"))


def _signals(regime: str, draw: np.random.Generator, config: RegimeConfig) -> Float64:
    """Return the signal of each sensor at each place (M, places, D)."""
    signals = draw.normal(size=(len(MODALITIES), config.places, config.dimension))
    if regime == "redundant":
        signals[:] = signals[0]
    if regime == "complementary":
        district = draw.integers(len(MODALITIES), size=config.places)
        for sensor in range(len(MODALITIES)):
            signals[sensor, district == sensor] = draw.normal(size=config.dimension)
    return signals


def _visit(
    name: str, signals: Float64, places: Rows, noise: tuple[float, ...], draw: np.random.Generator, config: RegimeConfig
) -> ObservationSet:
    measured = signals[:, places]
    measured = measured + np.reshape(noise, (-1, 1, 1)) * draw.normal(size=measured.shape)
    measured[sensors_off(len(places), len(MODALITIES), config.missing, draw, config.empty).T] = np.nan
    poses = np.tile(np.eye(4), (len(places), 1, 1))
    poses[:, 0, 3] = SPACING * places
    ids = tuple(f"{name}/{i:06d}" for i in range(len(places)))
    return ObservationSet(dict(zip(MODALITIES, measured, strict=True)), poses, ids)
