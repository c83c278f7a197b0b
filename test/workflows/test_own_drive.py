"""A drive and the map that was made from it, under another name or in another container."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from any2any_ros.config import PlaceConfig
from any2any_ros.data import bags
from any2any_ros.data.sources import open_recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.retrieval import calibration, map_folder, reference_map
from any2any_ros.workflows import own_drive
from any2any_ros.workflows.build_map import MapOptions, build_map, write_map
from any2any_ros.workflows.calibrate import CalibrationOptions, calibrate
from any2any_ros.workflows.evaluate import evaluate

ONE = ("lidar",)
FAST = CalibrationOptions(calibration=replace(CalibrationOptions().calibration, fusion="raw_mean"))


@pytest.fixture(scope="module")
def own(laps, tmp_path_factory):
    """A map of lap 00, and a bag of the very same drive."""
    home = tmp_path_factory.mktemp("own")
    write_map(open_recording(laps, "00"), home / "map", ONE)
    return home / "map", bags.write(open_recording(laps, "00").drive, home / "monday")


@pytest.fixture
def folder(own, tmp_path):
    return shutil.copytree(own[0], tmp_path / "map")


def test_a_bag_of_the_map_s_drive_counts_as_that_drive(own, laps, folder):
    bag = open_recording(own[1])
    with pytest.raises(Any2AnyError, match="0 of 24 queries lie near a reference"):  # the drive has no loops
        calibrate(folder, bag, FAST)
    with pytest.raises(Any2AnyError, match="can be evaluated"):
        evaluate(bag, folder, ONE)
    assert not (folder / "calibration").exists()


def test_a_part_of_the_map_s_drive_is_refused(own, folder):
    bag = open_recording(own[1])
    place = PlaceConfig(hit_radius=5.0, keyframe=11.0)
    with pytest.raises(Any2AnyError, match=r"Cannot calibrate .* of its 1\d frames are places of the map"):
        calibrate(folder, bag, replace(FAST, place=place))


def test_another_drive_in_a_folder_of_the_same_name_is_used(laps, folder, tmp_path):
    other = tmp_path / "ring"
    shutil.copytree(laps / "sequences" / "01", other / "sequences" / "00")
    (other / "poses").mkdir()
    shutil.copy(laps / "poses" / "01.txt", other / "poses" / "00.txt")
    fitted = calibrate(folder, open_recording(other, "00"), FAST)
    assert fitted.map == reference_map.load(folder).identity != ""
    groups = evaluate(open_recording(other, "00"), folder, ONE).groups
    assert groups[0]["queries"] > 20 and groups[0]["recall@1"] > 0.8


def test_moments_in_another_order_keep_their_gap_along_the_drive(own):
    """Two topics of a bag may begin at other times, or a bag may be sorted by the time of arrival."""
    reference = reference_map.load(own[0])
    order = np.random.default_rng(2).permutation(24)
    straight, shuffled = (
        own_drive.allowed(reference, reference.places.take(rows), PlaceConfig(path_gap=20.0), "evaluate")
        for rows in (np.arange(24), order)
    )
    assert 0 < straight.mean() < 1 and not straight.diagonal().any()
    np.testing.assert_array_equal(shuffled, straight[order])


def test_few_frames_like_places_are_coincidences(own):
    reference = reference_map.load(own[0])
    frames = reference.places.take(np.arange(24))
    vectors = np.random.default_rng(0).normal(size=(200, frames.embeddings["lidar"].shape[1])).astype(np.float32)
    vectors[0] = frames.embeddings["lidar"][0]
    poses, ids = np.tile(np.eye(4), (200, 1, 1)), tuple(f"x/{i}" for i in range(200))
    drive = type(frames)({"lidar": vectors}, poses, ids)
    assert own_drive.allowed(reference, drive, PlaceConfig(), "evaluate").all()
    assert own_drive.is_the_maps(reference, drive.take(np.arange(50)))


def test_a_drive_that_is_recognised_by_chance_calibrates_nothing(laps, folder):
    """The poses of another place in the same frame."""
    recording = open_recording(laps, "01")
    shuffled = recording.drive.poses[np.random.default_rng(1).permutation(24)]
    with pytest.raises(Any2AnyError, match=r"no better than by chance: recall@1 is 0\.\d+, by chance 0\.\d+"):
        calibrate(folder, replace(recording, drive=replace(recording.drive, poses=shuffled)), FAST)
    assert not (folder / "calibration").exists()


def test_a_map_that_is_built_again_loses_what_was_fitted_for_the_old_one(laps, folder, caplog):
    calibrate(folder, open_recording(laps, "01"), FAST)
    write_map(open_recording(laps, "00"), folder, ONE)
    assert (folder / "calibration").exists() and not caplog.records  # the places are the same
    build_map(open_recording(laps, "02"), folder, ONE, MapOptions(keyframe=11.0))
    assert not (folder / "calibration").exists() and "fitted for the places of another map" in caplog.text


def test_a_calibration_of_another_map_is_refused(laps, folder, tmp_path):
    calibrate(folder, open_recording(laps, "01"), FAST)
    other = tmp_path / "other"
    write_map(open_recording(laps, "02"), other, ONE)
    shutil.copytree(folder / calibration.FOLDER, other / calibration.FOLDER)
    with pytest.raises(Any2AnyError, match="it was made for the places of another map"):
        calibration.load_with_map(other)
    assert map_folder.adopted_homes(other) == []


def test_vectors_of_two_versions_of_an_encoder_are_not_compared(laps, folder):
    header = folder / "map.json"
    now = reference_map.load(folder).encoders["lidar"].fingerprint
    header.write_text(header.read_text().replace(now, "lidar-0-00000000"))
    for verb in (lambda: calibrate(folder, open_recording(laps, "01"), FAST),
                 lambda: evaluate(open_recording(laps, "01"), folder, ONE)):  # fmt: skip
        with pytest.raises(Any2AnyError, match=f"it is {now} now, they were made by lidar-0-00000000"):
            verb()
