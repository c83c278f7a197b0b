"""The objects: twenty classes, and the ways in which objects of one class differ.

Classes share colours, patterns and sizes, and the objects of one class have similar shapes. So neither the colour nor
the shape alone tells which object it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.sim.tabletop.patterns import Pattern
from any2any_ros.sim.tabletop.settings import TabletopConfig

RGB = tuple[float, float, float]


def _linear(code: int) -> RGB:
    """Return the linear colour of a number 0xRRGGBB in sRGB."""
    red, green, blue = (float((((code >> shift) & 255) / 255) ** 2.2) for shift in (16, 8, 0))
    return red, green, blue


SHADES: dict[str, RGB] = {
    name: _linear(code)
    for name, code in {
        "red": 0xC62828, "dark red": 0x7B1020, "orange": 0xE67A17, "yellow": 0xEBC52E, "green": 0x2E8B3D,
        "dark green": 0x1B4D2B, "light green": 0x9CCB6A, "turquoise": 0x1FA5A0, "blue": 0x2455B8, "navy": 0x16264F,
        "light blue": 0x8EBBE3, "purple": 0x6A3392, "pink": 0xE58AAE, "brown": 0x6B4124, "tan": 0xC19A68,
        "white": 0xEFEEEA, "grey": 0x85878A, "black": 0x1E1E20, "silver": 0xB4B7BA, "cream": 0xEADFBF,
    }.items()
}  # fmt: skip
BRIGHT = ("red", "orange", "yellow", "green", "turquoise", "blue", "light blue", "purple", "pink", "white", "black")
DEEP = ("dark red", "dark green", "navy", "brown", "black", "blue", "red", "purple", "grey")
ACCENTS = ("white", "black", "yellow", "red", "blue", "cream", "green", "grey")
PRINTED = (Pattern.PLAIN, Pattern.PLAIN, Pattern.BANDS, Pattern.STRIPES, Pattern.DOTS)
PLAIN = (Pattern.PLAIN,)


@dataclass(frozen=True)
class Kind:
    """A class of objects: its possible colours and patterns, and the range of its size."""

    label: str
    shades: tuple[str, ...]
    patterns: tuple[Pattern, ...] = PLAIN
    accents: tuple[str, ...] = ACCENTS
    smallest: float = 0.85
    largest: float = 1.2
    gloss: float = 0.15


KINDS = (
    Kind("mug", (*BRIGHT, "navy", "cream", "brown"), PRINTED, gloss=0.35),
    Kind("book", (*BRIGHT, *DEEP), (Pattern.PLAIN, Pattern.LABEL, Pattern.LABEL), gloss=0.1),
    Kind("bowl", (*BRIGHT, "cream", "tan"), PRINTED, gloss=0.35),
    Kind("bottle", (*BRIGHT, *DEEP), (Pattern.LABEL, Pattern.LABEL, Pattern.PLAIN), gloss=0.4),
    Kind("banana", ("yellow", "light green", "yellow", "brown"), (Pattern.PLAIN, Pattern.SPECKS), ("brown",)),
    Kind("hammer", ("red", "yellow", "black", "brown", "orange", "blue", "tan"), PLAIN, ("silver", "black")),
    Kind("plate", (*BRIGHT, "cream"), (Pattern.PLAIN, Pattern.CHECKS, Pattern.DOTS), gloss=0.3),
    Kind("can", (*BRIGHT, "dark red", "silver"), (Pattern.LABEL, Pattern.BANDS, Pattern.PLAIN), gloss=0.5),
    Kind("apple", ("red", "green", "yellow", "dark red", "light green"), (Pattern.PLAIN, Pattern.SPECKS),
         ("brown", "yellow"), gloss=0.3),
    Kind("scissors", ("red", "blue", "black", "orange", "green", "purple", "yellow"), PLAIN, ("silver",)),
    Kind("box", (*BRIGHT, "tan", "brown"), (Pattern.LABEL, Pattern.LABEL, Pattern.CHECKS, Pattern.STRIPES)),
    Kind("spoon", ("silver", "brown", "tan", "black", "red", "white", "blue"), gloss=0.4),
    Kind("lamp", ("white", "red", "black", "yellow", "blue", "green", "cream", "pink"), PLAIN,
         ("black", "white", "silver", "brown")),
    Kind("teddy bear", ("brown", "tan", "white", "grey", "pink", "black", "cream"), PLAIN, ("cream", "tan", "white"),
         gloss=0.0),
    Kind("cup", (*BRIGHT, "tan", "cream"), (Pattern.PLAIN, Pattern.BANDS, Pattern.STRIPES, Pattern.DOTS)),
    Kind("lemon", ("yellow", "yellow", "green", "light green", "orange"), (Pattern.PLAIN, Pattern.SPECKS),
         ("brown", "green")),
    Kind("pitcher", (*BRIGHT, "cream", "silver"), PRINTED, gloss=0.35),
    Kind("flashlight", ("black", "red", "yellow", "blue", "silver", "green", "orange"), PLAIN, ("black", "silver"),
         gloss=0.3),
    Kind("tape", ("tan", "grey", "black", "white", "blue", "red", "yellow", "silver"), gloss=0.3),
    Kind("sponge", ("yellow", "blue", "green", "pink", "orange"), (Pattern.SPECKS,), ("green", "black", "blue", "grey"),
         gloss=0.0),
)  # fmt: skip


@dataclass(frozen=True)
class Body:
    """One object: class and number, two colours, pattern, scale (1 = usual size). salt: seed of its details."""

    kind: Kind
    number: int
    colour: str
    accent: str
    pattern: Pattern
    scale: float
    salt: int

    @property
    def name(self) -> str:
        """Name of the instance, as in GoLD: "teddy_bear_3"."""
        return f"{self.kind.label.replace(' ', '_')}_{self.number}"

    @property
    def size(self) -> str:
        """The word for the size: "small", "large", or "" for a usual one."""
        share = (self.scale - self.kind.smallest) / (self.kind.largest - self.kind.smallest)
        return "small" if share < 0.3 else "large" if share > 0.7 else ""

    def rng(self, purpose: int) -> np.random.Generator:
        """Return the random numbers of this object for one purpose."""
        return np.random.default_rng([self.salt, purpose])


def bodies(config: TabletopConfig) -> tuple[Body, ...]:
    """Return all objects of `config`, class after class."""
    return tuple(
        body
        for row, kind in enumerate(KINDS[: config.classes])
        for body in _of_kind(kind, config.instances, np.random.default_rng([config.seed, 1, row]))
    )


def _of_kind(kind: Kind, count: int, rng: np.random.Generator) -> list[Body]:
    """Return objects of one class. Their colours differ as far as the class has enough colours."""
    shades = sorted(set(kind.shades))
    colours = [shades[i] for _ in range(-(-count // len(shades))) for i in rng.permutation(len(shades))]
    objects = []
    for number, colour in enumerate(colours[:count], start=1):
        accents = [a for a in kind.accents if a != colour] or ["white"]
        objects.append(
            Body(
                kind, number, colour, str(rng.choice(accents)), kind.patterns[int(rng.integers(len(kind.patterns)))],
                float(rng.uniform(kind.smallest, kind.largest)), int(rng.integers(2**31)),
            )
        )  # fmt: skip
    return objects
