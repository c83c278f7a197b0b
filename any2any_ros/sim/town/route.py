"""The route goes round a chain of blocks that touch at corners: out along one half of each, and back along the other.

Lap 01 swaps the two halves of some blocks. Their streets are then driven in the opposite direction, and the path has no
gap. Only the corners where two blocks touch belong to both. World frame: x east, y north, z up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from any2any_ros.arrays import Flags, Floats, Rows
from any2any_ros.sim.town.settings import TownConfig

STEP = 0.25  # m between two points of a path
TURN = 1.6  # m, smoothing that rounds the corners, one sigma
SENSOR_HEIGHT = 1.73  # m, of the LiDAR above the road


@dataclass(frozen=True)
class Street:
    """One side of a block, in the direction of lap 00. Points (x, y) in metres."""

    square: int
    side: str
    start: tuple[float, float]
    end: tuple[float, float]

    @property
    def name(self) -> str:
        return f"{self.square}-{self.side}"

    @property
    def length(self) -> float:
        return float(np.hypot(*np.subtract(self.end, self.start)))

    def at(self, s: float, d: float = 0.0) -> tuple[float, float]:
        """Return the point (x, y) `s` metres along the street and `d` metres to its left."""
        tx, ty = np.subtract(self.end, self.start) / self.length
        return float(self.start[0] + s * tx - d * ty), float(self.start[1] + s * ty + d * tx)

    @property
    def heading(self) -> float:
        """Direction in radians from east, counter-clockwise."""
        return float(np.arctan2(self.end[1] - self.start[1], self.end[0] - self.start[0]))


@dataclass(frozen=True, eq=False)
class Lap:
    """One lap of P frames.

    times (P,): s. poses (P, 4, 4): world from LiDAR. street (P,): index of the street. opposite (P,): whether the
    street is driven in the opposite direction. corner (P,): m to the nearest corner that two blocks share. track (T,
    2): the driven path in metres, at track_times (T,) in s.
    """

    times: Floats
    poses: Floats
    street: Rows
    opposite: Flags
    corner: Floats
    track_times: Floats
    track: Floats


def corners(config: TownConfig) -> Floats:
    """Return the chain of corners (squares + 1, 2) along the diagonal. Block i lies between corners i and i + 1."""
    rng = np.random.default_rng([config.seed, 1])
    sides = rng.uniform(0.9, 1.1, (config.squares, 2))
    sides *= config.block / sides.mean()
    return np.vstack([np.zeros(2), np.cumsum(sides, axis=0)])


def streets(chain: Floats) -> list[Street]:
    """Return the four streets of each block, block after block: left, top, right, bottom."""
    network = []
    for i, ((x0, y0), (x1, y1)) in enumerate(zip(chain[:-1].tolist(), chain[1:].tolist(), strict=True)):
        network += [
            Street(i, "left", (x0, y0), (x0, y1)),
            Street(i, "top", (x0, y1), (x1, y1)),
            Street(i, "right", (x1, y1), (x1, y0)),
            Street(i, "bottom", (x1, y0), (x0, y0)),
        ]
    return network


def legs(squares: int, swapped: tuple[int, ...]) -> list[tuple[int, bool]]:
    """Return the lap as (street, opposite): out along all blocks, then back. swapped: blocks with swapped halves."""
    out = [[(4 * i + 3, True), (4 * i + 2, True)] if i in swapped else [(4 * i, False), (4 * i + 1, False)]
           for i in range(squares)]  # fmt: skip
    back = [[(4 * i + 1, True), (4 * i, True)] if i in swapped else [(4 * i + 2, False), (4 * i + 3, False)]
            for i in reversed(range(squares))]  # fmt: skip
    return [leg for half in out + back for leg in half]


def smooth_noise(rng: np.random.Generator, n: int, sigma: float) -> Floats:
    """Return noise (n,) of variance 1 that changes within about `sigma` samples."""
    noise = gaussian_filter1d(rng.normal(size=n + int(8 * sigma)), sigma)[int(4 * sigma) :][:n]
    return np.asarray(noise * np.sqrt(2 * sigma * np.sqrt(np.pi)))


def _centre_line(network: list[Street], drive: list[tuple[int, bool]]) -> tuple[Floats, Rows, Floats]:
    """Return the path with rounded corners (K, 2), its streets (K,), and whether these are driven oppositely (K,)."""
    points, street, opposite = [], [], []
    for index, backwards in drive:
        n = int(network[index].length / STEP)
        s = np.arange(n) / n
        a, b = np.array(network[index].start), np.array(network[index].end)
        a, b = (b, a) if backwards else (a, b)
        points.append(a + s[:, None] * (b - a))
        street.append(np.full(n, index))
        opposite.append(np.full(n, backwards))
    rounded = gaussian_filter1d(np.concatenate(points), TURN / STEP, axis=0, mode="nearest")
    return rounded, np.concatenate(street), np.concatenate(opposite)


def _shift_sideways(path: Floats, offset: Floats) -> Floats:
    """Move each point of a path (K, 2) by offset (K,) metres to its left."""
    ahead = gaussian_filter1d(np.gradient(path, axis=0), TURN / STEP, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    left = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    return np.asarray(path + offset[:, None] * left)


def _rotations(yaw: Floats, pitch: Floats, roll: Floats) -> Floats:
    """Return the rotations (P, 3, 3) Rz(yaw) Ry(pitch) Rx(roll); angles (P,) in radians."""

    def about(axis: int, angle: Floats) -> Floats:
        i, j = (axis + 1) % 3, (axis + 2) % 3
        matrix = np.tile(np.eye(3), (len(angle), 1, 1))
        matrix[:, i, i] = matrix[:, j, j] = np.cos(angle)
        matrix[:, j, i] = np.sin(angle)
        matrix[:, i, j] = -np.sin(angle)
        return matrix

    return about(2, yaw) @ about(1, pitch) @ about(0, roll)


def drive(config: TownConfig, lap: int) -> Lap:
    """Return one lap: at constant speed, a little beside the centre line, with a little wobble."""
    rng = np.random.default_rng([config.seed, 2, lap])
    chain = corners(config)
    path, street, opposite = _centre_line(streets(chain), legs(config.squares, config.reversed_squares if lap else ()))
    aside = np.clip(smooth_noise(rng, len(path), 12 / STEP), -1.5, 1.5) / 1.5
    path = _shift_sideways(path, aside * (config.offset if lap else 0.2) - config.lane)
    travelled = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])

    # Lap 01 starts half a frame later, so that no two frames are at the same position.
    first = lap * 0.5 * config.speed / config.rate
    s = np.linspace(first, travelled[-1], config.places + 1)[1:]
    times = np.arange(1, config.places + 1) / config.rate
    xy = np.stack([np.interp(s, travelled, path[:, k]) for k in range(2)], axis=1)
    nearest = np.minimum(np.searchsorted(travelled, s), len(path) - 1)

    ahead = np.gradient(path, axis=0)[nearest]
    yaw, pitch, roll = (np.radians(config.wobble) * smooth_noise(rng, config.places, 4) for _ in range(3))
    poses = np.tile(np.eye(4), (config.places, 1, 1))
    poses[:, :3, :3] = _rotations(np.arctan2(ahead[:, 1], ahead[:, 0]) + yaw, pitch / 4, roll / 4)
    poses[:, :2, 3], poses[:, 2, 3] = xy, SENSOR_HEIGHT
    return Lap(
        times,
        poses,
        street[nearest],
        opposite[nearest].astype(bool),
        np.linalg.norm(xy[:, None] - chain[1:-1], axis=2).min(axis=1),
        times[-1] * (travelled - first) / (travelled[-1] - first),
        path,
    )
