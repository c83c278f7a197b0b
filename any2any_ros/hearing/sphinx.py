"""Commands by PocketSphinx (Huggins-Daines et al. 2006). Its English acoustic model comes in the wheel.

    pip install 'any2any_ros[speech]'

Every sound is decoded twice: as the likeliest command of a grammar, and as the likeliest string of phones, whatever it
says. How much worse the command fits than the free string tells how far it can be believed (Rose and Paul 1990, "A
hidden Markov model based keyword recognition system"). Figures: docs/hearing.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.hearing import grammar
from any2any_ros.hearing._recording import RATE, prepared
from any2any_ros.samples import Sound, Transcript

PAD = 0.4  # s of a quiet room before and after: the recogniser expects to begin and end in it
ROOM = 2e-3  # of full scale; digital silence has no spectrum
SCALE = 1024  # PocketSphinx keeps log likelihoods divided by that
BLOCK = 320  # samples, 20 ms, in which a sound is loud or quiet
SLOWEST_WORD = 120  # frames of 10 ms; a word that lasts longer is noise
# Wider than PocketSphinx's own: with a hundred words its beams lose the right one. A word has its price, lest noise be
# told as many. All senones are computed, or the two searches' likelihoods cannot be compared.
SEARCH = {"beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60, "wip": 0.1, "bestpath": False, "compallsen": True}
# Logistic regression of "this is the command" on the losses of the worst word that matters and of all (nats a frame).
# Fitted by `benchmarks/hearing.py --calibrate --count 24`, on English voices and sentences of its own.
LOGIT, WORST, MEAN = 3.41, -0.82, -0.97


@dataclass(frozen=True)
class SphinxConfig(Settings):
    """Settings of the command recogniser."""

    openings: str = setting(grammar.OPENINGS, "how a command begins, phrases separated by commas")
    adjectives: str = setting(grammar.ADJECTIVES, "what things are like, separated by commas")
    objects: str = setting(grammar.OBJECTS, "what things are called, separated by commas")
    grammar: str = setting("", "a JSGF file instead of these three; its public rule is what can be said")
    pronunciations: str = setting("", "sounds of words that the dictionary lacks, as in 'grogu G R OW G UW, ...'")
    accept: float = setting(0.5, "a command of less confidence is none", minimum=0, maximum=1)
    contrast: float = setting(
        16.0, "from quiet to loud moments of a sound; with less it is too noisy", unit="dB", minimum=0, maximum=60
    )
    longest: float = setting(15.0, "a sound; what comes later is not listened to", unit="s", minimum=0.5, maximum=60)


class Match(NamedTuple):
    """The likeliest command, "" for none, and what a frame of it loses to free phones: its worst word, and its mean."""

    text: str
    worst: float
    mean: float


class SphinxTranscriber:
    """Cost: 0.3 s a second of sound on one thread. English, American in the first place; 8 kHz sound costs accuracy."""

    plug: ClassVar[str] = "sphinx"
    Config: ClassVar[type[SphinxConfig]] = SphinxConfig

    def __init__(self, config: SphinxConfig = SphinxConfig()) -> None:
        self.config = config
        self.remark = ""
        self._decoder = _decoder()
        self._pronounce(config.pronunciations)
        self._listen_for(_read(Path(config.grammar)) if config.grammar else self._commands())
        self._decoder.add_allphone_file("phones", None)

    def transcribe(self, sound: Sound) -> Transcript:
        """Return the command in a sound of one channel and at least 8 kHz; "" when none fits well enough."""
        x, remark = prepared(sound, self.config.longest)
        if contrast(x) < self.config.contrast:
            # In noise free phones fit no better than the wrong command: the loss tells nothing.
            noisy = f"its loud moments are only {contrast(x):.0f} dB above its quiet ones: too noisy"
            return Transcript("", 0.0, len(x) / RATE, "; ".join(filter(None, (remark, noisy))))
        match = self.match(x)
        confidence = probability(match) if match.text else 0.0
        text = match.text if confidence >= self.config.accept else ""
        return Transcript(text, confidence, len(x) / RATE, remark)

    def match(self, x: Float64) -> Match:
        """Return the likeliest command in a sound (S,) at 16 kHz, its peak at half of full scale."""
        data = _padded(x)
        words = [s for s in self._search("commands", data) if s[0][0] not in "<[("]
        if not words or max(end - start for _, start, end, _ in words) > SLOWEST_WORD:
            return Match("", np.inf, np.inf)
        free = np.zeros(max(end for _, _, end, _ in words))  # log likelihood of each frame
        for _, start, end, fit in self._search("phones", data):
            free[start:end] = fit / (end - start)
        frames = np.array([end - start for _, start, end, _ in words])
        losses = np.array([free[start:end].sum() - fit for _, start, end, fit in words])
        matters = np.array([word not in grammar.FILLERS for word, *_ in words])
        each = losses / frames
        worst = each[matters].max() if matters.any() else each.max()
        return Match(" ".join(word for word, *_ in words), float(worst), float(losses.sum() / frames.sum()))

    def _search(self, name: str, data: bytes) -> list[tuple[str, int, int, float]]:
        """Return words, or phones: which, first frame, frame after the last, log likelihood; none if nothing fits."""
        decoder = self._decoder
        decoder.reinit_feat()  # the same sound gives the same words, whatever was heard before it
        decoder.activate_search(name)
        decoder.start_utt()
        decoder.process_raw(data, full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            return []
        return [
            (s.word.split("(")[0] or s.word, s.start_frame, s.end_frame + 1, log(s.ascore) * SCALE)
            for s in decoder.seg() if s.word != "(NULL)"
        ]  # fmt: skip

    def _commands(self) -> str:
        c = self.config
        made = grammar.commands(c.openings, c.adjectives, c.objects, self._knows)
        if made.left_out:
            self.remark = f"not in the dictionary, so it cannot be heard: {', '.join(made.left_out)}"
        return made.jsgf

    def _listen_for(self, jsgf: str) -> None:
        try:
            graph = self._decoder.parse_jsgf(jsgf)
            unknown = sorted(word for word in _vocabulary(graph) if not self._knows(word))
            if not unknown:
                self._decoder.add_fsg("commands", graph)
        except (ValueError, RuntimeError) as error:
            raise _unreadable(self.config.grammar, str(error)) from error
        if unknown:
            raise _unreadable(self.config.grammar, f"the dictionary lacks {', '.join(unknown)}")

    def _knows(self, word: str) -> bool:
        return self._decoder.lookup_word(word) is not None

    def _pronounce(self, pronunciations: str) -> None:
        for entry in filter(None, (e.split() for e in pronunciations.split(","))):
            word, phones = entry[0].lower(), " ".join(entry[1:]).upper()
            try:
                # Without phones PocketSphinx would end the process.
                if not phones or not grammar.WORD.fullmatch(word):
                    raise RuntimeError("a word of letters a to z, then its phones")
                self._decoder.add_word(word, phones, True)
            except RuntimeError as error:
                raise Any2AnyError(
                    f"Cannot pronounce '{' '.join(entry)}'", str(error), "Use the CMU dictionary's phones: mug M AH G"
                ) from error


def _decoder() -> Any:
    try:
        import pocketsphinx
    except ImportError as error:
        raise Any2AnyError(
            "The command recogniser is not here", str(error), "pip install 'any2any_ros[speech]'"
        ) from error
    return pocketsphinx.Decoder(lm=None, loglevel="FATAL", **SEARCH)


def _padded(x: Float64) -> bytes:
    """Return the sound in a quiet room, 16 bits; the room sounds the same each time."""
    pad = np.zeros(round(PAD * RATE))
    whole = np.concatenate([pad, x, pad])
    whole += ROOM * np.random.default_rng(0).normal(size=len(whole))
    return bytes(np.round(np.clip(whole, -1, 1) * 32767).astype("<i2").data)


def contrast(x: Float64) -> float:
    """Return how far the loudest twentieth of a sound (S,) at 16 kHz is above the quietest, in dB."""
    power = np.square(x[: len(x) // BLOCK * BLOCK]).reshape(-1, BLOCK).mean(axis=1)
    quiet, loud = np.percentile(power, [5, 95])
    return float(10 * np.log10(max(loud, 1e-12) / max(quiet, 1e-12)))


def probability(match: Match) -> float:
    """Return how sure it is that these words were said."""
    return 1 / (1 + exp(min(-(LOGIT + WORST * match.worst + MEAN * match.mean), 700)))


def _vocabulary(graph: Any) -> set[str]:
    """Return the words of a grammar; the graph itself does not tell how many it has."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.fsg"
        graph.writefile(str(path))
        rows = [line.split() for line in path.read_text().splitlines() if line.startswith("TRANSITION")]
    return {row[4] for row in rows if len(row) > 4 and row[4][0] not in "<["}


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(str(path), str(error)) from error


def _unreadable(path: str, why: str) -> Any2AnyError:
    return Any2AnyError(
        f"Cannot listen for the grammar {path}", why, "Give a JSGF file with a public rule, of English words"
    )
