"""Descriptions of objects by twelve simulated writers, who use different sentences and words.

The writers belong to three circles. Writers of the first and the second circle share no sentence template, and no name
where a thing has several names. So a model that was trained on one circle can be tested on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from any2any_ros.sim.tabletop.catalogue import Body
from any2any_ros.sim.tabletop.patterns import Pattern

# The names of the first circle, and those of the second. The third circle uses both.
Names = tuple[tuple[str, ...], tuple[str, ...]]
NAMES: dict[str, Names] = {
    "mug": (("mug", "coffee mug"), ("coffee cup", "tea mug")),
    "book": (("book", "hardcover book"), ("novel", "paperback")),
    "bowl": (("bowl", "cereal bowl"), ("dish", "soup bowl")),
    "bottle": (("bottle", "water bottle"), ("flask", "drinks bottle")),
    "banana": (("banana",), ("plantain", "banana fruit")),
    "hammer": (("hammer", "claw hammer"), ("mallet", "tool for nails")),
    "plate": (("plate", "dinner plate"), ("saucer", "flat plate")),
    "can": (("can", "soda can"), ("tin", "drinks can")),
    "apple": (("apple",), ("apple fruit", "piece of fruit")),
    "scissors": (("scissors", "pair of scissors"), ("shears", "paper cutter")),
    "box": (("box", "cereal box"), ("carton", "packet")),
    "spoon": (("spoon", "table spoon"), ("ladle", "serving spoon")),
    "lamp": (("lamp", "table lamp"), ("desk light", "reading light")),
    "teddy bear": (("teddy bear", "stuffed bear"), ("plush toy", "soft toy bear")),
    "cup": (("cup", "paper cup"), ("tumbler", "drinking cup")),
    "lemon": (("lemon",), ("citrus fruit", "lemon fruit")),
    "pitcher": (("pitcher", "water pitcher"), ("jug", "milk jug")),
    "flashlight": (("flashlight", "hand lamp"), ("torch", "pocket torch")),
    "tape": (("roll of tape", "tape"), ("sticky tape", "adhesive roll")),
    "sponge": (("sponge", "kitchen sponge"), ("scrubber", "scouring pad")),
    "red": (("red", "bright red"), ("scarlet", "red colored")),
    "dark red": (("dark red", "maroon"), ("crimson", "wine red")),
    "orange": (("orange",), ("tangerine", "orange colored")),
    "yellow": (("yellow", "bright yellow"), ("golden", "yellow colored")),
    "green": (("green",), ("emerald", "grass green")),
    "dark green": (("dark green",), ("forest green", "bottle green")),
    "light green": (("light green",), ("lime green", "pale green")),
    "turquoise": (("turquoise",), ("teal", "aqua")),
    "blue": (("blue", "bright blue"), ("royal blue", "cobalt")),
    "navy": (("dark blue",), ("navy blue", "navy")),
    "light blue": (("light blue",), ("sky blue", "pale blue")),
    "purple": (("purple",), ("violet", "lilac")),
    "pink": (("pink",), ("rose", "pinkish")),
    "brown": (("brown",), ("chocolate", "dark wood")),
    "tan": (("light brown",), ("tan", "beige")),
    "white": (("white",), ("off white", "ivory")),
    "grey": (("gray",), ("grey", "ash colored")),
    "black": (("black",), ("dark", "jet black")),
    "silver": (("silver",), ("metallic", "shiny steel")),
    "cream": (("cream",), ("eggshell", "pale yellow")),
    "small": (("small", "little"), ("tiny", "short")),
    "large": (("large", "big"), ("tall", "huge")),
}
# The word that is used by mistake.
MISTAKEN = {
    "mug": "cup", "cup": "mug", "bowl": "plate", "plate": "bowl", "bottle": "can", "can": "bottle", "apple": "lemon",
    "lemon": "apple", "box": "book", "book": "box", "pitcher": "bottle", "lamp": "flashlight", "spoon": "scissors",
    "red": "orange", "orange": "red", "dark red": "brown", "blue": "navy", "navy": "black", "purple": "blue",
    "turquoise": "blue", "light blue": "grey", "green": "dark green", "dark green": "black", "light green": "green",
    "yellow": "orange", "pink": "red", "brown": "tan", "tan": "brown", "white": "grey", "grey": "white",
    "cream": "white", "silver": "grey", "black": "grey",
}  # fmt: skip
USES = {
    "mug": "drink coffee from", "cup": "drink from", "bowl": "eat soup from", "plate": "put food on",
    "bottle": "keep water in", "can": "drink soda from", "pitcher": "pour juice from", "box": "store cereal in",
    "banana": "peel and eat", "apple": "bite into", "lemon": "squeeze over fish", "book": "read",
    "scissors": "cut paper with", "hammer": "hit nails with", "spoon": "stir with", "lamp": "light a desk with",
    "teddy bear": "cuddle with", "flashlight": "shine in the dark with", "tape": "stick paper together with",
    "sponge": "wash the dishes with",
}  # fmt: skip
# The part that has the second colour; {} is that colour.
PARTS = {
    "bottle": "a {} cap", "hammer": "a {} head", "scissors": "{} blades", "lamp": "a {} foot",
    "teddy bear": "a {} snout", "flashlight": "a {} end", "sponge": "a {} top",
}  # fmt: skip
PRINTS = {
    Pattern.BANDS: ("striped", "with {} bands", "banded"),
    Pattern.STRIPES: ("striped", "with {} stripes", "stripy"),
    Pattern.DOTS: ("spotted", "with {} dots", "polka dot"),
    Pattern.LABEL: ("labeled", "with a {} label", "printed"),
    Pattern.CHECKS: ("checkered", "with {} squares", "chequered"),
    Pattern.SPECKS: ("speckled", "with {} spots", "mottled"),
}


@dataclass(frozen=True)
class Wording:
    """The words that one writer chooses for one object; "" for what is not mentioned."""

    noun: str
    colour: str
    size: str
    printed: str
    print: str
    part: str
    use: str

    @property
    def phrase(self) -> str:
        """Size, colour and print, followed by the noun."""
        return " ".join(filter(None, (self.size, self.colour, self.printed, self.noun)))

    @property
    def details(self) -> str:
        """What follows the noun, such as "with red dots and a black cap"; may be empty."""
        part = f"with {self.part}" if self.part else ""
        return " and ".join(filter(None, (self.print, part.replace("with ", "", 1) if self.print else part)))


def _bare(s: Wording) -> str:
    return f"{a(s.phrase)} {s.details}"


def _this_is(s: Wording) -> str:
    more = f". It is {s.colour}" if s.colour else ""
    return f"This is {a(' '.join(filter(None, (s.size, s.printed, s.noun))))} {s.details}{more}."


def _bring(s: Wording) -> str:
    return f"Bring me the {s.phrase} {s.details}"


def _there_is(s: Wording) -> str:
    return f"On the table there is {a(s.phrase)} {s.details}."


def _hand(s: Wording) -> str:
    return f"Could you hand me {a(s.noun)} in {s.colour or 'any color'} {s.details}, please?"


def _object_has(s: Wording) -> str:
    size = f" and looks {s.size}" if s.size else ""
    return f"The object is {a(s.noun)}{size}, its color being {s.colour or 'unclear'} {s.details}."


def _something(s: Wording) -> str:
    return f"Something {s.colour} {s.details} to {s.use}"


def _telegram(s: Wording) -> str:
    return ", ".join(filter(None, (s.noun, s.colour, s.size, s.details)))


TEMPLATES: tuple[tuple[Callable[[Wording], str], ...], ...] = (
    (_bare, _this_is, _bring),
    (_there_is, _hand, _object_has),
    (_something, _telegram, _bare, _hand),
)


@dataclass(frozen=True)
class Writer:
    """A simulated writer. circle: 0, 1 or 2. wordy: share of the usual details that the writer mentions."""

    name: str
    circle: int
    wordy: float

    def describe(self, body: Body, slips: float, rng: np.random.Generator) -> str:
        """Return one description of the object. slips: share of words that are wrong."""
        templates = TEMPLATES[self.circle]
        text = templates[int(rng.integers(len(templates)))](self._choose(body, slips, rng))
        text = " ".join(text.split()).replace(" .", ".").replace(" ,", ",")
        return text if rng.random() < 0.3 else text[0].upper() + text[1:]

    def _choose(self, body: Body, slips: float, rng: np.random.Generator) -> Wording:
        def word(key: str) -> str:
            meant = MISTAKEN.get(key, key) if rng.random() < slips else key
            first, second = NAMES[meant]
            names = (first, second, first + second)[self.circle]
            return names[int(rng.integers(len(names)))]

        def perhaps(text: str, share: float) -> str:
            return text if rng.random() < share * self.wordy else ""

        accent, label = word(body.accent), body.kind.label
        adjective, phrase, other = PRINTS.get(body.pattern, ("", "", ""))
        detailed = rng.random() < 0.5
        return Wording(
            word(label), perhaps(word(body.colour), 0.97), perhaps(word(body.size) if body.size else "", 0.6),
            perhaps(other if self.circle == 1 else adjective, 0.75) if not detailed else "",
            perhaps(phrase.format(accent), 0.85) if detailed else "",
            perhaps(PARTS[label].format(accent), 0.45) if label in PARTS else "", USES[label],
        )  # fmt: skip


WRITERS = tuple(Writer(f"writer_{i:02d}", i % 3, wordy) for i, wordy in enumerate((1.0, 1.0, 0.95, 0.9) * 3))


def a(phrase: str) -> str:
    """Return a noun phrase with its article."""
    if phrase.split()[-1] in ("scissors", "shears"):
        return phrase if " of " in phrase else f"some {phrase}"
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"
