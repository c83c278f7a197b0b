"""The thermal camera: what every surface radiates, not what is painted on it.

A surface is as warm as the air, plus what the sun has given it (more to dark matter than to light, none in the
shade), plus its own heat: houses leak what they are heated with, each as its insulation lets it; engines, people and
lit displays are warm; glass shows half of the cold sky. Bricks, signs, stripes and road markings are as warm as what
they are painted on, and are not seen. The sensor is a small microbolometer with a wide lens, like FLIR's Lepton 3.1R.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.sim.town.camera import CAMERA_FROM_LIDAR, pixel_rays
from any2any_ros.sim.town.mesh import Kind, turn
from any2any_ros.sim.town.settings import TownConfig
from any2any_ros.sim.town.textures import glazed
from any2any_ros.sim.town.world import World

WIDTH, HEIGHT, VIEW = 160, 120, 95.0  # pixels; degrees across
OFFSET = -0.2  # m, of the sensor to the right of camera 0
SOFTNESS = 0.6  # px, sigma of the lens
NOISE = 0.05  # K, of a pixel in a frame, one sigma
STREAKS = 0.15  # K, of a column for good (fixed-pattern noise), one sigma
WANDER = 1.0  # K, of the whole frame since the shutter last closed, one sigma
ZERO = 273.15  # K
ROOM = 20.0  # °C, in a house
BODY = 31.0  # °C, of a clothed person
ENGINE = 28.0  # K above the air, of a bonnet that has just stopped
SUNLIT = 1.15  # sunlight that `Matter.sun` is told for


@dataclass(frozen=True)
class Matter:
    """How warm a kind of surface gets: by the full sun, were it black (K); its share of the air's distance to room
    temperature (least, most); how much it cools under an open sky (K)."""

    sun: float
    leak: tuple[float, float] = (0.0, 0.0)
    sky: float = 1.0


PLAIN = Matter(14)
MATTER = {
    Kind.FACADE: Matter(16, (0.08, 0.38)),
    Kind.TILES: Matter(26, (0.0, 0.12), 4.0),
    Kind.MASONRY: Matter(16),
    Kind.ROAD: Matter(18, (0.1, 0.1)),
    Kind.PAVING: Matter(18, (0.05, 0.05)),
    Kind.GRASS: Matter(3, sky=2.5),
    Kind.LEAVES: Matter(3, sky=0.5),
}
VEHICLES = ("car", "van", "lorry")


class ThermalCamera:
    """Shows a world from a LiDAR pose as its temperatures."""

    def __init__(self, config: TownConfig, world: World, lap: int) -> None:
        self._world, self._weather = world, world.condition
        focal = WIDTH / 2 / np.tan(np.radians(VIEW) / 2)
        k = np.array([[focal, 0, (WIDTH - 1) / 2], [0, focal, (HEIGHT - 1) / 2], [0, 0, 1]])
        lidar_from_camera = np.linalg.inv(CAMERA_FROM_LIDAR)
        self._rays = (pixel_rays(k, HEIGHT, WIDTH) @ lidar_from_camera[:3, :3].T).astype(np.float32)
        self._centre = (lidar_from_camera @ [OFFSET, 0, 0, 1])[:3]
        self._streaks = np.random.default_rng([config.seed, 13]).normal(0, STREAKS, WIDTH)
        self._engines = np.random.default_rng([config.seed, 14, lap]).random(len(world.things)) ** 3 * ENGINE
        self._clear = 1 - 0.8 * min(max(self._weather.wet, 60 / self._weather.fog), 1.0)  # share of open sky
        self._still, self._sun = self._temperatures()

    def shoot(self, pose: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint16]:
        """Return the picture (H, W) uint16 in hundredths of a kelvin from the LiDAR pose (4, 4)."""
        rays = turn(self._rays, pose[:3, :3])
        origin = (pose[:3, :3] @ self._centre + pose[:3, 3]).astype(np.float32)
        hits, air = self._world.scene.cast(origin, rays), self._weather.air
        warmth = self._sky(rays)
        there = hits.found
        warmth[there] = self._surfaces(origin, rays[there], hits.distance[there], hits.face[there])
        # Fog is thinner to heat than to light.
        through = np.exp(-np.where(there, hits.distance, 0) / (4 * self._weather.fog))
        seen = air + (warmth - air) * through
        soft = cv2.GaussianBlur(seen.reshape(HEIGHT, WIDTH), (5, 5), SOFTNESS)
        noise = rng.normal(0, NOISE, soft.shape) + self._streaks + rng.normal(0, WANDER)
        return np.asarray(np.clip(np.round((soft + noise + ZERO) * 100), 0, 65535), dtype=np.uint16)

    def _sky(self, rays: Array) -> Array:
        """Return how warm the sky is along rays (N, 3), °C: the air at the horizon, far below it above."""
        up = np.clip(rays[:, 2], 0, 1)
        return np.asarray(self._weather.air - (8 + 42 * self._clear * up**0.5), dtype=np.float32)

    def _temperatures(self) -> tuple[Array, Array]:
        """Return, of every surface (S,): its temperature in the shade, °C, and what the full sun adds to it, K."""
        surfaces, air = self._world.scene.surfaces, self._weather.air
        matter = [MATTER.get(Kind(kind), PLAIN) for kind in surfaces["kind"]]
        low, high = np.array([m.leak for m in matter]).T
        # A house's insulation is its own, and the same in every lap.
        share = np.array([thing.salt % 997 / 997 for thing in self._world.things] + [0.5])[surfaces["thing"]]
        still = air + (low + share * (high - low)) * (ROOM - air) - np.array([m.sky for m in matter]) * self._clear
        people = self._of_kind("person")[surfaces["thing"]]
        still[people] = air + 0.7 * (BODY - air)
        albedo = surfaces["colour"].mean(axis=1)
        gain = np.array([m.sun for m in matter]) * (1 - albedo) * self._weather.sunlight / SUNLIT
        return still.astype(np.float32), gain.astype(np.float32)

    def _of_kind(self, *kinds: str) -> NDArray[np.bool_]:
        """Return (T + 1,): which things are of these kinds; the last one stands for the ground."""
        return np.array([thing.kind in kinds for thing in self._world.things] + [False])

    def _surfaces(self, origin: Array, rays: Array, distance: Array, face: NDArray[np.int32]) -> Array:
        """Return how warm (N,) the surfaces hit look, °C."""
        scene = self._world.scene
        points, normals, index = origin + distance[:, None] * rays, scene.normals[face], scene.surface[face]
        normals = normals * -np.sign(np.einsum("nk,nk->n", rays, normals))[:, None]
        warmth = self._still[index] + self._sun[index] * self._sunshine(points, normals) + self._motors(points, index)
        glass = np.flatnonzero(scene.surfaces["kind"][index] == Kind.FACADE)
        glass = glass[glazed(points[glass], scene.surfaces[index[glass]])]
        mirrored = rays[glass] - 2 * np.einsum("nk,nk->n", rays[glass], normals[glass])[:, None] * normals[glass]
        warmth[glass] += 0.25 * (self._sky(mirrored) - warmth[glass])
        return np.asarray(warmth, dtype=np.float32)

    def _sunshine(self, points: Array, normals: Array) -> Array:
        """Return the share (N,) of the full sun on the points, 0 in the shade."""
        to_sun = self._weather.to_sun
        sun = np.maximum(turn(normals, to_sun), 0)
        lit = np.flatnonzero(sun > 0)
        sun[lit[self._world.scene.blocked(points[lit] + np.float32(0.02) * normals[lit], to_sun)]] = 0
        return np.asarray(sun)

    def _motors(self, points: Array, index: NDArray[np.int32]) -> Array:
        """Return what engines add (N,), K: around the bonnet, the less the longer a vehicle has stood."""
        thing = self._world.scene.surfaces["thing"][index]
        heat = np.zeros(len(points), dtype=np.float32)
        here = np.flatnonzero(self._of_kind(*VEHICLES)[thing])
        vehicles = [self._world.things[t] for t in thing[here]]
        if vehicles:
            x, y, yaw, length = np.array([(v.x, v.y, v.yaw, v.size[0]) for v in vehicles]).T
            ahead = (points[here, 0] - x) * np.cos(yaw) + (points[here, 1] - y) * np.sin(yaw)
            near = np.exp(-(((ahead / length - 0.36) / 0.16) ** 2))
            heat[here] = self._engines[thing[here]] * near
        return heat
