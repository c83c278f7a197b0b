"""How well spoken commands are heard: python benchmarks/hearing.py [noise commands others digits endpoints]

    noise      word error rate and right commands, in noise
    commands   the same over accents and speeds; what a larger vocabulary costs
    others     what else makes a sound: other sentences and languages, noise, music; how often it is taken for a command
    digits     real voices, eight kHz: --data ../shared/data, spoken digits of four speakers, a grammar of ten words
    endpoints  sentences with pauses between, in noise: which are found whole, cut, joined or missed, by each judge

All voices but the digits' are espeak-ng's: synthetic. --calibrate fits the confidence, on other voices and sentences.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import wave
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from hearing_sounds import NOISES, SPEEDS, VOICES, Heard, buried, commands, noise, others, phrase, say
from numpy.typing import NDArray
from tqdm import tqdm

from any2any_ros import config
from any2any_ros.arrays import Float64
from any2any_ros.encoders.speech import SpeechConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.hearing import endpoint, grammar
from any2any_ros.hearing._utterance import RATE, prepare
from any2any_ros.hearing.sphinx import SphinxConfig, SphinxTranscriber, contrast, probability
from any2any_ros.protocols import Endpointer
from any2any_ros.samples import NS, Sound

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LEVELS = (np.inf, 20.0, 10.0, 5.0)  # dB
CHUNK = RATE // 10


def sound(x: Float64) -> Sound:
    return Sound(x.astype(np.float32), RATE)


def errors(said: str, heard: str) -> int:
    """Return the word errors: the least of insertions, deletions and substitutions between the two."""
    row = list(range(len(heard.split()) + 1))
    for i, word in enumerate(said.split(), 1):
        previous, row = row, [i]
        for j, other in enumerate(heard.split(), 1):
            row.append(min(row[-1] + 1, previous[j] + 1, previous[j - 1] + (word != other)))
    return row[-1]


def interval(right: NDArray[np.bool_], rng: np.random.Generator) -> str:
    """Return a mean with the bounds of 95 % of bootstrap means."""
    means = rng.choice(right, (2000, len(right))).mean(axis=1)
    return f"{right.mean():.3f} [{np.quantile(means, 0.025):.2f}, {np.quantile(means, 0.975):.2f}]"


def table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    print(f"\n| {' | '.join(heading)} |\n{'|---' * len(heading)}|")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


# --- commands ---------------------------------------------------------------------------------------------------


def judged(listener: SphinxTranscriber, said: Sequence[Heard]) -> dict[str, NDArray[np.float64]]:
    """Return for each command: word errors and words, right, accepted, seconds of sound and of work."""
    rows = []
    for one in tqdm(said, disable=not sys.stderr.isatty(), leave=False):
        x, _ = prepare(sound(one.x), 60)
        start = time.process_time()
        hypothesis = listener.decode(x)
        cost = time.process_time() - start
        right = grammar.meaning(hypothesis.text) == grammar.meaning(one.text)
        clear = hypothesis.text != "" and contrast(x) >= listener.config.contrast
        accepted = clear and probability(hypothesis) >= listener.config.accept
        rows.append(
            (errors(one.text, hypothesis.text), len(one.text.split()), right, accepted, len(one.x) / RATE, cost)
        )
    names = ("errors", "words", "right", "accepted", "seconds", "cost")
    return dict(zip(names, np.array(rows, dtype=float).T, strict=True))


def shown(name: str, found: dict[str, NDArray[np.float64]], rng: np.random.Generator) -> list[str]:
    right, accepted = found["right"] > 0, found["accepted"] > 0
    return [
        name, f"{len(right)}", f"{found['errors'].sum() / found['words'].sum():.3f}", interval(right, rng),
        f"{(right & accepted).mean():.3f}", f"{(~right & accepted).mean():.3f}",
        f"{np.mean(right[accepted]) if accepted.any() else np.nan:.3f}",
        f"{found['cost'].sum() / found['seconds'].sum():.2f}",
    ]  # fmt: skip


HEADING = ("", "commands", "word errors", "right [95 %]", "right, accepted", "wrong, accepted",
           "right of accepted", "s per s")  # fmt: skip


def run_noise(count: int, seed: int) -> None:
    listener, rng = SphinxTranscriber(), np.random.default_rng(seed)
    rows = [shown("no noise", judged(listener, commands(count, "test", rng)), rng)]
    for snr in LEVELS[1:]:
        for kind in NOISES:
            said = commands(count, "test", rng, snr, kind)
            rows.append(shown(f"{snr:g} dB, {kind}", judged(listener, said), rng))
    table(HEADING, rows)


def run_commands(count: int, seed: int) -> None:
    listener, rng = SphinxTranscriber(), np.random.default_rng(seed)
    rows = []
    for voice in VOICES["test"]:
        rows.append(shown(voice, judged(listener, commands(count // 2, "test", rng, voices=(voice,))), rng))
    for speed in SPEEDS:
        said = commands(count, "test", rng, speeds=(speed,))
        rows.append(shown(f"{speed} words a minute", judged(listener, said), rng))
    table(HEADING, rows)
    run_vocabularies(count, rng)


def run_vocabularies(count: int, rng: np.random.Generator) -> None:
    """The same commands of few words, listened for in ever more: what a robot need not expect costs accuracy."""
    objects = [o.strip() for o in grammar.OBJECTS.split(",")]
    colours = [a.strip() for a in grammar.ADJECTIVES.split(",")]
    small = [0, 2, 4, 5, 6, 18, 19, 24, 34, 43]
    said = []
    for i in range(count):
        text = f"bring me the {colours[6 + rng.integers(6)]} {objects[rng.choice(small)]}"
        said.append(Heard(say(text, VOICES["test"][i % 9], SPEEDS[i // 9 % 3]), "command", text))
    few = {"openings": "bring me, give me, find", "adjectives": ", ".join(colours[6:12])}
    rows = []
    for name, words in (
        ("3 openings, 6 colours, 10 objects", few | {"objects": ", ".join(objects[i] for i in small)}),
        (f"3 openings, 6 colours, {len(objects)} objects", few),
        ("all words", dict[str, str]()),
    ):
        rows.append(shown(name, judged(SphinxTranscriber(config.build(SphinxConfig, words)), said), rng))
    table(HEADING, rows)


# --- everything else --------------------------------------------------------------------------------------------


def run_others(seed: int) -> None:
    listener, rng = SphinxTranscriber(), np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for one in tqdm(others("test", rng), disable=not sys.stderr.isatty()):
        found.setdefault(one.kind, []).append(listener.transcribe(sound(one.x)).confidence)
    quiet = [1e-3 * noise("pink", int(RATE * s), rng) for s in rng.uniform(0.5, 6, 20)]
    found["a quiet room"] = [listener.transcribe(sound(x)).confidence for x in quiet]
    rows = []
    for kind, confidences in found.items():
        shares = (np.mean(np.array(confidences) >= level) for level in (0.5, 0.7, 0.9))
        rows.append((kind, len(confidences), *(f"{share:.3f}" for share in shares)))
    table(("sound", "number", "taken for a command", "at confidence .7", "at .9"), rows)


def calibrate(count: int, seed: int) -> None:
    """Print the three constants of sphinx.py; equal weight to commands and to everything else."""
    from sklearn.linear_model import LogisticRegression

    listener, rng = SphinxTranscriber(), np.random.default_rng(seed)
    heard = others("calibrate", rng)
    for snr in LEVELS[:3]:
        for kind in NOISES:
            heard += commands(count, "calibrate", rng, snr, kind)
    rows = []
    for one in tqdm(heard, disable=not sys.stderr.isatty()):
        hypothesis = listener.decode(prepare(sound(one.x), 60)[0])
        if hypothesis.text:
            right = one.text != "" and grammar.meaning(hypothesis.text) == grammar.meaning(one.text)
            rows.append((hypothesis.worst, hypothesis.mean, right, one.text != ""))
    x, (correct, command) = np.array(rows)[:, :2], np.array(rows)[:, 2:].T
    weight = np.where(command > 0, 1 / command.sum(), 1 / (1 - command).sum())
    fit = LogisticRegression(C=np.inf).fit(x, correct, sample_weight=weight * len(x) / 2)
    print(
        f"{len(x)} sounds, {correct.sum():.0f} right: LOGIT, WORST, MEAN =", fit.intercept_.round(2), fit.coef_.round(2)
    )


# --- real voices ------------------------------------------------------------------------------------------------


def run_digits(folder: Path) -> None:
    paths = sorted((folder / "speech").glob("*.wav"))
    if not paths:
        raise Any2AnyError(f"There is nothing to hear in {folder}", "it has no speech/*.wav", "Give --data")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "digits.gram"
        file.write_text(f"#JSGF V1.0; grammar digits; public <digit> = {' | '.join(DIGITS)};\n")
        listener = SphinxTranscriber(SphinxConfig(grammar=str(file)))
    rows = []
    for path in paths:
        with wave.open(str(path)) as recording:
            raw, rate = recording.readframes(recording.getnframes()), recording.getframerate()
        heard = Sound(np.frombuffer(raw, "<i2").astype(np.float32) / np.float32(32768), rate)
        digit, speaker, _ = path.stem.split("_")
        best = listener.decode(prepare(heard, 60)[0]).text
        rows.append((speaker, best == DIGITS[int(digit)], listener.transcribe(heard).text))
    rng, speakers = np.random.default_rng(0), sorted({row[0] for row in rows})
    right = np.array([row[1] for row in rows])
    accepted = np.array([row[2] != "" for row in rows])
    by = np.array([row[0] for row in rows])
    everybody = [("everybody", np.ones(len(rows), bool)), *((name, by == name) for name in speakers)]
    table(("speaker", "digits", "right [95 %]", "chance", "right, accepted", "wrong, accepted"), [
        (name, int(m.sum()), interval(right[m], rng), "0.100", f"{(right & accepted)[m].mean():.3f}",
         f"{(~right & accepted)[m].mean():.3f}") for name, m in everybody
    ])  # fmt: skip


# --- where an utterance begins and ends -------------------------------------------------------------------------


def stream(rng: np.random.Generator, snr: float, kind: str, sentences: int) -> tuple[Float64, NDArray[np.int64]]:
    """Return a stream and where its sentences are (N, 2). Every other one hesitates 0.2 to 0.45 s before its end."""
    parts, spans, at = [np.zeros(2 * RATE)], [], 2 * RATE
    for i in range(sentences):
        words, voice, speed = phrase(rng).split(), str(rng.choice(VOICES["test"])), int(rng.choice(SPEEDS))
        halves = [words] if i % 2 else [words[: len(words) // 2], words[len(words) // 2 :]]
        spoken = [trimmed(say(" ".join(half), voice, speed)) for half in halves]
        x = spoken[0] if len(spoken) == 1 else np.concatenate(
            [spoken[0], np.zeros(int(RATE * rng.uniform(0.2, 0.45))), spoken[1]]
        )  # fmt: skip
        spans.append((at, at + len(x)))
        pause = np.zeros(int(RATE * rng.uniform(1.0, 2.5)))
        parts += [x * rng.uniform(0.5, 1), pause]
        at += len(x) + len(pause)
    x = np.concatenate(parts)
    return buried(x, min(snr, 60), kind, rng), np.array(spans)


def trimmed(x: Float64) -> Float64:
    (loud,) = np.nonzero(np.abs(x) > 0.02 * np.abs(x).max())
    return x[loud[0] : loud[-1] + 1]


def cut(x: Float64, listener: Endpointer) -> NDArray[np.int64]:
    """Return where the utterances lie (U, 2), found again by their samples."""
    heard, found = (0.3 * x / np.abs(x).max()).astype(np.float32), []
    for end in range(CHUNK, len(heard) + 1, CHUNK):
        utterance = listener.hear(Sound(heard[end - CHUNK : end], RATE), end * NS // RATE)
        if utterance is not None:
            first = utterance.samples[:8]
            (starts,) = np.nonzero(np.lib.stride_tricks.sliding_window_view(heard[:end], 8)[:, 0] == first[0])
            start = next(s for s in starts if np.array_equal(heard[s : s + 8], first))
            found.append((start, start + len(utterance.samples)))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def verdicts(spans: NDArray[np.int64], found: NDArray[np.int64]) -> tuple[dict[str, int], int]:
    """Return how many sentences came out whole, cut, joined with another or not at all; and utterances of nothing."""
    overlap = np.minimum(spans[:, None, 1], found[None, :, 1]) - np.maximum(spans[:, None, 0], found[None, :, 0])
    touches = overlap > 0.1 * RATE  # (N, U)
    count = dict.fromkeys(("whole", "cut", "joined", "missed"), 0)
    for i, (start, end) in enumerate(spans):
        by = np.flatnonzero(touches[i])
        if len(by) == 0:
            count["missed"] += 1
        elif touches[:, by].sum() > len(by):
            count["joined"] += 1
        else:
            count["whole" if len(by) == 1 and overlap[i, by[0]] >= 0.95 * (end - start) else "cut"] += 1
    return count, int((~touches.any(axis=0)).sum())


def run_endpoints(sentences: int, seed: int) -> None:
    rows = []
    for snr in (*LEVELS, 0.0):
        for kind in ("pink", "babble") if np.isfinite(snr) else ("pink",):
            x, spans = stream(np.random.default_rng(seed), snr, kind, sentences)
            for name in ("energy", "sphinx", "silero"):
                listener = endpoint.build(endpoint.EndpointConfig(endpoint=name), SpeechConfig())
                start = time.process_time()
                count, false = verdicts(spans, cut(x, listener))
                cost = (time.process_time() - start) / (len(x) / RATE)
                level = f"{snr:g} dB, {kind}" if np.isfinite(snr) else "no noise"
                rows.append((level, name, *(f"{n / len(spans):.3f}" for n in count.values()),
                             f"{60 * false * RATE / len(x):.1f}", f"{1000 * cost:.1f}"))  # fmt: skip
    table(("", "endpoint", "whole", "cut", "joined", "missed", "false a minute", "ms per s"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["noise", "commands", "others", "digits", "endpoints"])
    parser.add_argument("--count", type=int, default=36, help="commands of each kind (default %(default)s)")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--calibrate", action="store_true", help="fit the confidence; nothing else")
    arguments = parser.parse_args()
    if arguments.calibrate:
        calibrate(arguments.count, arguments.seed + 1)
        return
    verbs = {
        "noise": lambda: run_noise(arguments.count, arguments.seed),
        "commands": lambda: run_commands(arguments.count, arguments.seed),
        "others": lambda: run_others(arguments.seed),
        "digits": lambda: run_digits(arguments.data),
        "endpoints": lambda: run_endpoints(arguments.count, arguments.seed),
    }
    for what in arguments.what:
        verbs[what]()


if __name__ == "__main__":
    main()
