"""The town in one lap: the plan, with new cars, people and construction fences, as a scene for rays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.sim.town.buildings import draw_church, draw_house
from any2any_ros.sim.town.conditions import Condition, condition, shade
from any2any_ros.sim.town.furniture import DRAW
from any2any_ros.sim.town.mesh import Kind, Mesh, Scene
from any2any_ros.sim.town.plan import Plan
from any2any_ros.sim.town.route import Lap, drive
from any2any_ros.sim.town.settings import TownConfig
from any2any_ros.sim.town.streets import build_town
from any2any_ros.sim.town.things import COLOURS, Ground, SoundSource, Thing

CAR_COLOURS = ("white", "grey", "dark", "red", "blue", "slate", "steel", "green")
CLEARANCE = 1.7  # m from the robot's path to the middle of a person beside it


@dataclass(frozen=True, eq=False)
class World:
    """All that one lap can measure. The surfaces of the scene name a row of `things`."""

    lap: Lap
    condition: Condition
    things: tuple[Thing, ...]
    scene: Scene
    sources: tuple[SoundSource, ...]


def build_world(config: TownConfig, lap: int) -> World:
    """Return the town in the conditions of one lap."""
    plan, way = build_town(config), drive(config, lap)
    weather = condition(config.first_lap, config.second_lap, config.change * (lap > 0))
    rng = np.random.default_rng([config.seed, 4, lap])
    passing = [*_parked(plan, config, rng), *_works(plan, weather.works, rng)]
    passing += _beside_path(way, config, rng)
    things = (*plan.things, *passing)
    return World(way, weather, things, _draw(plan.ground, things, weather, rng), tuple(plan.sources))


def _vehicle(at: tuple[float, float], yaw: float, kind: str, rng: np.random.Generator) -> Thing:
    size = {
        "car": (4.3, 1.75, 1.48), "van": (5.1, 1.95, 2.25), "lorry": (7.2, 2.3, 3.3),
    }[kind]  # fmt: skip
    scale = rng.uniform(0.93, 1.07, 3) * size
    colour, accent = (CAR_COLOURS[int(i)] for i in rng.integers(len(CAR_COLOURS), size=2))
    return Thing(kind, *at, yaw, (scale[0], scale[1], scale[2]), colour, accent)


def _parked(plan: Plan, config: TownConfig, rng: np.random.Generator) -> list[Thing]:
    """Return the vehicles in the bays. Some bays look the same in both laps, the others are drawn anew."""
    now = _in_bays(plan, config.parked, rng)
    always = _in_bays(plan, config.parked, np.random.default_rng([config.seed, 6]))
    same = np.random.default_rng([config.seed, 7]).random(len(plan.bays)) < config.parked_stay
    chosen = (a if stays else n for a, n, stays in zip(always, now, same, strict=True))
    return [vehicle for vehicle in chosen if vehicle is not None]


def _in_bays(plan: Plan, share: float, rng: np.random.Generator) -> list[Thing | None]:
    """Return what stands in each bay: a vehicle, or nothing."""
    vehicles: list[Thing | None] = []
    for x, y, yaw in plan.bays:
        taken, kind = rng.random() < share, "van" if rng.random() < 0.15 else "car"
        shift, turn = rng.normal(0, 0.3, 2), rng.normal(0, 0.03) + np.pi * rng.integers(2)
        vehicle = _vehicle((x + shift[0] * np.cos(yaw), y + shift[0] * np.sin(yaw)), yaw + turn, kind, rng)
        vehicles.append(vehicle if taken else None)
    return vehicles


def _works(plan: Plan, per_100_m: float, rng: np.random.Generator) -> list[Thing]:
    """Return construction fences along the pavements."""
    fences = []
    for front in plan.fronts:
        if rng.random() < per_100_m * front.street.length / 200:
            length = float(rng.uniform(5, 11))
            s = float(rng.uniform(7, max(8, front.street.length - 7 - length)) + length / 2)
            at = front.at(s, 0.3 - front.road.pavement)
            fences.append(Thing("construction fence", *at, front.facing, (0.1, length, 1.9), "red"))
    return fences


def _beside_path(way: Lap, config: TownConfig, rng: np.random.Generator) -> list[Thing]:
    """Return vans, lorries and groups of people close to the robot, but never in its way."""
    things: list[Thing] = []
    for _ in range(rng.poisson(config.traffic * config.length / 100)):
        i = int(rng.integers(1, len(way.track) - 1))
        step = way.track[i + 1] - way.track[i - 1]
        yaw, side = float(np.arctan2(step[1], step[0])), float(rng.choice([-1, 1]))
        if rng.random() < 0.45:
            aside = side * rng.uniform(2.6, 3.1)
            group = [_vehicle(_beside(way, i, yaw, aside), yaw, "lorry" if rng.random() < 0.4 else "van", rng)]
        else:
            spread = side * rng.uniform(CLEARANCE, 3.6, int(rng.integers(2, 7)))
            group = [_walker(_beside(way, i + int(rng.integers(-12, 13)), yaw, d), rng) for d in spread]
        things += [t for t in group if _clear(way, t)]
    return things


def _beside(way: Lap, i: int, yaw: float, aside: float) -> tuple[float, float]:
    x, y = way.track[min(max(i, 0), len(way.track) - 1)]
    return float(x - aside * np.sin(yaw)), float(y + aside * np.cos(yaw))


def _walker(at: tuple[float, float], rng: np.random.Generator) -> Thing:
    colours = [CAR_COLOURS[int(i)] for i in rng.integers(len(CAR_COLOURS), size=2)]
    return Thing("person", *at, 0.0, (0.5, 0.5, float(rng.uniform(1.55, 1.9))), colours[0], colours[1])


def _clear(way: Lap, thing: Thing) -> bool:
    """Return whether the robot always passes the thing's box at a distance of more than 1 m."""
    away = way.track - [thing.x, thing.y]
    c, s = np.cos(thing.yaw), np.sin(thing.yaw)
    along, across = away @ [c, s], away @ [-s, c]
    gap = np.hypot(np.maximum(np.abs(along) - thing.size[0] / 2, 0), np.maximum(np.abs(across) - thing.size[1] / 2, 0))
    return bool(gap.min() > 1.0)


def _draw(ground: list[Ground], things: tuple[Thing, ...], weather: Condition, rng: np.random.Generator) -> Scene:
    mesh = Mesh()
    for patch in ground:
        _draw_ground(mesh, patch, weather)
    for i, thing in enumerate(things):
        mesh.begin(i, thing.x, thing.y, thing.yaw)
        if thing.kind in DRAW:
            DRAW[thing.kind](mesh, thing, weather)
        else:
            draw = draw_church if thing.kind == "church" else draw_house
            draw(mesh, thing, bool(rng.random() < weather.shut))
    return mesh.finish()


_GROUND = {
    "base": (Kind.PAVING, (0.30, 0.29, 0.27), 0.25),
    "meadow": (Kind.GRASS, (0.22, 0.27, 0.10), 0.4),
    "yard": (Kind.PAVING, (0.36, 0.34, 0.31), 0.3),
    "pavement": (Kind.PAVING, (0.40, 0.40, 0.39), 0.35),
    "road": (Kind.ROAD, COLOURS["asphalt"], 0.15),
    "crossing": (Kind.ROAD, COLOURS["asphalt"], 0.15),
    "grass": (Kind.GRASS, (0.13, 0.24, 0.06), 0.4),
}


def _draw_ground(mesh: Mesh, patch: Ground, weather: Condition) -> None:
    kind, colour, reflectance = _GROUND[patch.kind]
    x0, y0, x1, y1 = patch.box
    centre, size = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), np.array([x1 - x0, y1 - y0])
    ahead = np.array([np.cos(patch.heading), np.sin(patch.heading)])
    length = float(np.abs(size @ ahead))
    marks = {
        "origin": (*(centre - ahead * length / 2), 0.0),
        "axis": ahead,
        "length": length,
        "width": float(size.sum()) - length,
        "marks": patch.marks,
    }
    dark = 1 - 0.35 * min(weather.wet, 1.0)
    surface = mesh.surface(kind, shade(colour, dark), reflectance=reflectance, **marks)
    if patch.z > 0.05:
        mesh.box((*centre, 0.0), (*size, patch.z), surface)
    else:
        mesh.quad([(x0, y0, patch.z), (x1, y0, patch.z), (x1, y1, patch.z), (x0, y1, patch.z)], surface)
