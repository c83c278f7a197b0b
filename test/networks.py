"""Tiny networks of random weights, saved as the real ones are: what is loaded is real, what it knows is nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = ["a", "blue", "mug", "red", "brick", "house", "place", "to", "warm", "up", "two", "cars"]
SMALL: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4}
PICTURE: dict[str, Any] = {**SMALL, "image_size": 32, "patch_size": 8}
PICTURES = ("clip", "siglip", "dinov2", "dinov3_vit", "vit", "resnet")
TEXTS = ("clip", "siglip", "clap", "bert", "sentence")


def save(name: str, folder: Path) -> Path:
    """Save the network `name` with its preprocessor and its tokenizer; return the folder."""
    import torch
    import transformers

    torch.manual_seed(0)
    globals()[f"_{name}"](transformers, folder)
    return folder


def _clip(t: Any, folder: Path) -> None:
    text = {
        **SMALL,
        "max_position_embeddings": 16,
        "vocab_size": 20,
        "eos_token_id": 3,
        "bos_token_id": 2,
        "pad_token_id": 0,
    }
    both = t.CLIPConfig(text_config=text, vision_config=PICTURE, projection_dim=24)
    t.CLIPModel(both).save_pretrained(folder)
    t.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    _tokenizer(folder)


def _siglip(t: Any, folder: Path) -> None:
    text = {**SMALL, "max_position_embeddings": 16, "vocab_size": 20, "pad_token_id": 0, "projection_size": 32}
    t.SiglipModel(t.SiglipConfig(text_config=text, vision_config=PICTURE)).save_pretrained(folder)
    t.SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    _tokenizer(folder)


def _dinov2(t: Any, folder: Path) -> None:
    t.Dinov2Model(t.Dinov2Config(**PICTURE)).save_pretrained(folder)
    size = {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}}
    t.BitImageProcessor(**size, resample=3, do_center_crop=True).save_pretrained(folder)


def _dinov3_vit(t: Any, folder: Path) -> None:
    t.DINOv3ViTModel(t.DINOv3ViTConfig(**PICTURE)).save_pretrained(folder)
    # Its own processor needs torchvision; what it writes is this.
    colours = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 2}
    recipe = {"do_resize": True, "size": {"height": 32, "width": 32}, "do_center_crop": None, **colours}
    (folder / "preprocessor_config.json").write_text(json.dumps(recipe))


def _vit(t: Any, folder: Path) -> None:
    t.ViTModel(t.ViTConfig(**PICTURE)).save_pretrained(folder)
    t.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def _resnet(t: Any, folder: Path) -> None:
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "bottleneck"}
    t.ResNetModel(t.ResNetConfig(**sizes)).save_pretrained(folder)
    t.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875).save_pretrained(folder)


def _bert(t: Any, folder: Path) -> None:
    t.BertModel(t.BertConfig(**SMALL, vocab_size=20, max_position_embeddings=16)).save_pretrained(folder)
    _tokenizer(folder)


def _sentence(t: Any, folder: Path) -> None:
    _bert(t, folder)
    (folder / "modules.json").write_text("[]")


def _clap(t: Any, folder: Path) -> None:
    text = {**SMALL, "vocab_size": 20, "max_position_embeddings": 18, "pad_token_id": 1}
    swin = {"depths": [1, 1], "num_attention_heads": [2, 2], "patch_embeds_hidden_size": 16, "hidden_size": 32}
    audio = {**swin, "spec_size": 64, "num_mel_bins": 16, "window_size": 2, "patch_size": 4, "enable_fusion": False}
    t.ClapModel(t.ClapConfig(text_config=text, audio_config=audio, projection_dim=24)).save_pretrained(folder)
    t.ClapFeatureExtractor(
        feature_size=16, hop_length=2000, truncation="rand_trunc", padding="repeatpad"
    ).save_pretrained(folder)
    _tokenizer(folder)


def _wav2vec2(t: Any, folder: Path) -> None:
    layers = {"conv_dim": [16, 16], "conv_kernel": [10, 8], "conv_stride": [8, 8], "num_conv_pos_embeddings": 4}
    small = {**SMALL, "num_feat_extract_layers": 2, "num_conv_pos_embedding_groups": 2}
    t.Wav2Vec2Model(t.Wav2Vec2Config(**layers, **small)).save_pretrained(folder)
    t.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)


def _tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    names = {name: i for i, name in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    made = Tokenizer(models.WordLevel(names, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(folder / "tokenizer.json"))


def _liploc(t: Any, folder: Path) -> None:
    """A LIP-Loc checkpoint: parameters named as its own training names them."""
    import torch

    def linear(out: int, into: int) -> dict[str, Any]:
        return {"weight": torch.randn(out, into) / into**0.5, "bias": torch.randn(out) / 10}

    def norm(width: int) -> dict[str, Any]:
        return {"weight": torch.ones(width), "bias": torch.zeros(width)}

    state: dict[str, Any] = {}
    for half in ("camera", "lidar"):
        model = f"encoder_{half}.model"
        state[f"{model}.cls_token"], state[f"{model}.pos_embed"] = torch.randn(1, 1, 64), torch.randn(1, 50, 64)
        state[f"{model}.patch_embed.proj.weight"] = torch.randn(64, 3, 32, 32) / 50
        state[f"{model}.patch_embed.proj.bias"] = torch.zeros(64)
        parts = {f"{model}.norm": norm(64), f"encoder_{half}.fc": linear(96, 64)}
        for i in range(2):
            parts |= {f"{model}.blocks.{i}.norm1": norm(64), f"{model}.blocks.{i}.norm2": norm(64)}
            parts |= {f"{model}.blocks.{i}.attn.qkv": linear(192, 64), f"{model}.blocks.{i}.attn.proj": linear(64, 64)}
            parts |= {f"{model}.blocks.{i}.mlp.fc1": linear(128, 64), f"{model}.blocks.{i}.mlp.fc2": linear(64, 128)}
        projection = f"projection_{half}"
        parts |= {f"{projection}.projection": linear(32, 96), f"{projection}.fc": linear(32, 32)}
        parts |= {f"{projection}.layer_norm": norm(32)}
        state |= {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}
    torch.save(state, folder / "best.pth")
    (folder / "config.json").write_text('{"model_type": "liploc"}')
