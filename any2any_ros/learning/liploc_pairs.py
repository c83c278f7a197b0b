"""What LIP-Loc learns from: pictures and range images of the same moments, where they were, and how they may vary.

Poses say which frames show one place. Another pass of the same street, in another season, is as good a partner as the
moment's own; frames of one place in one batch are no negatives of each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros.arrays import Flags, Float64, Rows
from any2any_ros.config import Settings, setting

Tensor = Any  # a torch.Tensor; torch is imported by who trains
Pixels = NDArray[np.uint8]

ALIKE = np.cos(np.radians(45.0))  # of the headings, and two forward views are of one place
TOGETHER = 0.5  # hit radii between two passes, and either's scan may stand for the other's
COLUMNS = ("pictures", "ranges", "poses", "maps", "drives", "path")
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class VariationConfig(Settings):
    """How pictures and scans are varied in training, the pair staying true."""

    light: float = setting(0.4, "pictures: brightness, contrast and colour change by up to", minimum=0, maximum=1)
    grey: float = setting(0.3, "pictures: share shown without their colours", minimum=0, maximum=1)
    grain: float = setting(0.05, "pictures: noise, one sigma of full scale, at most", minimum=0, maximum=1)
    lost: float = setting(0.3, "scans: share of points lost, at most", minimum=0, maximum=0.9)
    blur: float = setting(0.02, "scans: noise of the range, one sigma of the farthest, at most", minimum=0, maximum=1)
    turn: float = setting(0.03, "both: shifted by up to this share of the width, each by itself", minimum=0, maximum=1)
    passes: float = setting(
        0.5, "share of pairs whose scan is another pass's of the same place, where there is one", minimum=0, maximum=1
    )


@dataclass(frozen=True, eq=False)
class Pairs:
    """N synchronised frames: pictures (N, 3, H, W) and range images (N, 1, H, W) uint8, `empty` where nothing is; poses
    (N, 4, 4); maps (N,): poses of one number share a frame; drives (N,): which drive; path (N,): metres driven."""

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
        index = np.arange(len(self))[np.asarray(rows)]
        return Pairs(
            self.pictures[index], self.ranges[index], self.poses[index], self.maps[index], self.drives[index],
            self.path[index], self.empty,
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Sequence[Pairs]) -> Pairs:
        """Return all frames of some parts with the same `empty`."""
        columns: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in COLUMNS}
        return replace(parts[0], **columns)


def partners(pairs: Pairs, hit_radius: float, path_gap: float) -> Rows:
    """Return (N,): of each frame, the nearest one of another pass that shows the same place; itself where none does."""
    found = np.arange(len(pairs))
    for one in np.unique(pairs.maps):
        rows = np.flatnonzero(pairs.maps == one)
        for i in rows.tolist():
            distance, facing = _from(pairs, i, rows)
            same = (pairs.drives[rows] == pairs.drives[i]) & (np.abs(pairs.path[rows] - pairs.path[i]) <= path_gap)
            distance[same | ~facing] = np.inf
            if distance.min() < TOGETHER * hit_radius:
                found[i] = rows[distance.argmin()]
    return found


def _from(pairs: Pairs, i: int, rows: Rows) -> tuple[Float64, Flags]:
    """Return distances (R,) on the ground from frame i, and which of `rows` face its way."""
    distance = np.linalg.norm(pairs.poses[rows, :2, 3] - pairs.poses[i, :2, 3], axis=1)
    return distance, pairs.poses[rows, :2, 0] @ pairs.poses[i, :2, 0] > ALIKE


def likeness(pairs: Pairs, cameras: Rows, lidars: Rows, hit_radius: float) -> tuple[Float64, Flags]:
    """Return, for pictures (B,) and scans (B,), how far each two show one place (B, B), and which of them count at all.

    1 at the same spot, 0 from `hit_radius` metres on. Within it, but facing elsewhere, a pair does not count: it is the
    same place, and what the two see is not the same. A pair on the diagonal always counts.
    """
    a, b = pairs.poses[cameras], pairs.poses[lidars]
    distance = np.linalg.norm(a[:, None, :2, 3] - b[None, :, :2, 3], axis=-1)
    near = (pairs.maps[cameras][:, None] == pairs.maps[lidars][None, :]) & (distance < hit_radius)
    facing = a[:, :2, 0] @ b[:, :2, 0].T > ALIKE
    like = np.where(near & facing, 1 - distance / hit_radius, 0.0)
    np.fill_diagonal(like, np.maximum(np.diag(like), 1 - TOGETHER))
    return like, (like > 0) | ~near


def batches(maps: Rows, size: int, draw: np.random.Generator) -> Iterator[Rows]:
    """Yield, without end, the rows (B,) of a batch, all of one map: streets are to be told apart, not towns.

    A map's turn comes as often as it has frames for; within a round every frame comes at most once.
    """
    while True:
        queue = []
        for one in np.unique(maps):
            rows = draw.permutation(np.flatnonzero(maps == one))
            whole = max(1, len(rows) // size)
            queue += np.array_split(rows[: whole * size], whole)
        for i in draw.permutation(len(queue)):
            yield queue[i]


def varied_pictures(x: Tensor, config: VariationConfig, draw: Any) -> Tensor:
    """Return pictures (B, 3, H, W) float, 0 to 255, in other light, with more noise, a little aside."""
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
    noise = grain * torch.randn(count, 1, *x.shape[2:], generator=draw)  # of one colour, for speed
    return (x + noise.to(x.device)).clamp(0, 255)


def varied_ranges(x: Tensor, empty: int, config: VariationConfig, draw: Any) -> Tensor:
    """Return range images (B, 1, H, W) float with points lost, ranges a little off, turned a little."""
    import torch

    x = _shifted(x.float(), config.turn, draw)
    blur = 255 * config.blur * torch.rand(len(x), 1, 1, 1, generator=draw)
    noisy = (x + (blur * torch.randn(x.shape, generator=draw)).to(x.device)).clamp(0, 255)
    share = config.lost * torch.rand(len(x), 1, 1, 1, generator=draw)
    lost = (torch.rand(x.shape, generator=draw) < share).to(x.device)
    return torch.where(lost | (x == empty), float(empty), noisy)


def _shifted(x: Tensor, share: float, draw: Any) -> Tensor:
    """Return pictures (B, C, H, W) shifted sideways; what comes in repeats the edge."""
    import torch

    width = x.shape[-1]
    most = int(share * width)
    by = torch.randint(-most, most + 1, (len(x), 1), generator=draw)
    column = (torch.arange(width)[None, :] + by).clamp(0, width - 1).to(x.device)
    return x.gather(3, column[:, None, None, :].expand(-1, x.shape[1], x.shape[2], -1))
