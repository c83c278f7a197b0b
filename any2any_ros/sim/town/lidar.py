"""The LiDAR: an HDL-64-like ring scanner with its faults. Its frame: x forward, y left, z up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.sim.town.mesh import Scene, turn
from any2any_ros.sim.town.settings import TownConfig

# Two blocks of lasers, as in the HDL-64E: 1/3 degree apart from +2 down, then 1/2 degree apart.
ELEVATIONS = np.radians(np.concatenate([2 - np.arange(32) / 3, -8.83 - np.arange(32) / 2]))
SPARE = 1.25  # rays for each point asked for: some meet the sky, some are lost
NEAREST = 0.9  # m
RING_BIAS = 0.015  # m, one sigma over the rings of a sensor


class Lidar:
    """Scans the scene from a pose."""

    def __init__(self, config: TownConfig, scene: Scene, wet: float) -> None:
        self._scene, self._config, self._wet = scene, config, wet
        self._columns = int(np.ceil(config.points * SPARE / len(ELEVATIONS)))
        bias = np.random.default_rng([config.seed, 5]).normal(0, RING_BIAS, len(ELEVATIONS)).astype(np.float32)
        self._bias = np.repeat(bias, self._columns)

    def scan(self, pose: NDArray[np.float64], rng: np.random.Generator) -> Array:
        """Return points (K, 4): x, y, z in m and reflectance in [0, 1]; at least `points` of them."""
        rays = self._rays(rng)
        world_rays = turn(rays, pose[:3, :3])
        hits = self._scene.cast(pose[:3, 3].astype(np.float32), world_rays)
        met = np.flatnonzero((hits.distance < self._config.range_max) & (hits.distance > NEAREST))
        facing = np.abs(np.einsum("nk,nk->n", world_rays[met], self._scene.normals[hits.face[met]]))
        kept = self._survivors(hits.distance[met], facing, rng)
        met, facing = met[kept], facing[kept]

        noise = rng.standard_normal(len(met), dtype=np.float32) * self._config.range_noise * (1 + self._wet)
        measured = self._rain(hits.distance[met] + self._bias[met] + noise, rng)
        base = self._scene.surfaces["reflectance"][self._scene.surface[hits.face[met]]]
        bright = base * np.sqrt(facing) * (1 + 0.08 * rng.standard_normal(len(met), dtype=np.float32))
        points = np.empty((len(met), 4), dtype=np.float32)
        points[:, :3] = rays[met] * measured[:, None]
        points[:, 3] = np.round(np.clip(bright, 0, 0.99), 2)  # in steps of 0.01, as KITTI has it
        return points

    def _rays(self, rng: np.random.Generator) -> Array:
        """Return unit directions (rings * columns, 3), ring after ring, clockwise from a random start."""
        azimuth = -(np.arange(self._columns) + rng.random()) * 2 * np.pi / self._columns
        rays = np.empty((len(ELEVATIONS), self._columns, 3), dtype=np.float32)
        rays[..., 0] = np.cos(ELEVATIONS)[:, None] * np.cos(azimuth)
        rays[..., 1] = np.cos(ELEVATIONS)[:, None] * np.sin(azimuth)
        rays[..., 2] = np.sin(ELEVATIONS)[:, None]
        return rays.reshape(-1, 3)

    def _survivors(self, distance: Array, facing: Array, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return which returns are not lost: far, grazing and wet ones are the first to go."""
        weak = (distance / self._config.range_max) ** 2 + 0.5 * (facing < 0.1) + 0.6 * self._wet
        luck = rng.random(len(distance)) - self._config.dropout * (0.5 + weak)
        spared = min(self._config.points, len(luck))
        limit = min(0.0, float(np.partition(luck, -spared)[-spared]))
        return np.flatnonzero(luck >= limit)

    def _rain(self, distance: Array, rng: np.random.Generator) -> Array:
        """Return the ranges with some cut short by drops close to the sensor."""
        drop = rng.random(len(distance)) < 0.004 * self._wet
        return np.where(drop, np.minimum(distance, rng.uniform(NEAREST, 9, len(distance))), distance)
