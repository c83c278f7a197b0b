"""What lies in the folder of a map, and which of it belongs to the places that were saved last.

MAP/map.json names the file of the places, and the other parts that belong to exactly these places: the folder of their
scans, the file of remembered objects. Parts have new names whenever places are saved with new ones, and map.json is
written last. So a reader sees the places and parts of one save, and after a kill those of the save before.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from any2any_ros import files, names, temporary_files
from any2any_ros.errors import Any2AnyError

HEADER = "map.json"
SCANS, OBJECTS, ADOPTED = "clouds", "objects", "adopted"
OLD_PARTS = {SCANS: SCANS, OBJECTS: f"{OBJECTS}.npz"}  # in maps whose map.json names no parts

# What a folder may hold that another map replaces.
CONTENT = (
    HEADER, "places-*.npz", "calibration", ADOPTED, "shards", SCANS, f"{SCANS}-*", f"{OBJECTS}.*", f"{OBJECTS}-*.npz",
    ".calibration.*", ".clouds.*", ".places.*", ".map.json.*",
)  # fmt: skip


def parts_of(header: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of a map's parts by kind, as map.json has them. Raises ValueError for a name that is none."""
    parts = dict(header.get("parts", OLD_PARTS))
    for kind, name in parts.items():
        if not _part_name(kind).fullmatch(name):
            raise ValueError(f"'{name}' is no name for its {kind}")
    return parts


def read_parts(folder: Path) -> dict[str, str]:
    """Return the names of the parts of the map in `folder`. Raises OSError and ValueError."""
    return parts_of(json.loads((folder / HEADER).read_text()))


def put(parts: Mapping[str, Path], folder: Path, token: str) -> dict[str, str]:
    """Move new parts into the folder of the map, and return their names. token: what their names end with."""
    moved = {}
    for kind, path in parts.items():
        moved[kind] = f"{kind}-{token}{path.suffix}"
        if path.is_dir():
            files.put(path, folder / moved[kind])
        else:
            temporary_files.flush(path)
            os.replace(path, folder / moved[kind])
    return moved


def clean(folder: Path, places: str, parts: Mapping[str, str]) -> None:
    """Remove places and parts of older saves, and those of saves that were killed."""
    for path in folder.iterdir():
        old_places = path.match("places-*.npz") and path.name != places
        old_part = any(
            _part_name(kind).fullmatch(path.name) and path.name != parts.get(kind) for kind in {SCANS, *parts}
        )
        if old_places or old_part:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _part_name(kind: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(kind)}(-[0-9a-f]{{16}})?(\.npz|\.json)?")


def adopted_homes(folder: Path) -> list[Path]:
    """Return the folders of the sensors that the map in `folder` has adopted, sorted by modality.

    Raises Any2AnyError when one has a name that no modality can have.
    """
    homes = files.replaced(folder / ADOPTED)
    for home in homes:
        try:
            names.modality(home.name)
        except Any2AnyError as error:
            why = f"{error.what}: {error.why}"
            raise Any2AnyError(f"Cannot read the adopted sensor {home}", why, "Remove or rename it") from error
    return homes
