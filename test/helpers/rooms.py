"""Rooms of straight walls, and the scans of a 2-D laser in them. Places are complex numbers, x + i * y, in metres."""

from __future__ import annotations

import numpy as np

from any2any_ros.samples import Scan
from any2any_ros.submaps.planar import Planar


def room(seed, boxes=6):
    """Return the walls (W, 2) of a room around the origin with boxes in it: their ends as complex numbers."""
    g = np.random.default_rng(seed)
    corner = np.array([1 + 1j, -1 + 1j, -1 - 1j, 1 - 1j])
    outlines = [corner.real * g.uniform(3, 5) + 1j * corner.imag * g.uniform(2, 4)]
    for centre in g.uniform(1.2, 2.5, boxes) * np.exp(1j * g.uniform(0, 2 * np.pi, boxes)):
        outlines.append(centre + corner * g.uniform(0.1, 0.4) * np.exp(1j * g.uniform(0, np.pi)))
    return np.concatenate([np.stack([o, np.roll(o, -1)], axis=1) for o in outlines])


def cast(walls, beams=360, fov=2 * np.pi, at=0j, yaw=0.0):
    """Return the scan of a sensor at `at` that faces `yaw`.

    Both may be arrays (beams,): of a sensor that moves while it measures.
    """
    step = fov / beams
    first = -fov / 2 + step / 2
    ray = np.exp(1j * (yaw + first + np.arange(beams) * step))[:, None]
    start, along = walls[:, 0] - np.broadcast_to(at, beams)[:, None], walls[:, 1] - walls[:, 0]
    cross = (ray.conj() * along).imag
    with np.errstate(divide="ignore"):
        reach, share = (start.conj() * along).imag / cross, (start.conj() * ray).imag / cross
    met = (reach > 0) & (share >= 0) & (share <= 1)
    return Scan(np.where(met, reach, np.inf).min(axis=1).astype(np.float32), first, step, 30.0)


def hall_log(folder):
    """Write a CARMEN log of a drive of 4 m through a hall, whose odometry is wrong by a tenth; return its path."""
    hall, lines = room(4, boxes=3) * 1.5, []
    for i in range(40):
        pose = Planar(complex(-2 + 0.1 * i, 0), 0.0)
        numbers = f"{pose.shift.real} 0 0"
        ranges = " ".join(f"{r:.4f}" for r in cast(hall, 180, np.pi, pose.shift).ranges)
        lines += [
            f"ODOM {0.11 * i} 0 0 0 0 0 {i / 4} h {i / 4}",
            f"FLASER 180 {ranges} {numbers} {numbers} {i / 4} h {i / 4}",
        ]
    path = folder / "hall.log"
    path.write_text("\n".join(lines) + "\n")
    return path
