"""Whether the parts of observations fit together (observation.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Array, Float64, Int64
from any2any_ros.birds_eye.image import Levels
from any2any_ros.declared import LARGEST
from any2any_ros.errors import Any2AnyError
from any2any_ros.poses import fault

T = TypeVar("T")


def finite_vector(values: ArrayLike, owner: str) -> Array:
    """Return values (D,), D >= 1, as a contiguous vector. owner: what it belongs to, for the error.

    Raises Any2AnyError when it has another shape or a value that is not finite.
    """
    vector = np.ascontiguousarray(values, dtype=np.float32)
    if vector.ndim != 1 or vector.size == 0:
        raise Any2AnyError(
            f"{owner} has no usable vector",
            f"its shape is {vector.shape}, not (D,)",
            "Check the encoder that made it",
        )
    if not np.isfinite(vector).all():
        raise Any2AnyError(
            f"{owner} has no usable vector",
            f"{np.count_nonzero(~np.isfinite(vector))} of its {vector.size} values are not finite",
            "Check the sensor message for NaN or infinite values, and the encoder's weights",
        )
    return vector


def check_shapes(embeddings: Mapping[str, Array], poses: Float64, ids: tuple[str, ...], stamps: Int64) -> None:
    """Raise Any2AnyError unless every array has a row for each id."""
    n = len(ids)
    if poses.shape != (n, 4, 4) or poses.dtype != np.float64 or stamps.shape != (n,):
        raise Any2AnyError(
            "The observation set does not fit together",
            f"{n} ids but poses of shape {poses.shape}, {poses.dtype}, and stamps of {stamps.shape}",
            "Give one 4x4 pose of float64 for each id, and one stamp for each id or none at all",
        )
    for modality, column in embeddings.items():
        if len(column.shape) != 2 or len(column) != n or column.dtype != np.float32:
            raise Any2AnyError(
                f"Embeddings '{modality}' do not fit",
                f"their shape is {column.shape} for {n} ids, their type {column.dtype}",
                "Give an (N, D) array of float32 with a NaN row where the modality is missing",
            )


def check_values(modality: str, column: Array) -> None:
    """Raise Any2AnyError unless every row is finite, or missing."""
    finite = np.abs(column) <= LARGEST
    if not (finite.all(axis=1) | np.isnan(column).all(axis=1)).all():
        raise Any2AnyError(
            f"Embeddings '{modality}' are not usable",
            f"a row is finite in part only, or has a value beyond {LARGEST:g}",
            "Make every row either all finite or all NaN (missing)",
        )


def check_images(modality: str, images: Levels, shape: tuple[int, ...]) -> None:
    """Raise Any2AnyError unless these are packed bird's-eye images of this shape."""
    if images.dtype != np.uint8 or images.shape != shape:
        raise Any2AnyError(
            f"The bird's-eye images of '{modality}' do not fit",
            f"they are {images.dtype} {images.shape}, not uint8 {shape}",
            "Make them with the encoder of the map",
        )


def check_ids(ids: tuple[str, ...]) -> None:
    """Raise Any2AnyError when an id appears twice."""
    # Sorted hashes, because a set of a million ids takes four times as long, and 60 MB.
    hashes = np.sort(np.fromiter(map(hash, ids), dtype=np.int64, count=len(ids)))
    if (hashes[1:] == hashes[:-1]).any() and len(set(ids)) != len(ids):
        raise duplicate_id()


def duplicate_id() -> Any2AnyError:
    """Return the error for an id that appears twice."""
    return Any2AnyError("The observation set does not fit together", "an id appears twice", "Make the ids unique")


def check_mountings(mountings: Mapping[str, Float64]) -> None:
    """Raise Any2AnyError unless each is a pose (4, 4)."""
    for modality, pose in mountings.items():
        if why := f"its shape is {pose.shape}" if pose.shape != (4, 4) else fault(pose):
            raise Any2AnyError(f"The mounting of '{modality}' is no pose", why, "Give a rigid transform (4, 4)")


def select(columns: Mapping[str, T], modalities: Iterable[str]) -> dict[str, T]:
    """Return the columns of these modalities."""
    wanted = set(modalities)
    return {m: v for m, v in columns.items() if m in wanted}


def dimensions(parts: Iterable[Mapping[str, Array]]) -> dict[str, int]:
    """Return the dimension of each modality in columns (N, D). Raises Any2AnyError when two parts have different
    ones."""
    found: dict[str, int] = {}
    for m, v in ((m, v) for part in parts for m, v in part.items()):
        if found.setdefault(m, v.shape[1]) != v.shape[1]:
            raise Any2AnyError(
                f"Embeddings '{m}' cannot be concatenated",
                f"they have {found[m]} and {v.shape[1]} dimensions",
                "Make both with one encoder and the same settings",
            )
    return found


def named(parts: Iterable[Mapping[str, T]]) -> list[str]:
    """Return the modalities that one of the parts has, sorted."""
    return sorted({m for part in parts for m in part})
