"""What a Bayes filter over rankings gains: python benchmarks/sequence.py [--seeds 5] [--places 1000]

A simulated robot drives along a closed road with a place every metre. The score of a place is a bump around the true
place plus errors. The errors are smooth along the road, and most of them stay with the robot from frame to frame, as
the errors of a real encoder do. Sometimes a look-alike elsewhere has a higher score for ten frames in a row. A
temperature turns scores into a posterior; it is fitted on another drive. Figures are mean ± standard deviation over
seeds that were not used to choose the defaults.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter

import numpy as np
from sequence_world import SAME_PLACE, Frame, World, calibrated, drive, log_likelihood, near, right

from any2any_ros import metrics
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.retriever import SHORTLIST
from any2any_ros.trust.bayes_filter import BayesFilter, FilterConfig


@dataclass(frozen=True)
class Answer:
    """One answer: whether it is right, its probability, P(unmapped), and the log likelihood of the true place.

    The log likelihood is NaN outside of the map.
    """

    right: bool
    probability: float
    unmapped: float
    log_likelihood: float


def unfiltered(world: World, frame: Frame, temperature: float) -> Answer:
    """Return the answer to the query alone: that of the filter without a past, but without P(unmapped) and lapses."""
    p = np.exp(temperature * (frame.scores - frame.scores.max()))
    p, best = p / p.sum(), int(frame.scores.argmax())
    mass = near(world, p, best)
    return Answer(right(world, best, frame.truth), mass, 0.0, log_likelihood(world, p, frame.truth))


def filtered(world: World, frame: Frame, temperature: float, bayes: BayesFilter, odometry: bool = True) -> Answer:
    """Return the answer of the filter after this frame."""
    rows = top_k(frame.scores, SHORTLIST)
    belief = bayes.update(rows, temperature * frame.scores[rows], frame.motion if odometry else None)
    p = np.full(world.places, 0.0)
    p[rows] = np.exp(belief.log_posterior)
    return Answer(
        right(world, belief.best, frame.truth),
        belief.probability,
        belief.unmapped,
        log_likelihood(world, p, frame.truth),
    )


def recovery(frames: list[Frame], answers: list[Answer]) -> list[int]:
    """Return for each kidnap but the last the first keyframe with a right answer of probability 0.5 or more.

    1 is the first keyframe at the new place.
    """
    starts = [i for i, frame in enumerate(frames) if frame.kidnapped]
    keyframes = []
    for start, end in pairwise(starts):
        good = [a.right and a.probability >= 0.5 for a in answers[start:end]]
        keyframes.append(good.index(True) + 1 if any(good) else end - start + 1)
    return keyframes


def deceived(frames: list[Frame], answers: list[Answer], after: int = 5) -> float:
    """Return the share of kidnaps with a wrong answer of probability 0.5 or more, `after` keyframes later."""
    rows = [i + after - 1 for i, frame in enumerate(frames) if frame.kidnapped and i + after <= len(frames)]
    return float(np.mean([not answers[i].right and answers[i].probability >= 0.5 for i in rows]))


def run(
    world: World, frames: list[Frame], temperature: float, config: FilterConfig, odometry: bool = True
) -> list[Answer]:
    bayes = BayesFilter(world.poses(), SAME_PLACE, config)
    return [filtered(world, frame, temperature, bayes, odometry) for frame in frames]


def quality(answers: list[Answer]) -> dict[str, float]:
    hits, p = np.array([a.right for a in answers]), np.array([a.probability for a in answers])
    sure = p >= 0.9
    return {
        "R@1": float(hits.mean()),
        "ECE": metrics.expected_calibration_error(p, hits),
        "mean probability": float(p.mean()),
        "log likelihood": float(np.mean([a.log_likelihood for a in answers])),
        "answers at 0.9": float(sure.mean()),
        "right of these": float(hits[sure].mean()) if sure.any() else float("nan"),
    }


def spread(values: list[float]) -> str:
    return f"{np.nanmean(values):.3f} ± {np.nanstd(values):.3f}"


WORLDS = {
    "easy": World(strength=4.8),
    "usual": World(),
    "hard": World(strength=3.5),
    "look-alikes": World(alias_rate=0.05),
    "persistent errors": World(persistence=0.9),
}
METHODS = ("alone", "filter", "filter, no odometry")


def answers_of(world: World, frames: list[Frame], temperature: float, config: FilterConfig) -> dict[str, list[Answer]]:
    return {
        "alone": [unfiltered(world, frame, temperature) for frame in frames],
        "filter": run(world, frames, temperature, config),
        "filter, no odometry": run(world, frames, temperature, config, odometry=False),
    }


def print_quality(places: int, seeds: int, config: FilterConfig) -> None:
    print(f"\nA drive of 400 keyframes, {seeds} seeds, {places} places; chance R@1 {_chance(places):.3f}")
    names = list(quality([Answer(True, 1.0, 0.0, 0.0)]))
    print(f"\n| world | method | {' | '.join(names)} |\n|{'---|' * (len(names) + 2)}")
    for name, world in _worlds(places):
        table: dict[str, list[dict[str, float]]] = {m: [] for m in METHODS}
        for seed in range(seeds):
            frames = list(drive(world, 400, 7100 + seed))
            for method, answers in answers_of(world, frames, calibrated(world, 7000 + seed), config).items():
                table[method].append(quality(answers))
        for method, runs in table.items():
            print(f"| {name} | {method} | {' | '.join(spread([run[n] for run in runs]) for n in names)} |", flush=True)


def print_recovery(places: int, seeds: int, config: FilterConfig) -> None:
    """Print how soon the new place is found. Chance: one of the first 5 answers of a random ranker is right."""
    chance = 1 - (1 - _chance(places)) ** 5
    print(f"\nKidnapped every 20 keyframes, 20 times a seed, {seeds} seeds; chance within 5: {chance:.3f}")
    print("\n| world | method | median | worst | share within 5 | wrong and believed at 5 |\n|---|---|---|---|---|---|")
    for name, world in _worlds(places):
        table: dict[str, list[tuple[list[int], float]]] = {m: [] for m in METHODS}
        for seed in range(seeds):
            frames = list(drive(world, 421, 7200 + seed, kidnap_every=20))
            for method, answers in answers_of(world, frames, calibrated(world, 7000 + seed), config).items():
                table[method].append((recovery(frames, answers), deceived(frames, answers)))
        for method, runs in table.items():
            after, wrong = [run[0] for run in runs], spread([run[1] for run in runs])
            within = spread([float(np.mean(np.array(keyframes) <= 5)) for keyframes in after])
            print(f"| {name} | {method} | {np.median(after):.0f} | {np.max(after)} | {within} | {wrong} |", flush=True)


def print_leaving(places: int, seeds: int, config: FilterConfig) -> None:
    print(f"\nOutside of the map from keyframe 60 to 90, {seeds} seeds: mean P(unmapped), probability of the answer")
    moments = {"before": 59, "after 1": 60, "3": 62, "5": 64, "10": 69, "30": 89, "back, 1": 90, "3 ": 92, "5 ": 94}
    print(f"\n| world | | {' | '.join(moments)} |\n|{'---|' * (len(moments) + 2)}")
    for name, world in _worlds(places):
        runs = [
            run(world, list(drive(world, 100, 7300 + s, outside=(60, 90))), calibrated(world, 7000 + s), config)
            for s in range(seeds)
        ]
        for what in ("unmapped", "probability"):
            means = [np.mean([getattr(answers[i], what) for answers in runs]) for i in moments.values()]
            print(f"| {name} | {what} | {' | '.join(f'{m:.2f}' for m in means)} |", flush=True)


def print_cost(config: FilterConfig) -> None:
    print("\n| places | update, median ms | worst of 50 ms |\n|---|---|---|")
    for places in (1_000, 10_000, 100_000, 1_000_000):
        world = World(places=places)
        bayes = BayesFilter(world.poses(), SAME_PLACE, config)
        frames = list(drive(world, 20 if places > 100_000 else 50, 0))
        milliseconds = []
        for frame in frames:
            rows = top_k(frame.scores, SHORTLIST)
            start = perf_counter()
            bayes.update(rows, 2.5 * frame.scores[rows], frame.motion)
            milliseconds.append(1e3 * (perf_counter() - start))
        print(f"| {places} | {np.median(milliseconds):.2f} | {np.max(milliseconds):.2f} |", flush=True)


def _chance(places: int) -> float:
    return float((2 * np.ceil(SAME_PLACE) - 1) / places)


def _worlds(places: int) -> list[tuple[str, World]]:
    return [(name, replace(world, places=places)) for name, world in WORLDS.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="number of drives (default %(default)s)")
    parser.add_argument("--places", type=int, default=1000, help="of the road (default %(default)s)")
    arguments, config = parser.parse_args(), FilterConfig()
    print_quality(arguments.places, arguments.seeds, config)
    print_recovery(arguments.places, arguments.seeds, config)
    print_leaving(arguments.places, arguments.seeds, config)
    print_cost(config)


if __name__ == "__main__":
    main()
