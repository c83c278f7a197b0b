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
from pathlib import Path
from typing import Any

from any2any_ros import config, storage
from any2any_ros.calibration import evaluation
from any2any_ros.cli import _arguments
from any2any_ros.data import splits
from any2any_ros.data.sources import open_recording
from any2any_ros.encoders import ENCODERS
from any2any_ros.encoders.networks.encoder import NetworkEncoder
from any2any_ros.encoders.networks.export import export, quantise
from any2any_ros.encoders.networks.weights import ONNX
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.rivals import RawMean
from any2any_ros.progress import bar
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.similarity import same_modality

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
        print(f"largest cosine distance from PyTorch: {export(encoder, folder):.1e}")
        if arguments.int8:
            quantise(folder / ONNX)
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
