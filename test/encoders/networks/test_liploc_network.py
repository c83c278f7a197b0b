"""LIP-Loc's towers against the paper's steps, and what is no checkpoint of LIP-Loc's."""

from pathlib import Path

import pytest

from any2any_ros import encoders
from any2any_ros.encoders.networks import liploc_network
from any2any_ros.errors import Any2AnyError


def test_the_network_is_a_vision_transformer_step_by_step(tiny):
    """The block of the paper with explicit attention, on the checkpoint's own parameters."""
    import torch
    from torch.nn.functional import conv2d, gelu, layer_norm, linear

    state = {k: v for k, v in torch.load(tiny("liploc") / "best.pth", weights_only=True).items() if "lidar" in k}
    p = {k.removeprefix("encoder_lidar.model."): v for k, v in state.items()}
    pixels = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    mean, spread = (torch.tensor(x).reshape(1, 3, 1, 1) for x in (liploc_network.MEAN, liploc_network.STD))
    x = conv2d((pixels / 255 - mean) / spread, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], stride=32)
    x = torch.cat([p["cls_token"].expand(2, 1, 64), x.flatten(2).transpose(1, 2)], 1) + p["pos_embed"]
    for i in range(2):
        b = {k.removeprefix(f"blocks.{i}."): v for k, v in p.items() if k.startswith(f"blocks.{i}.")}
        y = layer_norm(x, (64,), b["norm1.weight"], b["norm1.bias"], 1e-6)
        q, k, v = linear(y, b["attn.qkv.weight"], b["attn.qkv.bias"]).split(64, dim=-1)
        y = torch.softmax(q @ k.transpose(1, 2) / 8, dim=-1) @ v
        x = x + linear(y, b["attn.proj.weight"], b["attn.proj.bias"])
        y = layer_norm(x, (64,), b["norm2.weight"], b["norm2.bias"], 1e-6)
        x = x + linear(gelu(linear(y, b["mlp.fc1.weight"], b["mlp.fc1.bias"])), b["mlp.fc2.weight"], b["mlp.fc2.bias"])
    x = layer_norm(x, (64,), p["norm.weight"], p["norm.bias"], 1e-6)[:, 0]
    x = linear(x, state["encoder_lidar.fc.weight"], state["encoder_lidar.fc.bias"])
    h = {k.removeprefix("projection_lidar."): v for k, v in state.items() if k.startswith("projection_lidar.")}
    projected = linear(x, h["projection.weight"], h["projection.bias"])
    x = linear(gelu(projected), h["fc.weight"], h["fc.bias"]) + projected
    expected = layer_norm(x, (32,), h["layer_norm.weight"], h["layer_norm.bias"])
    half = liploc_network.select_tower(liploc_network.read(tiny("liploc") / "best.pth"), "lidar", "best.pth")
    with torch.no_grad():
        found = liploc_network.build_tower(half).eval()(pixels)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_what_is_no_checkpoint_is_refused(tiny, tmp_path):
    import torch

    (tmp_path / "noise.pth").write_bytes(b"no torch at all")
    torch.save({"encoder_lidar.model.conv1.weight": torch.zeros(3)}, tmp_path / "resnet.pth")
    with pytest.raises(Any2AnyError, match=r"Cannot read .*noise\.pth"):
        encoders.build("liploc", {"model": str(tmp_path / "noise.pth")})
    with pytest.raises(Any2AnyError, match=r"no LIP-Loc checkpoint with a ViT.*lacks encoder_lidar\.fc\.weight"):
        encoders.build("liploc", {"model": str(tmp_path / "resnet.pth")})


@pytest.mark.parametrize(
    "window", [[0, 300], [32, 901], [65, 300], [-1, -1], [32], [32, 300, 1], [float("nan"), 1.0], "wide"], ids=str
)
def test_a_window_that_a_range_image_does_not_have_is_refused(tiny, tmp_path, window):
    import torch

    parameters = liploc_network.read(tiny("liploc") / "best.pth")
    parameters[liploc_network.WINDOW] = torch.tensor(window) if isinstance(window, list) else window
    liploc_network.write(parameters, tmp_path / "best.pth")
    with pytest.raises(Any2AnyError, match=r"best\.pth is no LIP-Loc checkpoint with a ViT: .*Give another checkpoint"):
        encoders.build("liploc", {"model": str(tmp_path / "best.pth")})


@pytest.mark.parametrize(
    ("view", "why"),
    [
        ({"height": 0}, "there is no View"), ({"width": 10**9}, "at most"), ({"rows": "32"}, "'rows' is '32'"),
        ({"columns": 1.5}, "'columns' is 1.5"), ({"columns": 901}, "there is no View"),
        (7, "'view' is 7, not a group"), (None, "'view' is None, not a group"),
    ],
)  # fmt: skip
def test_a_view_in_an_exports_settings_is_checked(view, why):
    with pytest.raises(Any2AnyError, match=rf"Cannot read .*config\.json: .*({why}).*any2any export"):
        liploc_network.exported_view({"view": view}, Path("folder"))
    assert liploc_network.exported_view({}, Path("folder")) == liploc_network.View()
    assert liploc_network.exported_view({"view": {"rows": 48}}, Path("folder")).rows == 48
