"""Learn from a drive through mapped places which fusion ranks best, and how far its answers can be trusted.

    any2any calibrate MAP KITTI --sequence 01

Best is another drive than the one the map was made from. With that one (and its --keyframe) only its loops teach
anything: frames nearer than the path gap do not answer each other. The places you test on later should not be in it.
It is split by place into folds, and each is judged by fusions fitted on the others. The table is kept with the map.
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


def run(arguments: argparse.Namespace) -> int:
    source = _sources.open_from(arguments)
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
        print(f"no refinement: {why}")
    print(tables.fusions(fitted.table))
    if fitted.refiner is not None:
        print("\nrefined by registering scans\n" + tables.refinements([fitted.refiner.summary]))
    return 0
