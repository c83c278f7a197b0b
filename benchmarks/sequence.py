"""What a Bayes filter over rankings gains: python benchmarks/sequence.py [--seeds 5] [--places 1000]

A simulated robot drives along a closed road with a place every metre. The score of a place is a bump around the true
place plus errors. The errors are smooth along the road, and most of them stay with the robot from frame to frame, as
the errors of a real encoder do. Sometimes a look-alike elsewhere has a higher score for ten frames in a row. A
temperature turns scores into a posterior; it is fitted on another drive. Figures are mean ± standard deviation over
seeds that were not used to choose the defaults.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from any2any_ros import metrics
from any2any_ros.arrays import Float64, Rows
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.retriever import SHORTLIST
from any2any_ros.trust.bayes_filter import BayesFilter, FilterConfig

SAME_PLACE = 5.0  # m
WIDTH = 2.0  # places, width of the true bump and of the errors


@dataclass(frozen=True)
class World:
    """A closed road, and how well its places can be told apart."""

    places: int = 1000
    strength: float = 4.0  # of the true bump, in standard deviations of the errors: R@1 is about 0.8
    persistence: float = 0.5  # correlation of the errors of two consecutive frames
    alias_rate: float = 0.01  # look-alikes that begin, per frame
    alias_frames: int = 10

    def poses(self) -> Float64:
        """Return the poses (R, 4, 4) around a circle, each heading along it."""
        angle = np.arange(self.places) * 2 * np.pi / self.places
        poses = np.tile(np.eye(4), (self.places, 1, 1))
        poses[:, :2, 3] = self.places / (2 * np.pi) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        poses[:, :2, 0] = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
        poses[:, :2, 1] = -np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return poses


@dataclass(frozen=True)
class Frame:
    """One frame of a drive.

    truth: the true place, -1 outside of the map. motion (4, 4): by odometry. scores (R,). kidnapped: whether the robot
    was put elsewhere just before this frame.
    """

    truth: int
    motion: Float64
    scores: Float64
    kidnapped: bool


def drive(
    world: World, frames: int, seed: int, kidnap_every: int = 0, outside: tuple[int, int] = (0, 0)
) -> Iterator[Frame]:
    """Yield the frames of a drive with 1 or 2 m between them.

    kidnap_every: frames after which the robot is put elsewhere (0: never). outside: first frame outside of the map, and
    first frame back in it.
    """
    draw = np.random.default_rng(seed)
    here, alias, left, errors = int(draw.integers(world.places)), 0, 0, _errors(world, draw)
    rows = np.arange(world.places)
    for i in range(frames):
        step = int(draw.integers(1, 3))
        kidnapped = bool(kidnap_every) and i > 0 and i % kidnap_every == 0
        jump = int(draw.integers(50, world.places - 50)) if kidnapped else step
        here = (here + jump) % world.places
        fresh = np.sqrt(1 - world.persistence**2) * _errors(world, draw)
        errors = world.persistence * np.roll(errors, step) + fresh  # most errors move along with the robot
        if left == 0 and draw.random() < world.alias_rate:
            alias, left = int(draw.integers(50, world.places - 50)), world.alias_frames
        out = outside[0] <= i < outside[1]
        scores = errors + (0 if out else world.strength) * _bump(rows, here, world.places)
        if left and not out:
            left -= 1
            scores = scores + 0.8 * world.strength * _bump(rows, (here + alias) % world.places, world.places)
            scores -= 0.4 * world.strength * _bump(rows, here, world.places)
        motion = np.eye(4)
        motion[0, 3] = step * (1 + 0.02 * draw.normal())
        yield Frame(-1 if out else here, motion, scores, kidnapped)


def _errors(world: World, draw: np.random.Generator) -> Float64:
    smooth = gaussian_filter1d(draw.normal(size=world.places), WIDTH / np.sqrt(2), mode="wrap")
    return np.asarray(smooth / smooth.std())


def _bump(rows: Rows, at: int, places: int) -> Float64:
    apart = np.minimum((rows - at) % places, (at - rows) % places)
    return np.asarray(np.exp(-((apart / WIDTH) ** 2) / 2))


def right(world: World, row: int, truth: int) -> bool:
    apart = min((row - truth) % world.places, (truth - row) % world.places)
    return truth >= 0 and apart < SAME_PLACE


def calibrated(world: World, seed: int) -> float:
    """Return the temperature at which the right places of another drive are likeliest."""
    frames = list(drive(world, 300, seed))

    def loss(log_temperature: float) -> float:
        posterior = (log_softmax(np.exp(log_temperature) * frame.scores) for frame in frames)
        return -float(np.mean([_log(world, np.exp(p), f.truth) for p, f in zip(posterior, frames, strict=True)]))

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 4), method="bounded", options={"xatol": 0.05}).x))


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
    mass = _near(world, p, best)
    return Answer(right(world, best, frame.truth), mass, 0.0, _log(world, p, frame.truth))


def filtered(world: World, frame: Frame, temperature: float, bayes: BayesFilter, odometry: bool = True) -> Answer:
    """Return the answer of the filter after this frame."""
    rows = top_k(frame.scores, SHORTLIST)
    belief = bayes.update(rows, temperature * frame.scores[rows], frame.motion if odometry else None)
    p = np.full(world.places, 0.0)
    p[rows] = np.exp(belief.log_posterior)
    return Answer(
        right(world, belief.best, frame.truth), belief.probability, belief.unmapped, _log(world, p, frame.truth)
    )


def _near(world: World, p: Float64, row: int) -> float:
    reach = int(np.ceil(SAME_PLACE)) - 1
    return float(p[np.arange(row - reach, row + reach + 1) % world.places].sum())


def _log(world: World, p: Float64, truth: int) -> float:
    return float(np.log(max(_near(world, p, truth), 1e-12))) if truth >= 0 else float("nan")


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
