"""The colour of each kind of surface at a point, in the frame of its object: bands, stripes, dots, labels, wood."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Flags
from any2any_ros.sim.town.textures import Faces, Painter, fade, hashed, overlay, painted


class Pattern(IntEnum):
    """How a surface is painted with its colour and its accent."""

    PLAIN = 0
    BANDS = 1
    STRIPES = 2
    DOTS = 3
    LABEL = 4
    CHECKS = 5
    SPECKS = 6
    WOOD = 7


class Wrap(IntEnum):
    """How a pattern is put on a surface."""

    ROUND = 0  # around the axis of the object
    BOX = 1  # on upright sides
    FLAT = 2  # from above


# One row for each surface: a pattern in the frame of its object, with its foot at `origin` and its front along `axis`.
SURFACE = np.dtype(
    [
        ("kind", "i4"),  # of Pattern
        ("thing", "i4"),  # row of the object; -1 for the table, -2 for the room
        ("salt", "i4"),
        ("colour", "f4", 3),
        ("accent", "f4", 3),
        ("reflectance", "f4"),
        ("gloss", "f4"),
        ("origin", "f4", 3),
        ("axis", "f4", 2),
        ("wrap", "i4"),  # of Wrap
        ("radius", "f4"),
        ("height", "f4"),
        ("period", "f4"),  # m from one stripe to the next
    ]
)


def paint(points: Array, surfaces: Faces, index: NDArray[np.int32], grain: Array) -> Array:
    """Return the linear colours (N, 3) of points (N, 3).

    surfaces (S,) of SURFACE. index (N,): the surface of each point. grain (N,): m that one pixel covers there.
    """
    return painted(_PAINTERS, points, surfaces, index, grain)


def _on_surface(points: Array, rows: Faces) -> tuple[Array, Array]:
    """Return the metres across and up the pattern, (N,) each."""
    away = points - rows["origin"]
    x = np.einsum("nk,nk->n", away[:, :2], rows["axis"])
    y = rows["axis"][:, 0] * away[:, 1] - rows["axis"][:, 1] * away[:, 0]
    around = np.arctan2(y, x) * rows["radius"]
    across = np.select([rows["wrap"] == Wrap.ROUND, rows["wrap"] == Wrap.BOX], [around, x + y], x)
    return across, np.where(rows["wrap"] == Wrap.FLAT, y, away[:, 2])


def _two(rows: Faces, mask: Flags, grain: Array) -> Array:
    """Return the accent where the mask is true, else the colour; their mean where one pixel covers both."""
    clear = fade(grain, np.maximum(rows["period"], 1e-3))[:, None]
    sharp = np.where(mask[:, None], rows["accent"], rows["colour"])
    return np.asarray(clear * sharp + (1 - clear) * 0.5 * (rows["accent"] + rows["colour"]), dtype=np.float32)


def _bands(points: Array, rows: Faces, grain: Array) -> Array:
    _, v = _on_surface(points, rows)
    return _two(rows, (v / rows["period"]) % 1 < 0.45, grain)


def _stripes(points: Array, rows: Faces, grain: Array) -> Array:
    u, _ = _on_surface(points, rows)
    return _two(rows, (u / rows["period"]) % 1 < 0.45, grain)


def _dots(points: Array, rows: Faces, grain: Array) -> Array:
    u, v = (w / rows["period"] for w in _on_surface(points, rows))
    u = u + 0.5 * (np.floor(v) % 2)
    return _two(rows, np.hypot(u % 1 - 0.5, v % 1 - 0.5) < 0.32, grain)


def _checks(points: Array, rows: Faces, grain: Array) -> Array:
    u, v = (np.floor(w / rows["period"]) for w in _on_surface(points, rows))
    return _two(rows, (u + v) % 2 == 0, grain)


def _label(points: Array, rows: Faces, grain: Array) -> Array:
    """Return the colours of a label: a panel of the accent across the middle, with letters on it."""
    u, v = _on_surface(points, rows)
    share = v / rows["height"] + 0.5 * (rows["wrap"] == Wrap.FLAT)  # FLAT counts from the middle of the object
    panel = (share > 0.28) & (share < 0.72)
    colour = np.where(panel[:, None], rows["accent"], rows["colour"]).astype(np.float32)
    letters = panel & (np.abs(share - 0.5) < 0.09) & (hashed(np.floor(u / 0.006), rows["salt"]) < 0.55)
    overlay(colour, letters & (grain < 0.004), 0.4 * rows["colour"] + 0.02)
    return colour


def _specks(points: Array, rows: Faces, grain: Array) -> Array:
    x, y, z = np.floor((points - rows["origin"]) / rows["period"][:, None]).T
    return _two(rows, hashed(x, y, z, rows["salt"]) < 0.16, grain)


def _wood(points: Array, rows: Faces, grain: Array) -> Array:
    x, y = points[:, 0] - rows["origin"][:, 0], points[:, 1] - rows["origin"][:, 1]
    plank = np.floor(y / 0.12)
    fibre = hashed(np.floor(y / 0.004), np.floor(x / 0.25 + 7 * hashed(plank)), rows["salt"])
    tone = 0.9 + 0.12 * hashed(plank, rows["salt"]) + 0.1 * fibre * fade(grain, 0.004)
    return np.asarray(rows["colour"] * tone[:, None])


_PAINTERS: dict[Pattern, Painter] = {
    Pattern.BANDS: _bands,
    Pattern.STRIPES: _stripes,
    Pattern.DOTS: _dots,
    Pattern.LABEL: _label,
    Pattern.CHECKS: _checks,
    Pattern.SPECKS: _specks,
    Pattern.WOOD: _wood,
}
