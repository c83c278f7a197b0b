"""Aligns the query's bird's-eye image with those of the best places: the ranking is checked, and its poses are refined.

The images of the map stay on disk (reference_map.py). What alignment needs of the last ones used is kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from any2any_ros.arrays import Array, Float64, Rows
from any2any_ros.birds_eye.image import Levels, unpack
from any2any_ros.config import PlaceConfig
from any2any_ros.geometry.alignment import Aligned, Aligner, AlignmentConfig, Prepared
from any2any_ros.geometry.mountings import moved_robot
from any2any_ros.geometry.refiner import NO_REFINER, Refiner, Registrations
from any2any_ros.geometry.registration import NOT_REGISTERED, Registration
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.retrieval.large import LARGE
from any2any_ros.retrieval.shortlist import NOTHING, Shortlist

Known = dict[tuple[int, int], Aligned]  # by the hash of an image, and the row of a reference
IN_MEMORY = 32  # images of which the spectra are kept, 75 kB each
CONSIDERED = 500  # best places of a ranking that are ordered by each part of the vector
# Before calibration: the correlation of images, and half the similarity of vectors. Chosen on laser logs, where that
# gains up to 2 points; on KITTI nothing changes.
UNFITTED = replace(NO_REFINER, weight=0.5)
APART = 0.5  # of the radius of a place: nearer references than this are aligned by the best of them


class Query(NamedTuple):
    """An image of a sensor. key: hash of the image. mounting (4, 4): of the sensor; None: unknown."""

    modality: str
    key: int
    prepared: Prepared
    mounting: Float64 | None


@dataclass(frozen=True, eq=False)
class ImageAlignment:
    """Aligns images with those of a map.

    places: the references. cells: side of a cell in metres, by modality, of those with images. parts: lengths of the
    parts of their vectors. rule: how a ranking
    changes by what was found, and how far it can be trusted then. same_place: metres within which two references are
    one place. candidates: places that are aligned.
    """

    places: ObservationSet
    cells: Mapping[str, float]
    rule: Refiner = UNFITTED
    same_place: float = PlaceConfig.hit_radius
    candidates: int = AlignmentConfig.candidates
    aligner: Aligner = field(default_factory=Aligner)
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    _prepared: Callable[[str, int], Prepared] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Not a method: it would hold this object in a cycle, and its images in memory after the map is closed.
        object.__setattr__(self, "_prepared", lru_cache(IN_MEMORY)(partial(_prepare, self.aligner, self.places)))

    def modality(self, images: Mapping[str, Levels]) -> str | None:
        """Return the modality whose images are aligned: of those that query and map have, the one that sees farthest;
        None when there is none."""
        known = [m for m in images if m in self.cells and self.candidates]
        return max(known, key=lambda m: (self.cells[m], m), default=None)

    def aligned(self, observation: Observation, shortlist: Shortlist) -> tuple[Shortlist, Registrations]:
        """Return the shortlist ordered again by how the images fit, and what was found of each candidate, by id."""
        modality = self.modality(observation.birds_eye)
        if modality is None or not len(shortlist.rows):
            return shortlist, NOTHING
        query = self.query(modality, observation)
        rows = self.first_places(shortlist.rows, modality, observation.embeddings[modality])
        found = self.fits(query, rows)
        overlap = np.array([found[r].score if r in found else np.nan for r in shortlist.rows.tolist()])
        ordered = shortlist.refined(self.rule, overlap)
        if (first := int(ordered.rows[0])) in found:  # whose pose a robot will use
            found[first] = self.aligner.fine(query.prepared, self._prepared(modality, first), found[first])
        return ordered, {self.places.ids[row]: self._registration(query, fit) for row, fit in found.items()}

    def query(self, modality: str, observation: Observation) -> Query:
        """Return the image of a sensor, prepared for alignment."""
        image, mounting = observation.birds_eye[modality], observation.mountings.get(modality)
        return Query(modality, hash(image.tobytes()), self.aligner.prepare(unpack(image)), mounting)

    def first_places(self, rows: Rows, modality: str, vector: Array) -> Rows:
        """Return which of the rows (S,), best first, are aligned: the best in that order, and by each part of a query's
        vector (D,), in turn, without those near a better one."""
        ground = self.places.poses[rows, :2, 3]
        chosen: list[int] = []
        for i in self._in_turn(rows, modality, vector):
            apart = np.hypot(*(ground[chosen] - ground[i]).T)
            if not (apart < APART * self.same_place).any():  # also true of references without a pose
                chosen.append(i)
                if len(chosen) == self.candidates:
                    break
        return rows[chosen]

    def _in_turn(self, rows: Rows, modality: str, vector: Array) -> Iterable[int]:
        """Return the places in rows (S,), the best by all sensors and by each part of the query's vector in turn, each
        once."""
        ends = np.cumsum((0, *self.parts.get(modality, ())))
        parts = [slice(a, b) for a, b in pairwise(ends.tolist()) if vector[a:b].any()]
        if len(parts) < 2:
            return range(len(rows))
        near = rows[:CONSIDERED]
        vectors = np.nan_to_num(self.places.embeddings[modality][near])
        orders = [np.argsort(-(vectors[:, part] @ vector[part]), kind="stable").tolist() for part in parts]
        return dict.fromkeys(i for best in zip(range(len(near)), *orders, strict=True) for i in best)

    def fits(self, query: Query, rows: Rows, known: Known | None = None) -> dict[int, Aligned]:
        """Return how an image fits those of references, by row; without those that have none.

        The reference that is nearest to where the robot stands by the best of them is aligned, too: it may have been
        left out beside another one. known: what earlier calls with this image have found; it is added to.
        """
        known = {} if known is None else known
        found = self._found(query, rows.tolist(), known)
        if found and len(self.places) < LARGE:
            nearest = self._nearest(query, *max(found.items(), key=lambda item: item[1].score))
            found |= self._found(query, [nearest], known)
        return found

    def _found(self, query: Query, rows: list[int], known: Known) -> dict[int, Aligned]:
        images = self.places.birds_eye[query.modality]
        new = [row for row in rows if (query.key, row) not in known and images[row].any()]
        found = self.aligner.align(query.prepared, [self._prepared(query.modality, row) for row in new])
        known.update({(query.key, row): fit for row, fit in zip(new, found, strict=True)})
        return {row: known[query.key, row] for row in rows if (query.key, row) in known}

    def _nearest(self, query: Query, row: int, fit: Aligned) -> int:
        """Return the reference that is nearest to where the robot stands by its fit to another; that one, where its
        pose is unknown."""
        robot = self.places.poses[row] @ self._registration(query, fit).pose
        apart = np.hypot(*(self.places.poses[:, :2, 3] - robot[:2, 3]).T)
        return row if np.isnan(robot).any() else int(np.nanargmin(apart))

    def _registration(self, query: Query, fit: Aligned) -> Registration:
        """Return the registration of the robot, in the frame of the reference robot."""
        reference = self.places.mountings.get(query.modality)
        pose = moved_robot(reference, fit.pose(self.cells[query.modality]), query.mounting)
        return Registration(pose, max(fit.score, 0.0), float("nan"), True)

    def registration(self, observation: Observation, row: int) -> Registration:
        """Return the registration of the robot, in the frame of a reference robot whose image is aligned with it; not
        converged where one of them has none."""
        modality = self.modality(observation.birds_eye)
        if modality is None or not self.places.birds_eye[modality][row].any():
            return NOT_REGISTERED
        query, reference = self.query(modality, observation), self._prepared(modality, row)
        (fit,) = self.aligner.align(query.prepared, [reference])
        return self._registration(query, self.aligner.fine(query.prepared, reference, fit))

    def of(self, places: ObservationSet) -> ImageAlignment:
        """Return the same for a map that has grown."""
        return replace(self, places=places)


def _prepare(aligner: Aligner, places: ObservationSet, modality: str, row: int) -> Prepared:
    """Return the image of a place, prepared for alignment."""
    return aligner.prepare(unpack(places.birds_eye[modality][row]))
