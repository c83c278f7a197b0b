"""Which sentences in a stream of sound become one utterance each: the endpoints of benchmarks/hearing.py."""

from __future__ import annotations

import time

import numpy as np
from hearing_sounds import LEVELS, SPEEDS, VOICES, phrase, say, with_noise
from printing import print_table

from any2any_ros.arrays import Float64, Int64
from any2any_ros.encoders.speech import SpeechConfig
from any2any_ros.hearing import endpoint
from any2any_ros.hearing._utterance import RATE
from any2any_ros.protocols import Endpointer
from any2any_ros.samples import NS, Sound

CHUNK = RATE // 10  # samples of a message


def stream(rng: np.random.Generator, snr: float, kind: str, sentences: int) -> tuple[Float64, Int64]:
    """Return a stream, and where its sentences are (N, 2). Every second one has a pause of 0.2 to 0.45 s inside."""
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
    return with_noise(x, min(snr, 60), kind, rng), np.array(spans)


def trimmed(x: Float64) -> Float64:
    """Return the sound without the silence before and after it."""
    (loud,) = np.nonzero(np.abs(x) > 0.02 * np.abs(x).max())
    return x[loud[0] : loud[-1] + 1]


def utterances(x: Float64, endpointer: Endpointer) -> Int64:
    """Return where the utterances are in a stream (U, 2), found by their samples."""
    heard, spans = (0.3 * x / np.abs(x).max()).astype(np.float32), []
    for end in range(CHUNK, len(heard) + 1, CHUNK):
        utterance = endpointer.hear(Sound(heard[end - CHUNK : end], RATE), end * NS // RATE)
        if utterance is not None:
            first = utterance.samples[:8]
            (starts,) = np.nonzero(np.lib.stride_tricks.sliding_window_view(heard[:end], 8)[:, 0] == first[0])
            start = next(s for s in starts if np.array_equal(heard[s : s + 8], first))
            spans.append((start, start + len(utterance.samples)))
    return np.array(spans, dtype=np.int64).reshape(-1, 2)


def verdicts(spans: Int64, found: Int64) -> tuple[dict[str, int], int]:
    """Return how many sentences are whole, cut, joined with another one, or missed; and how many utterances are false.

    spans (N, 2): of the sentences. found (U, 2): of the utterances.
    """
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
    """Print a row for each level and kind of noise and each voice detector."""
    rows = []
    for snr in (*LEVELS, 0.0):
        for kind in ("pink", "babble") if np.isfinite(snr) else ("pink",):
            x, spans = stream(np.random.default_rng(seed), snr, kind, sentences)
            for name in ("energy", "sphinx", "silero"):
                endpointer = endpoint.build(endpoint.EndpointConfig(endpoint=name), SpeechConfig())
                start = time.process_time()
                count, false = verdicts(spans, utterances(x, endpointer))
                cost = (time.process_time() - start) / (len(x) / RATE)
                level = f"{snr:g} dB, {kind}" if np.isfinite(snr) else "no noise"
                rows.append((level, name, *(f"{n / len(spans):.3f}" for n in count.values()),
                             f"{60 * false * RATE / len(x):.1f}", f"{1000 * cost:.1f}"))  # fmt: skip
    print()
    print_table(("", "endpoint", "whole", "cut", "joined", "missed", "false a minute", "ms per s"), rows)
