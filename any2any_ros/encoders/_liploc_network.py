"""LIP-Loc's two towers: read off a checkpoint, made anew for a training, named as LIP-Loc's own training names them.

A half ("lidar" or "camera") is a vision transformer, a linear layer and a projection head. How many pixels it takes is
read off its patches and positions, which stand in a square grid: 14 x 14 patches of 16 x 16 are LIP-Loc's 224 x 224.
`window`, which only our own training writes, says what of the range image it sees; without it, LIP-Loc's third.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from any2any_ros import storage
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._pictures import standardiser
from any2any_ros.encoders._vit import HEAD, vit
from any2any_ros.errors import Any2AnyError

Parameters = dict[str, Any]  # name -> torch.Tensor
HALVES = ("camera", "lidar")
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's colours
WINDOW = "window"
AHEAD = (32, 300)  # rows from the top and columns straight ahead of the range image: what LIP-Loc's networks see
DEVIATION = 0.02  # of positions and of the class token, before training


@dataclass(frozen=True)
class View:
    """What a half sees: its picture's height and width, and rows and columns of the range image before squeezing."""

    height: int = 224
    width: int = 224
    rows: int = AHEAD[0]
    columns: int = AHEAD[1]


@dataclass(frozen=True)
class NetworkSize(Settings):
    """How large the two networks are: a ViT-S is --grid 14 --patch-height 16 --patch-width 16 --width 384 --depth 12
    --hidden 1536 --dims 256."""

    grid: int = setting(4, "patches along each side of the picture", minimum=1, maximum=64)
    patch_height: int = setting(20, "of a patch", unit="px", minimum=1, maximum=64)
    patch_width: int = setting(40, "of a patch; pictures are wider than high", unit="px", minimum=1, maximum=64)
    width: int = setting(128, f"numbers a patch; a multiple of {HEAD}", minimum=HEAD, maximum=4096)
    depth: int = setting(3, "blocks", minimum=1, maximum=64)
    hidden: int = setting(256, "width of a block's inner layer", minimum=1, maximum=16384)
    dims: int = setting(128, "of the common space", minimum=2, maximum=4096)
    rows: int = setting(AHEAD[0], "of the range image's 64, from the top (+3 degrees)", minimum=1, maximum=64)
    columns: int = setting(225, "of the range image's 900, straight ahead", minimum=1, maximum=900)

    @property
    def view(self) -> View:
        return View(self.grid * self.patch_height, self.grid * self.patch_width, self.rows, self.columns)


def read(checkpoint: Path) -> Parameters:
    """Return all parameters of a checkpoint; raise Any2AnyError when it is none."""
    try:
        import torch

        return dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    except Exception as error:  # ImportError, and torch's, pickle's and zipfile's own kinds
        raise Any2AnyError(
            f"Cannot read {checkpoint}", str(error), "Give the .pth that LIP-Loc's training wrote"
        ) from error


def half_of(every: Mapping[str, Any], half: str, name: object) -> Parameters:
    """Return the parameters of one half, without the prefixes that say which; name: of the checkpoint, for errors."""
    encoder, projection = f"encoder_{half}.", f"projection_{half}."
    state = {k.removeprefix(encoder): v for k, v in every.items() if k.startswith(encoder)}
    state |= {f"projection.{k.removeprefix(projection)}": v for k, v in every.items() if k.startswith(projection)}
    absent = [k for k in ("fc.weight", "projection.projection.weight", "model.pos_embed") if k not in state]
    if absent:
        raise Any2AnyError(
            f"{name} is no LIP-Loc checkpoint with a ViT", f"it lacks {encoder}{absent[0]}",
            "Train LIP-Loc with exp_largest_vit, or give its .pth",
        )  # fmt: skip
    return state


def whole_of(halves: Mapping[str, Mapping[str, Any]], seen: View) -> Parameters:
    """Return what a checkpoint holds: the halves' parameters by LIP-Loc's names, in half precision; and the window."""
    import torch

    every = {_name(half, key): value.half() for half, state in halves.items() for key, value in state.items()}
    return every | {WINDOW: torch.tensor([seen.rows, seen.columns])}


def write(every: Mapping[str, Any], checkpoint: Path) -> None:
    """Write parameters as a checkpoint; a reader never sees half of one."""
    import torch

    storage.write_atomically(checkpoint, lambda stream: torch.save(dict(every), stream))


def _name(half: str, key: str) -> str:
    head = "projection."
    return f"projection_{half}.{key.removeprefix(head)}" if key.startswith(head) else f"encoder_{half}.{key}"


def view(every: Mapping[str, Any], half: str, name: object) -> View:
    """Return what one half sees."""
    state = half_of(every, half, name)
    height, width = state["model.patch_embed.proj.weight"].shape[2:]
    grid = math.isqrt(state["model.pos_embed"].shape[1] - 1)
    if grid * grid != state["model.pos_embed"].shape[1] - 1:
        raise Any2AnyError(
            f"{name} is no LIP-Loc checkpoint with a ViT", "its patches stand in no square grid", "Give another"
        )
    rows, columns = (int(n) for n in every.get(WINDOW, AHEAD))
    return View(grid * height, grid * width, rows, columns)


def tower(state: Mapping[str, Any]) -> Any:
    """Return one half as the module pixels (N, 3, H, W), 0 to 255 -> (N, D); `state` as `half_of` gives it."""
    from torch import nn

    class Projection(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            size, width = state["projection.projection.weight"].shape
            self.projection, self.fc = nn.Linear(width, size), nn.Linear(size, size)
            self.layer_norm = nn.LayerNorm(size)

        def forward(self, x: Any) -> Any:
            projected = self.projection(x)
            return self.layer_norm(self.fc(nn.functional.gelu(projected)) + projected)

    class Tower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = vit({k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")})
            self.fc = nn.Linear(*reversed(state["fc.weight"].shape))
            self.projection = Projection()
            self.load_state_dict({k: v for k, v in state.items() if not k.startswith("model.")}, strict=False)
            self.standardise = standardiser(MEAN, SPREAD)

        def forward(self, pixels: Any) -> Any:
            return self.projection(self.fc(self.model(self.standardise(pixels))))

    return Tower()


def fresh(size: NetworkSize, seed: int) -> dict[str, Parameters]:
    """Return the parameters of both halves before training, as `half_of` gives them."""
    import torch

    if size.width % HEAD:
        raise Any2AnyError(f"A network cannot be {size.width} wide", f"a head has {HEAD}", f"Give a multiple of {HEAD}")
    draw = torch.Generator().manual_seed(seed)
    return {half: _untrained(size, draw) for half in HALVES}


def _untrained(size: NetworkSize, draw: Any) -> Parameters:
    import torch

    def linear(name: str, out: int, *into: int) -> Parameters:
        """Glorot and Bengio 2010, normal."""
        weight = torch.randn(out, *into, generator=draw) * (2 / (math.prod(into) + out)) ** 0.5
        return {f"{name}.weight": weight, f"{name}.bias": torch.zeros(out)}

    def norm(name: str, width: int) -> Parameters:
        return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}

    w = size.width
    state: Parameters = {
        "model.cls_token": DEVIATION * torch.randn(1, 1, w, generator=draw),
        "model.pos_embed": DEVIATION * torch.randn(1, size.grid**2 + 1, w, generator=draw),
    }
    state |= linear("model.patch_embed.proj", w, 3, size.patch_height, size.patch_width)
    for i in range(size.depth):
        block = f"model.blocks.{i}"
        state |= norm(f"{block}.norm1", w) | linear(f"{block}.attn.qkv", 3 * w, w) | linear(f"{block}.attn.proj", w, w)
        state |= norm(f"{block}.norm2", w)
        state |= linear(f"{block}.mlp.fc1", size.hidden, w) | linear(f"{block}.mlp.fc2", w, size.hidden)
    state |= norm("model.norm", w) | linear("fc", size.hidden, w)
    state |= linear("projection.projection", size.dims, size.hidden) | linear("projection.fc", size.dims, size.dims)
    return state | norm("projection.layer_norm", size.dims)
