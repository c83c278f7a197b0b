"""Learn from a drive through mapped places which fusion ranks best, and how far its answers can be trusted.

    any2any calibrate MAP KITTI --sequence 01

Best is another drive than the one the map was made from. With that one (and its --keyframe) only its loops teach
anything: frames nearer than the path gap do not answer each other. The places you test on later should not be in it.
It is split by place into folds, and each is judged by fusions fitted on the others. The table is kept with the map.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from any2any_ros import tables
from any2any_ros.calibration.refinement import Register
from any2any_ros.cli import _arguments, _scans, _sources
from any2any_ros.config import PlaceConfig
from any2any_ros.data import splits
from any2any_ros.data.sources import Recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.geometry.refiner import Refiner, RefinerConfig
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import bar
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.calibration import Calibration, CalibrationConfig
from any2any_ros.retrieval.reference_map import ReferenceMap, map_encoders
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import ConfidenceConfig

FOLDS, STRETCH = 4, 25.0  # folds take turns every so many metres of driving
OUTSIDE = 2.0  # hit radii from the nearest reference, and a robot counts as outside of the map


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("map", metavar="MAP", type=Path, help="folder of the map")
    _sources.add_source_arguments(parser)
    _sources.add_place_arguments(parser)
    _arguments.add_settings(parser, CalibrationConfig)
    _arguments.add_settings(parser, ConfidenceConfig)
    _arguments.add_settings(parser, RefinerConfig)
    _scans.add_mounting(parser)


def run(arguments: argparse.Namespace) -> int:
    reference = reference_map.load(arguments.map)
    source = _sources.open_from(arguments)
    encoders = map_encoders(reference, source.modalities)
    place = _sources.place_of(arguments, source.place)
    queries = source.observe(encoders, place.keyframe, bar)
    fitted = fit(
        reference, queries, place,
        _arguments.settings(arguments, CalibrationConfig), _arguments.settings(arguments, ConfidenceConfig),
        _arguments.settings(arguments, RefinerConfig), _laying(arguments, source, queries, reference),
    )  # fmt: skip
    calibration.save(fitted, arguments.map)
    print(tables.fusions(fitted.table))
    if fitted.refiner is not None:
        print("\ngeometric check\n" + tables.checks([fitted.refiner.summary]))
    return 0


def _laying(
    arguments: argparse.Namespace, source: Recording, queries: ObservationSet, reference: ReferenceMap
) -> Register | None:
    """Return what lays the map's scans over the drive's; None where there is nothing to lay, or --candidates 0."""
    scans = Clouds(arguments.map)
    if not scans or not arguments.candidates:
        return None
    obstacle = _scans.obstacle(source)
    if obstacle:
        print(f"no geometric check: {obstacle}")
        return None
    return _scans.laying(Refiner(scans), source, queries, reference.places, arguments)


def fit(
    reference: ReferenceMap,
    queries: ObservationSet,
    place: PlaceConfig,
    config: CalibrationConfig = CalibrationConfig(),
    promises: ConfidenceConfig = ConfidenceConfig(),
    geometry: RefinerConfig = RefinerConfig(),
    register: Register | None = None,
    bench: Retriever | None = None,
) -> Calibration:
    """Calibrate a map on the queries of a drive; register: registers their scans with the map's; bench: what
    compares them, where that is not the map's own retriever."""
    right = splits.positives(queries.poses, reference.places.poses, place.hit_radius)
    hidden = splits.positives(queries.poses, reference.places.poses, OUTSIDE * place.hit_radius)
    folds = splits.blocks(queries.poses, STRETCH, FOLDS)
    allowed = _allowed(reference, queries, place)
    return calibration.calibrate(
        reference,
        queries,
        right,
        folds,
        place.hit_radius,
        config,
        promises,
        hidden,
        allowed,
        geometry,
        register,
        bench=bench,
    )


def _allowed(reference: ReferenceMap, queries: ObservationSet, place: PlaceConfig) -> NDArray[np.bool_] | None:
    """Return which references may answer (Q, R), where the drive is the map's own: a frame would find itself."""
    own = len(set(queries.ids) & set(reference.places.ids))
    if own == 0:
        return None
    if queries.ids != reference.places.ids:
        raise Any2AnyError(
            f"Cannot calibrate map '{reference.name}' with this drive",
            f"{own} of its {len(queries)} frames are places of the map, and would find themselves",
            "Give another drive, or the map's own with the --keyframe it was made with",
        )
    return splits.same_drive(queries.poses, place.path_gap)
