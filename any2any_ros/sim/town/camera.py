"""The camera. Every pixel is a ray into the scene that the LiDAR measures, too.

Camera frame x right, y down, z forward (KITTI's camera 0); LiDAR frame x forward, y left, z up.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Float64
from any2any_ros.sim.town.conditions import Condition
from any2any_ros.sim.town.mesh import Scene, turn
from any2any_ros.sim.town.settings import TownConfig
from any2any_ros.sim.town.textures import paint

# The sensors of KITTI: camera 0 from the LiDAR, and the distance of each camera to the right of camera 0 (m).
CAMERA_FROM_LIDAR = np.array([[0, -1, 0, -0.004], [0, 0, -1, -0.076], [1, 0, 0, -0.272], [0, 0, 0, 1]])
CAMERAS = (0.0, 0.54, -0.06, 0.48)
COLOUR_CAMERA = 2
SOFTNESS = 0.45  # px, blur of the lens, one sigma


def projection(config: TownConfig, camera: int) -> Float64:
    """Return the projection (3, 4) from metres in the frame of camera 0 to pixels, as KITTI's P0 to P3."""
    focal = config.width / 2 / np.tan(np.radians(config.field_of_view) / 2)
    cx, cy = (config.width - 1) / 2, (config.height - 1) / 2
    return np.array([[focal, 0, cx, -focal * CAMERAS[camera]], [0, focal, cy, 0], [0, 0, 1, 0]])


def pixel_rays(k: Float64, height: int, width: int) -> Float64:
    """Return the directions (H * W, 3) of the pixels of a projection `k` (3, >= 3), of length 1, in camera axes."""
    column, row = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([(column - k[0, 2]) / k[0, 0], (row - k[1, 2]) / k[1, 1], np.ones_like(column)], axis=-1)
    return np.asarray(rays.reshape(-1, 3) / np.linalg.norm(rays.reshape(-1, 3), axis=1, keepdims=True))


class Camera:
    """Renders the picture of camera 2 for a pose of the LiDAR."""

    def __init__(self, config: TownConfig, scene: Scene, weather: Condition) -> None:
        self._scene, self._weather = scene, weather
        self._shape, self._noise = (config.height, config.width), config.image_noise
        k = projection(config, COLOUR_CAMERA)
        rays = pixel_rays(k, config.height, config.width)
        lidar_from_camera = np.linalg.inv(CAMERA_FROM_LIDAR)
        self._rays = (rays @ lidar_from_camera[:3, :3].T).astype(np.float32)
        self._centre = (lidar_from_camera @ [CAMERAS[COLOUR_CAMERA], 0, 0, 1])[:3]
        self._pixel = 1 / k[0, 0]  # rad

    def shoot(self, pose: Float64, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return the picture (H, W, 3) uint8, BGR, for the LiDAR pose (4, 4)."""
        rays = turn(self._rays, pose[:3, :3])
        origin = (pose[:3, :3] @ self._centre + pose[:3, 3]).astype(np.float32)
        hits = self._scene.cast(origin, rays)
        light = np.empty_like(rays)
        light[~hits.hit] = self._sky(rays[~hits.hit])
        light[hits.hit] = self._surfaces(origin, rays[hits.hit], hits.distance[hits.hit], hits.face[hits.hit])
        soft = cv2.GaussianBlur(light.reshape(*self._shape, 3), (3, 3), SOFTNESS)
        return self._expose(np.asarray(soft, dtype=np.float32), rng)

    def _sky(self, rays: Array) -> Array:
        """Return the colour of the sky along rays (N, 3), brighter around the sun."""
        up = np.clip(rays[:, 2:] * 2.2, 0, 1)
        glow = np.clip(turn(rays, self._weather.to_sun), 0, 1)[:, None]
        sky = up * self._colour("zenith") + (1 - up) * self._colour("horizon")
        return np.asarray(sky + self._weather.sunlight * (0.25 * glow**12 + 2.0 * glow**400), dtype=np.float32)

    def _surfaces(self, origin: Array, rays: Array, distance: Array, face: NDArray[np.int32]) -> Array:
        """Return the light (N, 3) from the surfaces that the rays hit: colour times light, seen through the fog."""
        points, normals = origin + distance[:, None] * rays, self._scene.normals[face]
        facing = np.einsum("nk,nk->n", rays, normals)
        normals = normals * -np.sign(facing)[:, None]
        grain = distance * np.float32(self._pixel) / np.maximum(np.abs(facing), np.float32(0.15))
        colours = paint(points, self._scene.surfaces, self._scene.surface[face], grain)
        colours *= self._light(points, normals)[:, None]
        clear = np.exp(-distance / np.float32(self._weather.fog))[:, None]
        return np.asarray(colours * clear + self._colour("horizon") * (1 - clear))

    def _light(self, points: Array, normals: Array) -> Array:
        """Return the light (N,) that falls on the points: from the sun, with shadows, and from the sky."""
        weather = self._weather
        sun = np.maximum(turn(normals, weather.to_sun), 0)
        lit = np.flatnonzero(sun > 0)
        sun[lit[self._scene.blocked(points[lit] + np.float32(0.02) * normals[lit], weather.to_sun)]] = 0
        # The sky lights walls less than the ground, and the lowest part of things least.
        foot = 0.75 + 0.25 * np.clip(points[:, 2] / 1.2, 0, 1)
        sky = np.where(normals[:, 2] > 0.9, 1.0, (0.72 + 0.28 * normals[:, 2]) * foot)
        return (weather.ambient * sky + weather.sunlight * sun).astype(np.float32)

    def _expose(self, light: Array, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Turn linear light (H, W, 3) RGB into a noisy 8-bit BGR picture."""
        exposed = np.clip(light * (self._weather.exposure * self._colour("balance")), 0, 1) ** np.float32(1 / 2.2)
        noise = rng.standard_normal(light.shape, dtype=np.float32) * np.float32(self._noise)
        return np.asarray(np.clip((exposed + noise * (1.5 - exposed)) * 255, 0, 255)[..., ::-1], dtype=np.uint8)

    def _colour(self, name: str) -> Array:
        return np.array(getattr(self._weather, name), dtype=np.float32)
