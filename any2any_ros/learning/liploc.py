"""LIP-Loc: trains one network for pictures and one for range images, so that both give vectors in one space.

Both towers are trained together by a symmetric InfoNCE loss: a picture should be nearer to its own scan than to the
batch's other scans, and the other way round. The paper (Puligilla et al. 2024, "LIP-Loc") softens its targets by how
alike the embeddings are; we soften them by how near the frames were taken, which is known. Page: docs/liploc.md.
Applying the towers: encoders/liploc.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Rows
from any2any_ros.config import PlaceConfig, Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.checkpoints import Checkpoint, checkpoints
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

Tensor = Any  # a torch.Tensor; only the functions that train import torch
Module = Any  # a torch.nn.Module
Parameters = dict[str, dict[str, Tensor]]  # by tower, on the CPU
Encode = Callable[[str, NDArray[np.uint8]], Array]  # tower, pictures (N, C, H, W) -> vectors (N, D) of length 1

LARGEST_GRADIENT = 1.0  # norm at which the gradient is clipped


@dataclass(frozen=True)
class TrainingConfig(Settings):
    """How the towers are trained."""

    temperature: float = setting(0.07, "divisor of the cosines in the loss", minimum=1e-3, maximum=10)
    learning_rate: float = setting(1e-3, "highest learning rate of AdamW", minimum=1e-8, maximum=1)
    weight_decay: float = setting(0.05, "weight decay of AdamW", minimum=0, maximum=10)
    batch: int = setting(64, "pairs a step", minimum=2, maximum=65536)
    steps: int = setting(2000, "training steps, at most", minimum=1)
    warm_up: int = setting(100, "steps in which the learning rate rises; then it falls as a cosine does", minimum=0)
    interval: int = setting(100, "steps from one validation to the next", minimum=1)
    patience: int = setting(20, "validations without improvement after which training ends", minimum=1)
    threads: int = setting(1, "threads of PyTorch; more is slower on a busy machine", minimum=1, maximum=64)
    device: str = setting("auto", "auto: the GPU if there is one", choices=("auto", "cpu", "cuda"))
    seed: int = setting(0, "of the initial weights, the batches, the variations and what is held out", minimum=0)


def pair_loss(camera: Tensor, lidar: Tensor, like: Tensor, counts: Tensor, temperature: float) -> Tensor:
    """Return the mean loss of pictures (B, D) and scans (B, D): symmetric InfoNCE with soft targets.

    like (B, B): how far each picture and scan show one place; the targets of a row are its shares of the row's sum.
    counts (B, B): which pairs are compared at all; the others are in no denominator.
    """
    import torch
    from torch.nn.functional import normalize

    logits = normalize(camera, dim=1) @ normalize(lidar, dim=1).T / temperature
    logits = logits.masked_fill(~counts, torch.finfo(logits.dtype).min)
    return (_cross_entropy(logits, like) + _cross_entropy(logits.T, like.T)) / 2


def _cross_entropy(logits: Tensor, like: Tensor) -> Tensor:
    import torch

    share = like / like.sum(dim=1, keepdim=True)
    # where, not a product: a pair that is not compared has a share of 0 and a logarithm of minus infinity
    return -torch.where(share > 0, share * logits.log_softmax(dim=1), 0).sum(dim=1).mean()


def training(
    towers: Mapping[str, Module],
    pairs: Pairs,
    place: PlaceConfig,
    validation: Callable[[Encode], float],
    config: TrainingConfig = TrainingConfig(),
    variation: VariationConfig = VariationConfig(),
) -> Iterator[Checkpoint[Parameters]]:
    """Train the towers "camera" and "lidar" on pairs, in place; yield checkpoints.

    place: frames nearer than its `hit_radius` show one place, and its `path_gap` tells another pass. validation: how
    good towers are on other places, higher is better; training ends when it has not risen for `patience` checkpoints.
    The same seed gives the same towers on the CPU of one machine. Raises Any2AnyError with fewer than two pairs, and
    without PyTorch or the device.
    """
    if len(pairs) < 2:
        raise Any2AnyError("The towers cannot be trained", f"there are {len(pairs)} pairs", "Give a longer drive")
    torch, device = torch_and_device(config)
    for tower in towers.values():
        tower.to(device).train()
    losses = _descent(torch, device, towers, pairs, place, config, variation)
    yield from checkpoints(losses, config, lambda: _frozen(towers), lambda _: validation(encoder(towers, config)))


def encoder(towers: Mapping[str, Module], config: TrainingConfig = TrainingConfig()) -> Encode:
    """Return a function that encodes pictures with the towers as they are when it is called."""

    def encode(half: str, pictures: NDArray[np.uint8]) -> Array:
        torch, device = torch_and_device(config)
        out = []
        with torch.no_grad(), threads(config.threads):
            for part in np.array_split(pictures, max(1, -(-len(pictures) // config.batch))):
                x = _three_channels(torch.from_numpy(part).to(device).float())
                out.append(torch.nn.functional.normalize(towers[half](x), dim=1).cpu().numpy())
        return np.concatenate(out)

    return encode


def _descent(
    torch: Any, device: str, towers: Mapping[str, Module], pairs: Pairs, place: PlaceConfig, config: TrainingConfig,
    variation: VariationConfig,
) -> Iterator[float]:  # fmt: skip
    """Train the towers, one step of AdamW at a time; yield the loss of each step."""
    draw, noise = np.random.default_rng(config.seed), torch.Generator().manual_seed(config.seed)
    parameters = [p for half in sorted(towers) for p in towers[half].parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, config))
    half_precision = torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else torch.float16
    scaler = torch.amp.GradScaler(enabled=device == "cuda" and half_precision is torch.float16)
    partner, rows_of = partners(pairs, place), batches(pairs.maps, config.batch, draw)
    for _ in range(config.steps):
        rows = next(rows_of)
        lidars: Rows = np.where(draw.random(len(rows)) < variation.passes, partner[rows], rows)
        like, counts = likeness(pairs, rows, lidars, place.hit_radius)
        with threads(config.threads):
            pictures = varied_pictures(torch.from_numpy(pairs.pictures[rows]).to(device), variation, noise)
            ranges = varied_ranges(torch.from_numpy(pairs.ranges[lidars]).to(device), pairs.empty, variation, noise)
            with torch.autocast(device, dtype=half_precision, enabled=device == "cuda"):
                camera, lidar = towers["camera"](pictures), towers["lidar"](_three_channels(ranges))
            targets, compared = torch.from_numpy(like).float().to(device), torch.from_numpy(counts).to(device)
            loss = pair_loss(camera.float(), lidar.float(), targets, compared, config.temperature)
            optimiser.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(optimiser)
            torch.nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
            scaler.step(optimiser)
            scaler.update()
            rate.step()
        yield float(loss.detach())


def _rate(step: int, config: TrainingConfig) -> float:
    """Return the learning rate of a step as a share of the highest: it rises linearly, then falls as half a cosine."""
    if step < config.warm_up:
        return (step + 1) / config.warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - config.warm_up) / max(1, config.steps - config.warm_up)))


def _three_channels(pictures: Tensor) -> Tensor:
    """Return (B, 3, H, W): a range image (B, 1, H, W) becomes a grey picture."""
    return pictures.expand(-1, 3, -1, -1)


def _frozen(towers: Mapping[str, Module]) -> Parameters:
    """Return the trained parameters of the towers, copied to the CPU."""
    return {half: {name: p.detach().cpu().clone() for name, p in t.named_parameters()} for half, t in towers.items()}


def torch_and_device(config: TrainingConfig) -> tuple[Any, str]:
    """Return PyTorch and the device to train on, "cpu" or "cuda"; raise Any2AnyError when one of them is absent."""
    try:
        import torch
    except ImportError as error:
        raise Any2AnyError(
            "The towers cannot be trained", str(error), "pip install 'any2any_ros[pretrained]', for PyTorch"
        ) from error
    has_gpu = torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise Any2AnyError(
            "The towers cannot be trained on a GPU", "PyTorch sees none", "Install PyTorch for CUDA, or leave --device"
        )
    return torch, "cuda" if has_gpu and config.device != "cpu" else "cpu"
