"""Three made-up worlds for judging fusions: sensors that complement, repeat, or outclass one another.

Each place has something to see for each of three sensors, a Gaussian vector of unit variance. A visit sees it with
Gaussian noise of its own, and with some of the sensors off. Only what there is to see, and the noise, differ:

    complementary  the world has three districts, and each sensor is blind in one: all places there look alike to it
    redundant      all sensors see the same thing, with independent noise
    strong_weak    every sensor sees its own thing; one of them well, the two others hardly

The map is made of some laps through all places; as many later laps are the queries, those at one half of the places
for calibration and those at the other half for the test. The map holds the places of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Flags, Float64, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.data.availability import sensors_off
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet

MODALITIES = ("a", "b", "c")
SPACING = 10.0  # metres between neighbouring places
FOLDS = 4
# Standard deviation of each sensor's noise, in units of what there is to see.
NOISE = {
    "complementary": (1.0, 1.0, 1.0),
    "redundant": (1.4, 1.4, 1.4),
    "strong_weak": (1.0, 4.0, 4.0),
}


@dataclass(frozen=True)
class RegimeConfig(Settings):
    """How large such a world is, and how much of it is seen."""

    places: int = setting(300, "places, half of them for the test", minimum=2 * FOLDS)
    laps: int = setting(2, "visits of every place, for the map and again for the queries", minimum=1)
    dimension: int = setting(32, "length of a sensor's vector", minimum=1)
    missing: float = setting(0.5, "share of the sensors that are off, drawn for each visit", minimum=0.0, maximum=0.95)
    empty: bool = setting(False, "whether a visit may have all of its sensors off")


@dataclass(frozen=True, eq=False)
class Trial:
    """A map and two sets of queries that share no place, with the right references (Q, R) of each.

    folds (Q,): calibration queries of one number are judged together (retrieval/calibration.py).
    """

    name: str
    reference: ObservationSet
    calibration: ObservationSet
    calibration_positive: Flags
    folds: Rows
    test: ObservationSet
    test_positive: Flags


def make(regime: str, seed: int, config: RegimeConfig = RegimeConfig()) -> Trial:
    """Return the world `regime` (a key of NOISE) of this seed; raise Any2AnyError when there is no such regime."""
    if regime not in NOISE:
        raise Any2AnyError(f"There is no regime '{regime}'", f"known are {', '.join(NOISE)}", "Choose one")
    draw = np.random.default_rng(seed)
    to_see = _to_see(regime, draw, config)
    shuffled = draw.permutation(config.places)
    chosen = {"calibration": shuffled[: config.places // 2], "test": shuffled[config.places // 2 :]}
    visits = {name: np.tile(places, config.laps) for name, places in chosen.items()}
    mapped = np.tile(np.arange(config.places), config.laps)

    def visit(name: str, places: Rows) -> ObservationSet:
        return _visit(name, to_see, places, NOISE[regime], draw, config)

    return Trial(
        regime,
        visit("map", mapped),
        visit("calibration", visits["calibration"]),
        visits["calibration"][:, None] == mapped,
        np.tile(np.arange(len(chosen["calibration"])) % FOLDS, config.laps),
        visit("test", visits["test"]),
        visits["test"][:, None] == mapped,
    )


def _to_see(regime: str, draw: np.random.Generator, config: RegimeConfig) -> Float64:
    """Return what there is to see for each sensor at each place (M, places, D)."""
    own = draw.normal(size=(len(MODALITIES), config.places, config.dimension))
    if regime == "redundant":
        own[:] = own[0]
    if regime == "complementary":
        district = draw.integers(len(MODALITIES), size=config.places)
        for sensor in range(len(MODALITIES)):
            own[sensor, district == sensor] = draw.normal(size=config.dimension)
    return own


def _visit(
    name: str, to_see: Float64, places: Rows, noise: tuple[float, ...], draw: np.random.Generator, config: RegimeConfig
) -> ObservationSet:
    seen = to_see[:, places]
    seen = seen + np.reshape(noise, (-1, 1, 1)) * draw.normal(size=seen.shape)
    seen[sensors_off(len(places), len(MODALITIES), config.missing, draw, config.empty).T] = np.nan
    poses = np.tile(np.eye(4), (len(places), 1, 1))
    poses[:, 0, 3] = SPACING * places
    ids = tuple(f"{name}/{i:06d}" for i in range(len(places)))
    return ObservationSet(dict(zip(MODALITIES, seen, strict=True)), poses, ids)
