"""Commands by PocketSphinx (Huggins-Daines et al. 2006). Its English acoustic model comes in the wheel.

    pip install 'any2any_ros[speech]'

Every sound is decoded twice: as the likeliest command of a grammar, and as the likeliest string of phones, free of any
grammar. The worse the command fits compared with the free string, the less it can be trusted (Rose and Paul 1990, "A
hidden Markov model based keyword recognition system"). Measurements: docs/hearing.md.
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
from any2any_ros.hearing._utterance import RATE, prepare
from any2any_ros.samples import Sound, Transcript

PAD = 0.4  # s of a quiet room before and after a sound, where the recogniser expects to begin and end
ROOM = 2e-3  # noise of that room, of full scale; digital silence has no spectrum
SCALE = 1024  # PocketSphinx divides log likelihoods by this
BLOCK = 320  # samples, 20 ms, that are loud or quiet as a whole
LONGEST_WORD = 120  # frames of 10 ms; a longer word is noise
# Wider beams than PocketSphinx's defaults, with which a hundred words lose the right one. wip: a price for each word,
# without which noise becomes many words. compallsen: computes all senones, without which the likelihoods of the two
# searches could not be compared.
SEARCH = {"beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60, "wip": 0.1, "bestpath": False, "compallsen": True}
# Logistic regression of "this command was said" on the losses of the worst word and of all words (nats a frame).
# Fitted by `benchmarks/hearing.py --calibrate --count 24`, on English voices and sentences that no test uses.
LOGIT, WORST, MEAN = 3.41, -0.82, -0.97

Segment = tuple[str, int, int, float]  # word or phone, first frame, frame after the last, log likelihood


@dataclass(frozen=True)
class SphinxConfig(Settings):
    """Settings of the command recogniser."""

    openings: str = setting(grammar.OPENINGS, "phrases that begin a command, separated by commas")
    adjectives: str = setting(grammar.ADJECTIVES, "adjectives of objects, separated by commas")
    objects: str = setting(grammar.OBJECTS, "names of objects, separated by commas")
    grammar: str = setting("", "JSGF file that replaces these three lists; its public rule holds the commands")
    pronunciations: str = setting(
        "", "pronunciations of words that the dictionary lacks, such as 'grogu G R OW G UW, ...'"
    )
    accept: float = setting(0.5, "smallest confidence of a command", minimum=0, maximum=1)
    contrast: float = setting(
        16.0, "smallest difference between loud and quiet moments; a sound with less is too noisy", unit="dB",
        minimum=0, maximum=60,
    )  # fmt: skip
    longest: float = setting(
        15.0, "longest sound that is transcribed; the rest is ignored", unit="s", minimum=0.5, maximum=60
    )


class Hypothesis(NamedTuple):
    """The likeliest command, "" for none, and how much likelihood it loses against free phones, in nats a frame.

    worst: of the worst word that is no filler. mean: of all words.
    """

    text: str
    worst: float
    mean: float


class SphinxTranscriber:
    """Cost: 0.3 s for each second of sound on one thread. English, best American; sound of 8 kHz costs accuracy."""

    plug: ClassVar[str] = "sphinx"
    Config: ClassVar[type[SphinxConfig]] = SphinxConfig

    def __init__(self, config: SphinxConfig = SphinxConfig()) -> None:
        self.config = config
        self.remark = ""
        self._decoder = _decoder()
        self._add_pronunciations(config.pronunciations)
        self._add_grammar(_read(Path(config.grammar)) if config.grammar else self._commands())
        self._decoder.add_allphone_file("phones", None)

    def transcribe(self, sound: Sound) -> Transcript:
        """Return the command in a sound of one channel and at least 8 kHz; the text is "" when no command fits.

        Raises Any2AnyError when the sound cannot be used.
        """
        x, remark = prepare(sound, self.config.longest)
        if contrast(x) < self.config.contrast:
            # In noise free phones fit no better than a wrong command, so that the loss tells nothing.
            noisy = f"its loud moments are only {contrast(x):.0f} dB above its quiet ones: too noisy"
            return Transcript("", 0.0, len(x) / RATE, "; ".join(filter(None, (remark, noisy))))
        hypothesis = self.decode(x)
        confidence = probability(hypothesis) if hypothesis.text else 0.0
        text = hypothesis.text if confidence >= self.config.accept else ""
        return Transcript(text, confidence, len(x) / RATE, remark)

    def decode(self, x: Float64) -> Hypothesis:
        """Return the likeliest command in a sound (S,) at 16 kHz whose peak is at half of full scale."""
        data = _padded(x)
        words = [s for s in self._search("commands", data) if s[0][0] not in "<[("]
        if not words or max(end - start for _, start, end, _ in words) > LONGEST_WORD:
            return Hypothesis("", np.inf, np.inf)
        free = np.zeros(max(end for _, _, end, _ in words))  # log likelihood of each frame
        for _, start, end, likelihood in self._search("phones", data):
            free[start:end] = likelihood / (end - start)
        frames = np.array([end - start for _, start, end, _ in words])
        losses = np.array([free[start:end].sum() - likelihood for _, start, end, likelihood in words])
        matters = np.array([word not in grammar.FILLERS for word, *_ in words])
        per_frame = losses / frames
        worst = per_frame[matters].max() if matters.any() else per_frame.max()
        text = " ".join(word for word, *_ in words)
        return Hypothesis(text, float(worst), float(losses.sum() / frames.sum()))

    def _search(self, name: str, data: bytes) -> list[Segment]:
        """Return the likeliest words or phones; none when nothing fits. name: "commands" or "phones"."""
        decoder = self._decoder
        decoder.reinit_feat()  # so that the result does not depend on earlier sounds
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
        """Return the grammar of the settings' phrases, and name the words without a pronunciation in `remark`."""
        c = self.config
        commands = grammar.commands(c.openings, c.adjectives, c.objects, self._knows)
        if commands.left_out:
            self.remark = f"not in the dictionary, so it cannot be recognised: {', '.join(commands.left_out)}"
        return commands.jsgf

    def _add_grammar(self, jsgf: str) -> None:
        try:
            graph = self._decoder.parse_jsgf(jsgf)
            unknown = sorted(word for word in _vocabulary(graph) if not self._knows(word))
            if not unknown:
                self._decoder.add_fsg("commands", graph)
        except (ValueError, RuntimeError) as error:
            raise _bad_grammar(self.config.grammar, str(error)) from error
        if unknown:
            raise _bad_grammar(self.config.grammar, f"the dictionary lacks {', '.join(unknown)}")

    def _knows(self, word: str) -> bool:
        return self._decoder.lookup_word(word) is not None

    def _add_pronunciations(self, pronunciations: str) -> None:
        for entry in filter(None, (e.split() for e in pronunciations.split(","))):
            word, phones = entry[0].lower(), " ".join(entry[1:]).upper()
            try:
                # Without phones PocketSphinx would end the process.
                if not phones or not grammar.WORD.fullmatch(word):
                    raise RuntimeError("it must be a word of letters a to z, followed by its phones")
                self._decoder.add_word(word, phones, True)
            except RuntimeError as error:
                raise Any2AnyError(
                    f"Cannot pronounce '{' '.join(entry)}'", str(error), "Use the CMU dictionary's phones: mug M AH G"
                ) from error


def contrast(x: Float64) -> float:
    """Return how far the loudest twentieth of a sound (S,) at 16 kHz is above the quietest, in dB."""
    power = np.square(x[: len(x) // BLOCK * BLOCK]).reshape(-1, BLOCK).mean(axis=1)
    quiet, loud = np.percentile(power, [5, 95])
    return float(10 * np.log10(max(loud, 1e-12) / max(quiet, 1e-12)))


def probability(hypothesis: Hypothesis) -> float:
    """Return the probability that these words were said."""
    return 1 / (1 + exp(min(-(LOGIT + WORST * hypothesis.worst + MEAN * hypothesis.mean), 700)))


def _decoder() -> Any:
    try:
        import pocketsphinx
    except ImportError as error:
        raise Any2AnyError(
            "The command recogniser is missing", str(error), "pip install 'any2any_ros[speech]'"
        ) from error
    return pocketsphinx.Decoder(lm=None, loglevel="FATAL", **SEARCH)


def _padded(x: Float64) -> bytes:
    """Return the sound in a quiet room, 16 bits. The noise of the room is the same each time."""
    pad = np.zeros(round(PAD * RATE))
    padded = np.concatenate([pad, x, pad])
    padded += ROOM * np.random.default_rng(0).normal(size=len(padded))
    return bytes(np.round(np.clip(padded, -1, 1) * 32767).astype("<i2").data)


def _vocabulary(graph: Any) -> set[str]:
    """Return the words of a grammar. They are read from a file, because the graph itself does not list them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.fsg"
        graph.writefile(str(path))
        rows = [line.split() for line in path.read_text().splitlines() if line.startswith("TRANSITION")]
    return {row[4] for row in rows if len(row) > 4 and row[4][0] not in "<["}


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _bad_grammar(str(path), str(error)) from error


def _bad_grammar(path: str, why: str) -> Any2AnyError:
    return Any2AnyError(
        f"Cannot listen for the grammar {path}", why, "Give a JSGF file with a public rule, of English words"
    )
