"""Builds the town: landmarks first, then the houses of each street, then what stands on the pavements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from any2any_ros.sim.town.buildings import PROTOTYPES, SHOP_SIGNS
from any2any_ros.sim.town.landmarks import place_landmarks
from any2any_ros.sim.town.lots import alley, car_park, garden, house, twin
from any2any_ros.sim.town.plan import HUMS, MARGIN, Front, Plan, lay_roads
from any2any_ros.sim.town.settings import TownConfig

AMBIENT = ("hum", "hum", "hum", "generator", "traffic", "birds", "music", "chatter", "water", "workshop")
WEIGHTS = np.array([p.weight for p in PROTOTYPES]) / sum(p.weight for p in PROTOTYPES)
FURNITURE = ("sign", "sign", "bin", "planter", "bench")


def build_town(config: TownConfig) -> Plan:
    """Return the finished plan of the town."""
    plan = lay_roads(config)
    place_landmarks(plan, config.squares)
    for front in plan.fronts:
        _fill(plan, front, config.likeness)
    for front in plan.fronts:
        _furnish(plan, front)
        _sound_sources(plan, front, config.sources)
    for front in plan.fronts:
        if front.street.square < 0 and front.side > 0:
            _close(plan, front)
        _second_row(plan, front)
    return plan


def _fill(plan: Plan, front: Front, likeness: float) -> None:
    """Build lots along one front, from its first to its last metre."""
    at, end = MARGIN - 0.2, front.street.length - (MARGIN if front.street.square >= 0 else 0.0)
    while at < end - 2.0:
        at += _next_lot(plan, front, at, end, likeness) or 1.0


def _next_lot(plan: Plan, front: Front, at: float, end: float, likeness: float) -> float:
    """Build the next lot. Return its width in metres, 0 when it does not fit."""
    draw = plan.rng.random()
    if draw < 0.10:
        return alley(plan, front, at)
    if draw < 0.22:
        return garden(plan, front, at, end)
    if draw < 0.29:
        return car_park(plan, front, at, end)
    previous = plan.things[-1]
    if previous.storeys and plan.rng.random() < likeness:
        return twin(plan, front, at, end, previous)
    return house(plan, front, at, end, PROTOTYPES[int(plan.rng.choice(len(PROTOTYPES), p=WEIGHTS))])


def _furnish(plan: Plan, front: Front) -> None:
    """Put lamps, trees, signs, bins and bus shelters on the pavement."""
    rng, kerb = plan.rng, 0.4 - front.road.pavement
    leafy = rng.random() < 0.3 and front.road.half > 3
    for s in np.arange(MARGIN + 1, front.street.length - MARGIN, 4.5).tolist():
        at, draw = front.at(s + rng.uniform(-1.2, 1.2), kerb), rng.random()
        if draw < 0.2:
            plan.add("lamp", at, front.facing, (0.2, 0.2, 5.0))
        elif draw < 0.3 or (leafy and draw < 0.75):
            plan.add("tree", at, 0.0, (3.0, 3.2, float(rng.uniform(5, 7))))
        elif draw < 0.83:
            plan.add(plan.pick(FURNITURE), at, front.facing, (0.5, 1.0, 1.0), colour=plan.pick(SHOP_SIGNS))
        elif draw < 0.87 and front.road.half > 3:
            plan.add("bus shelter", front.at(s, -0.7), front.facing, (1.2, 3.4, 2.3))


def _sound_sources(plan: Plan, front: Front, per_100_m: float) -> None:
    """Add background sounds: fans, traffic, birds, voices; half of them on each side of a street."""
    for _ in range(plan.rng.poisson(per_100_m * front.street.length / 200)):
        at = front.at(float(plan.rng.uniform(0, front.street.length)), 1.0)
        plan.sound(plan.pick(AMBIENT), at, float(plan.rng.choice(HUMS)))


def _close(plan: Plan, front: Front) -> None:
    """Close a dead-end street with a house across it."""
    end = front.street.at(front.street.length + 4.5)
    look = {
        "colour": plan.pick(("cream", "white", "red")),
        "storeys": 3,
        "material": "plaster",
        "roof": "eaves",
    }
    size = 8.0, 2 * front.line + 6, 9.0
    plan.add("house", end, front.street.heading + np.pi, size, windows=int(plan.rng.integers(3)), **look)


def _second_row(plan: Plan, front: Front) -> None:
    """Put houses and trees behind the first row, so that few gaps show the end of the town."""
    for s in np.arange(2.0, front.street.length, 4.0).tolist():
        back = float(plan.rng.uniform(8, 26))
        if plan.rng.random() < 0.3:
            prototype = PROTOTYPES[int(plan.rng.integers(4))]
            behind = replace(prototype, setbacks=(back,), shops=0.0)
            house(plan, front, s, front.street.length + 8, behind)
        elif plan.claim(front.box(s, 3.0, back, 3.0)):
            height = float(plan.rng.uniform(5, 9))
            plan.add("tree", front.at(s + 1.5, back + 1.5), 0.0, (4.0, 4.0, height))
