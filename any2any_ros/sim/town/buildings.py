"""Houses and churches. Houses come from a few prototypes, so that streets look alike.

A house is drawn in its own frame: x points to the street (the front wall is at depth / 2), y along the front, z up.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from any2any_ros.sim.town.mesh import Kind, Masonry, Mesh
from any2any_ros.sim.town.things import COLOURS, Thing

SHOPS = (
    "bakery", "pharmacy", "bookshop", "butcher", "café", "hairdresser", "flower shop", "bicycle shop",
    "tailor", "bank", "post office", "pub",
)  # fmt: skip
SHOP_SIGNS = ("red", "blue", "green", "yellow", "dark", "orange", "white")


@dataclass(frozen=True)
class Prototype:
    """A kind of house: the choices from which one house is drawn. Lengths in metres, shares in [0, 1]."""

    kind: str
    material: tuple[str, tuple[str, ...]]
    widths: tuple[float, ...]
    depth: float
    storeys: tuple[int, ...]
    roofs: tuple[str, ...]
    setbacks: tuple[float, ...]
    shops: float
    windows: int
    weight: float


_PLASTER, _BRICK, _STONE, _CONCRETE = (
    ("plaster", ("white", "cream", "yellow", "pink", "pale green", "pale blue", "orange")),
    ("brick", ("red", "brown")),
    ("stone", ("sandstone", "grey")),
    ("concrete", ("concrete", "white")),
)
_PITCHED = ("eaves", "gable")

# kind, material and colours, widths, depth, storeys, roofs, setbacks, share of shops, windows, weight
PROTOTYPES = (
    Prototype("house", _PLASTER, (6.0, 7.5), 8.5, (2, 3), _PITCHED, (0.0, 0.0, 0.6), 0.25, 0, 3.0),
    Prototype("house", _BRICK, (5.0, 6.0), 8.0, (2,), ("eaves",), (0.0, 0.0, 1.2), 0.1, 1, 2.5),
    Prototype("house", _PLASTER, (8.0, 10.0), 9.0, (3, 4), ("eaves", "flat"), (0.0,), 0.6, 2, 2.5),
    Prototype("apartment block", _CONCRETE, (11.0, 13.0), 9.5, (4, 5), ("flat",), (0.0, 1.5), 0.2, 3, 1.0),
    Prototype("villa", _PLASTER, (8.0, 9.0), 8.0, (2,), _PITCHED, (2.5, 3.5), 0.0, 0, 1.2),
    Prototype("stone house", _STONE, (7.0, 9.0), 8.0, (2, 3), _PITCHED, (0.0, 0.6), 0.25, 1, 1.5),
    Prototype("workshop", _BRICK, (9.0, 12.0), 9.0, (1,), ("eaves", "flat"), (0.0, 2.0), 0.0, 3, 0.7),
    Prototype("office", _CONCRETE, (10.0, 13.0), 9.0, (4, 5), ("flat",), (0.0, 1.0), 0.3, 3, 0.7),
)


def draw_house(mesh: Mesh, thing: Thing, shut: bool) -> None:
    """Draw walls, roof, and what stands out from the front. shut: the shop is closed."""
    depth, width, height = thing.size
    walls = _wall_surfaces(mesh, thing, shut)
    _walls(mesh, 0.0, depth, width, height, walls)
    _ROOFS[thing.roof](mesh, thing)
    _relief(mesh, thing, np.random.default_rng(thing.salt))


def _wall_surfaces(mesh: Mesh, thing: Thing, shut: bool) -> list[dict[str, object]]:
    """Return the surface columns of the front, left, back and right wall."""
    rng = np.random.default_rng([thing.salt, 1])
    front: dict[str, object] = {
        "colour": COLOURS[thing.colour],
        "accent": COLOURS[thing.accent],
        "bay": float(rng.choice([1.7, 2.0, 2.4])),
        "storey": thing.size[2] / thing.storeys,
        "masonry": {"brick": Masonry.BRICK, "stone": Masonry.STONE}.get(thing.material, Masonry.PLASTER),
        "windows": thing.windows,
        "shop": 0 if not thing.shop else 2 if shut else 1,
        "salt": thing.salt,
        "reflectance": 0.25 + 0.4 * float(np.mean(COLOURS[thing.colour])),
    }
    back = {**front, "shop": 0}
    blind = {**back, "blind": True}
    return [front, blind, back, blind]


def _walls(mesh: Mesh, at: float, depth: float, width: float, height: float, walls: list[dict[str, object]]) -> None:
    """Add the front, left, back and right wall of a house whose middle is `at` metres in front of its frame."""
    front, back, y = at + depth / 2, at - depth / 2, width / 2
    ring = [(front, -y), (front, y), (back, y), (back, -y), (front, -y)]
    for (a, b), columns in zip(pairwise(ring), walls, strict=True):
        mesh.wall(a, b, 0.0, height, Kind.FACADE, **columns)


def _flat(mesh: Mesh, thing: Thing) -> None:
    """Add a flat roof with a parapet."""
    depth, width, height = thing.size
    top = mesh.plain(COLOURS["concrete"], 0.3)
    mesh.box((0, 0, height), (depth, width, 0.15), top)
    rim = mesh.plain(COLOURS[thing.colour], 0.4)
    for x in (-depth / 2 + 0.15, depth / 2 - 0.15):
        mesh.box((x, 0, height + 0.15), (0.3, width, 0.5), rim)


def _ridge(mesh: Mesh, thing: Thing, along_front: bool) -> None:
    """Add a roof of two slopes and two gable ends."""
    depth, width, height = thing.size
    span, length = (depth, width) if along_front else (width, depth)
    rise, over = 0.42 * span, 0.25
    tiles = mesh.surface(Kind.TILES, COLOURS["slate" if thing.salt % 3 == 0 else "tile"], reflectance=0.25)
    gable = mesh.plain(COLOURS[thing.colour], 0.4)

    def corner(across: float, along: float, z: float) -> tuple[float, float, float]:
        return (across, along, z) if along_front else (along, across, z)

    half, end = span / 2, length / 2
    for side in (-1, 1):
        low = side * (half + over), height - 2 * over * rise / span
        mesh.quad(
            [corner(low[0], -end, low[1]), corner(low[0], end, low[1]),
             corner(0, end, height + rise), corner(0, -end, height + rise)],
            tiles,
        )  # fmt: skip
        ends = [corner(-half, side * end, height), corner(half, side * end, height)]
        mesh.add([*ends, corner(0, side * end, height + rise)], [[0, 1, 2]], gable)
    chimney = corner(half * 0.3, end * 0.5, height + rise * 0.5)
    mesh.box(chimney, (0.6, 0.6, rise * 0.5 + 0.9), mesh.plain(COLOURS["red"]))


def _eaves(mesh: Mesh, thing: Thing) -> None:
    _ridge(mesh, thing, along_front=True)


def _gable(mesh: Mesh, thing: Thing) -> None:
    _ridge(mesh, thing, along_front=False)


_ROOFS = {"flat": _flat, "eaves": _eaves, "gable": _gable}


def _relief(mesh: Mesh, thing: Thing, rng: np.random.Generator) -> None:
    """Add steps, a bay window, an awning, balconies or pillars: the relief of a front that a LiDAR measures."""
    depth, width, height = thing.size
    front = depth / 2
    stone = mesh.plain(COLOURS["concrete"], 0.35)
    same = mesh.plain(COLOURS[thing.colour], 0.4)
    across = float(rng.uniform(-0.35, 0.35) * width)
    mesh.box((front + 0.04, 0, 0), (0.08, width, float(rng.choice([0.4, 0.7, 0.9]))), stone)
    if rng.random() < 0.45:
        mesh.box((front + 0.45, across, 0), (0.9, 1.5, float(rng.choice([0.2, 0.4, 0.6]))), stone)
    if thing.shop and rng.random() < 0.6:
        mesh.box((front + 0.55, 0, 2.5), (1.1, 0.7 * width, 0.12), mesh.plain(COLOURS[thing.accent], 0.5))
    elif thing.storeys > 1 and rng.random() < 0.3:
        mesh.box((front + 0.35, across * 0.6, 0.0 if rng.random() < 0.5 else 2.6), (0.7, 2.0, height * 0.6), same)
    if thing.storeys > 3:
        for storey in range(1, thing.storeys):
            mesh.box((front + 0.5, -across, storey * height / thing.storeys), (1.0, 2.6, 1.0), same)
    if rng.random() < 0.25:
        for y in np.linspace(-width / 2 + 0.3, width / 2 - 0.3, int(rng.integers(2, 5))):
            mesh.box((front + 0.15, float(y), 0), (0.3, 0.45, height * 0.95), stone)


def draw_church(mesh: Mesh, thing: Thing, _shut: bool) -> None:
    """Draw a nave with a tower in front."""
    depth, width, height = thing.size
    stone: dict[str, object] = {
        "colour": COLOURS[thing.colour],
        "accent": COLOURS["dark"],
        "masonry": Masonry.STONE,
        "windows": 4,
        "bay": 3.2,
        "storey": height,
        "salt": thing.salt,
        "reflectance": 0.4,
    }
    _walls(mesh, 0.0, depth, width, height, [stone] * 4)
    _gable(mesh, thing)
    side, tall = min(width * 0.5, 5.0), 2.6 * height
    x = depth / 2 - side / 2 + 0.8
    _walls(mesh, x, side, side, tall, [{**stone, "storey": tall / 2}] * 4)
    mesh.cylinder((x, 0, tall), 0.72 * side, height * 1.3, mesh.plain(COLOURS["slate"]), sides=4, top=0.0)
