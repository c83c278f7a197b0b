"""Measure recall for every subset of the sensors, with chance beside it.

    any2any evaluate intel.log.gz --json intel.json       one drive against itself, path gap excluded
    any2any evaluate KITTI --sequence 00
    any2any evaluate KITTI --sequence 01 --map MAP        a drive against a (calibrated) map
    any2any evaluate KITTI --sequence 01 --map MAP --missing 0 0.25 0.5 0.75      and with sensors off at random

Only queries with a right answer among the candidates count. Chance is a random ranker on the same ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros import storage
from any2any_ros.cli import _arguments, _sources
from any2any_ros.progress import progress_bar
from any2any_ros.workflows.evaluate import ALL, EARLIER, UNFITTED, EvaluationOptions, evaluate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    usual = EvaluationOptions()
    _sources.add_source_arguments(parser)
    parser.add_argument("--map", type=Path, metavar="MAP", help="rank this map's places instead of the drive's own")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--fusion", choices=UNFITTED, default=usual.fusion, help="without a map (default %(default)s)")
    parser.add_argument(
        "--references", choices=(EARLIER, ALL), default=usual.references,
        help="without a map: which frames of the drive may answer; earlier is what a robot on its first drive can "
        "know (default %(default)s)",
    )  # fmt: skip
    for name, what in (
        ("hit-radius", "a match this near is right"),
        ("keyframe", "distance between two frames that are used"),
        ("path-gap", "one drive: a reference counts only this far along the path"),
    ):
        parser.add_argument(f"--{name}", type=float, metavar="METRES", help=f"{what} (default: the data's custom)")
    parser.add_argument(
        "--check", action="store_true",
        help="with a map that has scans: also lay the drive's over its candidates, some 1 s a query",
    )  # fmt: skip
    parser.add_argument(
        "--missing", type=_share, nargs="+", default=[], metavar="SHARE",
        help="also with these shares of the drive's sensors off, by message, at random; of a map with an imputer also "
        "how well it guesses what they would have said",
    )  # fmt: skip
    _sources.add_mounting(parser)
    _arguments.add_encoder_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    source = _sources.open_from(arguments)
    options = EvaluationOptions(
        _sources.place_of(arguments, source.place),
        arguments.missing,
        arguments.fusion,
        arguments.references,
        arguments.check,
        arguments.mounting,
    )
    if arguments.map:
        report = evaluate(source, arguments.map, arguments.modality or None, options, progress_bar)
    else:
        report = evaluate(source, None, _arguments.build_encoders(arguments, source.modalities), options, progress_bar)
    print(report)
    if arguments.json:
        storage.write_json(arguments.json, report.as_dict())
    return 0


def _share(text: str) -> float:
    """Read a share of sensors that may be off."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no share from 0 to below 1, such as 0.5")
    return value
