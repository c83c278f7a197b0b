"""The RGB-D camera: every pixel is a ray against the same triangles, for its colour and for its depth.

Optical frame (REP-103): x right, y down, z forward. The depth camera sees what the colour camera sees, beside an
infrared projector whose shadows, like grazing, dark and shiny surfaces, leave holes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.sim.tabletop.patterns import paint
from any2any_ros.sim.tabletop.settings import CameraConfig
from any2any_ros.sim.town.mesh import Hits, Scene, turn

PROJECTOR = 0.075  # m to the right of the camera
NEAREST, FARTHEST = 0.35, 4.5  # m that the depth camera measures
STEP = 0.001  # m
SOFTNESS = 0.5  # px, sigma of the lens
ROOM = np.array([0.30, 0.29, 0.27], dtype=np.float32)  # what a ray that meets nothing sees
Window = tuple[int, int, int, int]  # left, top, width, height in pixels


@dataclass(frozen=True, eq=False)
class Light:
    """Linear light: where the lamp is (unit vector (3,), world frame), its strength, what comes from all around,
    the colour of both, and the camera's exposure."""

    towards: Array
    lamp: float
    ambient: float
    balance: Array
    exposure: float

    @staticmethod
    def draw(rng: np.random.Generator, variety: float = 1.0) -> Light:
        """Return the light of a room; variety 0 is always the same white one."""
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
    """A picture (H, W, 3) uint8 RGB; depth (H, W) uint16 mm, 0 = hole; thing (H, W) int32 that is really there."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    thing: NDArray[np.int32]


class Camera:
    """Renders a scene, or a window of its picture, from a pose."""

    def __init__(self, config: CameraConfig) -> None:
        self.config = config
        self.matrix = np.array(config.matrix)

    @property
    def whole(self) -> Window:
        return 0, 0, self.config.width, self.config.height

    def pixels(self, points: NDArray[np.float64], pose: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the pixels (N, 2) of points (N, 3) in the map, from a camera pose (4, 4) map from optical."""
        seen = (points - pose[:3, 3]) @ pose[:3, :3]
        return np.asarray((seen @ self.matrix.T)[:, :2] / np.maximum(seen[:, 2:], 1e-6))

    def shoot(self, scene: Scene, pose: NDArray[np.float64], light: Light, rng: np.random.Generator,
              window: Window | None = None) -> Shot:  # fmt: skip
        """Return what is seen from the pose (4, 4), map from the optical frame."""
        left, top, width, height = window or self.whole
        optical = self._rays(left, top, width, height)
        rays, origin = turn(optical, pose[:3, :3]), pose[:3, 3].astype(np.float32)
        hits = scene.cast(origin, rays)
        normals = scene.normals[np.maximum(hits.face, 0)]
        facing = np.einsum("nk,nk->n", rays, normals)
        colour: Array = np.tile(ROOM, (len(rays), 1))
        row, met = scene.surface[np.maximum(hits.face, 0)], hits.found
        reach = np.where(met, hits.distance, np.float32(0))
        points = np.asarray(origin + reach[:, None] * rays, dtype=np.float32)
        grain = np.asarray(reach / np.maximum(np.abs(facing), 0.2) / self.config.focal, dtype=np.float32)
        normals = np.asarray(normals * -np.sign(facing)[:, None], dtype=np.float32)
        gloss = scene.surfaces["gloss"][row]
        colour[met] = paint(points[met], scene.surfaces, row[met], grain[met])
        colour[met] = _lit(colour[met], points[met], normals[met], rays[met], gloss[met], scene, light)
        depth = self._depth(scene, hits, optical, points, np.abs(facing), colour, gloss, pose, (height, width), rng)
        thing = np.where(met, scene.surfaces["thing"][row], -2).astype(np.int32).reshape(height, width)
        return Shot(self._expose(colour.reshape(height, width, 3), light, rng), depth, thing)

    def _rays(self, left: int, top: int, width: int, height: int) -> Array:
        """Return unit directions (N, 3) of a window's pixels, optical frame."""
        k = self.matrix
        column, row = np.meshgrid(left + np.arange(width), top + np.arange(height))
        rays = np.stack([(column - k[0, 2]) / k[0, 0], (row - k[1, 2]) / k[1, 1], np.ones(column.shape)], axis=-1)
        rays = rays.reshape(-1, 3)
        return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True), dtype=np.float32)

    def _depth(self, scene: Scene, hits: Hits, optical: Array, points: Array, facing: Array, colour: Array,
               gloss: Array, pose: NDArray[np.float64], shape: tuple[int, int],
               rng: np.random.Generator) -> NDArray[np.uint16]:  # fmt: skip
        """Return the depth (H, W) uint16 mm with its noise and its holes; noise as Nguyen et al. 2012 for a Kinect."""
        z = (np.where(hits.found, hits.distance, np.float32(0)) * optical[:, 2]).reshape(shape)
        rough = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (3, 3), 0.7) / np.float32(0.42)
        z = z + rough * np.float32(self.config.depth_noise) * (0.0012 + 0.0019 * (z - 0.4) ** 2)
        lost = rng.random(facing.shape) < self.config.holes
        lost |= rng.random(facing.shape) < np.clip(0.28 - facing, 0, 1) * 3  # grazing
        lost |= (rng.random(facing.shape) < 0.5) & (colour.max(axis=1) < 0.012)  # too dark to reflect the pattern
        lost |= (gloss > 0.45) & (rng.random(facing.shape) < 0.3)
        lost |= self._shadowed(scene, points, pose)
        known = hits.found.reshape(shape) & ~lost.reshape(shape) & (z > NEAREST) & (z < FARTHEST)
        return np.where(known, np.round(z / STEP), 0).astype(np.uint16)

    def _shadowed(self, scene: Scene, points: Array, pose: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return (N,): which points the projector does not reach."""
        projector = (pose[:3, 3] + pose[:3, 0] * PROJECTOR).astype(np.float32)
        way = points - projector
        distance = np.linalg.norm(way, axis=1)
        met = scene.cast(projector, way / np.maximum(distance, np.float32(1e-6))[:, None])
        return np.asarray(met.distance < distance - 0.008)

    def _expose(self, light: Array, lamp: Light, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Turn linear light (H, W, 3) into a noisy 8-bit picture."""
        soft = np.asarray(cv2.GaussianBlur(light, (3, 3), SOFTNESS), dtype=np.float32)
        exposed = np.clip(soft * (lamp.exposure * lamp.balance), 0, 1) ** np.float32(1 / 2.2)
        noise = rng.standard_normal(soft.shape, dtype=np.float32) * np.float32(self.config.image_noise)
        return np.asarray(np.clip((exposed + noise * (1.5 - exposed)) * 255, 0, 255), dtype=np.uint8)


def _lit(colour: Array, points: Array, normals: Array, rays: Array, gloss: Array, scene: Scene, light: Light) -> Array:
    """Return the light (N, 3) from surfaces: the lamp with its shadows and glints, and the room's."""
    lamp = np.maximum(turn(normals, light.towards), 0)
    lit = np.flatnonzero(lamp > 0)
    lamp[lit[scene.blocked(points[lit] + np.float32(0.002) * normals[lit], light.towards)]] = 0
    half = light.towards - rays
    half /= np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-6)
    glint = gloss * (lamp > 0) * np.maximum(np.einsum("nk,nk->n", half, normals), 0) ** 40
    room = light.ambient * (0.72 + 0.28 * normals[:, 2])
    return np.asarray(colour * (room + light.lamp * lamp)[:, None] + light.lamp * glint[:, None], dtype=np.float32)


def looking(eye: NDArray[np.float64], at: NDArray[np.float64], roll: float = 0.0) -> NDArray[np.float64]:
    """Return the pose (4, 4), map from optical, of a camera at `eye` (3,) that looks `at` (3,), rolled by radians."""
    forward = (at - eye) / np.linalg.norm(at - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([c * right + s * down, c * down - s * right, forward])
    pose[:3, 3] = eye
    return pose
