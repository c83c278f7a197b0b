"""`any2any train emma`, `train calmrl` and `train cox`: training with described objects."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from any2any_ros import tables
from any2any_ros.cli import _arguments
from any2any_ros.data import gold
from any2any_ros.learning.cox import CoxConfig
from any2any_ros.learning.emma import EmmaConfig
from any2any_ros.objects.views import ObjectViews
from any2any_ros.progress import progress_bar, training_bar
from any2any_ros.workflows import described_objects
from any2any_ros.workflows.described_objects import DESCRIPTIONS, PLUGS
from any2any_ros.workflows.train_cox import PairsConfig, train_cox
from any2any_ros.workflows.train_heads import CLASS, DEFAULTS, INSTANCE, train_heads


def _add_objects(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "objects", metavar="GOLD", type=Path, help="folder of described objects, or file of encoded ones"
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="folder to write")
    parser.add_argument(
        "--most",
        type=_arguments.number(int, 0, 10**6),
        default=DESCRIPTIONS,
        metavar="N",
        help="use at most so many descriptions of a view; 0: all (default %(default)s)",
    )
    _arguments.add_encoder_arguments(parser)


def objects_of(arguments: argparse.Namespace) -> ObjectViews:
    """Return encoded objects: from a file of them, or from a GoLD folder that is encoded now."""
    stored = described_objects.load(arguments.objects)
    if stored is not None:
        return stored
    described = gold.read(arguments.objects)
    for what, count in described.skipped.items():
        print(f"{count} {what} were left out", file=sys.stderr)
    encoders = _arguments.build_encoders(arguments, described_objects.modalities(described), PLUGS)
    return described_objects.encode(described, encoders, arguments.most, progress_bar)


def add_head_arguments(parser: argparse.ArgumentParser, method: str) -> None:
    """Add the arguments of `train emma` and `train calmrl`."""
    _add_objects(parser)
    parser.add_argument(
        "--label", choices=(INSTANCE, CLASS), default=INSTANCE,
        help="what the heads tell apart: single objects, as a robot must (default), or classes, as in EMMA's paper",
    )  # fmt: skip
    _arguments.add_settings(parser, EmmaConfig, **DEFAULTS[method])


def run_heads(arguments: argparse.Namespace) -> int:
    config, objects = _arguments.settings(arguments, EmmaConfig), objects_of(arguments)
    progress = training_bar(config.steps, "heads")
    record = train_heads(objects, arguments.model, arguments.method, config, arguments.label, progress)
    if record["trust"]:
        print(tables.reliability(record["trust"]), end="\n\n")
    if record.get("imputation"):
        print(tables.imputation(record["imputation"]), end="\n\n")
    print(tables.grounding(record["test"], record["chance"]))
    return 0


def add_cox_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `train cox`."""
    _add_objects(parser)
    _arguments.add_settings(parser, PairsConfig)
    _arguments.add_settings(parser, CoxConfig)


def run_cox(arguments: argparse.Namespace) -> int:
    pairs, config = _arguments.settings(arguments, PairsConfig), _arguments.settings(arguments, CoxConfig)
    print(tables.connection(train_cox(objects_of(arguments), arguments.model, pairs, config)["test"]))
    return 0
