"""Pairs of pictures of the same places at two times: folders query/ and ref/, such as SPED and Gardens Point."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from any2any_ros import samples
from any2any_ros.arrays import Flags
from any2any_ros.data import pictures
from any2any_ros.data.sources import ON_ROADS, DriveSource
from real_sets.ground_truth import find_file, read_right
from real_sets.real_set import Frames, Options, RealSet, answerable, refuse_empty, unreadable

KIND = "vpr"
LAYOUT = (
    "a folder NAME with query/ and ref/, pictures (jpg or png) in the order of their names; and, unless the n-th query "
    "shows the n-th reference, ground_truth.csv (a line a query: its picture, then every right reference)"
)
LICENCES = {
    "sped": "none stated (CoHOG_Results_RAL2019, from SPED)",
    "gardens_point": "none stated (CoHOG_Results_RAL2019, from QUT's Gardens Point)",
}
TOLERANCE = {"gardens_point": 2}  # frames of a walk beside each other show one place
ENDINGS = {".jpg", ".jpeg", ".png"}


def find(folder: Path) -> list[Path]:
    """Return the folder if it has query/ or ref/."""
    return [folder] if (folder / "query").is_dir() or (folder / "ref").is_dir() else []


def name(path: Path) -> str:
    """Return the name of the set."""
    return path.name


def read(path: Path, options: Options = Options()) -> RealSet:
    """Read a set. Raises Any2AnyError when a folder is missing, and when the ground truth cannot be understood."""
    asked, known = (_listed(path, part) for part in ("query", "ref"))
    file = find_file(path)
    tolerance = TOLERANCE.get(path.name, 0) if options.tolerance is None else options.tolerance
    right = read_right(file, asked, known) if file else _by_number(path, len(asked), len(known), tolerance)
    queries, right, allowed = answerable(right, np.ones(right.shape, dtype=bool), np.arange(len(asked)))
    refuse_empty(queries, path, "no query has a right reference")
    files = [*asked, *known]
    frames = Frames.without_poses(path.name, {"camera": lambda i: picture(files[i])}, len(files))
    protocol = f"query/ against all of ref/; a hit is {_said(file, tolerance)}"
    licence = LICENCES.get(path.name, "see the folder's notes")
    references = len(asked) + np.arange(len(known))
    return RealSet(
        KIND, path.name, licence, protocol, DriveSource(frames, ON_ROADS), queries, references, right, allowed
    )


def picture(file: Path) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) uint8, RGB. Raises Any2AnyError when it cannot be read."""
    return pictures.read(file, samples.decode_image)


def _by_number(path: Path, queries: int, references: int, tolerance: int) -> Flags:
    if queries != references:
        why = f"query/ has {queries} pictures, ref/ {references}, and there is no ground_truth.csv"
        raise unreadable(path, why, LAYOUT)
    number = np.arange(queries)
    return np.asarray(np.abs(number[:, None] - number) <= tolerance)


def _said(file: Path | None, tolerance: int) -> str:
    if file:
        return f"what {file.name} lists"
    return "the same number" if tolerance == 0 else f"a number at most {tolerance} from the query's"


def _listed(path: Path, part: str) -> list[Path]:
    """Return the pictures of query/ or ref/, in the order of the numbers in their names."""
    folder = path / part
    if not folder.is_dir():
        raise unreadable(path, f"it has no {part}/", LAYOUT)
    files = [p for p in folder.iterdir() if p.suffix.lower() in ENDINGS]
    if not files:
        raise unreadable(path, f"{part}/ has no picture", LAYOUT)
    return sorted(files, key=_in_order)


def _in_order(path: Path) -> list[tuple[int, int, str]]:
    """Return a key by which 9.jpg comes before 10.jpg."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", path.name) if part]
