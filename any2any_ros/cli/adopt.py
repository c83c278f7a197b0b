"""Teach a map to be queried by a sensor that it lacks, from what the map's own sensors recognise on a drive.

    any2any adopt MAP my_bag --modality thermal
    any2any adopt MAP KITTI --sequence 02 --modality thermal --set thermal.across=0.77 --set thermal.upright=0.32

Drive through mapped places once, with the new sensor beside a sensor that the map has. The map must be calibrated. Each
moment whose first match it accepts is a training pair: the new sensor's embedding, and the place. From these pairs
the new sensor learns to query the map by itself. The training uses no pose of the drive; poses, if there are any, only
report how many pairs are right. Afterwards the new sensor answers whenever none of the map's own sensors is alive,
also where the drive did not go, and with a probability of its own.

A sensor that cannot tell places apart is refused: its pairs, held out, must be found better than when the drive is
shifted against itself. The map's own files stay as they are. To undo an adoption, delete MAP/adopted/NAME. See
docs/adopt.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros import tables
from any2any_ros.calibration.adoption import AdoptionConfig
from any2any_ros.calibration.fitting import CalibrationConfig
from any2any_ros.cli import _arguments, _sources
from any2any_ros.data.sources import Recording
from any2any_ros.progress import progress_bar
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval.adopted import Adopted
from any2any_ros.trust.confidence import ConfidenceConfig
from any2any_ros.workflows.adopt import AdoptionOptions, adopt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("map", metavar="MAP", type=Path, help="folder of a calibrated map")
    _sources.add_source_arguments(parser)
    parser.add_argument("--modality", required=True, metavar="NAME", help="modality of the new sensor, e.g. thermal")
    parser.add_argument("--encoder", metavar="PLUG", help="its encoder (default: the modality's default encoder)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME.SETTING=VALUE", dest="encoder_settings",
        help="change a setting of its encoder, e.g. thermal.across=0.8; repeat for several",
    )  # fmt: skip
    _arguments.add_allow_argument(parser)
    _sources.add_json(parser)
    _sources.add_place_arguments(parser)
    _arguments.add_settings(parser, AdoptionConfig)
    _arguments.add_settings(parser, CalibrationConfig)
    _arguments.add_settings(parser, ConfidenceConfig)


def run(arguments: argparse.Namespace) -> int:
    source = _sources.open_from(arguments, arguments.map)
    options = AdoptionOptions(
        _sources.place_of(arguments, source.place),
        _arguments.settings(arguments, AdoptionConfig),
        _arguments.settings(arguments, CalibrationConfig),
        _arguments.settings(arguments, ConfidenceConfig),
    )
    encoder = _encoder(arguments, source)
    adopted = adopt(arguments.map, source, arguments.modality, encoder, options, progress_bar)
    print(_summary(adopted, arguments.map))
    _sources.tell(arguments, source, {"map": str(arguments.map), "adopted": adopted.report})
    return 0


def _encoder(arguments: argparse.Namespace, source: Recording) -> Encoder | None:
    """Return the new sensor's encoder, by the same flags as build-map's; None when the drive lacks the sensor."""
    modality = arguments.modality
    if modality not in source.modalities:
        return None
    chosen = [f"{modality}={arguments.encoder}"] if arguments.encoder else []
    flags = argparse.Namespace(modality=[modality], encoder=chosen, encoder_settings=arguments.encoder_settings)
    return _arguments.build_encoders(flags, source.modalities)[modality]


def _summary(adopted: Adopted, folder: Path) -> str:
    r = adopted.report
    right = f"; of the {r['with_pose']} that have a pose, {r['right']} are right" if "right" in r else ""
    return (
        f"{r['pairs']} of {r['frames']} frames were recognised with certainty{right}\n"
        f"held-out pairs: mean reciprocal rank {r['mrr']:.3f}, by chance {r['chance']:.3f} (p = {r['p']:.2g})\n"
        f"{tables.fusions(adopted.calibration.table)}\n"
        f"{folder}: '{adopted.modality}' now answers where none of the map's own sensors is alive"
    )
