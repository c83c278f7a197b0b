"""`any2any adopt`: a new sensor in an old map from the command line, and every refusal in one line."""

import json
import shutil

import cv2
import numpy as np
import pytest

from any2any_ros.retrieval import adopted as adopted_sensors
from any2any_ros.retrieval import reference_map

PLACES, SPACING = 200, 10.0
ADOPT = ("--modality", "thermal", "--set", "thermal.width=96", "--set", "thermal.height=32")


def write_drive(root, sequence, thermal):
    """Write a straight drive past places of twelve by five blocks; thermal: how warm they are, "noise", or None."""
    folder, poses = root / "sequences" / sequence, np.tile(np.eye(4)[:3], (PLACES, 1, 1))
    (folder / "image_2").mkdir(parents=True)
    (root / "poses").mkdir(exist_ok=True)
    if thermal:
        (folder / "thermal").mkdir()
    for i in range(PLACES):
        own, noise = np.random.default_rng(i), np.random.default_rng([int(sequence), i])
        blocks = own.integers(0, 255, (5, 12)).astype(np.uint8)
        pixels = cv2.resize(blocks, (96, 40), interpolation=cv2.INTER_NEAREST).astype(float)
        grey = np.clip(pixels + noise.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / "image_2" / f"{i:06d}.png"), grey)
        if thermal:
            warmth = noise.uniform(0, 255, pixels.shape) if thermal == "noise" else 255 - pixels
            counts = 28000 + 8 * warmth + noise.normal(0, 60, pixels.shape)
            cv2.imwrite(str(folder / "thermal" / f"{i:06d}.png"), counts.astype(np.uint16))
        poses[i, 2, 3] = SPACING * i + 0.05 * int(sequence)  # no drive repeats another's poses
    np.savetxt(root / "poses" / f"{sequence}.txt", poses.reshape(-1, 12))


@pytest.fixture(scope="module")
def drives(tmp_path_factory):
    """A KITTI folder: 00 for the map, 01 for its calibration, 02 with a thermal camera, 03 with a broken one."""
    root = tmp_path_factory.mktemp("adopt") / "road"
    for sequence, thermal in (("00", None), ("01", None), ("02", "warm"), ("03", "noise")):
        write_drive(root, sequence, thermal)
    return root


@pytest.fixture(scope="module")
def calibrated(drives, tmp_path_factory):
    from any2any_ros.cli.main import main

    folder = tmp_path_factory.mktemp("road") / "map"
    flags = ("--set", "camera.width=96", "--set", "camera.height=32")
    assert main(["build-map", str(drives), str(folder), "--sequence", "00", *flags]) == 0
    assert main(["calibrate", str(folder), str(drives), "--sequence", "01"]) == 0
    return folder


@pytest.fixture
def folder(calibrated, tmp_path):
    return shutil.copytree(calibrated, tmp_path / "map")


def test_a_thermal_camera_is_adopted_and_evaluated(any2any, drives, folder):
    done = any2any("adopt", folder, drives, "--sequence", "02", *ADOPT, "--json", folder / "f.json")
    assert done.code == 0, done.err
    told = json.loads((folder / "f.json").read_text())
    assert told["adopted"]["pairs"] > 150 and {row["modality"] for row in told["reading"]["topics"]} >= {"thermal"}
    assert "of 200 frames were recognised with certainty" in done.out and "that have a pose" in done.out
    assert "'thermal' now answers" in done.out and "chance@1" in done.out
    (adopted,) = adopted_sensors.load(folder).values()
    assert adopted.encoder.settings["width"] == 96 and adopted.report["pairs"] > 150
    again = any2any("evaluate", drives, "--sequence", "02", "--map", folder)
    rows = {line.split()[0]: line for line in again.out.splitlines() if line}
    assert again.code == 0 and float(rows["thermal"].split()[3]) > 0.5  # recall@1; chance 1 / 200
    assert any2any("adopt", folder, drives, "--sequence", "02", *ADOPT).code == 0  # once more, in its place


def test_a_broken_sensor_is_refused_and_leaves_nothing(refused, drives, folder):
    assert "does not tell places apart" in refused("adopt", folder, drives, "--sequence", "03", *ADOPT)
    assert not (folder / "adopted").exists() and not reference_map.load(folder).adopted


def test_what_cannot_be_adopted_is_refused_in_one_line(refused, drives, folder, tmp_path):
    drive = (drives, "--sequence", "02")
    assert "the map has this sensor already" in refused("adopt", folder, *drive, "--modality", "camera")
    assert "the drive has camera, thermal" in refused("adopt", folder, *drive, "--modality", "lidar")
    assert "the drive has camera" in refused("adopt", folder, drives, "--sequence", "01", "--modality", "thermal")
    assert "are needed" in refused("adopt", folder, *drive, *ADOPT, "--min-pairs", 500)
    assert "'min_pairs'" in refused("adopt", folder, *drive, *ADOPT, "--min-pairs", 1)
    assert "no setting 'size'" in refused("adopt", folder, *drive, "--modality", "thermal", "--set", "thermal.size=3")
    assert "it takes text" in refused("adopt", folder, *drive, "--modality", "thermal", "--encoder", "text")
    assert "Cannot read the map" in refused("adopt", tmp_path / "absent", *drive, *ADOPT)
    shutil.rmtree(folder / "calibration")
    assert "the map is not calibrated" in refused("adopt", folder, *drive, *ADOPT)
    assert not (folder / "adopted").exists()


def test_a_drive_without_a_known_sensor_teaches_nothing(refused, drives, folder, tmp_path):
    blind = shutil.copytree(drives, tmp_path / "blind")
    shutil.rmtree(blind / "sequences/02/image_2")
    assert "the drive has thermal, the map camera" in refused("adopt", folder, blind, "--sequence", "02", *ADOPT)


def test_help_says_how_and_what_for(any2any):
    done = any2any("adopt", "--help")
    assert done.code == 0
    for word in ("--modality", "--min-pairs", "The training uses no pose of the drive", "MAP/adopted"):
        assert word in done.out
