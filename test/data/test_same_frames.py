"""Frames of a drive that are places of a map are found by their content."""

import numpy as np
import pytest

from any2any_ros.data.same_frames import NONE, found
from any2any_ros.observation import ObservationSet

COUNT, SECOND = 30, 10**9


def drive(seed=0, start=1000 * SECOND, offset=0.0, modality="lidar", name="drive"):
    draw = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (COUNT, 1, 1))
    poses[:, 0, 3] = 2.0 * np.arange(COUNT) + offset
    vectors = draw.normal(size=(COUNT, 16)).astype(np.float32)
    ids = tuple(f"{name}/{i}" for i in range(COUNT))
    return ObservationSet({modality: vectors}, poses, ids, start + SECOND * np.arange(COUNT, dtype=np.int64))


def changed(places, **fields):
    kept = {name: getattr(places, name) for name in ("embeddings", "poses", "ids", "stamps_ns")}
    return ObservationSet(**kept | fields)


PLACES = drive()
ELSEWHERE = PLACES.poses + np.float64(3.0) * np.eye(4)[3][None, None, :] * np.eye(4)[0][None, :, None]


@pytest.mark.parametrize(
    "frames",
    [
        changed(PLACES, ids=tuple(f"other/{i}" for i in range(COUNT))),
        changed(PLACES, poses=np.full((COUNT, 4, 4), np.nan), stamps_ns=np.zeros(COUNT, np.int64)),
        changed(PLACES, poses=ELSEWHERE, stamps_ns=PLACES.stamps_ns + 7 * SECOND),
        changed(PLACES, embeddings=drive(1).embeddings),
        changed(PLACES, embeddings={"lidar": PLACES.embeddings["lidar"] * np.float32(1 + 1e-6)}, poses=ELSEWHERE),
        PLACES.take(np.arange(COUNT)[::-1]),
    ],
    ids=["another name", "vectors alone", "another frame and clock", "another encoder", "rounding", "backwards"],
)
def test_a_drive_is_found_again(frames):
    backwards = frames.ids[0] == PLACES.ids[-1]
    assert found(frames, PLACES).tolist() == list(range(COUNT))[:: -1 if backwards else 1]


@pytest.mark.parametrize(
    "frames",
    [
        drive(1, offset=0.1),
        drive(1, start=5000 * SECOND),
        changed(drive(1), poses=np.full((COUNT, 4, 4), np.nan)),
        changed(drive(1), stamps_ns=np.zeros(COUNT, np.int64)),
    ],
    ids=["the same times", "the same poses", "no poses", "no stamps"],
)
def test_another_drive_of_the_same_name_is_another_one(frames):
    assert (found(frames, PLACES) == NONE).all() and frames.ids == PLACES.ids


def test_words_that_both_drives_were_told_say_nothing():
    told, again = drive(modality="text"), changed(drive(modality="text"), stamps_ns=np.zeros(COUNT, np.int64))
    assert (found(again, told) == NONE).all() and (found(told, told) != NONE).all()


def test_a_vector_that_several_places_have_says_nothing():
    """Such as that of silence, or of a dark picture."""
    silent = PLACES.embeddings["lidar"].copy()
    silent[3:6] = silent[3]
    places = changed(PLACES, embeddings={"lidar": silent})
    queries = changed(places, poses=ELSEWHERE)
    assert found(queries, places).tolist() == [NONE if 3 <= i < 6 else i for i in range(COUNT)]


def test_missing_sensors_and_maps_without_stamps_are_no_obstacle():
    some = PLACES.embeddings["lidar"].copy()
    some[::2] = np.nan
    places = changed(PLACES, embeddings={"lidar": some}, stamps_ns=np.zeros(COUNT, np.int64))
    assert found(PLACES, places).tolist() == [i if i % 2 else NONE for i in range(COUNT)]
    assert (found(drive(modality="camera"), places) == NONE).all()
    assert (found(PLACES, PLACES.take(np.zeros(COUNT, bool))) == NONE).all()
    assert (found(PLACES, PLACES.take([4])) != NONE).nonzero()[0].tolist() == [4]
