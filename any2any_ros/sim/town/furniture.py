"""Things smaller than a house: trees, walls, lamps, cars, people. Each is drawn in its own frame; x is its front."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from any2any_ros.sim.town.conditions import Condition, shade
from any2any_ros.sim.town.mesh import Kind, Mesh
from any2any_ros.sim.town.things import COLOURS, Thing


def _tree(mesh: Mesh, thing: Thing, condition: Condition) -> None:
    rng = np.random.default_rng(thing.salt)
    spread, height = thing.size[1:]
    trunk = mesh.plain(COLOURS["wood"], 0.25)
    mesh.cylinder((0, 0, 0), 0.05 * height * rng.uniform(0.5, 0.9), 0.7 * height, trunk, top=0.05)
    tone = rng.uniform(0.75, 1.25)
    leaves = mesh.surface(Kind.LEAVES, shade(condition.leaf, tone), reflectance=0.35, salt=thing.salt)
    crown = 0.30 * height
    for _ in range(5):
        at = rng.uniform(-0.35, 0.35, 3) * [spread, spread, 0.5 * height] + [0, 0, crown + 0.38 * height]
        mesh.blob(at, [0.42 * spread, 0.42 * spread, 0.24 * height], leaves, rng, condition.leaf_density)


def _bush(mesh: Mesh, thing: Thing, condition: Condition) -> None:
    rng = np.random.default_rng(thing.salt)
    leaves = mesh.surface(Kind.LEAVES, condition.leaf, reflectance=0.35, salt=thing.salt)
    mesh.blob((0, 0, 0.4 * thing.size[2]), np.array(thing.size) * [0.5, 0.5, 0.6], leaves, rng, 0.95)


def _hedge(mesh: Mesh, thing: Thing, condition: Condition) -> None:
    leaves = mesh.surface(Kind.LEAVES, shade(condition.leaf, 0.8), reflectance=0.35, salt=thing.salt)
    mesh.box((0, 0, 0), thing.size, leaves)


def _wall(mesh: Mesh, thing: Thing, _: Condition) -> None:
    surface = mesh.surface(Kind.MASONRY, COLOURS[thing.colour], reflectance=0.35, salt=thing.salt)
    mesh.box((0, 0, 0), thing.size, surface)


def _fence(mesh: Mesh, thing: Thing, _: Condition) -> None:
    """Draw pickets with gaps, through which some rays pass."""
    width, height = thing.size[1:]
    surface = mesh.plain(COLOURS[thing.colour], 0.3)
    for y in np.arange(-width / 2, width / 2, 0.32):
        mesh.box((0, float(y), 0), (0.05, 0.12, height), surface)
    mesh.box((0, 0, 0.6 * height), (0.06, width, 0.1), surface)


def _lamp(mesh: Mesh, thing: Thing, _: Condition) -> None:
    metal = mesh.plain(COLOURS["steel"], 0.4)
    mesh.cylinder((0, 0, 0), 0.09, thing.size[2], metal, sides=5)
    mesh.box((0.45, 0, thing.size[2]), (1.1, 0.25, 0.15), metal)


def _sign(mesh: Mesh, thing: Thing, _: Condition) -> None:
    mesh.cylinder((0, 0, 0), 0.04, 2.1, mesh.plain(COLOURS["steel"], 0.4), sides=4)
    mesh.box((0.05, 0, 2.1), (0.04, 0.6, 0.6), mesh.plain(COLOURS[thing.colour], 0.9))


def _bench(mesh: Mesh, thing: Thing, _: Condition) -> None:
    wood = mesh.plain(COLOURS["wood"], 0.3)
    mesh.box((0, 0, 0.4), (0.45, 1.7, 0.08), wood)
    mesh.box((-0.2, 0, 0.5), (0.06, 1.7, 0.4), wood)
    mesh.box((0, 0, 0), (0.3, 1.3, 0.4), mesh.plain(COLOURS["steel"]))


def _bin(mesh: Mesh, thing: Thing, _: Condition) -> None:
    mesh.cylinder((0, 0, 0), 0.3, 0.95, mesh.plain(COLOURS[thing.colour], 0.3))


def _planter(mesh: Mesh, thing: Thing, condition: Condition) -> None:
    mesh.box((0, 0, 0), (0.8, 1.6, 0.55), mesh.plain(COLOURS["concrete"], 0.35))
    leaves = mesh.surface(Kind.LEAVES, condition.leaf, salt=thing.salt)
    mesh.blob((0, 0, 0.7), (0.4, 0.75, 0.4), leaves, np.random.default_rng(thing.salt), 0.9)


def _kiosk(mesh: Mesh, thing: Thing, _: Condition) -> None:
    mesh.box((0, 0, 0), (2.0, 2.4, 2.4), mesh.plain(COLOURS[thing.colour], 0.5))
    mesh.box((0.1, 0, 2.4), (2.6, 2.9, 0.2), mesh.plain(COLOURS["slate"]))
    mesh.box((0.9, 0, 1.0), (0.3, 1.6, 0.9), mesh.plain(COLOURS["dark"], 0.1))


def _shelter(mesh: Mesh, thing: Thing, _: Condition) -> None:
    glass = mesh.plain(COLOURS["pale blue"], 0.15)
    mesh.box((-0.6, 0, 0), (0.06, 3.4, 2.3), glass)
    mesh.box((0, -1.7, 0), (1.2, 0.06, 2.3), glass)
    mesh.box((0, 0, 2.3), (1.6, 3.8, 0.12), mesh.plain(COLOURS["steel"]))
    mesh.box((-0.3, 0, 0), (0.4, 2.2, 0.5), mesh.plain(COLOURS["wood"]))


def _fountain(mesh: Mesh, thing: Thing, _: Condition) -> None:
    stone = mesh.plain(COLOURS["sandstone"], 0.4)
    radius = thing.size[1] / 2
    mesh.cylinder((0, 0, 0), radius, 0.6, stone, sides=10)
    mesh.cylinder((0, 0, 0.6), 0.3, 1.2, stone)
    mesh.cylinder((0, 0, 1.8), 0.3, 0.3, mesh.plain(COLOURS["pale blue"], 0.1), sides=8, top=1.0)


def _statue(mesh: Mesh, thing: Thing, _: Condition) -> None:
    mesh.box((0, 0, 0), (1.3, 1.3, 1.5), mesh.plain(COLOURS["sandstone"], 0.4))
    mesh.cylinder((0, 0, 1.5), 0.35, 1.9, mesh.plain(COLOURS["green"], 0.3), top=0.2)


def _tables(mesh: Mesh, thing: Thing, _: Condition) -> None:
    for y in (-1.6, 0.0, 1.6):
        mesh.cylinder((0, y, 0), 0.4, 0.75, mesh.plain(COLOURS["wood"], 0.3), top=0.42)
    mesh.cylinder((0, 0, 0.75), 0.03, 1.6, mesh.plain(COLOURS["steel"]), sides=4)
    mesh.cylinder((0, 0, 2.1), 1.5, 0.5, mesh.plain(COLOURS[thing.colour], 0.5), sides=8, top=0.05)


def _works(mesh: Mesh, thing: Thing, _: Condition) -> None:
    """Draw a construction fence."""
    width, height = thing.size[1:]
    surface = mesh.surface(Kind.STRIPES, COLOURS["red"], accent=COLOURS["white"], reflectance=0.7)
    mesh.box((0, 0, 0.1), (0.08, width, height), surface)
    for y in (-width / 2, 0.0, width / 2):
        mesh.box((0, y, 0), (0.7, 0.25, 0.12), mesh.plain(COLOURS["concrete"]))


def _hill(mesh: Mesh, thing: Thing, condition: Condition) -> None:
    surface = mesh.surface(Kind.LEAVES, condition.leaf, salt=thing.salt)
    mesh.blob((0, 0, 0), np.array(thing.size) * [0.5, 0.5, 1.0], surface, np.random.default_rng(thing.salt), 1.0)


def _prism(mesh: Mesh, profile: list[tuple[float, float]], width: float, surface: int) -> None:
    """Extend a convex outline (x, z) across the width of the vehicle."""
    n = len(profile)
    v = [(x, y, z) for y in (-width / 2, width / 2) for x, z in profile]
    sides = [[i, (i + 1) % n, n + (i + 1) % n] for i in range(n)] + [[i, n + (i + 1) % n, n + i] for i in range(n)]
    caps = [[k, k + i, k + i + 1] for k in (0, n) for i in range(1, n - 1)]
    mesh.add(v, sides + caps, surface)


def _wheels(mesh: Mesh, length: float, width: float) -> None:
    tyre = mesh.plain(COLOURS["dark"], 0.08)
    for x in (-0.32 * length, 0.32 * length):
        mesh.box((x, 0, 0), (0.62, width + 0.02, 0.6), tyre)


def _car(mesh: Mesh, thing: Thing, _: Condition) -> None:
    length, width, height = thing.size
    paint, glass = mesh.plain(COLOURS[thing.colour], 0.55), mesh.plain(COLOURS["dark"], 0.1)
    x, belt = length / 2, 0.58 * height
    _prism(mesh, [(-x, 0.3), (x, 0.3), (x, 0.5 * height), (0.4 * x, belt), (-x, belt)], width, paint)
    _prism(
        mesh,
        [(-0.85 * x, belt), (0.38 * x, belt), (0.08 * x, height), (-0.6 * x, height)],
        width * 0.86,
        glass,
    )
    mesh.box((-0.26 * x, 0, height), (0.66 * x, width * 0.84, 0.03), paint)
    _wheels(mesh, length, width)
    for light, at in (("white", x), ("red", -x)):
        mesh.box((at, 0, 0.42 * height), (0.06, 0.9 * width, 0.14), mesh.plain(COLOURS[light], 0.9))


def _van(mesh: Mesh, thing: Thing, _: Condition) -> None:
    length, width, height = thing.size
    x = length / 2
    body = mesh.plain(COLOURS[thing.colour], 0.5)
    _prism(mesh, [(-x, 0.35), (x, 0.35), (x, 0.5 * height), (0.62 * x, height), (-x, height)], width, body)
    mesh.box((0.72 * x, 0, 0.55 * height), (0.3 * x, width + 0.02, 0.28 * height), mesh.plain(COLOURS["dark"], 0.1))
    mesh.box((-x, 0, 0.5), (0.06, width * 0.9, 0.16), mesh.plain(COLOURS["red"], 0.9))
    _wheels(mesh, length, width)


def _lorry(mesh: Mesh, thing: Thing, _: Condition) -> None:
    length, width, height = thing.size
    mesh.box((-0.12 * length, 0, 0.9), (0.74 * length, width, height - 0.9), mesh.plain(COLOURS[thing.colour], 0.5))
    mesh.box(
        (0.4 * length, 0, 0.5),
        (0.2 * length, 0.95 * width, 0.66 * height),
        mesh.plain(COLOURS[thing.accent], 0.4),
    )
    mesh.box((0.47 * length, 0, 1.6), (0.08 * length, 0.9 * width, 0.8), mesh.plain(COLOURS["dark"], 0.1))
    _wheels(mesh, length, width * 0.95)


def _person(mesh: Mesh, thing: Thing, _: Condition) -> None:
    height = thing.size[2]
    mesh.cylinder((0, 0, 0), 0.14, 0.5 * height, mesh.plain(COLOURS[thing.accent], 0.3), top=0.2)
    mesh.cylinder((0, 0, 0.5 * height), 0.22, 0.35 * height, mesh.plain(COLOURS[thing.colour], 0.3), top=0.16)
    mesh.cylinder((0, 0, 0.86 * height), 0.1, 0.14 * height, mesh.plain(COLOURS["skin"], 0.5))


DRAW: dict[str, Callable[[Mesh, Thing, Condition], None]] = {
    "tree": _tree,
    "bush": _bush,
    "hedge": _hedge,
    "garden wall": _wall,
    "fence": _fence,
    "lamp": _lamp,
    "sign": _sign,
    "bench": _bench,
    "bin": _bin,
    "planter": _planter,
    "kiosk": _kiosk,
    "bus shelter": _shelter,
    "fountain": _fountain,
    "statue": _statue,
    "café tables": _tables,
    "construction fence": _works,
    "car": _car,
    "hill": _hill,
    "van": _van,
    "lorry": _lorry,
    "person": _person,
}
