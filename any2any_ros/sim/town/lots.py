"""Lots along a street: houses, gardens, alleys and car parks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from any2any_ros.sim.town.buildings import SHOP_SIGNS, SHOPS, Prototype
from any2any_ros.sim.town.plan import HUMS, Front, Plan
from any2any_ros.sim.town.things import Ground, Thing

SHALLOWEST = 3.4  # m, smallest depth of a lot
NARROWEST = 4.0  # m, smallest width of a house


@dataclass(frozen=True)
class Lot:
    """A claimed rectangle on a front, in metres: `width` along it from `start`, `depth` behind `setback`."""

    plan: Plan
    front: Front
    start: float
    width: float
    setback: float
    depth: float

    def at(self, share: float, back: float) -> tuple[float, float]:
        """Return the point (x, y) at a share of the width, `back` metres behind the front line."""
        return self.front.at(self.start + share * self.width, back)

    @property
    def middle(self) -> tuple[float, float]:
        return self.at(0.5, self.setback + self.depth / 2)

    def add(self, kind: str, at: tuple[float, float], size: tuple[float, float, float], **more: object) -> None:
        """Add a thing that faces the street."""
        self.plan.add(kind, at, self.front.facing, size, **more)

    def pave(self, kind: str) -> None:
        box = self.front.box(self.start, self.width, self.setback, self.depth)
        self.plan.ground.append(Ground(kind, box, 0.02, self.front.street.heading))


def claim(plan: Plan, front: Front, start: float, width: float, deepest: float, setback: float = 0.0) -> Lot | None:
    """Claim the deepest lot that is free there; None when there is no room."""
    for depth in np.arange(deepest, SHALLOWEST, -1.5).tolist():
        if plan.claim(front.box(start, width, setback, depth)):
            return Lot(plan, front, start, width, setback, depth)
    return None


def house(plan: Plan, front: Front, start: float, end: float, prototype: Prototype) -> float:
    """Build a house of this kind. Return its width in metres, 0 when it does not fit before `end`."""
    rng = plan.rng
    width = min(float(rng.choice(prototype.widths)), end - start)
    setback = float(rng.choice(prototype.setbacks))
    lot = claim(plan, front, start, width, prototype.depth, setback) if width >= NARROWEST else None
    if lot is None:
        return 0.0
    storeys = int(rng.choice(prototype.storeys))
    built = Thing(
        prototype.kind,
        *lot.middle,
        front.facing,
        (lot.depth, width, storeys * (4.2 if prototype.kind == "workshop" else 3.0)),
        plan.pick(prototype.material[1]),
        plan.pick(SHOP_SIGNS),
        storeys,
        prototype.material[0],
        plan.pick(prototype.roofs),
        plan.pick(SHOPS) if rng.random() < prototype.shops else "",
        prototype.windows,
        plan.salt(),
    )
    _settle(lot, built)
    return width


def twin(plan: Plan, front: Front, start: float, end: float, previous: Thing) -> float:
    """Build a twin of the neighbour: the same front, perhaps with another shop. Return its width, 0 without room."""
    depth, width, height = previous.size
    lot = claim(plan, front, start, width, depth) if start + width <= end else None
    if lot is None:
        return 0.0
    (x, y), shop = lot.middle, plan.pick(SHOPS) if previous.shop else ""
    _settle(lot, replace(previous, x=x, y=y, yaw=front.facing, size=(lot.depth, width, height), shop=shop))
    return width


def _settle(lot: Lot, built: Thing) -> None:
    """Build a house, and what stands in front of it."""
    plan = lot.plan
    if 2 < lot.setback < 5:
        boundary(lot)
        plan.add("bush", lot.at(0.8, 0.6 * lot.setback), 0.0, (1.5, 1.5, 1.3))
        if plan.rng.random() < 0.4:
            plan.add("tree", lot.at(0.2, 0.5 * lot.setback), 0.0, (3.0, 3.0, 5.0))
    if built.shop == "café":
        lot.add("café tables", lot.at(0.5, -0.6), (2.0, 4.0, 2.0), colour=built.accent)
        plan.sound("music", lot.at(0.5, 0.0), float(plan.rng.choice(HUMS[3:])))
    if built.kind == "workshop":
        plan.sound("workshop", lot.at(0.5, 0.0), float(plan.rng.choice(HUMS)))
    plan.things.append(built)  # the last thing is the one that a neighbour may copy


def boundary(lot: Lot) -> None:
    """Put a hedge, a wall or a fence around a lot, mostly with a gate."""
    plan, width = lot.plan, lot.width
    kind, colour = plan.pick(("hedge", "garden wall", "fence")), plan.pick(("red", "grey", "sandstone"))
    height = float(plan.rng.choice([0.8, 1.1, 1.6]))
    gate = 0.0 if plan.rng.random() < 0.3 else 1.2 / width
    for first, last in ((0.0, 0.35), (0.35 + gate, 1.0)):
        size = 0.6 if kind == "hedge" else 0.3, (last - first) * width, height
        lot.add(kind, lot.at((first + last) / 2, 0.25), size, colour=colour)


def trees(lot: Lot, count: int) -> None:
    """Plant trees, some with a bush beside them."""
    rng = lot.plan.rng
    for _ in range(count):
        height = float(rng.uniform(4, 9))
        at = lot.at(rng.uniform(0.15, 0.85), rng.uniform(0.2, 0.9) * lot.depth)
        lot.plan.add("tree", at, 0.0, (0.6 * height, 0.6 * height, height))
        if rng.random() < 0.4:
            lot.plan.add("bush", lot.at(rng.uniform(0.1, 0.9), 1.5), 0.0, (1.4, 1.4, 1.2))


def alley(plan: Plan, front: Front, start: float) -> float:
    """Leave a gap between houses, perhaps with a wall. Return its width in metres, 0 without room."""
    width = float(plan.rng.choice([1.4, 2.2, 3.2]))
    lot = claim(plan, front, start, width, 7.0)
    if lot and plan.rng.random() < 0.4:
        lot.add("garden wall", lot.at(0.5, 1.0), (0.3, width, 2.1), colour="red")
    return width if lot else 0.0


def garden(plan: Plan, front: Front, start: float, end: float) -> float:
    width = min(end - start, float(plan.rng.choice([5.0, 7.0, 9.0])))
    lot = claim(plan, front, start, width, 8.0) if width >= 3 else None
    if lot:
        lot.pave("grass")
        boundary(lot)
        trees(lot, int(plan.rng.integers(1, 4)))
    return width if lot else 0.0


def car_park(plan: Plan, front: Front, start: float, end: float) -> float:
    width = min(end - start, 8.0)
    lot = claim(plan, front, start, width, 7.0) if width >= 5 else None
    if lot:
        lot.pave("yard")
        bays = np.arange(1.6, width - 1.0, 2.6) / width
        plan.bays += [(*lot.at(float(share), min(3.0, lot.depth / 2)), front.facing) for share in bays]
        lot.add("garden wall", lot.at(0.5, lot.depth - 0.2), (0.3, width, 2.2), colour="grey")
    return width if lot else 0.0
