"""Landmarks: lots that a passer-by would name. The town has several of most kinds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from any2any_ros.sim.town.buildings import PROTOTYPES, SHOP_SIGNS
from any2any_ros.sim.town.lots import Lot, boundary, claim, house, trees
from any2any_ros.sim.town.plan import HUMS, MARGIN, Front, Plan


def place_landmarks(plan: Plan, squares: int) -> None:
    """Put three landmarks on every two blocks."""
    # The left of a block's streets is its outer side, where there is room.
    outer = [f for f in plan.fronts if f.street.square >= 0 and f.side > 0]
    kinds = [LANDMARKS[i % len(LANDMARKS)] for i in range(int(1.5 * squares) + 1)]
    order = plan.rng.permutation(len(outer))[: len(kinds)]
    for which, index in zip(plan.rng.permutation(len(kinds)), order, strict=False):
        front = outer[int(index)]
        for start in plan.rng.permutation(np.arange(MARGIN, front.street.length - MARGIN, 1.0)).tolist():
            if kinds[int(which)](plan, front, start):
                break


def _church(plan: Plan, front: Front, start: float) -> bool:
    lot = claim(plan, front, start, 10.0, 15.0, setback=2.0)
    if lot:
        lot.add("church", lot.middle, (lot.depth, lot.width - 1, 7.0), colour="sandstone")
        plan.sound("bells", lot.at(0.5, 3.0), float(plan.rng.choice(HUMS[5:])))
        plan.sound("organ", lot.at(0.5, 6.0), float(plan.rng.choice(HUMS[2:5])))
    return lot is not None


def _market(plan: Plan, front: Front, start: float) -> bool:
    lot = claim(plan, front, start, 13.0, 12.0)
    if lot:
        lot.pave("yard")
        centre = plan.pick(("fountain", "fountain", "statue"))
        lot.add(centre, lot.middle, (4.0, 4.0, 2.0))
        plan.sound("water" if centre == "fountain" else "chatter", lot.middle)
        lot.add("bench", lot.at(0.2, 0.6 * lot.depth), (0.5, 1.7, 1.0))
        lot.add("kiosk", lot.at(0.85, 0.3 * lot.depth), (2.0, 2.4, 2.4), colour=plan.pick(SHOP_SIGNS))
        trees(lot, 2)
    return lot is not None


def _park(plan: Plan, front: Front, start: float) -> bool:
    lot = claim(plan, front, start, 15.0, 14.0)
    if lot:
        lot.pave("grass")
        trees(lot, 7)
        lot.add("bench", lot.at(0.5, 1.5), (0.5, 1.7, 1.0))
        plan.sound("birds", lot.middle)
    return lot is not None


def _school(plan: Plan, front: Front, start: float) -> bool:
    lot = claim(plan, front, start, 13.0, 8.0, setback=5.0)
    if lot:
        size = lot.depth, lot.width, 6.4
        look = {"colour": "yellow", "accent": "green", "storeys": 2, "material": "plaster", "roof": "eaves"}
        lot.add("school", lot.middle, size, windows=2, **look)
        boundary(Lot(plan, front, start, lot.width, 0.0, 4.0))
        plan.sound("schoolyard", lot.at(0.5, 3.0))
    return lot is not None


def _works(plan: Plan, front: Front, start: float) -> bool:
    """Place a building site, which is there in both laps."""
    lot = claim(plan, front, start, 10.0, 9.0)
    if lot:
        lot.pave("yard")
        lot.add("construction fence", lot.at(0.5, 0.2), (0.1, lot.width, 2.0))
        lorry = lot.at(0.5, 0.6 * lot.depth)
        plan.add("lorry", lorry, front.street.heading, (7.0, 2.4, 3.2), colour="orange")
        plan.sound("construction", lot.at(0.5, 3.0), float(plan.rng.choice(HUMS)))
    return lot is not None


def _workshop(plan: Plan, front: Front, start: float) -> bool:
    workshop = next(p for p in PROTOTYPES if p.kind == "workshop")
    return house(plan, front, start, front.street.length - MARGIN, workshop) > 0


LANDMARKS: tuple[Callable[[Plan, Front, float], bool], ...] = (
    _church, _market, _park, _school, _works, _park, _market, _workshop,
)  # fmt: skip
