"""The Nordland railway in two seasons: frame i of both films shows the same place (Sünderhauf et al., 2013)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from any2any_ros.data.sources import ON_ROADS, DriveSource
from any2any_ros.errors import explained
from real_sets.real_set import Frames, Options, RealSet, answerable, refuse_empty, unreadable

KIND = "nordland"
LAYOUT = "a folder with summer.npz and winter.npz (array 'bgr', N x H x W x 3, uint8); frame i of both is one place"
LICENCE = "films: NRK, CC BY-NC-SA; none stated by TimQuelch/seqslam"
TOLERANCE = 1  # frames
REFERENCE, QUERY = "summer", "winter"


def find(folder: Path) -> list[Path]:
    """Return the folder if it has one of the films."""
    return [folder] if any((folder / f"{season}.npz").is_file() for season in (REFERENCE, QUERY)) else []


def name(path: Path) -> str:
    """Return the name of the set."""
    return f"{QUERY}_{REFERENCE}"


def read(path: Path, options: Options = Options()) -> RealSet:
    """Read both films. Raises Any2AnyError when one is missing, or when their lengths differ."""
    films = {season: _film(path / f"{season}.npz") for season in (QUERY, REFERENCE)}
    asked, known = films.values()
    if len(asked) != len(known):
        raise unreadable(path, f"{QUERY} has {len(asked)} frames, {REFERENCE} {len(known)}", LAYOUT)
    tolerance = TOLERANCE if options.tolerance is None else options.tolerance
    number = np.arange(len(asked))
    right = np.abs(number[:, None] - number) <= tolerance
    queries, right, allowed = answerable(right, np.ones(right.shape, dtype=bool), number)
    refuse_empty(queries, path, "the films are empty")
    pictures = np.concatenate([asked, known])[..., ::-1]
    readers = {"camera": lambda i: np.ascontiguousarray(pictures[i])}
    frames = Frames.without_poses(name(path), readers, len(pictures))
    protocol = f"{QUERY} against all of {REFERENCE}; a hit is a frame at most {tolerance} away"
    return RealSet(
        KIND, name(path), LICENCE, protocol, DriveSource(frames, ON_ROADS), queries, len(asked) + number, right, allowed
    )


def _film(file: Path) -> NDArray[np.uint8]:
    if not file.is_file():
        raise unreadable(file.parent, f"it has no {file.name}", LAYOUT)
    with explained(f"Cannot read {file}", f"The layout is: {LAYOUT}"), np.load(file, allow_pickle=False) as stored:
        if "bgr" not in stored:
            raise ValueError(f"it holds {', '.join(stored) or 'nothing'}, not 'bgr'")
        film = np.asarray(stored["bgr"])
        if film.ndim != 4 or film.shape[3] != 3 or film.dtype != np.uint8:
            raise ValueError(f"'bgr' is {film.shape} {film.dtype}, not (N, H, W, 3) uint8")
        return film
