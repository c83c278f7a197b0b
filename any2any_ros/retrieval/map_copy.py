"""Saves a map where it came from, or elsewhere together with all that belongs to it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from any2any_ros import files
from any2any_ros.errors import Any2AnyError
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.map_folder import ADOPTED, CONTENT, HEADER, adopted_homes
from any2any_ros.retrieval.reference_map import ReferenceMap


def save(reference: ReferenceMap, source: Path, target: Path) -> None:
    """Write a map to the folder `target`. source: the folder that it was opened from.

    Where they are the same, calibration, adopted sensors, scans and objects stay as they are. Otherwise all of them are
    copied, in place of an older map. Raises Any2AnyError when the map cannot be written, and when other files beside an
    older map would be lost.
    """
    try:
        if target.resolve() == source.resolve():
            reference_map.save(reference, target)
        elif (target / HEADER).exists():
            with files.replacing(target.resolve(), CONTENT) as new:
                _write(reference, source, new)
        else:
            _write(reference, source, target)
    except OSError as error:
        what, remedy = f"Cannot write the map {target}", "Choose a folder that can be written to"
        raise Any2AnyError(what, str(error), remedy) from error


def _write(reference: ReferenceMap, source: Path, target: Path) -> None:
    """Write the map, and copy what belongs to it from the folder `source`, in place of what belongs to an older map."""
    for name in (calibration.FOLDER, ADOPTED):
        files.remove(target / name)
    _copy(source / calibration.FOLDER, target / calibration.FOLDER)
    for home in adopted_homes(source):
        _copy(home, target / ADOPTED / home.name)
    with files.unfinished(target / "parts") as new:
        parts = {kind: new / name for kind, name in reference.parts.items() if (source / name).exists()}
        for path in parts.values():
            _copy_all(source / path.name, path)
        reference_map.save(replace(reference, parts={}), target, parts)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder that `files.replacing` has written, if there is one."""

    def copy(home: Path) -> None:
        with files.replacing(target) as new:
            _copy_all(home, new)

    files.read_whole(source, copy)


def _copy_all(source: Path, target: Path) -> None:
    """Copy a folder, or a file. Raises OSError."""
    try:
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    except shutil.Error as error:  # a list of all files and what happened to each
        raise OSError(error.args[0][0][2]) from error
