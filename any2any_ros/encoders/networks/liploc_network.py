"""The two towers of LIP-Loc: read from a checkpoint, or created for a training.

A tower embeds one modality ("lidar" or "camera"). It is a vision transformer, a linear layer and a projection head.
Parameters have the names that LIP-Loc's own training gives them. The size of a tower's images follows from its
parameters: its patches stand in a square grid, e.g. 14 x 14 patches of 16 x 16 pixels are LIP-Loc's 224 x 224.
The key `window`, which only our own training writes, says which part of the range image the lidar tower sees; without
it, the part is LIP-Loc's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from any2any_ros import declared, storage
from any2any_ros.config import Settings, setting
from any2any_ros.encoders.networks.preprocessing import standardiser
from any2any_ros.encoders.networks.vit import HEAD_WIDTH, vit
from any2any_ros.encoders.networks.weights import CONFIG
from any2any_ros.errors import Any2AnyError, explained

Parameters = dict[str, Any]  # name -> torch.Tensor
TOWERS = ("camera", "lidar")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's colours
WINDOW = "window"
LIPLOC_WINDOW = (32, 300)  # rows from the top and columns straight ahead of the range image that LIP-Loc's towers see
SCAN = (64, 900)  # rows and columns of a whole range image
LARGEST_IMAGE = 4096  # pixels along a side: 64 patches of 64 pixels
INITIAL_STD = 0.02  # of the positions and the class token before training


@dataclass(frozen=True)
class View:
    """What a tower sees: height and width of its image, and rows and columns of the range image before resizing."""

    height: int = 224
    width: int = 224
    rows: int = LIPLOC_WINDOW[0]
    columns: int = LIPLOC_WINDOW[1]

    def __post_init__(self) -> None:
        largest = LARGEST_IMAGE, LARGEST_IMAGE, *SCAN
        if not all(1 <= n <= most for n, most in zip(vars(self).values(), largest, strict=True)):
            raise ValueError(f"there is no {self}: at most {largest} pixels are possible")


@dataclass(frozen=True)
class NetworkSize(Settings):
    """How large the two towers are.

    A ViT-S is --grid 14 --patch-height 16 --patch-width 16 --width 384 --depth 12 --hidden 1536 --dims 256.
    """

    grid: int = setting(4, "number of patches along each side of the image", minimum=1, maximum=64)
    patch_height: int = setting(20, "height of a patch", unit="px", minimum=1, maximum=64)
    patch_width: int = setting(
        40, "width of a patch; larger than its height, because images are wide", unit="px", minimum=1, maximum=64
    )
    width: int = setting(
        128, f"dimensions of a patch's vector; a multiple of {HEAD_WIDTH}", minimum=HEAD_WIDTH, maximum=4096
    )
    depth: int = setting(3, "number of transformer blocks", minimum=1, maximum=64)
    hidden: int = setting(256, "width of a block's hidden layer", minimum=1, maximum=16384)
    dims: int = setting(128, "dimensions of the joint embedding space", minimum=2, maximum=4096)
    rows: int = setting(
        LIPLOC_WINDOW[0],
        "number of rows that the lidar tower sees of the range image's 64, from the top (+3 degrees)",
        minimum=1,
        maximum=64,
    )
    columns: int = setting(
        225, "number of columns that it sees of the range image's 900, straight ahead", minimum=1, maximum=900
    )

    @property
    def view(self) -> View:
        return View(self.grid * self.patch_height, self.grid * self.patch_width, self.rows, self.columns)


def read(checkpoint: Path) -> Parameters:
    """Return all parameters of a checkpoint. Raises Any2AnyError when it cannot be read."""
    try:
        import torch

        return dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    except Exception as error:  # ImportError, and classes of torch, pickle and zipfile
        raise Any2AnyError(
            f"Cannot read {checkpoint}", str(error), "Give the .pth file that LIP-Loc's training wrote"
        ) from error


def write(parameters: Mapping[str, Any], checkpoint: Path) -> None:
    """Write parameters as a checkpoint, atomically."""
    import torch

    storage.write_atomically(checkpoint, lambda stream: torch.save(dict(parameters), stream))


def select_tower(parameters: Mapping[str, Any], tower: str, checkpoint: object) -> Parameters:
    """Return the parameters of one tower, without the prefixes that name the tower.

    checkpoint: its name, for the error. Raises Any2AnyError when the tower is not a ViT of LIP-Loc.
    """
    encoder, projection = f"encoder_{tower}.", f"projection_{tower}."
    state = {k.removeprefix(encoder): v for k, v in parameters.items() if k.startswith(encoder)}
    state |= {f"projection.{k.removeprefix(projection)}": v for k, v in parameters.items() if k.startswith(projection)}
    absent = [k for k in ("fc.weight", "projection.projection.weight", "model.pos_embed") if k not in state]
    if absent:
        raise Any2AnyError(
            f"{checkpoint} is no LIP-Loc checkpoint with a ViT", f"it lacks {encoder}{absent[0]}",
            "Train LIP-Loc with exp_largest_vit, or give its .pth file",
        )  # fmt: skip
    return state


def join_towers(towers: Mapping[str, Mapping[str, Any]], view: View) -> Parameters:
    """Return the content of a checkpoint: the towers' parameters in half precision by LIP-Loc's names, and the window.

    The inverse of `select_tower`.
    """
    import torch

    parameters = {_full_name(tower, k): v.half() for tower, state in towers.items() for k, v in state.items()}
    return parameters | {WINDOW: torch.tensor([view.rows, view.columns])}


def _full_name(tower: str, name: str) -> str:
    head = "projection."
    return f"projection_{tower}.{name.removeprefix(head)}" if name.startswith(head) else f"encoder_{tower}.{name}"


def read_view(parameters: Mapping[str, Any], tower: str, checkpoint: object) -> View:
    """Return what one tower of a checkpoint sees. Raises Any2AnyError when its patches stand in no square grid."""
    state = select_tower(parameters, tower, checkpoint)
    with explained(f"{checkpoint} is no LIP-Loc checkpoint with a ViT", "Give another checkpoint"):
        height, width = state["model.patch_embed.proj.weight"].shape[2:]
        patches = state["model.pos_embed"].shape[1] - 1  # beside the class token
        grid = math.isqrt(patches)
        if grid * grid != patches:
            raise ValueError(f"its {patches} patches stand in no square grid")
        rows, columns = (int(n) for n in parameters.get(WINDOW, LIPLOC_WINDOW))
        return View(grid * height, grid * width, rows, columns)


def exported_view(config: Mapping[str, Any], folder: Path) -> View:
    """Return what the tower of an export sees. config: the content of its config.json. Raises Any2AnyError."""
    with explained(f"Cannot read {folder / CONFIG}", "Export the network again: any2any export"):
        return declared.build(View, config.get("view", {}))


def build_tower(state: Mapping[str, Any]) -> Any:
    """Return one tower as the module pixels (N, 3, H, W), 0 to 255 -> (N, D). state: from `select_tower`."""
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
            self.standardise = standardiser(MEAN, STD)

        def forward(self, pixels: Any) -> Any:
            return self.projection(self.fc(self.model(self.standardise(pixels))))

    return Tower()


def initial_towers(size: NetworkSize, seed: int) -> dict[str, Parameters]:
    """Return random parameters of both towers, in the form of `select_tower`. The same seed gives the same values.

    Raises Any2AnyError when the width is not a multiple of an attention head's.
    """
    import torch

    if size.width % HEAD_WIDTH:
        raise Any2AnyError(
            f"The towers cannot be {size.width} wide",
            f"an attention head has {HEAD_WIDTH} dimensions",
            f"Give a multiple of {HEAD_WIDTH}",
        )
    generator = torch.Generator().manual_seed(seed)
    return {tower: _initial_tower(size, generator) for tower in TOWERS}


def _initial_tower(size: NetworkSize, generator: Any) -> Parameters:
    import torch

    def linear(name: str, out: int, *into: int) -> Parameters:
        """The normal initialisation of Glorot and Bengio 2010."""
        weight = torch.randn(out, *into, generator=generator) * (2 / (math.prod(into) + out)) ** 0.5
        return {f"{name}.weight": weight, f"{name}.bias": torch.zeros(out)}

    def norm(name: str, width: int) -> Parameters:
        return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}

    w = size.width
    state: Parameters = {
        "model.cls_token": INITIAL_STD * torch.randn(1, 1, w, generator=generator),
        "model.pos_embed": INITIAL_STD * torch.randn(1, size.grid**2 + 1, w, generator=generator),
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
