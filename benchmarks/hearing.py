"""How well spoken commands are understood: python benchmarks/hearing.py [noise commands others digits endpoints]

    noise      word error rate and right commands, in noise
    commands   the same by accent and by speed; what a larger vocabulary costs
    others     other sounds: sentences, other languages, noise, music; how often they are taken for a command
    digits     real voices at 8 kHz: --data FOLDER, spoken digits of four speakers, with a grammar of ten words
    endpoints  sentences with pauses between them, in noise: which become one utterance, by each voice detector

All voices but those of the digits are synthetic (espeak-ng). --calibrate fits the confidence, on other voices and
sentences.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hearing_endpoints import run_endpoints
from hearing_sounds import LEVELS, NOISES, SPEEDS, VOICES, Labelled, commands, noise, others, say
from printing import print_table
from tqdm import tqdm

from any2any_ros import config
from any2any_ros.arrays import Flags, Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.hearing import grammar
from any2any_ros.hearing._utterance import RATE, prepare
from any2any_ros.hearing.sphinx import SphinxConfig, SphinxTranscriber, contrast, probability
from any2any_ros.samples import Sound

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print()
    print_table(headings, rows)


def as_sound(x: Float64) -> Sound:
    return Sound(x.astype(np.float32), RATE)


def word_errors(text: str, hypothesis: str) -> int:
    """Return the smallest number of insertions, deletions and substitutions of words between the two texts."""
    row = list(range(len(hypothesis.split()) + 1))
    for i, word in enumerate(text.split(), 1):
        previous, row = row, [i]
        for j, other in enumerate(hypothesis.split(), 1):
            row.append(min(row[-1] + 1, previous[j] + 1, previous[j - 1] + (word != other)))
    return row[-1]


def interval(right: Flags, rng: np.random.Generator) -> str:
    """Return the mean, and the interval of 95 % of bootstrap means."""
    means = rng.choice(right, (2000, len(right))).mean(axis=1)
    return f"{right.mean():.3f} [{np.quantile(means, 0.025):.2f}, {np.quantile(means, 0.975):.2f}]"


# --- commands ---------------------------------------------------------------------------------------------------


def judge(transcriber: SphinxTranscriber, sounds: Sequence[Labelled]) -> dict[str, Float64]:
    """Return for each command: word errors, words, whether right, whether accepted, seconds of sound and of work."""
    rows = []
    for one in tqdm(sounds, disable=not sys.stderr.isatty(), leave=False):
        x, _ = prepare(as_sound(one.samples), 60)
        start = time.process_time()
        hypothesis = transcriber.decode(x)
        cost = time.process_time() - start
        right = grammar.meaning(hypothesis.text) == grammar.meaning(one.text)
        clear = hypothesis.text != "" and contrast(x) >= transcriber.config.contrast
        accepted = clear and probability(hypothesis) >= transcriber.config.accept
        counts = word_errors(one.text, hypothesis.text), len(one.text.split())
        rows.append((*counts, right, accepted, len(one.samples) / RATE, cost))
    names = ("errors", "words", "right", "accepted", "seconds", "cost")
    return dict(zip(names, np.array(rows, dtype=float).T, strict=True))


def cells(name: str, figures: dict[str, Float64], rng: np.random.Generator) -> list[str]:
    """Return the row of a table."""
    right, accepted = figures["right"] > 0, figures["accepted"] > 0
    return [
        name, f"{len(right)}", f"{figures['errors'].sum() / figures['words'].sum():.3f}", interval(right, rng),
        f"{(right & accepted).mean():.3f}", f"{(~right & accepted).mean():.3f}",
        f"{np.mean(right[accepted]) if accepted.any() else np.nan:.3f}",
        f"{figures['cost'].sum() / figures['seconds'].sum():.2f}",
    ]  # fmt: skip


HEADINGS = ("", "commands", "word errors", "right [95 %]", "right, accepted", "wrong, accepted",
           "right of accepted", "s per s")  # fmt: skip


def run_noise(count: int, seed: int) -> None:
    transcriber, rng = SphinxTranscriber(), np.random.default_rng(seed)
    rows = [cells("no noise", judge(transcriber, commands(count, "test", rng)), rng)]
    for snr in LEVELS[1:]:
        for kind in NOISES:
            sounds = commands(count, "test", rng, (snr, kind))
            rows.append(cells(f"{snr:g} dB, {kind}", judge(transcriber, sounds), rng))
    print_rows(HEADINGS, rows)


def run_commands(count: int, seed: int) -> None:
    transcriber, rng = SphinxTranscriber(), np.random.default_rng(seed)
    rows = []
    for voice in VOICES["test"]:
        rows.append(cells(voice, judge(transcriber, commands(count // 2, "test", rng, voices=(voice,))), rng))
    for speed in SPEEDS:
        sounds = commands(count, "test", rng, speeds=(speed,))
        rows.append(cells(f"{speed} words a minute", judge(transcriber, sounds), rng))
    print_rows(HEADINGS, rows)
    run_vocabularies(count, rng)


def run_vocabularies(count: int, rng: np.random.Generator) -> None:
    """Print how well commands of few words are understood with larger and larger vocabularies."""
    objects = [o.strip() for o in grammar.OBJECTS.split(",")]
    colours = [a.strip() for a in grammar.ADJECTIVES.split(",")]
    small = [0, 2, 4, 5, 6, 18, 19, 24, 34, 43]
    sounds = []
    for i in range(count):
        text = f"bring me the {colours[6 + rng.integers(6)]} {objects[rng.choice(small)]}"
        sounds.append(Labelled(say(text, VOICES["test"][i % 9], SPEEDS[i // 9 % 3]), "command", text))
    few = {"openings": "bring me, give me, find", "adjectives": ", ".join(colours[6:12])}
    rows = []
    for name, words in (
        ("3 openings, 6 colours, 10 objects", few | {"objects": ", ".join(objects[i] for i in small)}),
        (f"3 openings, 6 colours, {len(objects)} objects", few),
        ("all words", dict[str, str]()),
    ):
        rows.append(cells(name, judge(SphinxTranscriber(config.build(SphinxConfig, words)), sounds), rng))
    print_rows(HEADINGS, rows)


# --- everything else --------------------------------------------------------------------------------------------


def run_others(seed: int) -> None:
    transcriber, rng = SphinxTranscriber(), np.random.default_rng(seed)
    confidences: dict[str, list[float]] = {}
    for one in tqdm(others("test", rng), disable=not sys.stderr.isatty()):
        confidences.setdefault(one.kind, []).append(transcriber.transcribe(as_sound(one.samples)).confidence)
    quiet = [1e-3 * noise("pink", int(RATE * s), rng) for s in rng.uniform(0.5, 6, 20)]
    confidences["a quiet room"] = [transcriber.transcribe(as_sound(x)).confidence for x in quiet]
    rows = []
    for kind, values in confidences.items():
        shares = (np.mean(np.array(values) >= level) for level in (0.5, 0.7, 0.9))
        rows.append((kind, len(values), *(f"{share:.3f}" for share in shares)))
    print_rows(("sound", "number", "taken for a command", "at confidence .7", "at .9"), rows)


def calibrate(count: int, seed: int) -> None:
    """Print the three constants of sphinx.py. Commands and all other sounds have the same weight."""
    from sklearn.linear_model import LogisticRegression

    transcriber, rng = SphinxTranscriber(), np.random.default_rng(seed)
    sounds = others("calibrate", rng)
    for snr in LEVELS[:3]:
        for kind in NOISES:
            sounds += commands(count, "calibrate", rng, (snr, kind))
    rows = []
    for one in tqdm(sounds, disable=not sys.stderr.isatty()):
        hypothesis = transcriber.decode(prepare(as_sound(one.samples), 60)[0])
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
        raise Any2AnyError(f"There is no sound in {folder}", "it has no speech/*.wav", "Give --data")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "digits.gram"
        file.write_text(f"#JSGF V1.0; grammar digits; public <digit> = {' | '.join(DIGITS)};\n")
        transcriber = SphinxTranscriber(SphinxConfig(grammar=str(file)))
    rows = []
    for path in paths:
        with wave.open(str(path)) as recording:
            raw, rate = recording.readframes(recording.getnframes()), recording.getframerate()
        sound = Sound(np.frombuffer(raw, "<i2").astype(np.float32) / np.float32(32768), rate)
        digit, speaker, _ = path.stem.split("_")
        best = transcriber.decode(prepare(sound, 60)[0]).text
        rows.append((speaker, best == DIGITS[int(digit)], transcriber.transcribe(sound).text))
    rng, speakers = np.random.default_rng(0), sorted({row[0] for row in rows})
    right = np.array([row[1] for row in rows])
    accepted = np.array([row[2] != "" for row in rows])
    speaker_of = np.array([row[0] for row in rows])
    groups = [("all speakers", np.ones(len(rows), bool)), *((name, speaker_of == name) for name in speakers)]
    print_rows(("speaker", "digits", "right [95 %]", "chance", "right, accepted", "wrong, accepted"), [
        (name, int(m.sum()), interval(right[m], rng), "0.100", f"{(right & accepted)[m].mean():.3f}",
         f"{(~right & accepted)[m].mean():.3f}") for name, m in groups
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["noise", "commands", "others", "digits", "endpoints"], help="parts")
    parser.add_argument("--count", type=int, default=36, help="commands of each kind (default %(default)s)")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--calibrate", action="store_true", help="only fit the confidence")
    arguments = parser.parse_args()
    if arguments.calibrate:
        calibrate(arguments.count, arguments.seed + 1)
        return
    parts = {
        "noise": lambda: run_noise(arguments.count, arguments.seed),
        "commands": lambda: run_commands(arguments.count, arguments.seed),
        "others": lambda: run_others(arguments.seed),
        "digits": lambda: run_digits(arguments.data),
        "endpoints": lambda: run_endpoints(arguments.count, arguments.seed),
    }
    for what in arguments.what:
        parts[what]()


if __name__ == "__main__":
    main()
