"""What is asked for in the demo of objects, and by whom: every object of the table once, and two riddles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from any2any_ros.sim.tabletop.catalogue import Body
from any2any_ros.sim.tabletop.scene import Thing
from any2any_ros.sim.tabletop.words import NAMES, WRITERS

BOTH, COLOUR, DEPTH = ("camera", "depth"), ("camera",), ("depth",)
OPENINGS = ("bring me", "find", "fetch me", "show me")
# Who speaks to a robot is not choosy about shades; "" says no colour.
SPOKEN = {
    "dark red": "red", "dark green": "green", "light green": "green", "navy": "dark blue", "tan": "brown",
    "cream": "white", "grey": "gray",
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """What is said, whether aloud, and the instances that are meant: one, several alike, or none that is there."""

    text: str
    spoken: bool
    meant: tuple[str, ...]


@dataclass(frozen=True)
class Act:
    """Commands while the same cameras are alive."""

    title: str
    alive: tuple[str, ...]
    commands: tuple[Command, ...]


Run = tuple[Act, ...]  # from one start of the node, with an empty memory, to its end


def plan(things: Sequence[Thing], catalogue: Sequence[Body], seed: int, can_speak: bool) -> tuple[Run, ...]:
    """Return what is asked of these things, eight or more; the order is drawn by `seed`, nothing else is chosen.

    catalogue: what could have been on the table, to ask for something that is not.
    """
    rng = np.random.default_rng([seed, 8])
    order = [things[i] for i in rng.permutation(len(things))]
    said = [_spoken(t, i) if can_speak and i in (1, 3, 4, 7) else _typed(t, i, rng) for i, t in enumerate(order)]
    riddles = (_absent(things, catalogue, rng), *_alike(order))
    return (
        (
            Act("Both cameras are alive", BOTH, (*said[:4], *riddles)),
            Act("The depth camera dies", COLOUR, tuple(said[4:6])),
        ),
        (Act("A new start with an empty memory, and the colour camera dead from the beginning", DEPTH,
             tuple(said[6:])),),
    )  # fmt: skip


def _typed(thing: Thing, number: int, rng: np.random.Generator) -> Command:
    """Return one of the simulated writers' descriptions, without their slips."""
    return Command(WRITERS[number % len(WRITERS)].describe(thing.body, 0.0, rng), False, (thing.instance,))


def _spoken(thing: Thing, number: int) -> Command:
    body = thing.body
    words = (OPENINGS[number % len(OPENINGS)], "the", _size(body), SPOKEN.get(body.colour, body.colour), thing.label)
    return Command(" ".join(filter(None, words)), True, (thing.instance,))


def _size(body: Body) -> str:
    return NAMES[body.size][0][0] if body.size else ""


def _absent(things: Sequence[Thing], catalogue: Sequence[Body], rng: np.random.Generator) -> Command:
    """Ask for something of a class that is not on the table."""
    there = {t.label for t in things}
    others = [b for b in catalogue if b.kind.label not in there]
    body = others[int(rng.integers(len(others)))]
    return Command(f"Bring me the {NAMES[body.colour][0][0]} {NAMES[body.kind.label][0][0]}", False, ())


def _alike(order: Sequence[Thing]) -> tuple[Command, ...]:
    """Ask for one of two or more of a class by nothing but its name, where there are such."""
    for thing in order:
        alike = tuple(t.instance for t in order if t.label == thing.label)
        if len(alike) > 1:
            return (Command(f"Bring me the {NAMES[thing.label][0][0]}", False, alike),)
    return ()
