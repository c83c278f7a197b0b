"""Finds frames of a drive that are places of a map, by their content: names of files and folders say nothing."""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Array, Flags, Float64, Int64, Rows
from any2any_ros.observation import ObservationSet
from any2any_ros.samples import NS

EQUAL = 1e-4  # largest distance between equal vectors, as a share of their length
STAMP, POSE = NS // 1000, 1e-3  # ns; metres and parts of rotation matrices
NONE = -1  # stands for the place of a frame that is none
WORDS = "text"  # the modality in which two drives past one place are told the same


def found(queries: ObservationSet, places: ObservationSet) -> Rows:
    """Return (Q,): the place of the map that each frame is, because a vector, or stamp and pose, are the same; or NONE.

    Two measurements never give the same vector, but a description does; and so do a dark picture or silence, which
    then occur more than once among the places. Such vectors say nothing.
    """
    same = _same_moment(queries, places)
    for modality in set(queries.embeddings) & set(places.embeddings) - {WORDS}:
        if queries.embeddings[modality].shape[1] == places.embeddings[modality].shape[1]:
            vectors = queries.embeddings[modality], np.asarray(places.embeddings[modality])
            same = np.where(same == NONE, _same_vector(*vectors), same)
    return same


def _same_moment(queries: ObservationSet, places: ObservationSet) -> Rows:
    """Return (Q,): the place that has stamp and pose of each frame, or NONE."""
    stamps_ns, poses = np.asarray(places.stamps_ns), np.asarray(places.poses)
    known = np.flatnonzero((stamps_ns != 0) & _located(poses))
    order = known[np.argsort(stamps_ns[known], kind="stable")]
    stamps: Int64 = stamps_ns[order]
    same = np.full(len(queries), NONE)
    if len(order):
        after = np.clip(np.searchsorted(stamps, queries.stamps_ns), 1, max(len(order) - 1, 1))
        for row in (after - 1, np.minimum(after, len(order) - 1)):
            near = np.abs(stamps[row] - queries.stamps_ns) <= STAMP
            off = np.abs(poses[order[row]] - queries.poses).max(axis=(1, 2))  # NaN: unknown
            same = np.where(near & (off <= POSE) & (queries.stamps_ns != 0), order[row], same)
    return same


def _located(poses: Float64) -> Flags:
    return np.asarray(np.isfinite(poses).all(axis=(1, 2)))


def _same_vector(queries: Array, places: Array) -> Rows:
    """Return (Q,): which of the vectors of the places (R, D), that no other place has, each vector (Q, D) is; or NONE.

    Equal vectors are equally long along any line. So those of the places are sorted along one, and a query is compared
    with the few that end where it ends.
    """
    same = np.full(len(queries), NONE)
    line: Array = np.random.default_rng(0).normal(size=(queries.shape[1], 1)).astype(np.float32)[:, 0]
    line = line / np.linalg.norm(line)
    ends: Float64 = np.asarray(places @ line, dtype=np.float64)  # NaN where the modality is missing
    order = np.argsort(ends)[: np.count_nonzero(~np.isnan(ends))]
    ends = ends[order]
    for i, query in enumerate(queries):
        end, limit = float(query @ line), EQUAL * float(np.linalg.norm(query))
        if not limit > 0:  # no direction, or the modality is missing
            continue
        begin, stop = np.searchsorted(ends, (end - limit, end + limit))
        (near,) = np.nonzero(np.linalg.norm(places[order[begin:stop]] - query, axis=1) <= limit)
        if len(near) == 1:
            same[i] = order[begin + near[0]]
    return same
