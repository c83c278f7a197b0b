"""What stands in the town, before it is drawn: things, sound sources, patches of ground; and their colours."""

from __future__ import annotations

from dataclasses import dataclass

from any2any_ros.sim.town.conditions import RGB

COLOURS: dict[str, RGB] = {
    "white": (0.80, 0.80, 0.77),
    "cream": (0.76, 0.68, 0.50),
    "yellow": (0.74, 0.55, 0.20),
    "orange": (0.68, 0.33, 0.12),
    "pink": (0.70, 0.42, 0.38),
    "red": (0.48, 0.12, 0.09),
    "brown": (0.30, 0.18, 0.11),
    "green": (0.14, 0.32, 0.17),
    "pale green": (0.48, 0.58, 0.40),
    "blue": (0.10, 0.20, 0.46),
    "pale blue": (0.45, 0.55, 0.66),
    "grey": (0.40, 0.40, 0.40),
    "dark": (0.07, 0.07, 0.08),
    "sandstone": (0.58, 0.47, 0.32),
    "concrete": (0.52, 0.51, 0.49),
    "asphalt": (0.15, 0.15, 0.16),
    "slate": (0.17, 0.18, 0.21),
    "tile": (0.42, 0.17, 0.10),
    "wood": (0.30, 0.20, 0.12),
    "steel": (0.34, 0.36, 0.38),
    "skin": (0.60, 0.42, 0.32),
}


@dataclass(frozen=True)
class Thing:
    """A thing at (x, y) in metres.

    yaw: direction of its front, rad. size: depth along yaw, width and height, m. storeys, material, roof, shop and
    windows are those of a house. salt: seed of its details.
    """

    kind: str
    x: float
    y: float
    yaw: float = 0.0
    size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    colour: str = "grey"
    accent: str = "dark"
    storeys: int = 0
    material: str = ""
    roof: str = ""
    shop: str = ""
    windows: int = 0
    salt: int = 0


@dataclass(frozen=True)
class SoundSource:
    """A source of sound at (x, y) in metres. pitch: Hz. level: dB at 5 m. salt: seed of its character."""

    kind: str
    x: float
    y: float
    pitch: float
    level: float
    salt: int


@dataclass(frozen=True)
class Ground:
    """A flat rectangle (x0, y0, x1, y1) at height z, in metres, painted as `kind`.

    marks: markings of a road along `heading` (0 none, 1 lines, 2 lines and zebra crossings).
    """

    kind: str
    box: tuple[float, float, float, float]
    z: float
    heading: float = 0.0
    marks: int = 0
