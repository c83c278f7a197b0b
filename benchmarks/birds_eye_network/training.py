"""Trains a network on simulated towns, so that images of one place have vectors that are alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from any2any_ros.arrays import Array, Flags, Rows
from any2any_ros.progress import Progress, silent
from birds_eye_network.network import Network
from birds_eye_network.towns import Town, varied
from birds_eye_network.views import VIEWS

PAIRS = 32  # of a batch, all of one town
RATE, WARM_UP, DECAY = 3e-3, 0.1, 1e-2  # highest learning rate; share of the steps in which it rises; weight decay
TEMPERATURE = 0.1
SETTLING = 30  # batches


def trained(view: str, seed: int, towns: Sequence[Town], steps: int, progress: Progress[Any] = silent) -> Network:
    """Return a network for a view, trained on these towns. The same seed gives the same network."""
    network, draw = Network(view, seed), np.random.default_rng([seed, 79])
    optimiser = torch.optim.AdamW(network.parts.parameters(), lr=RATE, weight_decay=DECAY)
    plan = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step / max(steps, 1)))
    network.parts.train()
    for _ in progress(range(steps), f"training {view}, seed {seed}"):
        views, different = batch(towns[int(draw.integers(len(towns)))], view, draw)
        vectors = network(torch.from_numpy(views))
        loss = pair_loss(vectors[: len(different)], vectors[len(different) :], torch.from_numpy(different))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        plan.step()
    return network


def untrained(view: str, seed: int, towns: Sequence[Town]) -> Network:
    """Return a network with its first weights. It only learns the means and scales of its features (`SETTLING`)."""
    network, draw = Network(view, seed), np.random.default_rng([seed, 80])
    network.parts.train()
    with torch.no_grad():
        for _ in range(SETTLING):
            views, _ = batch(towns[int(draw.integers(len(towns)))], view, draw)
            network(torch.from_numpy(views))
    return network


def rate(done: float) -> float:
    """Return the share of the highest learning rate after a share of the steps: it rises, and falls as a cosine."""
    return min(done / WARM_UP, 0.5 + 0.5 * math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) if done < 1 else 0.0


def batch(town: Town, view: str, draw: np.random.Generator) -> tuple[Array, Flags]:
    """Return varied views (2n, height, width) of n places, then of the same n places again; and which of the first
    and of the second n show different places (n, n)."""
    rows: Rows = draw.permutation(len(town))[:PAIRS]
    partners = town.partners(rows, draw)
    images = [varied(town.images[row], draw) for row in (*rows, *partners)]
    return np.stack([VIEWS[view](levels) for levels in images]), town.negatives(rows, partners)


def pair_loss(first: Any, second: Any, different: Any) -> Any:
    """Return how badly vectors (n, D) of length 1 find their partners (n, D), in both directions: InfoNCE.

    different (n, n): which pairs show different places; others than the partners are not compared.
    """
    alike = first @ second.T / TEMPERATURE
    compared = different | torch.eye(len(alike), dtype=torch.bool)
    alike, right = alike.masked_fill(~compared, -math.inf), torch.arange(len(alike))
    return (cross_entropy(alike, right) + cross_entropy(alike.T, right)) / 2
