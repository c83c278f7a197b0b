"""The training data of LIP-Loc: pictures and range images of the same moments, their poses, and their variation.

Poses say which frames show one place. A scan of another pass of the same street, in another season, may take the place
of a moment's own scan. Frames of one place in one batch are not used as negatives of each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros.arrays import Flags, Float64, Rows
from any2any_ros.config import PlaceConfig, Settings, setting

Tensor = Any  # a torch.Tensor; only the functions that train import torch
Pixels = NDArray[np.uint8]

SAME_HEADING = np.cos(np.radians(45.0))  # cosine of two headings above which the forward views show the same place
SAME_SPOT = 0.5  # hit radii between two passes within which the scan of one may stand for the scan of the other
COLUMNS = ("pictures", "ranges", "poses", "maps", "drives", "path")
LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in a grey picture


@dataclass(frozen=True)
class VariationConfig(Settings):
    """How pictures and scans are varied in training, so that they still are a pair."""

    light: float = setting(
        0.4, "pictures: largest relative change of brightness, contrast and colour", minimum=0, maximum=1
    )
    grey: float = setting(0.3, "pictures: share shown in grey", minimum=0, maximum=1)
    grain: float = setting(
        0.05, "pictures: largest standard deviation of the noise, as a share of full scale", minimum=0, maximum=1
    )
    dropout: float = setting(0.3, "scans: largest share of points removed", minimum=0, maximum=0.9)
    blur: float = setting(
        0.02,
        "scans: largest standard deviation of the range's noise, as a share of the longest range",
        minimum=0,
        maximum=1,
    )
    turn: float = setting(
        0.03, "both, independently: largest sideways shift, as a share of the width", minimum=0, maximum=1
    )
    passes: float = setting(
        0.5,
        "share of pairs with the scan of another pass of the same place, where there is one",
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, eq=False)
class Pairs:
    """N synchronised frames.

    pictures (N, 3, H, W) and range images (N, 1, H, W), uint8; `empty`: the value of a range image where nothing was
    measured. poses (N, 4, 4). maps (N,): frames of one number have poses in one coordinate frame. drives (N,): which
    drive. path (N,): metres driven.
    """

    pictures: Pixels
    ranges: Pixels
    poses: Float64
    maps: Rows
    drives: Rows
    path: Float64
    empty: int = 255

    def __len__(self) -> int:
        return len(self.poses)

    def take(self, rows: ArrayLike) -> Pairs:
        """Return the frames `rows`: indices, or flags (N,)."""
        index = np.arange(len(self))[np.asarray(rows)]
        return Pairs(
            self.pictures[index], self.ranges[index], self.poses[index], self.maps[index], self.drives[index],
            self.path[index], self.empty,
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Sequence[Pairs]) -> Pairs:
        """Return the frames of all parts, which must have the same `empty`."""
        columns: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in COLUMNS}
        return replace(parts[0], **columns)


def partners(pairs: Pairs, place: PlaceConfig) -> Rows:
    """Return (N,): for each frame the nearest frame of another pass that shows the same place, or the frame itself.

    Another pass is another drive, or at least `path_gap` metres of driving away.
    """
    partner = np.arange(len(pairs))
    for which in np.unique(pairs.maps):
        rows = np.flatnonzero(pairs.maps == which)
        for i in rows.tolist():
            distance, facing = _seen_from(pairs, i, rows)
            near = np.abs(pairs.path[rows] - pairs.path[i]) <= place.path_gap
            distance[(pairs.drives[rows] == pairs.drives[i]) & near | ~facing] = np.inf
            if distance.min() < SAME_SPOT * place.hit_radius:
                partner[i] = rows[distance.argmin()]
    return partner


def _seen_from(pairs: Pairs, i: int, rows: Rows) -> tuple[Float64, Flags]:
    """Return the distances (R,) on the ground of `rows` from frame i, and which of them have about its heading."""
    distance = np.linalg.norm(pairs.poses[rows, :2, 3] - pairs.poses[i, :2, 3], axis=1)
    return distance, pairs.poses[rows, :2, 0] @ pairs.poses[i, :2, 0] > SAME_HEADING


def likeness(pairs: Pairs, cameras: Rows, lidars: Rows, hit_radius: float) -> tuple[Float64, Flags]:
    """Return how far each picture (B,) and scan (B,) show one place (B, B), and which pairs are compared (B, B).

    The likeness is 1 at the same spot and falls to 0 at `hit_radius` metres. Within that radius, a pair with different
    headings is not compared: the place is the same, but the two see different things. A pair on the diagonal always is.
    """
    a, b = pairs.poses[cameras], pairs.poses[lidars]
    distance = np.linalg.norm(a[:, None, :2, 3] - b[None, :, :2, 3], axis=-1)
    near = (pairs.maps[cameras][:, None] == pairs.maps[lidars][None, :]) & (distance < hit_radius)
    facing = a[:, :2, 0] @ b[:, :2, 0].T > SAME_HEADING
    like = np.where(near & facing, 1 - distance / hit_radius, 0.0)
    np.fill_diagonal(like, np.maximum(np.diag(like), 1 - SAME_SPOT))
    return like, (like > 0) | ~near


def batches(maps: Rows, size: int, draw: np.random.Generator) -> Iterator[Rows]:
    """Yield, without end, the rows (B,) of a batch, all of one map: the towers should tell streets apart, not towns.

    A map has as many batches as its frames fill; within a round, every frame comes at most once.
    """
    while True:
        queue = []
        for which in np.unique(maps):
            rows = draw.permutation(np.flatnonzero(maps == which))
            whole = max(1, len(rows) // size)
            queue += np.array_split(rows[: whole * size], whole)
        for i in draw.permutation(len(queue)):
            yield queue[i]


def varied_pictures(x: Tensor, config: VariationConfig, draw: Any) -> Tensor:
    """Return pictures (B, 3, H, W) float, 0 to 255, with other light, noise and a sideways shift."""
    import torch

    def spread(*shape: int) -> Tensor:
        return 1 + config.light * (2 * torch.rand(*shape, 1, 1, generator=draw) - 1)

    count = len(x)
    x = _shifted(x.float(), config.turn, draw) * spread(count, 3).to(x.device)  # colour
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - mean) * spread(count, 1).to(x.device) + mean * spread(count, 1).to(x.device)  # contrast, brightness
    luma = (x * torch.tensor(LUMA, device=x.device).reshape(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    grey = torch.rand(count, 1, 1, 1, generator=draw) < config.grey
    x = torch.where(grey.to(x.device), luma, x)
    grain = 255 * config.grain * torch.rand(count, 1, 1, 1, generator=draw)
    noise = grain * torch.randn(count, 1, *x.shape[2:], generator=draw)  # the same for the three colours, for speed
    return (x + noise.to(x.device)).clamp(0, 255)


def varied_ranges(x: Tensor, empty: int, config: VariationConfig, draw: Any) -> Tensor:
    """Return range images (B, 1, H, W) float with points removed, noise on the ranges and a sideways shift."""
    import torch

    x = _shifted(x.float(), config.turn, draw)
    blur = 255 * config.blur * torch.rand(len(x), 1, 1, 1, generator=draw)
    noisy = (x + (blur * torch.randn(x.shape, generator=draw)).to(x.device)).clamp(0, 255)
    share = config.dropout * torch.rand(len(x), 1, 1, 1, generator=draw)
    removed = (torch.rand(x.shape, generator=draw) < share).to(x.device)
    return torch.where(removed | (x == empty), float(empty), noisy)


def _shifted(x: Tensor, share: float, draw: Any) -> Tensor:
    """Return pictures (B, C, H, W) shifted sideways; the columns that come in repeat the edge."""
    import torch

    width = x.shape[-1]
    most = int(share * width)
    by = torch.randint(-most, most + 1, (len(x), 1), generator=draw)
    column = (torch.arange(width)[None, :] + by).clamp(0, width - 1).to(x.device)
    return x.gather(3, column[:, None, None, :].expand(-1, x.shape[1], x.shape[2], -1))
