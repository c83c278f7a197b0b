"""The commands of the demo of objects: every object of the table once, one that is absent, one that is ambiguous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from any2any_ros.sim.tabletop.catalogue import Body
from any2any_ros.sim.tabletop.scene import Thing
from any2any_ros.sim.tabletop.words import NAMES, WRITERS

BOTH, COLOUR, DEPTH = ("camera", "depth"), ("camera",), ("depth",)
OPENINGS = ("bring me", "find", "fetch me", "show me")
# Spoken commands name shades by simpler words: they are what the speech recogniser knows.
SIMPLER_COLOURS = {
    "dark red": "red", "dark green": "green", "light green": "green", "navy": "dark blue", "tan": "brown",
    "cream": "white", "grey": "gray",
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A command: its text, whether it is spoken, and the instances that it may mean (none: no such object is there)."""

    text: str
    spoken: bool
    meant: tuple[str, ...]


@dataclass(frozen=True)
class Act:
    """Commands that are given while the same cameras are alive."""

    title: str
    alive: tuple[str, ...]
    commands: tuple[Command, ...]


Run = tuple[Act, ...]  # all acts between one start of the node, with an empty memory, and its end


def plan(things: Sequence[Thing], catalogue: Sequence[Body], seed: int, can_speak: bool) -> tuple[Run, ...]:
    """Return the commands for the things on a table (eight or more), in an order drawn by `seed`.

    catalogue: all bodies that might be on the table, one of which is asked for although it is absent. can_speak:
    whether commands can be spoken; otherwise all are typed.
    """
    rng = np.random.default_rng([seed, 8])
    order = [things[i] for i in rng.permutation(len(things))]
    commands = [_spoken(t, i) if can_speak and i in (1, 3, 4, 7) else _typed(t, i, rng) for i, t in enumerate(order)]
    special = (_absent(things, catalogue, rng), *_alike(order))
    return (
        (
            Act("Both cameras are alive", BOTH, (*commands[:4], *special)),
            Act("The depth camera dies", COLOUR, tuple(commands[4:6])),
        ),
        (Act("A new start with an empty memory, and the colour camera dead from the beginning", DEPTH,
             tuple(commands[6:])),),
    )  # fmt: skip


def _typed(thing: Thing, number: int, rng: np.random.Generator) -> Command:
    """Return one of the simulated writers' descriptions, without their slips."""
    return Command(WRITERS[number % len(WRITERS)].describe(thing.body, 0.0, rng), False, (thing.instance,))


def _spoken(thing: Thing, number: int) -> Command:
    body = thing.body
    words = (
        OPENINGS[number % len(OPENINGS)],
        "the",
        _size(body),
        SIMPLER_COLOURS.get(body.colour, body.colour),
        thing.label,
    )
    return Command(" ".join(filter(None, words)), True, (thing.instance,))


def _size(body: Body) -> str:
    return NAMES[body.size][0][0] if body.size else ""


def _absent(things: Sequence[Thing], catalogue: Sequence[Body], rng: np.random.Generator) -> Command:
    """Ask for something of a class that is not on the table."""
    present = {t.label for t in things}
    others = [b for b in catalogue if b.kind.label not in present]
    body = others[int(rng.integers(len(others)))]
    return Command(f"Bring me the {NAMES[body.colour][0][0]} {NAMES[body.kind.label][0][0]}", False, ())


def _alike(order: Sequence[Thing]) -> tuple[Command, ...]:
    """Ask for an object by its class alone, where the table has two or more of the class."""
    for thing in order:
        alike = tuple(t.instance for t in order if t.label == thing.label)
        if len(alike) > 1:
            return (Command(f"Bring me the {NAMES[thing.label][0][0]}", False, alike),)
    return ()
