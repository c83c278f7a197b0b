"""The commands that a recogniser listens for, as a grammar: opening, article, up to two adjectives, object.

    bring me | the | small blue | mug

A recogniser that expects only these sentences makes few mistakes, and cannot recognise anything else. The format is
JSGF (Java Speech Grammar Format, W3C note of 2000).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from any2any_ros.errors import Any2AnyError

WORD = re.compile(r"[a-z][a-z']*")
ARTICLES = ("a", "an", "the", "my")
FILLERS = frozenset({*ARTICLES, "please", "me"})  # words that do not change the meaning of a command
ADJECTIVES_IN_COMMAND = 2  # at most, in any order

# Common words for the objects of a household. Each further word is one more that another can be mistaken for.
OPENINGS = "bring, bring me, fetch, fetch me, get, get me, give me, hand me, find, find me, show me, pick up, where is"
ADJECTIVES = (
    "small, little, big, large, long, round, "
    "red, orange, yellow, green, turquoise, blue, dark blue, light blue, purple, pink, brown, white, gray, black, "
    "silver, striped, spotted, checkered, plastic, metal, wooden, paper, ceramic"
)
# The classes of GoLD (Jenkins et al. 2020) and of the simulated tabletop, and other common names for them.
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
    """A grammar in JSGF, and the words that were left out because their pronunciation is unknown."""

    jsgf: str
    left_out: tuple[str, ...]


def commands(openings: str, adjectives: str, objects: str, known: Callable[[str], bool]) -> Commands:
    """Return the grammar of these phrases, each a list separated by commas.

    known: whether the pronunciation of a word is known. Phrases with an unknown word are left out. Raises Any2AnyError
    when no opening, adjective or object is left.
    """
    unknown: dict[str, None] = {}
    rules = [
        _rule(name, phrases, known, unknown)
        for name, phrases in (("opening", openings), ("adjective", adjectives), ("object", objects))
    ]
    article = " | ".join(ARTICLES)
    order = "[please] <opening> [<article>]" + " [<adjective>]" * ADJECTIVES_IN_COMMAND + " <object> [please]"
    lines = ["#JSGF V1.0;", "grammar commands;", f"public <command> = {order};", f"<article> = {article};", *rules]
    return Commands("\n".join(lines) + "\n", tuple(unknown))


def _rule(name: str, phrases: str, known: Callable[[str], bool], unknown: dict[str, None]) -> str:
    """Return one rule, and add the unknown words of its phrases to `unknown`."""
    alternatives: dict[str, None] = {}  # a dict, because it keeps the order and drops duplicates
    for phrase in filter(None, (" ".join(p.split()).lower() for p in phrases.split(","))):
        absent = [word for word in phrase.split() if not (WORD.fullmatch(word) and known(word))]
        unknown.update(dict.fromkeys(absent))
        if not absent:
            alternatives[phrase] = None
    if not alternatives:
        raise Any2AnyError(
            f"There is no {name} to listen for",
            f"in {phrases.strip() or 'nothing'!r} every phrase has a word whose pronunciation is unknown",
            f"Give English words in '{name}s', or their pronunciation in 'pronunciations'",
        )
    return f"<{name}> = {' | '.join(alternatives)};"


def meaning(text: str) -> tuple[str, ...]:
    """Return the words of a command without its fillers."""
    return tuple(word for word in text.lower().split() if word not in FILLERS)
