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

from any2any_ros.cli import _arguments
from any2any_ros.data.sources import open_recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.progress import progress_bar
from any2any_ros.workflows.export import Judge, build_exportable, export_encoder


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
    texts = _arguments.pairs(arguments.set, "--set")
    settings = {name: _arguments.typed(arguments.encoder, name, text) for name, text in texts.items()}
    encoder = build_exportable(arguments.encoder, settings)
    judge = None
    if arguments.int8:
        judge = Judge(arguments.judge[0], open_recording(arguments.judge[1], arguments.sequence))
    exported = export_encoder(encoder, arguments.folder, judge, progress_bar)
    print(f"largest cosine distance from PyTorch: {exported.cosine_distance:.1e}")
    if exported.recall is not None:
        print("recall@1 as it was {:.3f}, with 8 bits {:.3f}".format(*exported.recall))
    size = exported.size / 1e6
    print(f"{arguments.folder}: {encoder.plug}, {encoder.dimension} dimensions, {size:.1f} MB")
    return 0
