"""Weights are found by folder or name, their content makes the fingerprint, and damage is a clear error."""

import shutil

import pytest

from any2any_ros import encoders
from any2any_ros.errors import Any2AnyError


def build(folder, **settings):
    return encoders.build("vision", {"model": str(folder), **settings})


def test_other_weights_have_another_fingerprint(tiny, tmp_path):
    from safetensors.numpy import load_file, save_file

    other = shutil.copytree(tiny("vit"), tmp_path / "vit")
    weights = load_file(other / "model.safetensors")
    first = sorted(weights)[0]
    save_file({**weights, first: weights[first] + 1}, other / "model.safetensors", metadata={"format": "pt"})
    assert build(other).fingerprint != build(tiny("vit")).fingerprint
    assert build(tiny("vit"), threads=2).fingerprint == build(tiny("vit")).fingerprint


def test_weights_that_are_not_here_are_named_with_what_fetches_them(tmp_path, monkeypatch):
    huggingface_hub = pytest.importorskip("huggingface_hub", reason="run `make torch`")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Any2AnyError, match=r"models--openai--clip-vit-base-patch32.*hf download openai/clip-vit-base"):
        build("openai/clip-vit-base-patch32")
    with pytest.raises(Any2AnyError, match=r"somewhere has no config\.json"):
        build(tmp_path / "somewhere")
    with pytest.raises(Any2AnyError, match="No weights are named"):
        build("")


def test_a_model_in_the_cache_is_found_by_its_name(tiny, tmp_path, monkeypatch):
    import huggingface_hub

    home = tmp_path / "models--someone--small"
    shutil.copytree(tiny("vit"), home / "snapshots" / "abc")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("abc")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert build("someone/small").fingerprint == build(tiny("vit")).fingerprint


DAMAGE = {
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no config.json with weights"),
    "cut weights": (lambda f: (f / "model.safetensors").write_bytes(b"\x08" * 40), "Cannot load the network"),
    "cut config": (lambda f: (f / "config.json").write_text("{"), "Cannot read .*config.json"),
    "a list": (lambda f: (f / "config.json").write_text("[]"), "it is no JSON object"),
    "no recipe": (lambda f: (f / "preprocessor_config.json").unlink(), "how the network wants its images"),
    "odd recipe": (lambda f: (f / "preprocessor_config.json").write_text('{"size": "big"}'), "wants its images"),
    "another family": (lambda f: (f / "config.json").write_text('{"model_type": "llama"}'), "it is 'llama', and"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_said(tiny, tmp_path, what):
    damage, says = DAMAGE[what]
    folder = shutil.copytree(tiny("vit"), tmp_path / "vit")
    damage(folder)
    with pytest.raises(Any2AnyError, match=says):
        build(folder)
