"""A network leaves PyTorch: the same vectors, without it, and nothing half-written."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from any2any_ros import encoders, samples
from any2any_ros.cli.main import main
from any2any_ros.encoders.networks import export as network_export
from any2any_ros.workflows import export

NEEDED = ("torch", "transformers", "onnxscript", "onnx", "tokenizers")
absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(absent), reason=f"no {', '.join(absent)}: run `make torch`")

ALONE = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = None
import numpy as np
from any2any_ros import encoders, samples
encoder = encoders.build(sys.argv[1], {"model": sys.argv[2]})
np.save(sys.argv[3], encoder.encode(samples.example(encoder.accepts)))
print(encoder.fingerprint, encoder.network.name)
"""


@pytest.fixture(scope="session")
def clip(tiny, tmp_path_factory):
    """Where the halves of a tiny CLIP were exported to, and its weights."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / "weights").symlink_to(tiny("clip"))
    for plug in ("vision", "language"):
        assert main(["export", plug, str(folder / plug), "--set", f"model={folder / 'weights'}"]) == 0
    return folder


@pytest.mark.parametrize("plug", ["vision", "language"])
def test_it_runs_without_torch_and_transformers_and_is_the_same(clip, plug, tmp_path):
    code = [sys.executable, "-c", ALONE, plug, str(clip / plug), str(tmp_path / "vector.npy")]
    done = subprocess.run(code, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": "."})
    assert done.returncode == 0, done.stderr
    original = encoders.build(plug, {"model": str(clip / "weights")})
    assert done.stdout.split()[0] == original.fingerprint and "onnx" in done.stdout
    assert np.load(tmp_path / "vector.npy") @ original.encode(samples.example(original.accepts)) > 1 - 1e-5
    assert json.loads((clip / plug / "any2any.json").read_text())["cosine_distance"] < 1e-5


@pytest.mark.parametrize("plug", ["vision", "language"])
def test_no_layer_looks_for_nan(clip, plug):
    """As a fused attention's graph does, in a tenth of a small network's time."""
    import onnx

    assert "IsNaN" not in {node.op_type for node in onnx.load(clip / plug / "model.onnx").graph.node}


def test_both_halves_are_still_one_space_and_take_many_at_once(clip):
    vision, language = (encoders.build(p, {"model": str(clip / p)}) for p in ("vision", "language"))
    assert vision.space == language.space == encoders.build("vision", {"model": str(clip / "weights")}).space
    texts = ["a blue mug", "two cars"]
    np.testing.assert_allclose(language.encode_batch(texts), [language.encode(t) for t in texts], atol=1e-5)
    pictures = [samples.example("image")] * 3
    assert vision.encode_batch(pictures).shape == (3, vision.dimension)


def test_what_cannot_be_exported_is_said(clip, refused, tmp_path):
    assert "it is not a network" in refused("export", "lidar", tmp_path / "x")
    assert "it exists already" in refused("export", "vision", clip / "vision", "--set", f"model={clip / 'weights'}")
    assert "no config.json" in refused("export", "vision", tmp_path / "x", "--set", f"model={tmp_path / 'nowhere'}")
    assert "Add --judge" in refused("export", "vision", tmp_path / "x", "--int8")
    assert not list(tmp_path.iterdir())


def test_a_graph_that_differs_is_not_kept(clip, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(network_export, "MAX_DISTANCE", -1.0)
    monkeypatch.setattr(network_export, "_write_graph", lambda encoder, graph: _copied(clip, graph))
    assert "is not the network" in refused("export", "vision", tmp_path / "x", "--set", f"model={clip / 'weights'}")
    assert not list(tmp_path.iterdir())


def _copied(clip, graph):
    graph.write_bytes((clip / "vision" / "model.onnx").read_bytes())


def test_eight_bits_are_judged_on_places(clip, any2any, refused, laps, tmp_path, monkeypatch):
    monkeypatch.setattr(network_export, "_write_graph", lambda encoder, graph: _copied(clip, graph))
    model, place = f"model={clip / 'weights'}", tmp_path / "map"
    camera = ("--modality", "camera", "--encoder", "camera=vision", "--set", f"camera.{model}")
    assert any2any("build-map", laps, place, "--sequence", "00", *camera).code == 0
    asked = ("--set", model, "--int8", "--judge", place, laps, "--sequence", "01")
    monkeypatch.setattr(export, "LOSS", 1.0)
    done = any2any("export", "vision", tmp_path / "small", *asked)
    assert done.code == 0 and "with 8 bits" in done.out
    assert encoders.build("vision", {"model": str(tmp_path / "small")}).network.name.startswith("onnx")
    monkeypatch.setattr(export, "LOSS", -1.0)
    assert "8 bits cost too much" in refused("export", "vision", tmp_path / "smaller", *asked)
    assert not (tmp_path / "smaller").exists()
    other = ("--set", model, "--int8", "--judge", _town(any2any, laps, tmp_path), laps, "--sequence", "01")
    assert "cannot judge this encoder" in refused("export", "vision", tmp_path / "smaller", *other)


def _town(any2any, laps, tmp_path):
    folder = tmp_path / "plain"
    assert any2any("build-map", laps, folder, "--sequence", "00", "--modality", "camera").code == 0
    return folder
