"""A calibrated map, a drive with one more sensor, and that sensor as adopted."""

from dataclasses import replace

import numpy as np
import pytest
from adopted_worlds import COUNT, SEEN, SENSOR, WIDTH, observe

from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.workflows.adopt import adopt_from_frames
from any2any_ros.workflows.calibrate import fit


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A calibrated map of camera and lidar in a folder, a drive with a thermal camera beside them, and its places."""
    latent = np.random.default_rng(0).normal(size=(COUNT, 8))
    poses = np.tile(np.eye(4), (COUNT, 1, 1))
    rows, columns = np.divmod(np.arange(COUNT), WIDTH)
    poses[:, 0, 3], poses[:, 1, 3] = 10.0 * np.where(rows % 2, WIDTH - 1 - columns, columns), 10.0 * rows
    known = {"camera": 1.0, "lidar": 1.0}
    ids = [tuple(f"{lap}/{i:03d}" for i in range(COUNT)) for lap in ("map", "first", "second")]
    records = {m: EncoderRecord(m, f"{m}-test", 12) for m in known}
    reference = ReferenceMap(ObservationSet(observe(latent, 0.0, 1, known), poses, ids[0]), records, "grid")
    folder = tmp_path_factory.mktemp("adoption") / "map"
    reference_map.save(reference, folder)
    first = ObservationSet(observe(latent, 0.7, 2, known), poses, ids[1])
    calibration.save(fit(reference, first), folder)
    driven = ObservationSet(observe(latent, 0.7, 3, known | {"thermal": 0.7}), poses, ids[2])
    return folder, driven


@pytest.fixture(scope="session")
def adopted(world):
    """The thermal camera, adopted from the first part of the drive."""
    folder, driven = world
    retriever = Retriever.open(folder, 5.0)
    reference = retriever.reference
    frames = driven.take(SEEN)
    blind = replace(frames, poses=np.full_like(frames.poses, np.nan))  # no pose of the drive is needed
    return adopt_from_frames(reference, retriever, blind, SENSOR)
