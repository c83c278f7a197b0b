"""Write a pretrained encoder's network as an ONNX graph: a robot then runs it without PyTorch and transformers.

    any2any export vision clip-onnx --set model=clip-vit-base-patch32
    any2any build-map DRIVE MAP --encoder camera=vision --set camera.model=clip-onnx

The graph is compared with PyTorch on sample inputs, and written only when every cosine is 1 up to 1e-4; its vectors
may then be compared with those of the weights it was made of. --int8 quantises the weights to 8 bits, which takes a
transformer a fraction of the time on a CPU. What that costs is measured: --judge MAP DRIVE recognises the places of a
map, built with the network as it is, with both, and 8 bits are refused when they lose more than a point of recall@1.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import config, samples, storage
from any2any_ros.calibration import evaluation
from any2any_ros.cli import _arguments
from any2any_ros.data import splits
from any2any_ros.data.sources import open_recording
from any2any_ros.encoders import ENCODERS, backends
from any2any_ros.encoders._network import NetworkEncoder
from any2any_ros.encoders._weights import EXPORTED, ONNX
from any2any_ros.encoders.backends import RuntimeConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.rivals import RawMean
from any2any_ros.progress import bar
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.similarity import same_modality

CLOSE = 1e-4  # largest cosine distance between the graph and PyTorch
KEPT = ("config.json", "preprocessor_config.json", "tokenizer.json", "modules.json")
LOSS = 0.01  # of recall@1, that 8 bits may cost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("encoder", metavar="ENCODER", help="a pretrained encoder: vision, language, wav2vec2, clap ...")
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, help="that the graph and what goes with it is written to"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="SETTING=VALUE", help="a setting of the encoder, e.g. model=PATH"
    )
    parser.add_argument("--int8", action="store_true", help="quantise the weights to 8 bits; needs --judge")
    parser.add_argument(
        "--judge",
        nargs=2,
        type=Path,
        metavar=("MAP", "DRIVE"),
        help="a map built with this encoder, and a drive through it",
    )
    parser.add_argument("--sequence", metavar="NN", help="of DRIVE, where it is a KITTI odometry folder, e.g. 01")


def run(arguments: argparse.Namespace) -> int:
    if arguments.int8 and not arguments.judge:
        raise Any2AnyError(
            "Cannot quantise unjudged",
            "what 8 bits cost depends on the places",
            "Add --judge MAP DRIVE, or leave out --int8",
        )
    encoder = _built(arguments)
    if arguments.folder.exists():
        raise Any2AnyError(
            f"Cannot write {arguments.folder}", "it is there already", "Choose another folder, or remove it"
        )
    with storage.replacing(arguments.folder) as folder:
        export(encoder, folder)
        if arguments.int8:
            _quantise(folder / ONNX)
            whole, quantised = _judged(arguments, encoder, folder)
            print(f"recall@1 as it was {whole:.3f}, with 8 bits {quantised:.3f}")
            if quantised < whole - LOSS:
                raise Any2AnyError(
                    "8 bits are too few for this network", f"recall@1 falls from {whole:.3f} to {quantised:.3f}",
                    "Export it without --int8",
                )  # fmt: skip
    size = (arguments.folder / ONNX).stat().st_size / 1e6
    print(f"{arguments.folder}: {encoder.plug}, {encoder.dimension} dimensions, {size:.1f} MB")
    return 0


def _built(arguments: argparse.Namespace) -> NetworkEncoder:
    cls = ENCODERS.find(arguments.encoder)
    if not issubclass(cls, NetworkEncoder):
        raise Any2AnyError(
            f"Encoder '{arguments.encoder}' cannot be exported", "it is no network", "It runs as it is, everywhere"
        )
    given = {n: _arguments.typed(arguments.encoder, n, t) for n, t in _arguments.pairs(arguments.set, "--set").items()}
    return _opened(cls, given | {"runtime": "torch", "device": "cpu", "precision": "fp32"})


def _opened(cls: type[NetworkEncoder], settings: dict[str, Any]) -> NetworkEncoder:
    return cls(config.build(cls.Config, settings))


def export(encoder: NetworkEncoder, folder: Path) -> None:
    """Write the encoder's graph and what it needs beside it to a folder; raise when it differs from PyTorch."""
    graph = folder / ONNX
    given = [samples.example(encoder.accepts)] * (2 if 0 in next(iter(encoder.free.values())) else 1)
    _write_graph(encoder, encoder.inputs(given), graph)
    for name in KEPT:
        if (encoder.weights.folder / name).is_file():
            shutil.copy(encoder.weights.folder / name, folder)
    storage.write_json(folder / "config.json", encoder.described())
    apart = _apart(encoder, graph)
    if not apart < CLOSE:
        raise Any2AnyError(
            "The exported graph is not the network", f"a vector is {apart:.1e} from PyTorch's (1 - cosine)",
            "Install the versions of constraints.txt",
        )  # fmt: skip
    about = {"weights": encoder.weights.digest, "encoder": encoder.plug, "cosine_distance": apart}
    storage.write_json(folder / EXPORTED, about)
    print(f"largest cosine distance from PyTorch: {apart:.1e}")


def _write_graph(encoder: NetworkEncoder, inputs: dict[str, Any], graph: Path) -> None:
    import torch

    arrays = {name: torch.from_numpy(x) for name, x in inputs.items()}
    dims: dict[int, Any] = {}  # one symbol an axis: inputs of one encoder grow together
    shapes = {
        name: {axis: dims.setdefault(axis, torch.export.Dim(f"axis{axis}", min=2 if axis == 0 else 4)) for axis in axes}
        for name, axes in encoder.free.items()
    }
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, which nothing here needs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own remarks
        torch.onnx.export(
            _eager(encoder.module().eval()), kwargs=arrays, f=str(graph), input_names=list(arrays),
            output_names=["vector"], dynamic_shapes=shapes, external_data=False, verbose=False,
        )  # fmt: skip


def _eager(module: Any) -> Any:
    """Return a module whose attention is written out: a fused one becomes a graph that looks for NaN in every layer,
    a tenth of a small network's time."""
    for part in module.modules():
        if hasattr(part, "set_attn_implementation"):
            part.set_attn_implementation("eager")
    return module


def _apart(encoder: NetworkEncoder, graph: Path) -> float:
    """Return the largest 1 - cosine between what the graph and PyTorch make of sample inputs."""
    exported = backends.OnnxNetwork(graph, RuntimeConfig(device="cpu"))
    worst = 0.0
    for sample in _trials(encoder.accepts):
        inputs = encoder.inputs([sample])
        ours, theirs = exported(**inputs)[0], encoder.network(**inputs)[0]
        worst = max(worst, 1 - float(ours @ theirs / (np.linalg.norm(ours) * np.linalg.norm(theirs))))
    return worst


def _trials(kind: str) -> list[Any]:
    """Return samples that differ in what they show and, where they may, in length."""
    first = samples.example(kind)
    if kind == "text":
        return [first, "?", "bring me the blue mug", "two parked cars and a bakery " * 30]
    if kind == "sound":
        return [samples.Sound(first.samples[:n], first.rate) for n in (first.rate // 2, first.rate)]
    return [first, first[::-1].copy(), first[: len(first) // 2]]


def _quantise(graph: Path) -> None:
    import onnx
    from onnxruntime.quantization import quantize_dynamic

    model = onnx.load(graph)
    del model.graph.value_info[:]  # shapes between the layers, some of which the exporter writes wrongly
    # Convolutions with 8 bits are slower than without on ONNX Runtime's CPU.
    quantize_dynamic(model, graph, op_types_to_quantize=["MatMul", "Gemm"], extra_options={"DefaultTensorType": 1})


def _judged(arguments: argparse.Namespace, encoder: NetworkEncoder, folder: Path) -> tuple[float, float]:
    """Return recall@1 of the drive in the map, with the network as it is and with 8 bits."""
    reference = reference_map.load(arguments.judge[0])
    modality = next((m for m, r in reference.encoders.items() if r.fingerprint == encoder.fingerprint), None)
    if modality is None:
        raise Any2AnyError(
            f"Map '{reference.name}' cannot judge this encoder", f"no modality of it was made by {encoder.fingerprint}",
            f"Build one: any2any build-map DRIVE MAP --encoder {encoder.modality}={encoder.plug}",
        )  # fmt: skip
    source = open_recording(arguments.judge[1], arguments.sequence)
    small = _opened(type(encoder), {**vars(encoder.config), "model": str(folder), "runtime": "onnx"})
    places = reference.places.only([modality])
    retriever = Retriever(places, same_modality((modality,)), RawMean())
    found = []
    for one in (encoder, small):
        queries = source.observe({modality: one}, source.place.keyframe, bar)
        right = splits.positives(queries.poses, places.poses, source.place.hit_radius)
        groups = evaluation.evaluate(retriever, queries, right)
        if not groups:
            raise Any2AnyError(
                f"{source.name} cannot judge this encoder", f"no '{modality}' of it lies near a place of the map",
                "Give a drive through the mapped places",
            )  # fmt: skip
        found.append(float(groups[0]["recall@1"]))
    return found[0], found[1]
