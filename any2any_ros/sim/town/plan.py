"""The plan of the town, which both laps share: roads, and the fronts along them on which lots are built."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from any2any_ros.sim.town.route import Street, corners, streets
from any2any_ros.sim.town.settings import TownConfig
from any2any_ros.sim.town.things import Ground, SoundSource, Thing

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in metres

CROSSING = 4.4  # m, half the width of the open square where streets meet
MARGIN = 6.2  # m from a corner to the first house
PARKING = 2.0  # m, width of a parking lane
HUMS = (55.0, 73.0, 98.0, 131.0, 175.0, 220.0, 294.0, 392.0)  # Hz, of fans, machines and bells


@dataclass(frozen=True)
class Road:
    """Widths of a street in metres: half its carriageway, and its pavement. parking: sides with bays (+1 = left)."""

    half: float
    pavement: float
    parking: tuple[int, ...]


ROADS = (Road(2.8, 1.3, ()), Road(4.4, 1.4, (1,)), Road(4.4, 1.4, (-1,)), Road(4.4, 1.7, (1, -1)))


@dataclass(frozen=True)
class Front:
    """One side of a street (+1 = left, -1 = right), behind which lots lie."""

    street: Street
    road: Road
    side: int

    @property
    def line(self) -> float:
        """Metres from the centre line of the street to the lots."""
        return self.road.half + self.road.pavement

    @property
    def facing(self) -> float:
        """Direction from a lot to the street, in radians."""
        return self.street.heading - self.side * np.pi / 2

    def at(self, s: float, back: float) -> tuple[float, float]:
        """Return the point (x, y) `s` metres along the street and `back` metres behind the front line."""
        return self.street.at(s, self.side * (self.line + back))

    def box(self, s: float, width: float, back: float, depth: float) -> Box:
        """Return the rectangle of a lot: `width` along the street from `s`, `depth` behind `back` (m)."""
        (xa, ya), (xb, yb) = self.at(s, back), self.at(s + width, back + depth)
        return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)


@dataclass
class Plan:
    """What both laps share: things, ground, sound sources, fronts, and parking bays (x, y, yaw)."""

    rng: np.random.Generator
    things: list[Thing] = field(default_factory=list)
    ground: list[Ground] = field(default_factory=list)
    sources: list[SoundSource] = field(default_factory=list)
    fronts: list[Front] = field(default_factory=list)
    bays: list[tuple[float, float, float]] = field(default_factory=list)
    taken: list[Box] = field(default_factory=list)

    def free(self, box: Box) -> bool:
        """Return whether the box is still free. Boxes may touch."""
        x0, y0, x1, y1 = np.array(self.taken or [(0, 0, 0, 0)]).T
        slack = 0.05
        overlap = (x0 < box[2] - slack) & (x1 > box[0] + slack) & (y0 < box[3] - slack) & (y1 > box[1] + slack)
        return not overlap.any()

    def claim(self, box: Box) -> bool:
        """Claim the box if it is free. Return whether it was."""
        if not self.free(box):
            return False
        self.taken.append(box)
        return True

    def salt(self) -> int:
        """Return a new seed for the details of a thing."""
        return int(self.rng.integers(2**31 - 1))

    def pick(self, choices: tuple[str, ...]) -> str:
        """Return one of the choices, drawn at random."""
        return choices[int(self.rng.integers(len(choices)))]

    def add(
        self, kind: str, at: tuple[float, float], yaw: float, size: tuple[float, float, float], **more: object
    ) -> None:
        """Add a thing at (x, y) with a new seed. more: further fields of Thing."""
        self.things.append(Thing(kind, *at, yaw, size, salt=self.salt(), **more))  # type: ignore[arg-type]

    def sound(self, kind: str, at: tuple[float, float], pitch: float = 0.0) -> None:
        """Add a sound source, about as loud as the others. pitch: Hz."""
        self.sources.append(SoundSource(kind, *at, pitch, float(self.rng.normal(0, 3)), self.salt()))


def lay_roads(config: TownConfig) -> Plan:
    """Return a plan with all roads, parking bays and fronts. No house is built yet."""
    plan = Plan(np.random.default_rng([config.seed, 3]))
    network = streets(corners(config))
    side_streets = _side_streets(config, plan.rng)
    _surroundings(plan, network)
    for street in [*network, *side_streets]:
        road = ROADS[int(plan.rng.choice(4, p=[0.34, 0.24, 0.24, 0.18]))]
        _lay_road(plan, street, road, street in side_streets)
    for x0, y0 in sorted({s.start for s in network} | {s.end for s in network}):
        plan.ground.append(Ground("crossing", (x0 - CROSSING, y0 - CROSSING, x0 + CROSSING, y0 + CROSSING), 0.0))
    return plan


def _surroundings(plan: Plan, network: list[Street]) -> None:
    """Add a meadow under the town, and hills around it that are out of the LiDAR's range."""
    ends = np.array([p for s in network for p in (s.start, s.end)])
    low, high = ends.min(axis=0) - 400, ends.max(axis=0) + 400
    plan.ground.append(Ground("meadow", (low[0], low[1], high[0], high[1]), -0.1))
    for angle in np.linspace(0, 2 * np.pi, 40, endpoint=False):
        away = ends @ [np.cos(angle), np.sin(angle)]
        x, y = ends[int(away.argmax())] + plan.rng.uniform(170, 230) * np.array([np.cos(angle), np.sin(angle)])
        size = float(plan.rng.uniform(90, 130))
        plan.add("hill", (float(x), float(y)), 0.0, (size, size, float(plan.rng.uniform(16, 30))))


def _side_streets(config: TownConfig, rng: np.random.Generator) -> list[Street]:
    """Return dead-end streets that lead outwards from the outer corners of the blocks."""
    chain = corners(config).tolist()
    ends = []
    for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(chain)):
        ends += [(x0, y1, -1, 0), (x0, y1, 0, 1), (x1, y0, 1, 0), (x1, y0, 0, -1)]
        if i == 0:
            ends += [(x0, y0, -1, 0), (x0, y0, 0, -1)]
        if i == config.squares - 1:
            ends += [(x1, y1, 1, 0), (x1, y1, 0, 1)]
    side_streets = []
    for x, y, dx, dy in ends:
        length = float(rng.uniform(14, 0.9 * config.block))
        if rng.random() < 0.75:
            side_streets.append(Street(-1, "side", (x, y), (x + dx * length, y + dy * length)))
    return side_streets


def _road_box(street: Street, half: float) -> Box:
    (xa, ya), (xb, yb) = street.at(0, -half), street.at(street.length, half)
    return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)


def _lay_road(plan: Plan, street: Street, road: Road, dead_end: bool) -> None:
    """Add carriageway, pavements, bays and fronts of one street, and claim its ground."""
    far = street.length if dead_end else street.length - CROSSING
    plan.taken.append(_road_box(street, road.half + road.pavement))
    # Each street lies 0.1 mm higher than the one before: two surfaces at one height would be drawn as a mixture.
    above = 1e-4 * len(plan.fronts)
    plan.ground.append(Ground("base", _road_box(street, 18.0), above - 0.05))
    strip = Street(street.square, street.side, street.at(CROSSING), street.at(far))
    marks = 1 + int(plan.rng.random() < 0.4)
    plan.ground.append(Ground("road", _road_box(strip, road.half), above, street.heading, marks))
    for side in (1, -1):
        front = Front(street, road, side)
        plan.fronts.append(front)
        pavement = front.box(CROSSING, far - CROSSING, -road.pavement, road.pavement)
        plan.ground.append(Ground("pavement", pavement, 0.12 + above))
        if side in road.parking:
            at = np.arange(MARGIN + 3.5, far - 4.5, 5.8)
            plan.bays += [(*street.at(float(s), side * (road.half - PARKING / 2)), street.heading) for s in at]
