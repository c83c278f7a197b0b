"""What one lap meets that the other does not: parked cars."""

from __future__ import annotations

from dataclasses import replace

import pytest

from any2any_ros.sim.town import TownConfig
from any2any_ros.sim.town.things import Thing
from any2any_ros.sim.town.world import build_world

CONFIG = TownConfig(places=240, squares=3, traffic=0, parked=0.6)


def parked(config: TownConfig, lap: int) -> set[Thing]:
    return {thing for thing in build_world(config, lap).things if thing.kind in ("car", "van")}


@pytest.mark.parametrize(("share", "fewest", "most"), [(0.0, 0.0, 0.0), (0.5, 0.3, 0.7), (1.0, 1.0, 1.0)])
def test_a_share_of_the_bays_looks_the_same_in_both_laps(share, fewest, most):
    config = replace(CONFIG, parked_stay=share)
    first, second = parked(config, 0), parked(config, 1)
    assert len(first) > 20
    assert fewest <= len(first & second) / len(first) <= most


def test_as_many_bays_are_taken_whether_cars_stay_or_not():
    counts = [len(parked(replace(CONFIG, parked_stay=share), 1)) for share in (0.0, 0.5, 1.0)]
    assert max(counts) < 1.5 * min(counts)
