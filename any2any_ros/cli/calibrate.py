"""Choose a fusion for a map, and fit how far its answers can be trusted, on a drive through the mapped places.

    any2any calibrate MAP KITTI --sequence 01

Use another drive than the one that made the map. With the map's own drive, and the --keyframe it was made with, only
the loops of the drive count: a frame near another one along the path does not answer it. The places of a later test
should not be in the drive.

The drive is split by place into folds. Each fold is judged by fusions that were fitted on the other folds. The table
compares the fusions; the best one is fitted on all folds and stored with the map.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros import tables
from any2any_ros.calibration.fitting import CalibrationConfig
from any2any_ros.cli import _arguments, _sources
from any2any_ros.geometry.refiner import RefinerConfig
from any2any_ros.progress import progress_bar
from any2any_ros.trust.confidence import ConfidenceConfig
from any2any_ros.workflows.calibrate import CalibrationOptions, calibrate, obstacle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("map", metavar="MAP", type=Path, help="folder of the map")
    _sources.add_source_arguments(parser)
    _sources.add_place_arguments(parser)
    _arguments.add_settings(parser, CalibrationConfig)
    _arguments.add_settings(parser, ConfidenceConfig)
    _arguments.add_settings(parser, RefinerConfig)
    _sources.add_mounting(parser)
    _sources.add_json(parser)
    _arguments.add_allow_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    source = _sources.open_from(arguments, arguments.map)
    options = CalibrationOptions(
        _sources.place_of(arguments, source.place),
        _arguments.settings(arguments, CalibrationConfig),
        _arguments.settings(arguments, ConfidenceConfig),
        _arguments.settings(arguments, RefinerConfig),
        arguments.mounting,
    )
    fitted = calibrate(arguments.map, source, options, progress_bar)
    why = obstacle(arguments.map, source, options)
    if why:
        print(f"rankings will not be refined: {why}")
    print(tables.fusions(fitted.table))
    if few := tables.too_few(next(row for row in fitted.table if row["chosen"]), fitted.wanted):
        print(f"\n{few}")
    if fitted.refiner is not None:
        print("\nrefined by registering scans\n" + tables.refinements([fitted.refiner.summary]))
    _sources.tell(
        arguments, source, {"map": str(arguments.map), "fusions": fitted.table, "wanted": dict(fitted.wanted)}
    )
    return 0
