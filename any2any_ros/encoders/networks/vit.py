"""A vision transformer (Dosovitskiy et al. 2021) whose parameters have timm's names: timm's checkpoints load without
timm.

The output is the vector of the class token. All sizes are read from the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from any2any_ros.errors import Any2AnyError

HEAD_WIDTH = 64  # dimensions of one attention head, in all of timm's ViTs
EPSILON = 1e-6  # of layer normalisation


def vit(state: Mapping[str, Any]) -> Any:
    """Return the module images (N, C, H, W) -> (N, D) with the parameters `state` (name -> torch.Tensor).

    Raises Any2AnyError when they are not those of a timm ViT.
    """
    import torch
    from torch import nn

    class Attention(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.heads = max(1, width // HEAD_WIDTH)
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

        def forward(self, x: Any) -> Any:
            n, tokens, width = x.shape
            q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
            mixed = nn.functional.scaled_dot_product_attention(q, k, v)
            return self.proj(mixed.transpose(1, 2).reshape(n, tokens, width))

    class Mlp(nn.Module):
        def __init__(self, width: int, hidden: int) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

        def forward(self, x: Any) -> Any:
            return self.fc2(nn.functional.gelu(self.fc1(x)))

    class Block(nn.Module):
        def __init__(self, width: int, hidden: int) -> None:
            super().__init__()
            self.norm1, self.attn = nn.LayerNorm(width, EPSILON), Attention(width)
            self.norm2, self.mlp = nn.LayerNorm(width, EPSILON), Mlp(width, hidden)

        def forward(self, x: Any) -> Any:
            x = x + self.attn(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class Patches(nn.Module):
        def __init__(self, channels: int, width: int, size: tuple[int, int]) -> None:
            super().__init__()
            self.proj = nn.Conv2d(channels, width, size, stride=size)

        def forward(self, x: Any) -> Any:
            return self.proj(x).flatten(2).transpose(1, 2)

    class VisionTransformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width, channels, *size = state["patch_embed.proj.weight"].shape
            depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
            self.patch_embed = Patches(channels, width, tuple(size))
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
            self.pos_embed = nn.Parameter(torch.zeros(tuple(state["pos_embed"].shape)))
            hidden = len(state["blocks.0.mlp.fc1.bias"])
            self.blocks = nn.Sequential(*(Block(width, hidden) for _ in range(depth)))
            self.norm = nn.LayerNorm(width, EPSILON)

        def forward(self, images: Any) -> Any:
            x = self.patch_embed(images)
            # shape[0], not len(): an export would take the number of images for a constant
            x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embed
            return self.norm(self.blocks(x))[:, 0]

    try:
        network = VisionTransformer()
        network.load_state_dict({k: v for k, v in state.items() if not k.startswith("head.")})
    except (KeyError, ValueError, RuntimeError) as error:
        raise Any2AnyError(
            "The checkpoint is not a vision transformer of timm",
            str(error).splitlines()[0],
            "Give a checkpoint of a timm model vit_*",
        ) from error
    return network
