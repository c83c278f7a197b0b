"""Builds the objects of each class from lathes, tubes, boxes and balls, in metres: foot at 0, front along x."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.sim.tabletop.catalogue import SHADES, Body
from any2any_ros.sim.tabletop.patterns import Pattern, Wrap
from any2any_ros.sim.tabletop.shapes import Shape, arc, ball, box, lathe, moved, ring, tube
from any2any_ros.sim.town.mesh import Mesh


@dataclass(frozen=True, eq=False)
class Place:
    """Where an object stands in the map: its foot (x, y, z) in metres, turned by `yaw` radians about the vertical."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0

    @property
    def pose(self) -> Float64:
        """Pose (4, 4), map from object, z up (REP-103)."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[c, -s, 0, self.x], [s, c, 0, self.y], [0, 0, 1, self.z], [0, 0, 0, 1]])


class Builder:
    """Adds the parts of one object to a mesh."""

    def __init__(self, mesh: Mesh, body: Body, row: int, place: Place) -> None:
        mesh.begin(row, place.x, place.y, place.yaw, place.z)
        self.mesh, self.body, self._place = mesh, body, place
        self.rng = body.rng(0)

    def vary(self, low: float, high: float) -> float:
        """Return a length in metres between `low` and `high`, scaled as the object is."""
        return float(self.rng.uniform(low, high)) * self.body.scale

    def skin(self, wrap: Wrap, radius: float, height: float, pattern: Pattern | None = None) -> int:
        """Add a surface with the pattern of the object, or with another pattern. Return its number."""
        place, body = self._place, self.body
        draw = body.rng(1)
        painted = body.pattern if pattern is None else pattern
        period = 0.008 if painted is Pattern.SPECKS else float(draw.uniform(0.018, 0.034))
        return self.mesh.surface(
            painted, SHADES[body.colour], accent=SHADES[body.accent], salt=body.salt % 9973, gloss=body.kind.gloss,
            origin=(place.x, place.y, place.z), axis=(np.cos(place.yaw), np.sin(place.yaw)), wrap=wrap, radius=radius,
            height=height, period=period,
        )  # fmt: skip

    def plain(self, shade: str | None = None, gloss: float | None = None) -> int:
        """Add a surface of one colour: a shade, or the colour of the object. Return its number."""
        colour = SHADES[shade or self.body.colour]
        return self.mesh.surface(Pattern.PLAIN, colour, gloss=self.body.kind.gloss if gloss is None else gloss)

    def add(self, shape: Shape, surface: int) -> None:
        """Add a shape with a surface."""
        self.mesh.add(*shape, surface)

    def handle(self, radius: float, low: float, high: float, out: float, surface: int) -> None:
        """Add a handle to the side of a round body, from height `low` to `high`, `out` metres wide."""
        bow = arc(-90, 90, 12)
        middle, half = (low + high) / 2, (high - low) / 2
        path = np.stack([radius - 0.003 + bow[:, 0] * out, np.zeros(12), middle + bow[:, 1] * half], -1)
        self.add(tube(path, 0.0055 * self.body.scale, sides=10), surface)


def _vessel(b: Builder, profile: list[tuple[float, float]], wall: float = 0.004) -> None:
    """Add a hollow body. The pattern is outside; the inside is white or has the object's colour."""
    outside = np.array(profile)
    inside = outside[::-1] - [wall, 0]
    inside[:, 1] = np.maximum(inside[:, 1], wall)
    height = float(outside[-1, 1])
    b.add(lathe([(0.0, 0.0), *outside]), b.skin(Wrap.ROUND, float(outside[:, 0].mean()), height))
    lining = b.plain("white" if b.rng.random() < 0.5 else None)
    b.add(lathe([tuple(outside[-1]), *map(tuple, inside[1:]), (0.0, wall)]), lining)


def _mug(b: Builder) -> None:
    r, h = b.vary(0.038, 0.046), b.vary(0.085, 0.11)
    foot = r * b.rng.uniform(0.86, 1.0)
    _vessel(b, [(foot, 0.0), (r, h * 0.25), (r, h)])
    b.handle(r, 0.2 * h, 0.82 * h, b.vary(0.026, 0.034), b.plain())


def _cup(b: Builder) -> None:
    r, h = b.vary(0.038, 0.045), b.vary(0.095, 0.14)
    _vessel(b, [(r * b.rng.uniform(0.62, 0.75), 0.0), (r, h)], 0.003)


def _bowl(b: Builder) -> None:
    r, h = b.vary(0.065, 0.09), b.vary(0.045, 0.065)
    curve = arc(-65, 0, 8)
    _vessel(b, [(r * 0.42, 0.0), *((float(r * x), float(h * (1 + y))) for x, y in curve)])


def _plate(b: Builder) -> None:
    r, h = b.vary(0.095, 0.13), b.vary(0.014, 0.022)
    top = lathe([(0, 0.006), (r * 0.62, 0.006), (r * 0.7, h * 0.7), (r, h)])
    b.add(lathe([(0, 0), (r * 0.55, 0), (r, h)]), b.plain())
    b.add(top, b.skin(Wrap.FLAT, r, h))


def _bottle(b: Builder) -> None:
    r, h = b.vary(0.031, 0.038), b.vary(0.19, 0.25)
    neck, shoulder = r * b.rng.uniform(0.32, 0.45), h * b.rng.uniform(0.55, 0.7)
    body = [(0, 0), (r, 0), (r, shoulder), (r * 0.8, shoulder + 0.02), (neck, shoulder + 0.05), (neck, h)]
    b.add(lathe(body), b.skin(Wrap.ROUND, r, shoulder))
    cap = lathe([(0, h + 0.02), (neck * 1.25, h + 0.02), (neck * 1.25, h - 0.008), (neck, h - 0.008)])
    b.add(cap, b.plain(b.body.accent))


def _can(b: Builder) -> None:
    r, h = b.vary(0.031, 0.04), b.vary(0.085, 0.125)
    b.add(lathe([(r * 0.88, 0), (r, 0.006), (r, h - 0.008), (r * 0.86, h)]), b.skin(Wrap.ROUND, r, h))
    b.add(lathe([(r * 0.86, h), (r * 0.82, h - 0.004), (0, h - 0.004)]), b.plain("silver", 0.6))


def _pitcher(b: Builder) -> None:
    r, h = b.vary(0.05, 0.062), b.vary(0.17, 0.22)
    _vessel(b, [(r * 0.75, 0.0), (r, h * 0.3), (r * 0.7, h * 0.75), (r * 0.78, h)])
    b.handle(r * 0.72, 0.25 * h, 0.88 * h, b.vary(0.04, 0.05), b.plain())


def _box(b: Builder) -> None:
    size = b.vary(0.13, 0.19), b.vary(0.05, 0.075), b.vary(0.19, 0.26)
    b.add(box(size), b.skin(Wrap.BOX, size[0] / 2, size[2]))


def _book(b: Builder) -> None:
    length, width, thick = b.vary(0.13, 0.16), b.vary(0.19, 0.24), b.vary(0.02, 0.045)
    cover = b.skin(Wrap.FLAT, length / 2, width)
    b.add(box((length * 0.97, width * 0.96, thick)), b.plain("cream", 0.0))
    for z in (0.0, thick):
        b.add(moved(box((length, width, 0.003)), (0, 0, z)), cover)
    b.add(moved(box((0.004, width, thick + 0.003)), (-length / 2, 0, 0)), cover)


def _banana(b: Builder) -> None:
    bend, length, thick = b.rng.uniform(95, 130), b.vary(0.17, 0.2), b.vary(0.016, 0.02)
    curve = arc(-bend / 2, bend / 2, 18) * (length / np.radians(bend))
    along = np.linspace(-1, 1, 18)
    radius = thick * np.clip(1.02 - np.abs(along) ** 4, 0.22, 1)
    path = np.stack([curve[:, 0] - curve[:, 0].mean(), curve[:, 1], np.full(18, thick)], -1)
    b.add(tube(path, radius), b.skin(Wrap.FLAT, thick, thick))
    b.add(tube(path[-2:] + [[0, 0, 0], [-0.004, 0.018, 0.004]], thick * 0.25, 8), b.plain("brown", 0.0))


def _apple(b: Builder) -> None:
    r = b.vary(0.034, 0.042)
    angle = np.radians(np.linspace(-90, 90, 20))
    profile = np.stack([r * np.cos(angle), 0.92 * r * np.sin(angle)], -1)
    profile[:, 1] -= 0.3 * r * np.sign(profile[:, 1]) * np.exp(-((profile[:, 0] / (0.35 * r)) ** 2))
    profile[:, 1] -= profile[:, 1].min()
    b.add(lathe(profile), b.skin(Wrap.ROUND, r, 2 * r))
    top = float(profile[-1, 1])
    b.add(tube([(0, 0, top - 0.004), (0.003, 0, top + 0.016)], 0.0015, 6), b.plain("brown", 0.0))


def _lemon(b: Builder) -> None:
    r = b.vary(0.025, 0.03)
    along = np.linspace(-1, 1, 22)
    profile = np.stack([r * np.clip(1 - along**2, 0, 1) ** 0.55 * (1 - 0.25 * along**6), 1.38 * r * along], -1)
    b.add(moved(lathe(profile), (0, 0, r), (90, 0, 0)), b.skin(Wrap.FLAT, r, 2 * r))


def _scissors(b: Builder) -> None:
    length, spread = b.vary(0.085, 0.11), b.rng.uniform(7, 17)
    for side in (-1, 1):
        blade = moved(box((length, 0.014, 0.003)), (length / 2, 0, 0.004 + 0.003 * side), (0, 0, 0))
        b.add(moved(blade, turn=(0, 0, side * spread)), b.plain("silver", 0.6))
        eye = moved(ring(0.019 * b.body.scale, 0.005, 0.75), (-0.045 * b.body.scale, 0, 0))
        b.add(moved(eye, turn=(0, 0, -side * (spread + 14))), b.plain())
        arm = tube([(0, 0, 0.006), (-0.028 * b.body.scale, 0, 0.006)], 0.005)
        b.add(moved(arm, turn=(0, 0, -side * (spread + 14))), b.plain())


def _hammer(b: Builder) -> None:
    length, thick = b.vary(0.22, 0.29), b.vary(0.012, 0.016)
    grip = [thick, thick * 1.1, thick * 0.8, thick * 0.75]
    b.add(tube([(x, 0, thick) for x in np.linspace(-length / 2, length / 2, 4)], grip), b.plain())
    head = box((0.026 * b.body.scale, b.vary(0.085, 0.11), 0.026 * b.body.scale))
    b.add(moved(head, (length / 2, 0, 0.001)), b.plain(b.body.accent, 0.5))


def _spoon(b: Builder) -> None:
    length, r = b.vary(0.12, 0.18), b.vary(0.018, 0.024)
    surface = b.plain()
    b.add(ball((r * 1.4, r, 0.006), (length / 2, 0, 0.007)), surface)
    b.add(tube([(x, 0, 0.008) for x in np.linspace(-length / 2, length / 2 - r, 5)],
               np.array([5.5, 4, 3.2, 3, 3]) / 1000), surface)  # fmt: skip


def _lamp(b: Builder) -> None:
    r, h = b.vary(0.06, 0.075), b.vary(0.26, 0.34)
    b.add(lathe([(0, 0), (r, 0), (r, 0.012), (0.008, 0.02), (0.006, h * 0.7)]), b.plain(b.body.accent))
    b.add(lathe([(r * 1.35, h * 0.62), (r * b.rng.uniform(0.55, 0.8), h), (0, h)]), b.plain(gloss=0.0))


def _teddy_bear(b: Builder) -> None:
    s = b.vary(0.9, 1.1) * 0.055
    fur, snout, dark = b.plain(), b.plain(b.body.accent), b.plain("black", 0.4)
    parts = [((1.0, 1.0, 1.15), (0.0, 0.0, 1.05)), ((0.8, 0.8, 0.75), (0.0, 0.0, 2.6))]
    for side in (-1, 1):
        parts += [((0.28, 0.28, 0.28), (0.0, 0.55 * side, 3.2)), ((0.5, 0.3, 0.3), (0.5, 0.95 * side, 1.5))]
        parts += [((0.75, 0.36, 0.36), (0.85, 0.6 * side, 0.36))]
        b.add(ball(np.full(3, 0.09 * s), np.array([0.74, 0.27 * side, 2.75]) * s), dark)
    for radii, centre in parts:
        b.add(ball(np.array(radii) * s, np.array(centre) * s), fur)
    b.add(ball(np.array([0.33, 0.33, 0.27]) * s, np.array([0.68, 0, 2.42]) * s), snout)
    b.add(ball(np.full(3, 0.1 * s), np.array([1.0, 0, 2.5]) * s), dark)


def _flashlight(b: Builder) -> None:
    length, r = b.vary(0.13, 0.17), b.vary(0.013, 0.017)
    x = np.array([-0.5, 0.22, 0.3, 0.5]) * length
    path = np.stack([x, np.zeros(4), np.full(4, r * 1.6)], -1)
    b.add(tube(path, np.array([1, 1, 1.6, 1.6]) * r, 20), b.plain())
    b.add(tube(path[-1] + [[0, 0, 0], [0.002, 0, 0]], r * 1.4, 20), b.plain("cream", 0.6))
    b.add(tube(path[0] + [[-0.006, 0, 0], [0.012, 0, 0]], r * 1.04, 20), b.plain(b.body.accent))


def _tape(b: Builder) -> None:
    r, h = b.vary(0.04, 0.055), b.vary(0.018, 0.045)
    core = r * b.rng.uniform(0.55, 0.72)
    b.add(lathe([(core, 0), (r, 0), (r, h), (core, h)]), b.plain())
    b.add(lathe([(core, h), (core * 0.95, h), (core * 0.95, 0), (core, 0)]), b.plain("tan", 0.0))


def _sponge(b: Builder) -> None:
    length, width, h = b.vary(0.095, 0.12), b.vary(0.06, 0.075), b.vary(0.02, 0.03)
    b.add(box((length, width, h), 0.04), b.skin(Wrap.FLAT, length / 2, h, Pattern.SPECKS))
    b.add(moved(box((length, width, 0.008), 0.02), (0, 0, h * 0.97)), b.plain(b.body.accent))


_BUILD: dict[str, Callable[[Builder], None]] = {
    "mug": _mug, "cup": _cup, "bowl": _bowl, "plate": _plate, "bottle": _bottle, "can": _can, "pitcher": _pitcher,
    "box": _box, "book": _book, "banana": _banana, "apple": _apple, "lemon": _lemon, "scissors": _scissors,
    "hammer": _hammer, "spoon": _spoon, "lamp": _lamp, "teddy bear": _teddy_bear, "flashlight": _flashlight,
    "tape": _tape, "sponge": _sponge,
}  # fmt: skip


def build(mesh: Mesh, body: Body, row: int, place: Place) -> None:
    """Add an object to the mesh as thing number `row`, at `place`."""
    _BUILD[body.kind.label](Builder(mesh, body, row, place))
