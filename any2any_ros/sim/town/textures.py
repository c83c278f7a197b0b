"""The colour of each kind of surface at a point: windows, bricks, road markings, leaves.

Points (N, 3) are in metres, in the world frame. `rows` (N,) of SURFACE: the surface of each point. `grain` (N,): metres
that one pixel covers there; a pattern finer than this fades into its mean. Colours (N, 3) are linear, in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Flags
from any2any_ros.sim.town.mesh import Kind, Masonry

Faces = NDArray[np.void]  # of mesh.SURFACE
Painter = Callable[[Array, Faces, Array], Array]  # points, their surfaces, grain -> colours

# For each kind of windows: share of the bay that is glass; sill and lintel as shares of the storey; shutters.
_GLASS = np.array([0.48, 0.56, 0.42, 0.86, 0.22], dtype=np.float32)
_SILL = np.array([0.30, 0.28, 0.12, 0.30, 0.30], dtype=np.float32)
_LINTEL = np.array([0.80, 0.78, 0.84, 0.82, 0.80], dtype=np.float32)
_SHUTTERS = np.array([True, False, False, False, False])


def paint(points: Array, surfaces: Faces, index: NDArray[np.int32], grain: Array) -> Array:
    """Return the colours (N, 3) of points. surfaces (S,) of SURFACE; index (N,): the surface of each point."""
    return painted(_PAINTERS, points, surfaces, index, grain)


def painted(
    painters: Mapping[Any, Painter], points: Array, surfaces: Faces, index: NDArray[np.int32], grain: Array
) -> Array:
    """Return the colours (N, 3) of points, as `paint` does. painters: kind of surface -> painter; others are plain."""
    colours = surfaces["colour"][index]
    kinds = surfaces["kind"][index]
    for kind, painter in painters.items():
        here = np.flatnonzero(kinds == kind)
        if len(here):
            colours[here] = painter(points[here], surfaces[index[here]], grain[here])
    return np.asarray(colours)


def hashed(*integers: NDArray[Any]) -> Array:
    """Return a number in [0, 1) for each tuple of integers. It is the same on every machine."""
    mixed: NDArray[np.uint32] = np.full(1, 0x9E3779B9, dtype=np.uint32)
    for values in integers:
        mixed = (mixed ^ values.astype(np.int64).astype(np.uint32)) * np.uint32(0x85EBCA6B)
        mixed ^= mixed >> np.uint32(13)
    mixed = mixed * np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    return np.asarray((mixed >> np.uint32(8)).astype(np.float32) / np.float32(2**24))


def _cells(points: Array, size: float) -> Array:
    """Return noise (N,) in [0, 1) that is constant within cubes of `size` metres."""
    x, y, z = np.floor(points / size).T
    return hashed(x, y, z)


def fade(grain: Array, feature: Array | float) -> Array:
    """Return (N,): 1 where a feature of this size (m) is seen clearly, 0 where one pixel covers all of it."""
    return np.asarray(np.clip(1.5 - grain / feature, 0, 1))


def _on_wall(points: Array, rows: Faces) -> tuple[Array, Array]:
    """Return the metres along the wall and above its foot, (N,) each."""
    away = points - rows["origin"]
    return np.einsum("nk,nk->n", away[:, :2], rows["axis"]), away[:, 2]


def _facade(points: Array, rows: Faces, grain: Array) -> Array:
    u, v = _on_wall(points, rows)
    salt, window, blind = rows["salt"], rows["windows"], rows["blind"]
    bays, bay, storey, fu, fv = _grid(u, v, rows)
    shop = rows["shop"] * (storey == 0)

    colour = _masonry_tone(u, v, rows["masonry"], salt, grain)[:, None] * rows["colour"]
    rise, half = _windows(rows, bay, storey, fv)
    chance = hashed(bay, storey, salt)
    overlay(colour, rise & (np.abs(fu) < half + 0.05), 0.5 + 0.4 * rows["colour"])
    overlay(colour, rise & (np.abs(np.abs(fu) - half - 0.1) < 0.08) & _SHUTTERS[window], rows["accent"])
    glass = np.where((chance < 0.3)[:, None], 0.55, np.array([0.06, 0.08, 0.11])) * (0.7 + 0.6 * chance[:, None])
    mullion = (np.abs(fu) < 0.025) & (window != 3)
    overlay(colour, rise & (np.abs(fu) < half) & ~mullion, glass)

    door = (bay == np.floor(bays * 0.5 + (salt % 3 - 1))) & (storey == 0) & (np.abs(fu) < 0.3) & (v < 2.2)
    overlay(colour, door & (shop == 0) & ~blind, 0.8 * rows["accent"])
    _shop_front(colour, rows, u, v, fu, shop)
    overlay(colour, (v < 0.5) & ~door, 0.55 * rows["colour"] + 0.05)
    overlay(colour, rows["height"] - v < 0.25, 0.6 * rows["colour"] + 0.2)
    return np.asarray(colour)


def _grid(u: Array, v: Array, rows: Faces) -> tuple[Array, Array, Array, Array, Array]:
    """Return, (N,) each: number of bays of the wall, bay and storey of the point, and its position in them (-0.5 .. 0.5
    across the bay, 0 .. 1 up the storey)."""
    bays = np.maximum(np.round(rows["length"] / rows["bay"]), 1)
    across, up = u / rows["length"] * bays, v / rows["storey"]
    bay, storey = np.floor(across), np.floor(up)
    return bays, bay, storey, across - bay - 0.5, up - storey


def _windows(rows: Faces, bay: Array, storey: Array, fv: Array) -> tuple[Flags, Array]:
    """Return (N,): whether the point is at the height of its bay's window, and half the window's share of the bay."""
    window, blind = rows["windows"], rows["blind"]
    walled_up = blind & (hashed(bay, storey, rows["salt"], window) < 0.75)
    as_high = (fv > _SILL[window]) & (fv < _LINTEL[window])
    display = (rows["shop"] > 0) & (storey == 0)
    return as_high & ~walled_up & ~display, np.where(blind, 0.16, _GLASS[window] / 2)


def glazed(points: Array, rows: Faces) -> Flags:
    """Return (N,): which points of facades are glass, of a window or of a shop."""
    u, v = _on_wall(points, rows)
    _, bay, storey, fu, fv = _grid(u, v, rows)
    rise, half = _windows(rows, bay, storey, fv)
    display = (rows["shop"] == 1) & (v > 0.45) & (v < 2.35) & (np.abs(fu) < 0.45)
    return np.asarray((rise & (np.abs(fu) < half)) | display)


def _masonry_tone(u: Array, v: Array, masonry: NDArray[np.int32], salt: NDArray[np.int32], grain: Array) -> Array:
    """Return the brightness (N,): stains on plaster, courses of brick or stone."""
    brick, stone = masonry == Masonry.BRICK, masonry == Masonry.STONE
    course, length = np.where(brick, 0.16, 0.42), np.where(brick, 0.4, 0.8)
    row = np.floor(v / course)
    along = u / length + 0.5 * (row % 2)
    blocks = 0.8 + 0.4 * hashed(row, np.floor(along), salt)
    joint = (v / course - row < 0.16) | (along - np.floor(along) < 0.07)
    blocks = np.where(joint, 1.25, blocks)
    stains = 0.93 + 0.14 * hashed(np.floor(u / 1.3), np.floor(v / 0.9), salt)
    clear = fade(grain, 0.3)
    return np.where(brick | stone, 1 + (blocks - 1) * clear, stains).astype(np.float32)


def _shop_front(colour: Array, rows: Faces, u: Array, v: Array, fu: Array, shop: NDArray[np.int32]) -> None:
    """Paint the windows of a shop and a sign with letters. A closed shop (2) has its shutter down."""
    pane = (shop > 0) & (v > 0.45) & (v < 2.35) & (np.abs(fu) < 0.45)
    goods = hashed(np.floor(u / 0.35), np.floor(v / 0.45), rows["salt"])[:, None]
    overlay(colour, pane & (shop == 1), 0.05 + 0.35 * goods * (0.5 + rows["accent"]))
    slats = 0.45 + 0.12 * (np.floor(v / 0.12) % 2)
    overlay(colour, pane & (shop == 2), slats[:, None] * np.ones(3))
    sign = (shop > 0) & (v > 2.45) & (v < 2.95)
    overlay(colour, sign, rows["accent"])
    letters = sign & (v > 2.56) & (v < 2.84) & (hashed(np.floor(u / 0.16), rows["salt"]) < 0.55)
    middle = np.abs(u / rows["length"] - 0.5) < 0.3
    overlay(colour, letters & middle, np.where(rows["accent"].mean(axis=1, keepdims=True) > 0.35, 0.05, 0.85))


def overlay(colour: Array, where: Flags, value: NDArray[Any]) -> None:
    """Set the colours (N, 3) to value (N, 3) `where` (N,) is true."""
    colour[where] = np.broadcast_to(value, colour.shape)[where]


def _tiles(points: Array, rows: Faces, grain: Array) -> Array:
    rows_of_tiles = 0.85 + 0.3 * hashed(np.floor(points[:, 2] / 0.22), rows["salt"])
    tone = 1 + (rows_of_tiles - 1) * fade(grain, 0.3)
    return np.asarray(rows["colour"] * (tone * (0.9 + 0.2 * _cells(points, 0.6)))[:, None])


def _masonry(points: Array, rows: Faces, grain: Array) -> Array:
    u = points[:, 0] + points[:, 1]
    brick = np.full(len(points), Masonry.BRICK, dtype=np.int32)
    return np.asarray(rows["colour"] * _masonry_tone(u, points[:, 2], brick, rows["salt"], grain)[:, None])


def _road(points: Array, rows: Faces, grain: Array) -> Array:
    away = points - rows["origin"]
    axis = rows["axis"]
    u = np.einsum("nk,nk->n", away[:, :2], axis)
    v = axis[:, 0] * away[:, 1] - axis[:, 1] * away[:, 0]
    rough = 0.9 + 0.2 * _cells(points, 0.05) * fade(grain, 0.08) + 0.18 * (_cells(points, 1.7) - 0.5)
    colour = rows["colour"] * rough[:, None]
    on_street = rows["marks"] > 0
    half = rows["width"] / 2
    dash = (np.abs(v) < 0.08) & (u % 5 < 2.5) & (half > 3)
    edge = (np.abs(half - 2.05 - np.abs(v)) < 0.06) & (half > 3)
    ends = np.minimum(u, rows["length"] - u)
    zebra = (ends > 0.6) & (ends < 3.2) & (v % 1.0 < 0.5) & (rows["marks"] == 2)
    overlay(colour, (dash | edge | zebra) & on_street, 0.55 + 0.2 * _cells(points, 0.1)[:, None] * np.ones(3))
    gutter = (half - np.abs(v) < 0.2) & on_street
    overlay(colour, gutter, 0.8 * colour)
    return np.asarray(colour)


def _paving(points: Array, rows: Faces, grain: Array) -> Array:
    slab = np.floor(points[:, :2] / 0.6)
    tone = 0.85 + 0.3 * hashed(slab[:, 0], slab[:, 1])
    joint = (np.abs(points[:, :2] / 0.6 - slab) < 0.06).any(axis=1)
    tone = np.where(joint, 0.7, tone)
    return np.asarray(rows["colour"] * (1 + (tone - 1) * fade(grain, 0.4))[:, None])


def _grass(points: Array, rows: Faces, grain: Array) -> Array:
    tone = 0.75 + 0.3 * _cells(points, 0.7) + 0.3 * _cells(points, 0.08) * fade(grain, 0.1)
    return np.asarray(rows["colour"] * tone[:, None])


def _leaves(points: Array, rows: Faces, grain: Array) -> Array:
    tone = 0.45 + 0.5 * _cells(points, 0.45) + 0.6 * _cells(points, 0.12) * fade(grain, 0.15)
    return np.asarray(rows["colour"] * tone[:, None])


def _stripes(points: Array, rows: Faces, grain: Array) -> Array:
    band = np.floor((points[:, 0] + points[:, 1] + points[:, 2]) / 0.5) % 2 == 0
    rails = (points[:, 2] % 1.0) < 0.35
    return np.asarray(np.where(rails[:, None], np.where(band[:, None], rows["colour"], rows["accent"]), 0.45))


_PAINTERS: dict[Kind, Painter] = {
    Kind.FACADE: _facade,
    Kind.TILES: _tiles,
    Kind.MASONRY: _masonry,
    Kind.ROAD: _road,
    Kind.PAVING: _paving,
    Kind.GRASS: _grass,
    Kind.LEAVES: _leaves,
    Kind.STRIPES: _stripes,
}
