"""Draws from a seed which fault happens when: one at a time and overlapping ones, with calm between them.

A run has two chapters: the nodes live first by the system clock, then by /clock. A chapter has rounds of a few minutes;
in each round every kind of fault that fits the chapter occurs once. A round has batches of one to three faults that
overlap. No process is killed in the second half of a chapter, so that the memory of processes that live long is seen.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from any2any_ros.errors import Any2AnyError
from benchmarks.soak.kinds import ALL, KINDS, SENSOR, SENSORS, SIMULATED, SYSTEM, Kind

SHARES = {SYSTEM: 0.6, SIMULATED: 0.4}  # of the run
ROUND = {SYSTEM: 280.0, SIMULATED: 140.0}  # s, about: the length of a round of a long run
SETTLED = 4.0  # s of calm at the beginning of a chapter
CALM = 2.0  # s, shortest calm between two batches; also what cannot be judged yet when a batch ends
STAGGER = 1.2  # s, longest time from the first to the last beginning in a batch
LONGEST = 2.0  # times its shortest length
SIZES = ((1, 0.4), (2, 0.4), (3, 0.2))  # faults of a batch, and how often
MOST = 4  # faults of a batch in a short run
TRIES = 20  # to find batches that fit into a short run
ORDINARY = 4  # kinds of the first chapter in each round of the second one


@dataclass(frozen=True)
class Fault:
    """One fault: seconds since the beginning of its chapter. sensor: the one it hits; "": none, or all."""

    kind: str
    start: float
    end: float
    sensor: str = ""


@dataclass(frozen=True)
class Chapter:
    """A part of the run: which clock the nodes live by, its length in seconds, and its faults in order of beginning."""

    clock: str
    seconds: float
    faults: tuple[Fault, ...]


def draw(minutes: float, seed: int, only: Collection[str] = ()) -> tuple[Chapter, ...]:
    """Return the chapters of a run. only: these kinds of faults alone; empty: all.

    Raises Any2AnyError when the run is too short for one fault of each kind.
    """
    if not minutes > 0:
        raise _too_short(minutes)
    kinds = [kind for kind in KINDS.values() if not only or kind.name in only]
    shares = {c: share for c, share in SHARES.items() if not only or any(k.clock in ("", c) for k in kinds)}
    return tuple(_chapter(c, 60 * minutes * s / sum(shares.values()), seed, kinds) for c, s in shares.items())


def _chapter(clock: str, seconds: float, seed: int, kinds: list[Kind]) -> Chapter:
    rng = np.random.default_rng([seed, *map(ord, clock)])
    rounds = max(1, round((seconds - SETTLED) / ROUND[clock]))
    length = (seconds - SETTLED) / rounds
    faults: list[Fault] = []
    for i in range(rounds):
        those = _kinds(clock, rng, kinds, kills=i < (rounds + 1) // 2)
        faults += _round(those, SETTLED + i * length, length, rng)
    return Chapter(clock, seconds, tuple(sorted(faults, key=lambda f: f.start)))


def _kinds(clock: str, rng: np.random.Generator, known: list[Kind], kills: bool) -> list[Kind]:
    """Return the kinds of a round in their order."""
    own = [kind for kind in known if kind.clock == clock]
    ordinary = [kind for kind in known if not kind.clock]
    if clock == SIMULATED:
        ordinary = [ordinary[int(i)] for i in rng.permutation(len(ordinary))[:ORDINARY]]
    return _shuffled([kind for kind in own + ordinary if kills or not kind.kills], rng)


def _shuffled(kinds: list[Kind], rng: np.random.Generator) -> list[Kind]:
    """Return the kinds in another order. Kinds that kill come first: memory is watched after them."""
    return sorted((kinds[int(i)] for i in rng.permutation(len(kinds))), key=lambda kind: not kind.kills)


def _round(kinds: list[Kind], start: float, length: float, rng: np.random.Generator) -> list[Fault]:
    sizes = [int(rng.choice([n for n, _ in SIZES], p=[p for _, p in SIZES])) for _ in kinds]
    batches = _batches(kinds, sizes)
    for _ in range(TRIES):
        if _shortest(batches) <= length:
            break
        batches = _batches(_shuffled(kinds, rng), [MOST] * len(kinds))  # a short run
    else:
        raise _too_short(length / 60)
    stretch = min(LONGEST, max(1.0, 0.6 * length / _shortest(batches)))
    calm = (length - stretch * sum(map(_seconds, batches))) / len(batches)
    faults = []
    for batch in batches:
        faults += _place(batch, start, stretch, rng)
        start += stretch * _seconds(batch) + calm
    return faults


def _too_short(minutes: float) -> Any2AnyError:
    why = "every kind of fault must occur once, with calm after it"
    return Any2AnyError(f"A run or a part of it of {minutes:.3g} minutes is too short", why, "Give more --minutes")


def _batches(kinds: list[Kind], sizes: list[int]) -> list[list[Kind]]:
    """Put each kind into the first batch that has room for it and nothing that it must not overlap with."""
    batches: list[list[Kind]] = []
    for kind in kinds:
        fitting = (b for b, size in zip(batches, sizes, strict=False) if len(b) < size and _together(kind, b))
        batch = next(fitting, None)
        if batch is None:
            batches.append([kind])
        else:
            batch.append(kind)
    return batches


def _together(kind: Kind, batch: list[Kind]) -> bool:
    """Whether a kind may overlap with those of a batch: at least one sensor is hit by none of them."""
    those = [kind, *batch]
    hits, alone = [k.hits for k in those if k.hits], [k.alone for k in those if k.alone]
    if len(alone) > len(set(alone)) or len(hits) >= len(SENSORS) or hits.count("audio") > 1:
        return False
    if ALL in hits and len(hits) > 1:
        return False
    # A killed process must be back soon, so that nothing else may take the processor.
    return sum(k.kills or k.alone == "cpu" for k in those) <= 1


def _seconds(batch: list[Kind]) -> float:
    return max(kind.seconds for kind in batch) + (STAGGER if len(batch) > 1 else 0.0)


def _shortest(batches: list[list[Kind]]) -> float:
    return sum(_seconds(batch) + CALM for batch in batches)


def _place(batch: list[Kind], start: float, stretch: float, rng: np.random.Generator) -> list[Fault]:
    """Give each fault of a batch its time and its sensor; no two get the same sensor."""
    free = [name for name in rng.permutation(SENSORS) if name not in {kind.hits for kind in batch}]
    faults = []
    for i, kind in enumerate(batch):
        begin = start + (rng.uniform(0.2, STAGGER) if i else 0.0)
        fault = Fault(kind.name, begin, begin + stretch * kind.seconds)
        if kind.hits in SENSORS:
            fault = replace(fault, sensor=kind.hits)
        elif kind.hits == SENSOR:
            fault = replace(fault, sensor=str(free.pop()))
        faults.append(fault)
    return faults
