"""Networks whose vector does not change when the image turns.

On a polar view, convolutions are circular along the angle, so a turn shifts their features; the magnitudes of the
Fourier transform along the angle do not change then. On the view "cells", the filters are turned by quarters of a turn
(group convolutions, Cohen & Welling, ICML 2016); the largest answer of the four is taken, and a soft count of visual
words (NetVLAD, Arandjelovic et al., CVPR 2016) forgets where in the image it was. Other turns are learnt there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from any2any_ros.arrays import Array
from birds_eye_network.views import VIEWS

DIMENSION = 256
WIDTHS = (12, 24, 48)  # channels of the circular convolutions
POOLED = {"polar": ((2, 2), (2, 2)), "magnitudes": ((2, 3), (2, 2))}  # rings and angles that are averaged after each
HARMONICS = 9  # Fourier coefficients along the angle that are used
TURNS, TURNING_WIDTHS = 4, (6, 12, 24)
WORDS = 16
BATCH = 64  # images that are described at once


class Network:
    """Describes views of one kind. view: its name. seed: of the first weights."""

    def __init__(self, view: str, seed: int) -> None:
        self.view = view
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.part = Turning() if view == "cells" else Circular(view)
            self.parts = self.part.parts

    def __call__(self, views: Any) -> Any:
        """Return vectors (N, DIMENSION) of length 1 of views (N, height, width)."""
        return functional.normalize(self.part(views[:, None]), dim=1)

    def describe(self, images: Sequence[Any]) -> Array:
        """Return vectors (N, DIMENSION) of images (N, SIZE, SIZE)."""
        self.parts.eval()
        prepared, vectors = VIEWS[self.view], []
        with torch.no_grad():
            for start in range(0, len(images), BATCH):
                views = np.stack([prepared(levels) for levels in images[start : start + BATCH]])
                vectors.append(self(torch.from_numpy(views)).numpy())
        return np.concatenate(vectors)

    @property
    def megabytes(self) -> float:
        """Size of the weights in single precision."""
        return 4e-6 * float(sum(p.numel() for p in self.parts.parameters()))


class Circular:
    """Convolutions that are circular along the last axis, and magnitudes along it: (N, 1, rings, angles) -> (N, D)."""

    def __init__(self, view: str) -> None:
        first, second, third = WIDTHS
        pooled = [nn.AvgPool2d(size) for size in POOLED[view]]
        layers = [*_circular(1, first), pooled[0], *_circular(first, second), pooled[1], *_circular(second, third)]
        rings = 7
        self.features = nn.Sequential(*layers, *_circular(third, third))
        self.last = _last(third * rings * HARMONICS)
        self.parts = nn.ModuleList([self.features, self.last])

    def __call__(self, x: Any) -> Any:
        along = torch.fft.rfft(self.features(x), dim=-1, norm="ortho")[..., :HARMONICS]
        return self.last((along.real.square() + along.imag.square() + 1e-6).pow(0.25).flatten(1))


def _circular(before: int, after: int) -> list[Any]:
    padding = [nn.CircularPad2d((1, 1, 0, 0)), nn.ZeroPad2d((0, 0, 1, 1))]
    return [*padding, nn.Conv2d(before, after, 3, bias=False), nn.BatchNorm2d(after), nn.ReLU()]


def _last(width: int) -> Any:
    """Return the layer that makes the vector. It takes the mean of all places out first, and scales what is left."""
    return nn.Sequential(nn.BatchNorm1d(width, affine=False), nn.Linear(width, DIMENSION))


class Turning:
    """Convolutions with filters that are turned by quarters of a turn, and visual words: (N, 1, H, W) -> (N, D)."""

    def __init__(self) -> None:
        widths = (1, *TURNING_WIDTHS)
        shapes = [(b, a, 1 if a == 1 else TURNS, 3, 3) for a, b in pairwise(widths)]
        self.filters = nn.ParameterList(
            [nn.Parameter(torch.randn(shape) * (2 / np.prod(shape[1:])) ** 0.5) for shape in shapes]
        )
        self.norms = nn.ModuleList([nn.BatchNorm2d(width) for width in TURNING_WIDTHS])
        self.words = nn.Conv2d(widths[-1], WORDS, 1)
        self.middles = nn.Parameter(torch.randn(WORDS, widths[-1]) * 0.1)
        self.last = _last(WORDS * widths[-1])
        self.parts = nn.ModuleList([self.filters, self.norms, self.words, self.last, nn.ParameterList([self.middles])])

    def features(self, x: Any) -> Any:
        """Return (N, channels, TURNS, h, w) for (N, 1, H, W). A turn of x turns h and w, and shifts TURNS."""
        pools = (nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2), nn.Identity())  # 63 -> 32 -> 16, the same from both ends
        for filters, norm, pool in zip(self.filters, self.norms, pools, strict=True):
            x = functional.conv2d(x, turned_filters(filters), padding=1)
            x = norm(x.reshape(len(x), norm.num_features, -1, x.shape[-1])).relu().reshape(x.shape)
            x = pool(x)
        return x.unflatten(1, (-1, TURNS))

    def __call__(self, x: Any) -> Any:
        found = functional.normalize(self.features(x).amax(dim=2), dim=1, eps=1e-3)
        share = self.words(found).softmax(dim=1).flatten(2)
        total = share @ found.flatten(2).mT - share.sum(dim=2)[..., None] * self.middles
        return self.last(functional.normalize(functional.normalize(total, dim=2).flatten(1), dim=1))


def turned_filters(filters: Any) -> Any:
    """Return filters (out * TURNS, in * turns, k, k), turned by quarters, of filters (out, in, turns, k, k)."""
    turned = [torch.rot90(filters.roll(i, dims=2), i, dims=(-2, -1)) for i in range(TURNS)]
    return torch.stack(turned, dim=1).flatten(0, 1).flatten(1, 2)
