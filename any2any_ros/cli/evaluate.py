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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import storage, tables
from any2any_ros.calibration import adoption, evaluation, reliability
from any2any_ros.cli import _arguments, _missing, _scans, _sources
from any2any_ros.config import PlaceConfig
from any2any_ros.data import splits
from any2any_ros.data.sources import Recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.geometry.refiner import obstacle
from any2any_ros.imputers.none import NO_IMPUTER
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import bar
from any2any_ros.retrieval.calibration import open_map
from any2any_ros.retrieval.reference_map import map_encoders
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.similarity import same_modality
from any2any_ros.trust.confidence import ConfidenceConfig

UNFITTED = ("raw_mean", "min_max", "z_score", "reciprocal_rank")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _sources.add_source_arguments(parser)
    parser.add_argument("--map", type=Path, metavar="MAP", help="rank this map's places instead of the drive's own")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument(
        "--fusion", choices=UNFITTED, default="reciprocal_rank", help="without a map (default %(default)s)"
    )
    parser.add_argument(
        "--references", choices=("earlier", "all"), default="earlier",
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
        "--missing", type=_missing.share, nargs="+", default=[], metavar="SHARE",
        help="also with these shares of the drive's sensors off, by message, at random; of a map with an imputer also "
        "how well it guesses what they would have said",
    )  # fmt: skip
    _scans.add_mounting(parser)
    _arguments.add_encoder_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    source = _sources.open_from(arguments)
    place = _sources.place_of(arguments, source.place)
    report: dict[str, Any] = {"source": source.name, "place": vars(place)}
    report |= _against_map(arguments, source, place) if arguments.map else _against_itself(arguments, source, place)
    if report.get("imputer", NO_IMPUTER.plug) != NO_IMPUTER.plug:
        print(f"with the imputer {report['imputer']}: what a place's sensors say together is compared, too\n")
    print(tables.groups(report["groups"]))
    if report.get("missing"):
        print("\nwith sensors off at random\n" + tables.missing(report["missing"]))
    if report.get("trust"):
        print("\nhow true its numbers are\n" + tables.trust(report["trust"]))
    if report.get("check"):
        print("\nwith every sensor there is, before the geometric check and after it\n" + tables.trust(report["check"]))
    if arguments.json:
        storage.write_json(arguments.json, report)
    return 0


def _against_itself(arguments: argparse.Namespace, source: Recording, place: PlaceConfig) -> dict[str, Any]:
    encoders = _arguments.build_encoders(arguments, source.modalities)
    frames = source.observe(encoders, place.keyframe, bar)
    right = splits.positives(frames.poses, frames.poses, place.hit_radius)
    allowed = splits.same_drive(frames.poses, place.path_gap, arguments.references == "earlier")
    if not (right & allowed).any():
        raise Any2AnyError(
            f"Nothing in {source.name} can be evaluated",
            f"no frame comes within {place.hit_radius:g} m of another one {place.path_gap:g} m along the path, "
            "or there is no ground truth",
            "Give a drive with loops, or a map: --map MAP",
        )
    fusion = FUSIONS.find(arguments.fusion)()
    retriever = Retriever(frames, same_modality(frames.modalities), fusion, same_place=place.hit_radius)
    missing = _missing.by_share(retriever, frames, right, arguments.missing, allowed)
    return {"groups": evaluation.evaluate(retriever, frames, right, allowed), "missing": missing}


def _against_map(arguments: argparse.Namespace, source: Recording, place: PlaceConfig) -> dict[str, Any]:
    reference, retriever, calibrated = open_map(arguments.map, place.hit_radius)
    if arguments.check:
        _refuse_check(arguments, source, retriever)
    wanted = [m for m in source.modalities if not arguments.modality or m in arguments.modality]
    queries = source.observe(map_encoders(reference, wanted), place.keyframe, bar)
    right = splits.positives(queries.poses, reference.places.poses, place.hit_radius)
    asked = [retriever, *(adopted.retriever(reference) for adopted in adoption.load(arguments.map).values())]
    groups = [group for each in asked for group in evaluation.evaluate(each, queries, right)]
    if not groups:
        raise Any2AnyError(
            f"Nothing in {source.name} can be evaluated",
            f"{right.any(axis=1).sum()} of its {len(queries)} frames lie within {place.hit_radius:g} m of a place of "
            f"the map, whose sensors are {', '.join(reference.sensors)}",
            "Give a drive through the mapped places with one of these sensors, its poses in the map's frame",
        )
    imputer = NO_IMPUTER if calibrated is None else calibrated.imputer
    report: dict[str, Any] = {"groups": groups, "imputer": imputer.plug}
    report["missing"] = _missing.by_share(retriever, queries, right, arguments.missing)
    miss = ConfidenceConfig.miss if retriever.confidence is None else retriever.confidence.miss
    if arguments.check:
        report["check"] = reliability.by_check(_checked(arguments, source, retriever, queries, right), miss)
    if retriever.confidence is None:
        return report
    found = [
        o for each in asked for o in reliability.outcomes(each, queries, right, evaluation.answerable(right), [miss])
    ]
    return report | {"trust": reliability.by_pattern(found, [miss])}


def _refuse_check(arguments: argparse.Namespace, source: Recording, retriever: Retriever) -> None:
    """Raise Any2AnyError when there is nothing that --check could do."""
    why = obstacle(arguments.map, retriever.refiner) or _scans.obstacle(source)
    if why:
        raise Any2AnyError(f"Cannot check against the map {arguments.map}", why, "Or leave --check")


def _checked(
    arguments: argparse.Namespace,
    source: Recording,
    retriever: Retriever,
    queries: ObservationSet,
    right: NDArray[np.bool_],
) -> list[reliability.Refined]:
    asked, row = queries.take(evaluation.answerable(right)), {name: i for i, name in enumerate(queries.ids)}
    scans = ((row[name], points) for name, points in _scans.scans(source, asked, arguments))
    return reliability.refined(retriever, queries, right, scans)
