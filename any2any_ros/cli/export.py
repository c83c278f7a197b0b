"""Write the network of a pretrained encoder as an ONNX graph, which a robot runs without PyTorch and transformers.

    any2any export vision clip-onnx --set model=clip-vit-base-patch32
    any2any build-map DRIVE MAP --encoder camera=vision --set camera.model=clip-onnx

The graph is compared with PyTorch on sample inputs, and kept only if no cosine distance exceeds 1e-4. Its embeddings
may then be compared with those of the original weights.

--int8 quantises the weights to 8 bits, with which a transformer takes a fraction of the time on a CPU. The loss is
measured: --judge MAP DRIVE ranks a drive in a map that was built with the original network, with both networks. The
export is refused if 8 bits cost more than .01 of recall@1.
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
    parser.add_argument(
        "encoder", metavar="ENCODER", help="name of a pretrained encoder: vision, language, wav2vec2, clap ..."
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="folder to write; it must not exist")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        help="change a setting of the encoder, e.g. model=PATH; repeat for several",
    )
    parser.add_argument("--int8", action="store_true", help="quantise the weights to 8 bits; needs --judge")
    parser.add_argument(
        "--judge",
        nargs=2,
        type=Path,
        metavar=("MAP", "DRIVE"),
        help="a map built with this encoder, and a drive through it",
    )
    parser.add_argument(
        "--sequence", metavar="NN", help="sequence of DRIVE, if that is a KITTI odometry folder, e.g. 01"
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.int8 and not arguments.judge:
        raise Any2AnyError(
            "Cannot quantise without a judge",
            "the loss by 8 bits depends on the places",
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
        print("recall@1 of the original {:.3f}, with 8 bits {:.3f}".format(*exported.recall))
    size = exported.size / 1e6
    print(f"{arguments.folder}: {encoder.plug}, {encoder.dimension} dimensions, {size:.1f} MB")
    return 0
