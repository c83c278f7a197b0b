"""The commands that can be understood, as a JSGF grammar: opening, article, up to two words that describe, thing.

    bring me | the | small blue | mug

A recogniser that expects nothing else makes few mistakes; what a robot has never been told of, it cannot hear. JSGF:
Java Speech Grammar Format, W3C note of 2000.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from any2any_ros.errors import Any2AnyError

WORD = re.compile(r"[a-z][a-z']*")
ARTICLES = ("a", "an", "the", "my")
FILLERS = frozenset({*ARTICLES, "please", "me"})  # words that change nothing about what is meant
DESCRIBING = 2  # words at most, in any order

# Every word more is one more to be mistaken for another: these are what people call the things of a household.
OPENINGS = "bring, bring me, fetch, fetch me, get, get me, give me, hand me, find, find me, show me, pick up, where is"
ADJECTIVES = (
    "small, little, big, large, long, round, "
    "red, orange, yellow, green, turquoise, blue, dark blue, light blue, purple, pink, brown, white, gray, black, "
    "silver, striped, spotted, checkered, plastic, metal, wooden, paper, ceramic"
)
# The classes of GoLD (Jenkins et al. 2020) and of the simulated tabletop, and what else they are often called.
OBJECTS = (
    "mug, coffee mug, cup, coffee cup, bowl, plate, bottle, water bottle, soda bottle, medicine bottle, can, soda can, "
    "can opener, jar, pitcher, fork, knife, spoon, "
    "apple, banana, lemon, lime, onion, potato, bell pepper, "
    "book, notebook, pencil, marker, stapler, box, cereal box, tissue box, picture frame, "
    "hammer, screwdriver, pliers, wrench, tape, measuring tape, scissors, "
    "cell phone, phone, mouse, lamp, flashlight, light bulb, glasses, cap, towel, sponge, shampoo, "
    "toothbrush, toothpaste, band aid, syringe, teddy bear"
)


@dataclass(frozen=True)
class Commands:
    """A grammar, and the words of it that had to be left out because nobody knows how they sound."""

    jsgf: str
    left_out: tuple[str, ...]


def commands(openings: str, adjectives: str, objects: str, known: Callable[[str], bool]) -> Commands:
    """Return the grammar of these phrases, separated by commas, without those that have a word that is not `known`."""
    unknown: dict[str, None] = {}
    rules = [
        _rule(name, phrases, known, unknown)
        for name, phrases in (("opening", openings), ("adjective", adjectives), ("object", objects))
    ]
    article = " | ".join(ARTICLES)
    order = "[please] <opening> [<article>]" + " [<adjective>]" * DESCRIBING + " <object> [please]"
    lines = ["#JSGF V1.0;", "grammar commands;", f"public <command> = {order};", f"<article> = {article};", *rules]
    return Commands("\n".join(lines) + "\n", tuple(unknown))


def _rule(name: str, phrases: str, known: Callable[[str], bool], unknown: dict[str, None]) -> str:
    """Return one rule; what is not known goes into `unknown`."""
    kept: dict[str, None] = {}
    for phrase in filter(None, (" ".join(p.split()).lower() for p in phrases.split(","))):
        absent = [word for word in phrase.split() if not (WORD.fullmatch(word) and known(word))]
        unknown.update(dict.fromkeys(absent))
        if not absent:
            kept[phrase] = None
    if not kept:
        raise Any2AnyError(
            f"There is no {name} to listen for",
            f"of {phrases.strip() or 'nothing'!r} no phrase has only words whose sound is known",
            f"Give English words in '{name}s', or their sounds in 'pronunciations'",
        )
    return f"<{name}> = {' | '.join(kept)};"


def meaning(text: str) -> tuple[str, ...]:
    """Return the words of a command that say what to do and with which thing."""
    return tuple(word for word in text.lower().split() if word not in FILLERS)
