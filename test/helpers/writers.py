"""Every writer of the package, as killing.py kills it: how an old and a new one are written, and how they are read."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import large_maps
import numpy as np
import sightings
import written_maps as maps
import written_recordings as recordings
from killing import Writer

from any2any_ros import files, storage
from any2any_ros.fusion import FUSIONS
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.objects import grounding_model
from any2any_ros.objects.object_memory import ObjectMemory
from any2any_ros.retrieval import adopted, calibration, reference_map, retriever
from any2any_ros.retrieval.map_folder import SCANS

# --- what is there ----------------------------------------------------------------------------------------------


def tree(folder: Path) -> dict[str, str]:
    """Return the content of every file."""
    return {str(p.relative_to(folder)): p.read_bytes().hex() for p in sorted(folder.rglob("*")) if p.is_file()}


def tree_or_nothing(folder: Path) -> dict[str, str] | None:
    return tree(folder) if folder.exists() else None


def of_map(folder: Path) -> list[str]:
    """Return digests of all that a map consists of, as a reader opens it."""
    opened = reference_map.load(folder)
    scans = Clouds(opened.part(SCANS, folder))
    arrays = [opened.places.poses, *opened.places.embeddings.values()]
    arrays += [scan.points for scan in map(scans.scan, opened.places.ids) if scan is not None]
    fitted = calibration.load(folder)
    known = [*adopted.load(folder).values()]
    parts = [*opened.places.ids, opened.name, *opened.adopted, *(one.modality for one in known)]
    parts += [np.asarray(a).tobytes().hex()[:400] for a in arrays]
    parts += [storage.fingerprint(head) for one in known for head in one.heads.values()]
    for one in [*([fitted] if fitted else []), *(one.calibration for one in known)]:
        parts += [one.fusion.plug, storage.fingerprint(one.fusion), storage.fingerprint(one.confidence)]
        parts += [storage.fingerprint(drift) for drift in one.drift.values()]
    return parts


def of_model(folder: Path) -> list[str]:
    model = grounding_model.load(folder)
    fitted = model.calibration
    trust = [] if fitted is None else [storage.fingerprint(fitted.fusion), storage.fingerprint(fitted.confidence)]
    record = folder / "training.json"
    return [storage.fingerprint(model.heads), *model.records, *trust, record.read_text() if record.exists() else ""]


def of_objects(folder: Path) -> list[str]:
    known = ObjectMemory.load(folder, sightings.ENCODERS)
    return [*(f"{o.id} {o.sightings} {o.low}" for o in known.everything), *of_map(folder)]


def of_large_map(folder: Path) -> list[str]:
    """Return what the map answers, opened where it is not written to."""
    with tempfile.TemporaryDirectory(dir=folder.parent.parent) as copy:
        shutil.copytree(folder, Path(copy, "map"))
        retriever.LARGE = reference_map.LARGE = 100
        opened = large_maps.opened(Path(copy, "map"))
        return [str([(m.id, m.score) for m in opened.rank(query, 5).matches]) for query in large_maps.queries(3)]


def of_state(home: Path) -> str:
    return storage.fingerprint(storage.load(home / "state", FUSIONS))


def at(name: str, read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Return a reader of something that lies in the writer's folder under this name."""
    return lambda home: read(home / name)


def folder_of(name: str) -> Callable[[Path], Any]:
    return lambda home: files.read_whole(home / name, tree)


# --- all of them ------------------------------------------------------------------------------------------------

FIRST, OVER = ("nothing",), ("old",)
read_map = at("map", of_map)


def map_writer(name: str, write: maps.Write, around: Callable[[Path], object] = maps.whole_map) -> Writer:
    return Writer(name, write, read_map, around, maps.prepare)


def network(name: str) -> Callable[..., Any]:
    """Return a function of written_networks.py. PyTorch is imported only when it is called."""
    return lambda *arguments: getattr(importlib.import_module("written_networks"), name)(*arguments)


def drive_writer(name: str, write: maps.Write, read: Callable[[Path], Any], **options: Any) -> Writer:
    return Writer(name, write, read, prepare=recordings.prepare_drive, **options)


WRITERS = [
    Writer("JSON file", maps.write_json, at("report.json", Path.read_text)),
    Writer("fitted state", maps.write_state, of_state),
    Writer("fitted state over one of 0.1.0", maps.write_state_of_two_files, of_state, starts=OVER),
    Writer("folder", maps.write_folder, at("folder", tree_or_nothing)),
    Writer("folder that cannot be swapped", maps.without_swap(maps.write_folder), folder_of("folder")),
    Writer("map", maps.write_map, read_map),
    Writer("map with scans", maps.write_map_with_scans, read_map),
    Writer("place added to a map", maps.add_places, read_map, maps.whole_map, maps.prepare, OVER),
    Writer("map saved elsewhere", maps.save_elsewhere, read_map, prepare=maps.prepare),
    Writer("shards of a large map", maps.open_large_map, at("map", of_large_map), at("map", large_maps.write),
           starts=OVER),
    map_writer("calibration", maps.write_calibration),
    map_writer("adopted sensor", maps.write_adopted, maps.map_without_calibration),
    map_writer("adopted sensor that cannot be swapped", maps.without_swap(maps.write_adopted),
               maps.map_without_calibration),
    Writer("grounding model", maps.write_model, at("model", of_model), prepare=maps.prepare),
    Writer("remembered objects", maps.save_objects, at("objects", of_objects)),
    drive_writer("build-map", recordings.build, read_map),
    drive_writer("bag (mcap)", recordings.write_bag("mcap"), at("bag", tree_or_nothing), starts=FIRST),
    drive_writer("bag (sqlite3)", recordings.write_bag("sqlite3"), at("bag", tree_or_nothing), starts=FIRST),
    Writer("simulate", recordings.simulate_town, at("town", tree_or_nothing), prepare=recordings.prepare_town),
    Writer("simulate-tabletop", recordings.simulate_tabletop, at("table", tree_or_nothing)),
]  # fmt: skip
NETWORKS: list[Writer] = []
if importlib.util.find_spec("torch") is not None:
    prepare_training = network("prepare_training")
    NETWORKS += [
        Writer("train cox", network("teach_sensor"), folder_of("cox"), prepare=prepare_training, starts=OVER),
        Writer("train emma", network("train_emma"), at("model", of_model), prepare=prepare_training, starts=OVER),
        Writer("train liploc", network("train_towers"), folder_of("weights"), prepare=prepare_training, starts=OVER),
    ]
if all(importlib.util.find_spec(name) is not None for name in ("torch", "transformers", "onnxscript", "onnx")):
    NETWORKS += [
        Writer("export", network("export_network"), at("export", tree_or_nothing), prepare=network("prepare_export"),
               starts=FIRST),
    ]  # fmt: skip
