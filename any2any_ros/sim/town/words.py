"""Captions: what a passer-by says about the things in view. The speakers of the two laps use different words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Array, Float64
from any2any_ros.sim.town.mesh import Scene, turn
from any2any_ros.sim.town.settings import TownConfig
from any2any_ros.sim.town.things import Thing


def _around() -> Array:
    """Return directions (N, 3) of length 1 all around, from the road up to the church tower."""
    azimuth, up = np.meshgrid(np.arange(240) * 2 * np.pi / 240, np.radians(np.arange(-14, 30, 2.0)))
    rays = np.stack([np.cos(up) * np.cos(azimuth), np.cos(up) * np.sin(azimuth), np.sin(up)], axis=-1)
    return rays.reshape(-1, 3).astype(np.float32)


_ROUND = _around()
SMALLEST = 0.004  # share of the view that a thing must have to be mentioned

# How likely a thing is mentioned, compared with others of its size. A kind that is not listed is never mentioned.
SALIENCE = {
    "church": 3.0,
    "fountain": 4.0,
    "statue": 4.0,
    "kiosk": 3.0,
    "school": 2.0,
    "workshop": 1.5,
    "office": 1.2,
    "apartment block": 1.2,
    "villa": 1.3,
    "stone house": 1.2,
    "house": 1.0,
    "bus shelter": 1.6,
    "tree": 0.5,
    "hedge": 0.6,
    "garden wall": 0.6,
    "fence": 0.6,
    "construction fence": 1.0,
    "café tables": 1.5,
    "lorry": 0.6,
    "van": 0.5,
    "car": 0.3,
    "bench": 0.8,
    "planter": 0.6,
    "person": 0.15,
    "lamp": 0.1,
    "sign": 0.4,
    "bin": 0.3,
}

# The usual word first, then words that may be used instead.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "house": ("house", "building", "home"),
    "stone house": ("stone house", "house built of stone", "old stone building"),
    "apartment block": ("apartment block", "block of flats", "residential block"),
    "office": ("office building", "offices", "commercial building"),
    "workshop": ("workshop", "garage", "small factory"),
    "church": ("church", "chapel", "church with a tower"),
    "fountain": ("fountain", "well", "water basin"),
    "statue": ("statue", "monument", "sculpture"),
    "kiosk": ("kiosk", "stall", "newsstand"),
    "bus shelter": ("bus shelter", "bus stop", "tram stop"),
    "tree": ("tree", "big tree", "leafy tree"),
    "garden wall": ("wall", "low wall", "garden wall"),
    "fence": ("wooden fence", "picket fence", "fence"),
    "construction fence": ("construction fence", "barrier", "roadworks"),
    "café tables": ("café tables", "parasol", "outdoor tables"),
    "lorry": ("lorry", "truck", "delivery truck"),
    "van": ("van", "delivery van", "minibus"),
    "car": ("car", "parked car", "vehicle"),
    "bakery": ("bakery", "baker's", "bread shop"),
    "pharmacy": ("pharmacy", "chemist", "drugstore"),
    "bookshop": ("bookshop", "bookstore", "book dealer"),
    "café": ("café", "coffee house", "coffee bar"),
    "pub": ("pub", "bar", "inn"),
    "hairdresser": ("hairdresser", "barber", "hair salon"),
    "cream": ("cream", "beige", "pale yellow"),
    "yellow": ("yellow", "ochre", "golden"),
    "red": ("red", "dark red", "reddish"),
    "pink": ("pink", "salmon", "rose"),
    "sandstone": ("sandy", "tan", "yellowish"),
    "grey": ("grey", "dull grey", "silver"),
    "pale green": ("pale green", "mint", "light green"),
    "pale blue": ("pale blue", "sky blue", "light blue"),
    "dark": ("black", "dark", "black"),
    "storey": ("storey", "floor", "level"),
    "gable": ("gabled", "pointed", "steep"),
    "flat": ("flat-roofed", "boxy", "modern"),
    "left": ("on the left", "to the left", "left of me"),
    "right": ("on the right", "to the right", "right of me"),
    "ahead": ("ahead", "in front", "up front"),
    "behind": ("behind", "behind me", "at the back"),
    "beside": ("right beside me", "right here", "very close"),
    "close": ("close by", "nearby", "near me"),
    "far": ("further away", "in the distance", "far off"),
}  # fmt: skip
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
COLOURED = frozenset(
    {"house", "stone house", "villa", "apartment block", "office", "workshop", "garden wall", "kiosk"}
    | {"van", "lorry", "car"}
)

# The eighths of a circle, counter-clockwise from straight ahead.
SIDES = (
    ("ahead",),
    ("ahead", "left"),
    ("left",),
    ("behind", "left"),
    ("behind",),
    ("behind", "right"),
    ("right",),
    ("ahead", "right"),
)


@dataclass(frozen=True)
class Fact:
    """One visible thing: its side and distance (m) as seen from the robot, and its share of the view."""

    thing: Thing
    side: tuple[str, ...]
    distance: float
    share: float


def look_around(scene: Scene, things: Sequence[Thing], pose: Float64) -> list[Fact]:
    """Return what is visible from the LiDAR pose (4, 4); what covers most of the view comes first."""
    hits = scene.cast(pose[:3, 3].astype(np.float32), turn(_ROUND, pose[:3, :3]))
    owner = np.where(hits.hit, scene.surfaces["thing"][scene.surface[hits.face]], -1)
    facts = []
    for index in np.unique(owner[owner >= 0]).tolist():
        seen = owner == index
        x, y = _ROUND[seen, :2].mean(axis=0)
        side = SIDES[int(np.round(np.arctan2(y, x) / (np.pi / 4))) % 8]
        facts.append(Fact(things[index], side, float(hits.distance[seen].min()), float(seen.mean())))
    return sorted(facts, key=lambda fact: -fact.share)


def caption(facts: Sequence[Fact], config: TownConfig, lap: int, rng: np.random.Generator) -> str:
    """Return a caption of a few of the facts; "" when nobody speaks."""
    if rng.random() < config.caption_empty:
        return ""
    values = [(f, SALIENCE.get(f.thing.kind, 0.0) * np.sqrt(f.share) * rng.uniform(0.8, 1.25)) for f in facts]
    likely = [f for f, value in sorted(values, key=lambda pair: -pair[1]) if value > 0 and f.share > SMALLEST]
    likely = likely[: int(rng.integers(max(1, config.caption_facts - 1), config.caption_facts + 1))]
    error = config.caption_errors if lap else config.caption_errors / 4
    mentioned = [f for f in likely if rng.random() >= error] or likely[:1]
    voice = Voice(rng, other=lap > 0, mistakes=error / 2)
    return voice.sentence([voice.phrase(f) for f in mentioned]) if mentioned else ""


@dataclass(frozen=True, eq=False)
class Voice:
    """A speaker. The one of lap 00 mostly uses the usual words; the one of lap 01 often others, in another order.

    mistakes: share of phrases with a wrong colour or side.
    """

    rng: np.random.Generator
    other: bool
    mistakes: float

    def word(self, key: str) -> str:
        choices = SYNONYMS.get(key, (key,))
        usual = self.rng.random() < (0.7 if self.other else 0.9)
        return choices[0] if usual else choices[int(self.rng.integers(len(choices)))]

    def phrase(self, fact: Fact) -> tuple[str, str]:
        """Return what and where of a fact; now and then the colour or the side is wrong."""
        thing = fact.thing
        colour, side = thing.colour, fact.side
        if self.rng.random() < self.mistakes:
            colour = ("white", "grey", "red", "yellow", "brown")[int(self.rng.integers(5))]
        elif self.rng.random() < self.mistakes:
            side = SIDES[int(self.rng.integers(8))]
        what = [self.word(colour)] if thing.kind in COLOURED else []
        if thing.material == "brick" and self.rng.random() < 0.6:
            what.append("brick")
        if thing.storeys and self.rng.random() < 0.7:
            what.insert(0, f"{NUMBERS[thing.storeys]}-{self.word('storey')}")
        if thing.roof in ("gable", "flat") and self.rng.random() < 0.3:
            what.insert(0, self.word(thing.roof))
        what.append(self.word(thing.kind))
        if thing.shop and self.rng.random() < 0.85:
            what.append(f"with a {self.word(thing.shop)}")
        where = " ".join(self.word(part) for part in side)
        if self.rng.random() < 0.8:
            where = f"{self.word(_how_far(fact.distance))} {where}".lstrip()
        return " ".join(what), where

    def sentence(self, phrases: Sequence[tuple[str, str]]) -> str:
        """Join the phrases by one of the templates of this speaker."""
        template = int(self.rng.integers(3))
        if not self.other:
            parts = [f"{_a(what)} {where}" for what, where in phrases]
            opening = ("", "There is ", "I am next to ")[template]
        else:
            parts = [f"{where} {_a(what)}" for what, where in phrases]
            opening = ("I see ", "", "Standing here, ")[template]
        text = opening + ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
        return text[0].upper() + text[1:] + "."


def _how_far(distance: float) -> str:
    """Return the word for a distance in metres; "" for a usual distance."""
    return next((word for limit, word in ((5, "beside"), (8, "close"), (16, "")) if distance < limit), "far")


def _a(what: str) -> str:
    """Return a noun phrase with its article."""
    if what.endswith("s") and "with" not in what:
        return what
    return f"{'an' if what[0] in 'aeiou' and not what.startswith('one') else 'a'} {what}"
