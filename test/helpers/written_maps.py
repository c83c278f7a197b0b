"""How the writers of maps, models and small files write an old and a new one, for writers.py."""

from __future__ import annotations

import atexit
import errno
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import adopted_worlds
import fitted_states
import large_maps
import noisy_drives
import numpy as np
import object_models
import random_maps
import sightings
import streets

from any2any_ros import files, open_map, storage
from any2any_ros.alignments import Head
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.objects import grounding_model
from any2any_ros.retrieval import adopted, calibration, reference_map, retriever
from any2any_ros.retrieval.adopted import Adopted
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.trust.drift import Difference

Write = Callable[[Path, int], object]
STREAMS = {"good": 0.3, "fair": 0.8}


@functools.cache
def scratch() -> Path:
    """Return a folder for what the writers read; it is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="any2any-kills-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def write_json(home: Path, number: int) -> None:
    files.write_json(home / "report.json", {"number": number, "rows": list(range(20000 * (number + 1)))})


def prepare() -> None:
    """Write what the copies of this process would otherwise write again and again."""
    for number in (0, 1):
        elsewhere(number)


def state(number: int) -> LikelihoodRatio:
    return LikelihoodRatio(np.full((200, 200), 1.0 + number), np.full((200, 200), 2.0))


def write_state(home: Path, number: int) -> None:
    storage.save(state(number), home / "state")


def write_state_of_two_files(home: Path, number: int) -> None:
    write_state(home, number)
    if number == 0:
        fitted_states.split(home / "state")


def write_folder(home: Path, number: int) -> None:
    with files.replacing(home / "folder") as folder:
        for name in "abcde":
            (folder / name).write_text(str(number) * 1000)


@functools.cache
def reference(number: int) -> ReferenceMap:
    return noisy_drives.drive(STREAMS, 40 + 5 * number, seed=number)[0]


@functools.cache
def scans(number: int) -> list[tuple[str, np.ndarray]]:
    return [(id, streets.street(number * 9 + i, 200)) for i, id in enumerate(reference(number).places.ids[:4])]


def fitted(number: int, encoders: Mapping[str, str] | None = None) -> Calibration:
    """Return a calibration as one is stored: with a fusion, a confidence and drift."""
    fusion = LikelihoodRatio(np.full((2, 2), 1.0 + number), np.zeros((2, 2)))
    known = reference(0).fingerprints if encoders is None else encoders
    trust = random_maps.everything(accept=0.1 * number)
    return Calibration(fusion, trust, known, 5.0, drift=dict.fromkeys(STREAMS, drift(number)))


@functools.cache
def drift(number: int) -> Difference:
    fitted = Difference.fit(np.random.default_rng(number).normal(size=(200, 12)).cumsum(axis=0).astype(np.float32))
    assert fitted is not None
    return fitted


def write_map(home: Path, number: int) -> None:
    reference_map.save(reference(number), home / "map")


def write_map_with_scans(home: Path, number: int) -> None:
    streets.save_with_scans(reference(number), home / "map", scans(number))


def write_calibration(home: Path, number: int) -> None:
    calibration.save(fitted(number), home / "map")


def write_adopted(home: Path, number: int) -> None:
    head = Head(np.zeros(10), np.full((10, 4), 1.0 + number), np.zeros(12), np.ones((12, 4)))
    one = fitted(number, reference(0).fingerprints | {"thermal": "thermal-test"})
    adopted.save(Adopted("thermal", adopted_worlds.NEW, dict.fromkeys(STREAMS, head), one), home / "map")


def without_swap(write: Write) -> Write:
    """As on a file system that cannot swap two folders."""

    def refused(one: Path, other: Path) -> None:
        os.stat(other)  # raises FileNotFoundError, as the system does
        raise OSError(errno.EINVAL, "no")

    def writing(home: Path, number: int) -> None:
        files._swap = refused
        write(home, number)

    return writing


def add_places(home: Path, number: int) -> None:
    """Add a place to the map, which has scans and a calibration, and save it."""
    opened = open_map(home / "map")
    place = reference(7).places.observation(number)
    if f"added/{number}" not in opened.reference.places.ids:
        opened.add(place, np.eye(4), f"added/{number}")
    opened.save()


def whole_map(home: Path, number: int = 0, name: str = "map") -> None:
    streets.save_with_scans(reference(number), home / name, scans(number))
    calibration.save(fitted(number), home / name)


def map_without_calibration(home: Path) -> None:
    write_map(home, 0)


@functools.cache
def elsewhere(number: int) -> Path:
    """Return a folder with a whole map."""
    whole_map(scratch(), number, f"map{number}")
    return scratch() / f"map{number}"


def save_elsewhere(home: Path, number: int) -> None:
    open_map(elsewhere(number)).save(home / "map")


def open_large_map(home: Path, number: int) -> None:
    """Open a large map for the first time, which writes its shards."""
    retriever.LARGE = reference_map.LARGE = 100
    if number == 1:
        large_maps.opened(home / "map")


def write_model(home: Path, number: int) -> None:
    grounding_model.save(model(number), home / "model")


def model(number: int) -> grounding_model.Model:
    made = object_models.model(wrong=0.1 * number)
    encoders = {m: record.fingerprint for m, record in made.reference_records().items()}
    return replace(made, calibration=replace(fitted(number, encoders), pairs=made.pairs, drift={}))


def save_objects(home: Path, number: int) -> None:
    known = sightings.memory()
    for stamp in (1, 2):
        known.see([sightings.sighting(float(x)) for x in range(5 + number)], stamp)
    known.save(home / "objects")
