"""The LiDAR: a scanner with rings, like the HDL-64E, with its faults. Its frame: x forward, y left, z up."""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Array, Float64, Rows
from any2any_ros.sim.town.mesh import Scene, turn
from any2any_ros.sim.town.settings import TownConfig

# Two blocks of lasers, as in the HDL-64E: from +2 degrees down they are 1/3 degree apart, then 1/2 degree.
ELEVATIONS = np.radians(np.concatenate([2 - np.arange(32) / 3, -8.83 - np.arange(32) / 2]))
SPARE = 1.25  # rays for each point of a scan: some hit the sky, some are lost
NEAREST = 0.9  # m, shortest range
RING_BIAS = 0.015  # m, constant range error of a ring, one sigma


class Lidar:
    """Measures the scene from a pose."""

    def __init__(self, config: TownConfig, scene: Scene, wet: float) -> None:
        self._scene, self._config, self._wet = scene, config, wet
        self._columns = int(np.ceil(config.points * SPARE / len(ELEVATIONS)))
        bias = np.random.default_rng([config.seed, 5]).normal(0, RING_BIAS, len(ELEVATIONS)).astype(np.float32)
        self._bias = np.repeat(bias, self._columns)

    def scan(self, pose: Float64, rng: np.random.Generator) -> Array:
        """Return points (K, 4): x, y, z in metres, and reflectance in [0, 1]. There are at least `points` of them."""
        rays = self._rays(rng)
        world_rays = turn(rays, pose[:3, :3])
        hits = self._scene.cast(pose[:3, 3].astype(np.float32), world_rays)
        hit = np.flatnonzero((hits.distance < self._config.range_max) & (hits.distance > NEAREST))
        facing = np.abs(np.einsum("nk,nk->n", world_rays[hit], self._scene.normals[hits.face[hit]]))
        survivors = self._survivors(hits.distance[hit], facing, rng)
        hit, facing = hit[survivors], facing[survivors]

        noise = rng.standard_normal(len(hit), dtype=np.float32) * self._config.range_noise * (1 + self._wet)
        measured = self._rain(hits.distance[hit] + self._bias[hit] + noise, rng)
        base = self._scene.surfaces["reflectance"][self._scene.surface[hits.face[hit]]]
        bright = base * np.sqrt(facing) * (1 + 0.08 * rng.standard_normal(len(hit), dtype=np.float32))
        points = np.empty((len(hit), 4), dtype=np.float32)
        points[:, :3] = rays[hit] * measured[:, None]
        points[:, 3] = np.round(np.clip(bright, 0, 0.99), 2)  # in steps of 0.01, as KITTI has it
        return points

    def _rays(self, rng: np.random.Generator) -> Array:
        """Return directions (rings * columns, 3) of length 1, ring after ring, clockwise from a random start."""
        azimuth = -(np.arange(self._columns) + rng.random()) * 2 * np.pi / self._columns
        rays = np.empty((len(ELEVATIONS), self._columns, 3), dtype=np.float32)
        rays[..., 0] = np.cos(ELEVATIONS)[:, None] * np.cos(azimuth)
        rays[..., 1] = np.cos(ELEVATIONS)[:, None] * np.sin(azimuth)
        rays[..., 2] = np.sin(ELEVATIONS)[:, None]
        return rays.reshape(-1, 3)

    def _survivors(self, distance: Array, facing: Array, rng: np.random.Generator) -> Rows:
        """Return which returns are not lost. Far, grazing and wet returns are lost most often."""
        weak = (distance / self._config.range_max) ** 2 + 0.5 * (facing < 0.1) + 0.6 * self._wet
        luck = rng.random(len(distance)) - self._config.dropout * (0.5 + weak)
        spared = min(self._config.points, len(luck))
        limit = min(0.0, float(np.partition(luck, -spared)[-spared]))
        return np.flatnonzero(luck >= limit)

    def _rain(self, distance: Array, rng: np.random.Generator) -> Array:
        """Return the ranges; some are cut short by raindrops close to the sensor."""
        drop = rng.random(len(distance)) < 0.004 * self._wet
        return np.where(drop, np.minimum(distance, rng.uniform(NEAREST, 9, len(distance))), distance)
