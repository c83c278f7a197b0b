"""Measure recall for every subset of the sensors, with chance beside it.

    any2any evaluate intel.log.gz --json intel.json       one drive against its own past
    any2any evaluate KITTI --sequence 00
    any2any evaluate KITTI --sequence 01 --map MAP        a drive against a map, and how true its probabilities are
    any2any evaluate KITTI --sequence 01 --map MAP --missing 0 0.25 0.5 0.75      and with sensors off at random

Only queries with a right answer among the references count. Chance is the recall of a random ranker on the same ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros.cli import _arguments, _sources
from any2any_ros.progress import progress_bar
from any2any_ros.workflows.evaluate import ALL, EARLIER, UNFITTED, EvaluationOptions, evaluate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    usual = EvaluationOptions()
    _sources.add_source_arguments(parser)
    parser.add_argument(
        "--map", type=Path, metavar="MAP", help="rank the places of this map, not the drive's own frames"
    )
    _sources.add_json(parser)
    parser.add_argument(
        "--fusion",
        choices=UNFITTED,
        default=usual.fusion,
        help="fusion that is used without a map (default %(default)s)",
    )
    parser.add_argument(
        "--references", choices=(EARLIER, ALL), default=usual.references,
        help="without a map: which frames of the drive may answer; earlier ones are all that a robot has on its first "
        "drive (default %(default)s)",
    )  # fmt: skip
    _sources.add_place_arguments(parser)
    parser.add_argument(
        "--path-gap", type=float, metavar="METRES",
        help=f"without a map: a frame may answer only if it is this far away along the path {_sources.USUAL}",
    )  # fmt: skip
    parser.add_argument(
        "--refine", action="store_true",
        help="with a map that has scans: also refine the rankings by registering scans, about 1 s a query",
    )  # fmt: skip
    _arguments.add_old_flag(parser, "--check", "refine", action="store_true")
    parser.add_argument(
        "--missing", type=_share, nargs="+", default=[], metavar="SHARE",
        help="also evaluate with these shares of the sensors switched off at random in every frame; of a map with an "
        "imputer also how well it estimates the missing embeddings",
    )  # fmt: skip
    _sources.add_mounting(parser)
    _arguments.add_encoder_arguments(parser)
    _arguments.add_allow_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    source = _sources.open_from(arguments, arguments.map)
    options = EvaluationOptions(
        _sources.place_of(arguments, source.place),
        arguments.missing,
        arguments.fusion,
        arguments.references,
        arguments.refine,
        arguments.mounting,
    )
    if arguments.map:
        report = evaluate(source, arguments.map, arguments.modality or None, options, progress_bar)
    else:
        report = evaluate(source, None, _arguments.build_encoders(arguments, source.modalities), options, progress_bar)
    print(report)
    _sources.tell(arguments, source, report.as_dict())
    return 0


def _share(text: str) -> float:
    """Return a share of the sensors."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to below 1, such as 0.5")
    return value
