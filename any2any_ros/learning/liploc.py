"""LIP-Loc: camera and LiDAR in one space, taught by pairs of the same moment (Puligilla et al. 2024, "LIP-Loc").

Both towers are trained together: a picture should be nearer to its own scan than to the batch's other scans, and the
other way round (InfoNCE, symmetric). Where the paper softens its targets by how alike the embeddings themselves are, we
soften by how near the frames were taken, which is known. METHODS: docs/liploc.md. Applying: encoders/liploc.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.liploc_pairs import (
    Pairs,
    VariationConfig,
    batches,
    likeness,
    partners,
    varied_pictures,
    varied_ranges,
)
from any2any_ros.threads import threads

Tensor = Any  # a torch.Tensor; torch is imported by who trains
Module = Any  # a torch.nn.Module
Parameters = dict[str, dict[str, Tensor]]  # by half, on the CPU
Encode = Callable[[str, NDArray[np.uint8]], Array]  # a half's pictures (N, C, H, W) -> vectors (N, D), length 1

LARGEST_STEP = 1.0  # the gradient's norm is clipped to it


@dataclass(frozen=True)
class TrainingConfig(Settings):
    """How the towers are trained."""

    temperature: float = setting(0.07, "cosines are divided by it", minimum=1e-3, maximum=10)
    learning_rate: float = setting(1e-3, "AdamW's, at its highest", minimum=1e-8, maximum=1)
    weight_decay: float = setting(0.05, "AdamW's", minimum=0, maximum=10)
    batch: int = setting(64, "pairs a step", minimum=2, maximum=65536)
    steps: int = setting(2000, "at most", minimum=1)
    warm_up: int = setting(100, "steps in which the learning rate rises; then it falls, a cosine", minimum=0)
    interval: int = setting(100, "steps from one look at the validation data to the next", minimum=1)
    patience: int = setting(20, "looks without a better one, and training ends", minimum=1)
    threads: int = setting(1, "of PyTorch; more is slower beside busy neighbours", minimum=1, maximum=64)
    device: str = setting("auto", "auto: the GPU if there is one", choices=("auto", "cpu", "cuda"))
    seed: int = setting(0, "of the first weights, the batches, the variations and what is held out", minimum=0)


@dataclass(frozen=True, eq=False)
class Look:
    """Where training stands: steps done, mean loss since the last look, the validation's score, the best towers so far
    and their score."""

    number: int
    loss: float
    score: float
    best: Parameters
    highest: float


def pair_loss(camera: Tensor, lidar: Tensor, like: Tensor, counts: Tensor, temperature: float) -> Tensor:
    """Return the mean loss of pictures (B, D) and scans (B, D): symmetric InfoNCE with soft targets.

    like (B, B): how far each two show one place; a row's targets are its share of it. counts (B, B): which are compared
    at all; the others are in no denominator.
    """
    import torch
    from torch.nn.functional import normalize

    logits = normalize(camera, dim=1) @ normalize(lidar, dim=1).T / temperature
    logits = logits.masked_fill(~counts, torch.finfo(logits.dtype).min)
    return (_cross_entropy(logits, like) + _cross_entropy(logits.T, like.T)) / 2


def _cross_entropy(logits: Tensor, like: Tensor) -> Tensor:
    import torch

    share = like / like.sum(dim=1, keepdim=True)
    # where, not a product: what does not count has a share of 0 and a logarithm of minus infinity
    return -torch.where(share > 0, share * logits.log_softmax(dim=1), 0).sum(dim=1).mean()


def training(
    towers: Mapping[str, Module],
    pairs: Pairs,
    hit_radius: float,
    path_gap: float,
    validation: Callable[[Encode], float],
    config: TrainingConfig = TrainingConfig(),
    variation: VariationConfig = VariationConfig(),
) -> Iterator[Look]:
    """Train the towers "camera" and "lidar" on pairs; yield at every look.

    Frames nearer than `hit_radius` metres show one place; another pass is `path_gap` metres of driving away.
    validation: how good towers are on other places, higher is better; training ends when it has not risen `patience`
    times. The same seed gives the same towers on one machine's CPU.
    """
    if len(pairs) < 2:
        raise Any2AnyError("The towers cannot be trained", f"there are {len(pairs)} pairs", "Give a longer drive")
    torch, device = available(config)
    for tower in towers.values():
        tower.to(device).train()
    best, highest, since, losses = _frozen(towers), -np.inf, 0, []
    steps = _descent(torch, device, towers, pairs, partners(pairs, hit_radius, path_gap), hit_radius, config, variation)
    for number, loss in enumerate(steps, start=1):
        losses.append(loss)
        if number % config.interval and number < config.steps:
            continue
        score = float(validation(encoder(towers, config)))
        best, highest, since = (_frozen(towers), score, 0) if score > highest else (best, highest, since + 1)
        yield Look(number, float(np.mean(losses)), score, best, float(highest))
        losses = []
        if since >= config.patience:
            return


def encoder(towers: Mapping[str, Module], config: TrainingConfig = TrainingConfig()) -> Encode:
    """Return what encodes pictures with towers as they are now."""

    def encode(half: str, pictures: NDArray[np.uint8]) -> Array:
        torch, device = available(config)
        out = []
        with torch.no_grad(), threads(config.threads):
            for part in np.array_split(pictures, max(1, -(-len(pictures) // config.batch))):
                x = _three(torch.from_numpy(part).to(device).float())
                out.append(torch.nn.functional.normalize(towers[half](x), dim=1).cpu().numpy())
        return np.concatenate(out)

    return encode


def _descent(
    torch: Any, device: str, towers: Mapping[str, Module], pairs: Pairs, partner: NDArray[np.intp], hit_radius: float,
    config: TrainingConfig, variation: VariationConfig,
) -> Iterator[float]:  # fmt: skip
    """Improve the towers, a step at a time; yield each one's loss."""
    draw, noise = np.random.default_rng(config.seed), torch.Generator().manual_seed(config.seed)
    parameters = [p for half in sorted(towers) for p in towers[half].parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, config))
    half_precision = torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else torch.float16
    scaler = torch.amp.GradScaler(enabled=device == "cuda" and half_precision is torch.float16)
    rows_of = batches(pairs.maps, config.batch, draw)
    for _ in range(config.steps):
        rows = next(rows_of)
        lidars = np.where(draw.random(len(rows)) < variation.passes, partner[rows], rows)
        like, counts = likeness(pairs, rows, lidars, hit_radius)
        with threads(config.threads):
            pictures = varied_pictures(torch.from_numpy(pairs.pictures[rows]).to(device), variation, noise)
            ranges = varied_ranges(torch.from_numpy(pairs.ranges[lidars]).to(device), pairs.empty, variation, noise)
            with torch.autocast(device, dtype=half_precision, enabled=device == "cuda"):
                camera, lidar = towers["camera"](pictures), towers["lidar"](_three(ranges))
            targets, compared = torch.from_numpy(like).float().to(device), torch.from_numpy(counts).to(device)
            loss = pair_loss(camera.float(), lidar.float(), targets, compared, config.temperature)
            optimiser.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(optimiser)
            torch.nn.utils.clip_grad_norm_(parameters, LARGEST_STEP)
            scaler.step(optimiser)
            scaler.update()
            rate.step()
        yield float(loss.detach())


def _rate(step: int, config: TrainingConfig) -> float:
    """Return the share of the learning rate at a step: a rise, then half a cosine."""
    if step < config.warm_up:
        return (step + 1) / config.warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - config.warm_up) / max(1, config.steps - config.warm_up)))


def _three(pictures: Tensor) -> Tensor:
    """Return (B, 3, H, W): a range image (B, 1, H, W) is shown as a grey picture."""
    return pictures.expand(-1, 3, -1, -1)


def _frozen(towers: Mapping[str, Module]) -> Parameters:
    """Return the towers' trained parameters, as arrays of their own."""
    return {half: {name: p.detach().cpu().clone() for name, p in t.named_parameters()} for half, t in towers.items()}


def available(config: TrainingConfig) -> tuple[Any, str]:
    """Return PyTorch and the device to train on; raise Any2AnyError when one of them is not here."""
    try:
        import torch
    except ImportError as error:
        raise Any2AnyError(
            "The towers cannot be trained", str(error), "pip install 'any2any_ros[pretrained]', for PyTorch"
        ) from error
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise Any2AnyError(
            "The towers cannot be trained on a GPU", "PyTorch sees none", "Install PyTorch for CUDA, or leave --device"
        )
    return torch, "cuda" if there and config.device != "cpu" else "cpu"
