"""The variational connection of COX, x -> p(v | x) -> q(z | v), with PyTorch; used by learning/cox.py.

The bottleneck v keeps what reconstructs the known features and tells the class, and no more (the KL term). Rows of
weight 0 and NaN targets are left out. Both maps are linear: there are too few pairs for more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.cox_steps import LinearMap

Tensor = Any  # a torch.Tensor


def reconstruction_loss(rebuilt: Tensor, known: Tensor) -> Tensor:
    """Return (B,): mean squared error of rebuilt (B, D) over the features of known (B, D) that are not NaN."""
    import torch

    present = ~torch.isnan(known)
    error = torch.where(present, rebuilt - torch.nan_to_num(known), 0).square()
    return error.sum(dim=1) / present.sum(dim=1).clamp(min=1)


def kl_loss(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return (B,): KL(N(mean, variance) || N(0, I)) for mean and log_variance (B, L)."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1)


def cross_entropy_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return (B,): cross-entropy of logits (B, C) to class shares `target` (B, C)."""
    return -(target * logits.log_softmax(dim=1)).sum(dim=1)


@dataclass(frozen=True)
class Bottleneck:
    """How the variational connection is trained; CoxConfig describes these settings."""

    latent: int
    kl: float
    steps: int
    learning_rate: float
    seed: int


@dataclass(frozen=True, eq=False)
class Side:
    """A known modality: the features z (N, D_k) that the new samples should be mapped to, NaN where unknown; its frozen
    classifier `head`; the linear map that training starts from."""

    features: Float64
    head: LinearMap
    start: LinearMap


def connect(x: Float64, known: list[Side], target: Float64, weight: Float64, bottleneck: Bottleneck) -> list[LinearMap]:
    """Return the mean map x -> z of each known modality, with the bottleneck folded in.

    x (N, D). target (N, C): class shares. weight (N,) of the rows. Training starts from the `latent` strongest
    directions of the maps side by side.
    """
    torch, starts = _torch(), [side.start for side in known]
    encoder, decoder, bias = (_parameter(torch, a) for a in _factors(x, starts, bottleneck.latent))
    log_variance = _parameter(torch, np.full((1, encoder.shape[1]), -3.0))  # little noise at the start
    features = np.concatenate([side.features for side in known], axis=1)
    inputs, wanted, shares = (_constant(torch, a) for a in (x, features, target))
    importance = _constant(torch, weight / weight.sum())
    classifiers = [(_constant(torch, w), _constant(torch, b)) for w, b in (side.head for side in known)]
    sizes = [side.features.shape[1] for side in known]
    noise = torch.Generator().manual_seed(bottleneck.seed)
    optimiser = torch.optim.Adam([encoder, decoder, bias, log_variance], lr=bottleneck.learning_rate)
    for _ in range(bottleneck.steps):
        mean = inputs @ encoder
        v = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=noise, dtype=mean.dtype)
        rebuilt = v @ decoder + bias
        classes = [
            cross_entropy_loss(z @ w + b, shares)
            for z, (w, b) in zip(rebuilt.split(sizes, 1), classifiers, strict=True)
        ]
        loss = reconstruction_loss(rebuilt, wanted) + sum(classes) / len(classes)
        loss = loss + bottleneck.kl * kl_loss(mean, log_variance)
        optimiser.zero_grad()
        (importance * loss).sum().backward()
        optimiser.step()
    whole = (encoder @ decoder).detach().numpy().astype(np.float64)
    ends = np.cumsum(sizes)[:-1]
    return list(
        zip(np.split(whole, ends, axis=1), np.split(bias.detach().numpy()[0].astype(np.float64), ends), strict=True)
    )


def _factors(x: Float64, start: list[LinearMap], latent: int) -> tuple[Float64, Float64, Float64]:
    """Return encoder (D, L), decoder (L, E) and bias (1, E) of the maps side by side; v has a spread of 1."""
    u, strength, vt = np.linalg.svd(np.concatenate([w for w, _ in start], axis=1), full_matrices=False)
    u, strength, vt = u[:, :latent], strength[:latent], vt[:latent]
    spread = np.maximum((x @ u).std(axis=0), 1e-6)
    return u / spread, (spread * strength)[:, None] * vt, np.concatenate([b for _, b in start])[None]


def _parameter(torch: Any, values: Float64) -> Tensor:
    return _constant(torch, values).requires_grad_()


def _constant(torch: Any, values: Float64) -> Tensor:
    return torch.tensor(np.ascontiguousarray(values), dtype=torch.float32)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise Any2AnyError(
            "The variational connection cannot be trained", str(error),
            "pip install 'any2any_ros[pretrained]', or take connection 'ridge', which needs none",
        ) from error  # fmt: skip
    return torch
