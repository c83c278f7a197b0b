"""Frames of KITTI's size from a simulated town, and a calibrated map of 10,000 places that holds a few of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.birds_eye.image import PACKED, Levels
from any2any_ros.calibration.fitting import CalibrationConfig, calibrate
from any2any_ros.calibration.task import Task
from any2any_ros.data import kitti
from any2any_ros.encoders import see
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.sim import town

STORED = Path("out/bench")  # folder of what takes long to make and never changes
TOWN = town.TownConfig(
    places=20, squares=2, speed=20.0, rate=2.0, points=120_000, width=1242, height=376, caption_empty=0.0
)
POINTS = 120_000  # of a cloud, 1.9 MB
FRAMES = 20
SENT = 10  # frames that are sent again and again, from the second one on: the first one has no sound
PLACES = 10_000
SPACING = 10.0  # m between two places
QUERIES, REFERENCES = 150, 500  # for the calibration
NOISE = 0.7  # length of the noise of a query, compared with the vector of its place


@functools.cache
def frames() -> kitti.KittiDrive:
    """Return a drive of 20 frames with camera, LiDAR, thermal camera, sound and captions. It is simulated once."""
    town.write(STORED / "town", TOWN, thermal=True, overwrite=True)
    return kitti.read(STORED / "town", "00")


@functools.cache
def sample(modality: str, frame: int) -> Any:
    """Return the sample of one sensor: an image of 1242 x 376, a cloud of 120,000 points, half a second of sound, …"""
    value: Any = frames().sample(modality, frame)
    if modality == "lidar":
        points = np.random.default_rng(frame).choice(len(value), POINTS, replace=False)
        return np.ascontiguousarray(value[np.sort(points)])
    return value


def write_map(folder: Path, encoders: Mapping[str, Encoder], with_images: bool = True) -> ReferenceMap:
    """Write a calibrated map of these sensors: the frames of the town, and random vectors for the other places.

    with_images: keep bird's-eye images of the encoders that make some. Those of the other places are random, too.
    """
    draw = np.random.default_rng(0)
    columns = {m: _unit(draw.standard_normal((PLACES, e.dimension), dtype=np.float32)) for m, e in encoders.items()}
    images = {m: _random_images(draw) for m, e in encoders.items() if with_images and e.cell}
    for modality, encoder in encoders.items():
        for frame in range(1, FRAMES):  # the first frame has no sound
            gathered = encoder.gather(sample(modality, frame), int(frames().stamps_ns[frame]))
            seen = see(encoder, gathered)
            columns[modality][frame] = seen.vector
            if modality in images:
                images[modality][frame] = seen.birds_eye
    poses = np.tile(np.eye(4), (PLACES, 1, 1))
    poses[:, :2, 3] = SPACING * np.stack(np.divmod(np.arange(PLACES), 100), axis=1)
    places = ObservationSet(columns, poses, tuple(map(place, range(PLACES))), birds_eye=images)
    records = {m: EncoderRecord.of(e) for m, e in encoders.items()}
    reference = ReferenceMap(places, records, "bench")
    reference_map.save(reference, folder)
    calibration.save(_calibrated(reference, draw), folder)
    return reference


def _random_images(draw: np.random.Generator) -> Levels:
    """Return packed images (PLACES, PACKED) in which one cell of thirteen holds something."""
    cells = draw.integers(1, 4, size=(PLACES, PACKED), dtype=np.uint8) << 2 * draw.integers(
        0, 4, (PLACES, PACKED), "u1"
    )
    return np.asarray(cells * (draw.random((PLACES, PACKED), dtype=np.float32) < 0.3), dtype=np.uint8)


def place(row: int) -> str:
    """Return the id of a place. The first FRAMES places are those of the town."""
    return f"place/{row:05d}"


def _calibrated(reference: ReferenceMap, draw: np.random.Generator) -> calibration.Calibration:
    """Calibrate the default fusion and its confidence on some of the places, with noise."""
    some = ReferenceMap(reference.places.take(range(REFERENCES)), reference.encoders, reference.name)
    places = some.places.take(range(QUERIES))
    noisy = {m: _unit(v + NOISE * _unit(draw.standard_normal(v.shape, dtype=np.float32)))
            for m, v in places.embeddings.items()}  # fmt: skip
    # With images, so that the calibration learns what an alignment is worth: a robot aligns none otherwise.
    queries = ObservationSet(noisy, places.poses, places.ids, birds_eye=places.birds_eye)
    right = np.arange(REFERENCES) == np.arange(QUERIES)[:, None]
    folds = np.arange(QUERIES) * 5 // QUERIES
    return calibrate(some, Task(queries, right, folds=folds), CalibrationConfig(fusion="mixture"))


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
