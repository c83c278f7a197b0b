"""The simulated road of benchmarks/sequence.py, and drives along it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from any2any_ros.arrays import Float64, Rows

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
    """Return whether a place is within SAME_PLACE of the true one."""
    apart = min((row - truth) % world.places, (truth - row) % world.places)
    return truth >= 0 and apart < SAME_PLACE


def calibrated(world: World, seed: int) -> float:
    """Return the temperature at which the right places of another drive are likeliest."""
    frames = list(drive(world, 300, seed))

    def loss(log_temperature: float) -> float:
        posterior = (log_softmax(np.exp(log_temperature) * frame.scores) for frame in frames)
        return -float(
            np.mean([log_likelihood(world, np.exp(p), f.truth) for p, f in zip(posterior, frames, strict=True)])
        )

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 4), method="bounded", options={"xatol": 0.05}).x))


def near(world: World, p: Float64, row: int) -> float:
    """Return the probability mass within SAME_PLACE of a place."""
    reach = int(np.ceil(SAME_PLACE)) - 1
    return float(p[np.arange(row - reach, row + reach + 1) % world.places].sum())


def log_likelihood(world: World, p: Float64, truth: int) -> float:
    """Return the log of the probability mass near the true place; NaN outside of the map."""
    return float(np.log(max(near(world, p, truth), 1e-12))) if truth >= 0 else float("nan")
