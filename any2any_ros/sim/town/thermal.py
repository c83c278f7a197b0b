"""The thermal camera sees the temperature of surfaces, not what is painted on them.

The temperature of a surface is that of the air, plus the heat of the sun (more on dark surfaces, none in the shade),
plus its own heat: houses are heated and lose heat according to their insulation, and engines and people are warm. Glass
mirrors a part of the cold sky. Bricks, signs, stripes and road markings have the temperature of the surface they are
on, and are not seen. The sensor is a small microbolometer with a wide lens, like FLIR's Lepton 3.1R.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Flags, Float64
from any2any_ros.sim.town.camera import CAMERA_FROM_LIDAR, pixel_rays
from any2any_ros.sim.town.mesh import Kind, turn
from any2any_ros.sim.town.settings import TownConfig
from any2any_ros.sim.town.textures import glazed
from any2any_ros.sim.town.world import World

WIDTH, HEIGHT, VIEW = 160, 120, 95.0  # px, px, horizontal degrees
OFFSET = -0.2  # m to the right of camera 0
SOFTNESS = 0.6  # px, blur of the lens, one sigma
NOISE = 0.05  # K, noise of a pixel in one frame, one sigma
STREAKS = 0.15  # K, constant error of a column (fixed-pattern noise), one sigma
WANDER = 1.0  # K, error of a whole frame since the last calibration by the shutter, one sigma
ZERO = 273.15  # K
ROOM = 20.0  # °C inside a house
BODY = 31.0  # °C, surface of a clothed person
ENGINE = 28.0  # K above the air, bonnet of a car that has just stopped
SUNLIT = 1.15  # the sunlight for which `Matter.sun` holds


@dataclass(frozen=True)
class Matter:
    """How warm a kind of surface gets.

    sun: K that the full sun adds to a black surface. leak: smallest and largest share of the difference between air and
    room temperature that reaches it. sky: K that it cools under an open sky.
    """

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
    """Renders the temperatures of a world for a pose of the LiDAR."""

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

    def shoot(self, pose: Float64, rng: np.random.Generator) -> NDArray[np.uint16]:
        """Return the picture (H, W) uint16, in hundredths of a kelvin, for the LiDAR pose (4, 4)."""
        rays = turn(self._rays, pose[:3, :3])
        origin = (pose[:3, :3] @ self._centre + pose[:3, 3]).astype(np.float32)
        hits, air = self._world.scene.cast(origin, rays), self._weather.air
        warmth = self._sky(rays)
        surface = hits.hit
        warmth[surface] = self._surfaces(origin, rays[surface], hits.distance[surface], hits.face[surface])
        # Fog absorbs less heat radiation than light.
        through = np.exp(-np.where(surface, hits.distance, 0) / (4 * self._weather.fog))
        seen = air + (warmth - air) * through
        soft = cv2.GaussianBlur(seen.reshape(HEIGHT, WIDTH), (5, 5), SOFTNESS)
        noise = rng.normal(0, NOISE, soft.shape) + self._streaks + rng.normal(0, WANDER)
        return np.asarray(np.clip(np.round((soft + noise + ZERO) * 100), 0, 65535), dtype=np.uint16)

    def _sky(self, rays: Array) -> Array:
        """Return the temperature of the sky (N,) along rays (N, 3), °C: the air's at the horizon, colder above."""
        up = np.clip(rays[:, 2], 0, 1)
        return np.asarray(self._weather.air - (8 + 42 * self._clear * up**0.5), dtype=np.float32)

    def _temperatures(self) -> tuple[Array, Array]:
        """Return for each surface (S,): its temperature in the shade, °C, and what the full sun adds, K."""
        surfaces, air = self._world.scene.surfaces, self._weather.air
        matter = [MATTER.get(Kind(kind), PLAIN) for kind in surfaces["kind"]]
        low, high = np.array([m.leak for m in matter]).T
        # Each house has its own insulation, the same in both laps.
        share = np.array([thing.salt % 997 / 997 for thing in self._world.things] + [0.5])[surfaces["thing"]]
        still = air + (low + share * (high - low)) * (ROOM - air) - np.array([m.sky for m in matter]) * self._clear
        people = self._of_kind("person")[surfaces["thing"]]
        still[people] = air + 0.7 * (BODY - air)
        albedo = surfaces["colour"].mean(axis=1)
        gain = np.array([m.sun for m in matter]) * (1 - albedo) * self._weather.sunlight / SUNLIT
        return still.astype(np.float32), gain.astype(np.float32)

    def _of_kind(self, *kinds: str) -> Flags:
        """Return (T + 1,): which things are of these kinds. The last one stands for the ground."""
        return np.array([thing.kind in kinds for thing in self._world.things] + [False])

    def _surfaces(self, origin: Array, rays: Array, distance: Array, face: NDArray[np.int32]) -> Array:
        """Return the temperature (N,) that the camera sees where the rays hit a surface, °C."""
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
        """Return the share (N,) of the full sun on each point, 0 in the shade."""
        to_sun = self._weather.to_sun
        sun = np.maximum(turn(normals, to_sun), 0)
        lit = np.flatnonzero(sun > 0)
        sun[lit[self._world.scene.blocked(points[lit] + np.float32(0.02) * normals[lit], to_sun)]] = 0
        return np.asarray(sun)

    def _motors(self, points: Array, index: NDArray[np.int32]) -> Array:
        """Return what engines add (N,), K: around the bonnet, and less for a vehicle that has stood longer."""
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
