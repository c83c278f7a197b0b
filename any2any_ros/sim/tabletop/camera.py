"""The RGB-D camera. Every pixel is one ray into the scene, for its colour and for its depth.

Optical frame (REP-103): x right, y down, z forward. Depth is measured with an infrared projector beside the camera. Its
shadows leave holes in the depth picture, and so do grazing, dark and shiny surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Flags, Float64
from any2any_ros.sim.tabletop.patterns import paint
from any2any_ros.sim.tabletop.settings import CameraConfig
from any2any_ros.sim.town.mesh import Hits, Scene, turn

PROJECTOR = 0.075  # m to the right of the camera
NEAREST, FARTHEST = 0.35, 4.5  # m, range of the depth camera
STEP = 0.001  # m, resolution of the depth
SOFTNESS = 0.5  # px, blur of the lens, one sigma
ROOM = np.array([0.30, 0.29, 0.27], dtype=np.float32)  # colour where a ray hits nothing
Window = tuple[int, int, int, int]  # left, top, width, height in pixels


@dataclass(frozen=True, eq=False)
class Light:
    """The light of a room, linear.

    towards (3,): direction to the lamp, of length 1, in the world frame. lamp, ambient: strength of the lamp and of the
    light from all around. balance (3,): colour of both. exposure: of the camera.
    """

    towards: Array
    lamp: float
    ambient: float
    balance: Array
    exposure: float

    @staticmethod
    def draw(rng: np.random.Generator, variety: float = 1.0) -> Light:
        """Return the light of a room, drawn at random. With variety 0 it always has the same white and strength."""
        azimuth, height = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(40, 80))
        towards = np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])
        warm, strength = rng.uniform(-1, 1) * variety, rng.uniform(-1, 1) * variety
        balance = np.array([1 + 0.08 * warm, 1.0, 1 - 0.12 * warm])
        return Light(
            towards.astype(np.float32), 0.75 + 0.3 * strength, 0.5 - 0.12 * strength, balance.astype(np.float32),
            float(1.0 + 0.22 * rng.uniform(-1, 1) * variety),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture (H, W, 3), RGB; its depth (H, W) in mm, 0 = hole; and the truth (H, W): number of the thing seen."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    thing: NDArray[np.int32]


class Camera:
    """Renders the picture of a scene, or a window of it, for a pose of the camera."""

    def __init__(self, config: CameraConfig) -> None:
        self.config = config
        self.matrix = np.array(config.matrix)

    @property
    def whole(self) -> Window:
        """The window of the whole picture."""
        return 0, 0, self.config.width, self.config.height

    def pixels(self, points: Float64, pose: Float64) -> Float64:
        """Return the pixels (N, 2) of points (N, 3) of the map. pose (4, 4): map from the optical frame."""
        seen = (points - pose[:3, 3]) @ pose[:3, :3]
        return np.asarray((seen @ self.matrix.T)[:, :2] / np.maximum(seen[:, 2:], 1e-6))

    def shoot(self, scene: Scene, pose: Float64, light: Light, rng: np.random.Generator,
              window: Window | None = None) -> Shot:  # fmt: skip
        """Return the picture for the pose (4, 4), map from the optical frame."""
        left, top, width, height = window or self.whole
        optical = self._rays(left, top, width, height)
        rays, origin = turn(optical, pose[:3, :3]), pose[:3, 3].astype(np.float32)
        hits = scene.cast(origin, rays)
        normals = scene.normals[np.maximum(hits.face, 0)]
        facing = np.einsum("nk,nk->n", rays, normals)
        colour: Array = np.tile(ROOM, (len(rays), 1))
        row, hit = scene.surface[np.maximum(hits.face, 0)], hits.hit
        reach = np.where(hit, hits.distance, np.float32(0))
        points = np.asarray(origin + reach[:, None] * rays, dtype=np.float32)
        grain = np.asarray(reach / np.maximum(np.abs(facing), 0.2) / self.config.focal, dtype=np.float32)
        normals = np.asarray(normals * -np.sign(facing)[:, None], dtype=np.float32)
        gloss = scene.surfaces["gloss"][row]
        colour[hit] = paint(points[hit], scene.surfaces, row[hit], grain[hit])
        colour[hit] = _lit(colour[hit], points[hit], normals[hit], rays[hit], gloss[hit], scene, light)
        depth = self._depth(scene, hits, optical, points, np.abs(facing), colour, gloss, pose, (height, width), rng)
        thing = np.where(hit, scene.surfaces["thing"][row], -2).astype(np.int32).reshape(height, width)
        return Shot(self._expose(colour.reshape(height, width, 3), light, rng), depth, thing)

    def _rays(self, left: int, top: int, width: int, height: int) -> Array:
        """Return the directions (N, 3) of the pixels of a window, of length 1, in the optical frame."""
        k = self.matrix
        column, row = np.meshgrid(left + np.arange(width), top + np.arange(height))
        rays = np.stack([(column - k[0, 2]) / k[0, 0], (row - k[1, 2]) / k[1, 1], np.ones(column.shape)], axis=-1)
        rays = rays.reshape(-1, 3)
        return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True), dtype=np.float32)

    def _depth(self, scene: Scene, hits: Hits, optical: Array, points: Array, facing: Array, colour: Array,
               gloss: Array, pose: Float64, shape: tuple[int, int],
               rng: np.random.Generator) -> NDArray[np.uint16]:  # fmt: skip
        """Return the depth (H, W) in mm, with the noise of a Kinect (Nguyen et al. 2012) and with holes."""
        z = (np.where(hits.hit, hits.distance, np.float32(0)) * optical[:, 2]).reshape(shape)
        rough = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (3, 3), 0.7) / np.float32(0.42)
        z = z + rough * np.float32(self.config.depth_noise) * (0.0012 + 0.0019 * (z - 0.4) ** 2)
        hole = rng.random(facing.shape) < self.config.holes
        hole |= rng.random(facing.shape) < np.clip(0.28 - facing, 0, 1) * 3  # grazing
        hole |= (rng.random(facing.shape) < 0.5) & (colour.max(axis=1) < 0.012)  # too dark to reflect the pattern
        hole |= (gloss > 0.45) & (rng.random(facing.shape) < 0.3)
        hole |= self._shadowed(scene, points, pose)
        known = hits.hit.reshape(shape) & ~hole.reshape(shape) & (z > NEAREST) & (z < FARTHEST)
        return np.where(known, np.round(z / STEP), 0).astype(np.uint16)

    def _shadowed(self, scene: Scene, points: Array, pose: Float64) -> Flags:
        """Return (N,): which points the light of the projector does not reach."""
        projector = (pose[:3, 3] + pose[:3, 0] * PROJECTOR).astype(np.float32)
        way = points - projector
        distance = np.linalg.norm(way, axis=1)
        hits = scene.cast(projector, way / np.maximum(distance, np.float32(1e-6))[:, None])
        return np.asarray(hits.distance < distance - 0.008)

    def _expose(self, light: Array, lamp: Light, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Turn linear light (H, W, 3) into a noisy 8-bit picture."""
        soft = np.asarray(cv2.GaussianBlur(light, (3, 3), SOFTNESS), dtype=np.float32)
        exposed = np.clip(soft * (lamp.exposure * lamp.balance), 0, 1) ** np.float32(1 / 2.2)
        noise = rng.standard_normal(soft.shape, dtype=np.float32) * np.float32(self.config.image_noise)
        return np.asarray(np.clip((exposed + noise * (1.5 - exposed)) * 255, 0, 255), dtype=np.uint8)


def _lit(colour: Array, points: Array, normals: Array, rays: Array, gloss: Array, scene: Scene, light: Light) -> Array:
    """Return the light (N, 3) from surfaces: that of the lamp, with shadows and reflections, and that of the room."""
    lamp = np.maximum(turn(normals, light.towards), 0)
    lit = np.flatnonzero(lamp > 0)
    lamp[lit[scene.blocked(points[lit] + np.float32(0.002) * normals[lit], light.towards)]] = 0
    half = light.towards - rays
    half /= np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-6)
    glint = gloss * (lamp > 0) * np.maximum(np.einsum("nk,nk->n", half, normals), 0) ** 40
    room = light.ambient * (0.72 + 0.28 * normals[:, 2])
    return np.asarray(colour * (room + light.lamp * lamp)[:, None] + light.lamp * glint[:, None], dtype=np.float32)


def looking(eye: Float64, at: Float64, roll: float = 0.0) -> Float64:
    """Return the pose (4, 4), map from optical, of a camera at `eye` (3,) that looks at `at` (3,). roll: radians."""
    forward = (at - eye) / np.linalg.norm(at - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([c * right + s * down, c * down - s * right, forward])
    pose[:3, 3] = eye
    return pose
