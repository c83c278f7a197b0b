"""Refinement from end to end: a map with scans, calibrated, evaluated, and answers to the centimetre."""

import json
import shutil

import numpy as np
import pytest

from any2any_ros.cli.main import main
from any2any_ros.data import kitti
from any2any_ros.data.kitti_poses import ROS_FROM_CAMERA
from any2any_ros.data.sources import open_recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry import registration
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.calibration import load
from any2any_ros.retrieval.retriever import Retriever

FRAMES, SPACING = 48, 5.0
REACH = 36.0  # m, of the simulated LiDAR
TR = np.array([[0, -1, 0, -0.01], [0, 0, -1, -0.08], [1, 0, 0, -0.27], [0, 0, 0, 1]])
QUICK = ("--candidates", 2, "--refined-queries", 12, "--fusion", "likelihood_ratio")


def world():
    """Return points (N, 3) of a street: poles of all heights and bits of walls on flat ground."""
    draw = np.random.default_rng(0)
    length = SPACING * FRAMES
    ground = np.column_stack([draw.uniform(-40, length + 40, 30000), draw.uniform(-40, 40, 30000), np.zeros(30000)])
    parts = [ground]
    for x, y, height in draw.uniform([-40, -40, 2], [length + 40, 40, 9], (350, 3)):
        if abs(y) > 3:
            z = draw.uniform(0, height, 24)
            turn, width = draw.uniform(0, np.pi), draw.uniform(0, 3)
            along = draw.uniform(-width, width, 24)
            parts.append(np.column_stack([x + along * np.cos(turn), y + along * np.sin(turn), z]))
    return np.concatenate(parts)


def pose(x, y, yaw):
    out = np.eye(4)
    out[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    out[:3, 3] = x, y, 1.7
    return out


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A KITTI folder: lap 00 down a street, lap 01 a metre aside and, half of it, turned round."""
    root, points, draw = tmp_path_factory.mktemp("street"), world(), np.random.default_rng(1)
    forth = [pose(SPACING * i, 0.0, 0.02 * np.sin(i)) for i in range(FRAMES)]
    back = [pose(SPACING * i + 1.2, 0.9, np.pi * (i % 16 >= 8) + 0.1 * np.cos(i)) for i in range(FRAMES)]
    for sequence, poses in (("00", forth), ("01", back)):
        folder = root / "sequences" / sequence
        (folder / "velodyne").mkdir(parents=True)
        (root / "poses").mkdir(exist_ok=True)
        for i, robot in enumerate(poses):
            near = points[np.linalg.norm(points[:, :2] - robot[:2, 3], axis=1) < REACH]
            seen = (near - robot[:3, 3]) @ robot[:3, :3] + draw.normal(0, 0.01, near.shape)
            np.column_stack([seen, np.ones(len(seen))]).astype("<f4").tofile(folder / "velodyne" / f"{i:06d}.bin")
        camera = np.linalg.inv(ROS_FROM_CAMERA) @ np.array(poses) @ np.linalg.inv(TR)
        np.savetxt(root / "poses" / f"{sequence}.txt", camera[:, :3].reshape(-1, 12), fmt="%.12e")
        (folder / "calib.txt").write_text("Tr: " + " ".join(map(str, TR[:3].ravel())) + "\n")
        np.testing.assert_allclose(kitti.read(root, sequence).poses, poses, atol=1e-9)
    return root


@pytest.fixture(scope="module")
def bare_map(street, tmp_path_factory):
    """A map with scans and without calibration."""
    folder = tmp_path_factory.mktemp("maps") / "street"
    assert main(["build-map", str(street), str(folder), "--sequence", "00", "--clouds"]) == 0
    return folder


@pytest.fixture(scope="module")
def checked_map(bare_map, street, tmp_path_factory):
    pytest.importorskip("open3d", reason="Open3D is absent: pip install 'any2any_ros[open3d]'", exc_type=ImportError)
    folder = shutil.copytree(bare_map, tmp_path_factory.mktemp("maps") / "street")
    assert main([str(a) for a in ("calibrate", folder, street, "--sequence", "01", *QUICK)]) == 0
    return folder


@pytest.fixture
def without_open3d(monkeypatch):
    def absent():
        raise Any2AnyError("Cannot register scans", "Open3D is absent (no module)", "pip install 'it'")

    monkeypatch.setattr(registration, "open3d", absent)


def test_a_checked_answer_is_right_to_the_centimetre(checked_map, street):
    retriever = Retriever.open(checked_map, 5.0)
    reference, calibrated = retriever.reference, retriever.calibration
    assert calibrated.refiner.summary["queries"] == 12 and retriever.refiner.candidates == 2
    source = open_recording(street, "01")
    queries = source.observe(reference_map.map_encoders(reference, source.modalities), 0.0)
    scans, right = dict(source.clouds(queries)), 0
    for i in range(2, FRAMES, 6):
        ranking = retriever.refine(queries.observation(i), scans[queries.ids[i]])
        best = ranking.matches[0]
        assert 0 < ranking.probability < 1 and ranking.place_set
        if best.id == f"00/{i:06d}":
            away = np.linalg.inv(queries.poses[i]) @ best.pose
            assert best.refined and np.linalg.norm(away[:3, 3]) < 0.05 and away[0, 0] > np.cos(np.radians(0.5))
            assert np.linalg.norm((best.pose - reference.places.poses[i])[:3, 3]) > 1  # not merely the place's
            right += 1
    assert right >= 7  # of eight


def test_the_gain_is_told_with_chance_beside_it(any2any, checked_map, bare_map, street, tmp_path):
    folder = shutil.copytree(bare_map, tmp_path / "map")
    done = any2any("calibrate", folder, street, "--sequence", "01", *QUICK)
    heading, _, row = done.out.split("\nrefined by registering scans\n")[1].split("\n\n")[0].split("\n")
    assert heading.split() == ["queries", "rankings", "chance@1", "R@1", "refined", "R@1"]
    summary = load(folder).refiner.summary
    assert row.split()[0] == "12" and f"{summary['refined_recall@1']:.3f}" in row
    # it is the same each time
    assert summary == load(checked_map).refiner.summary
    assert vars(load(folder).refiner.evidence) == vars(load(checked_map).refiner.evidence)


def test_evaluate_shows_before_and_after(any2any, checked_map, street, tmp_path):
    flags = ("--sequence", "01", "--keyframe", 20, "--map", checked_map, "--json", tmp_path / "f.json")
    done = any2any("evaluate", street, *flags, "--refine")
    assert done.code == 0, done.err
    before, after = json.loads((tmp_path / "f.json").read_text())["refined"]
    assert (before["refined"], after["refined"]) == (False, True) and before["queries"] == after["queries"] > 9
    assert after["recall@1"] >= before["recall@1"] and after["chance@1"] == pytest.approx(2 / 48, abs=0.02)
    assert after["metres p50"] < 0.05
    assert "before the refinement and after it" in done.out and "chance@1" in done.out.split("before the")[1]
    assert any2any("evaluate", street, *flags).out.split("\n\nsensor ")[0] in done.out


def test_the_check_can_be_left(any2any, bare_map, street, tmp_path):
    folder = shutil.copytree(bare_map, tmp_path / "map")
    flags = ("--sequence", "01", "--fusion", "likelihood_ratio", "--candidates", 0)
    done = any2any("calibrate", folder, street, *flags)
    assert done.code == 0 and "refine" not in done.out and load(folder).refiner is None


def test_without_open3d_a_map_is_calibrated_as_ever(any2any, refused, bare_map, street, tmp_path, without_open3d):
    folder = shutil.copytree(bare_map, tmp_path / "map")
    done = any2any("calibrate", folder, street, "--sequence", "01", "--fusion", "likelihood_ratio")
    assert done.code == 0 and done.out.count("rankings will not be refined: Open3D is absent") == 1
    assert load(folder).refiner is None and load(folder).confidence is not None
    flags = ("--sequence", "01", "--map")
    assert "has learnt no refinement" in refused("evaluate", street, *flags, folder, "--refine")
    assert "Open3D is absent" in refused("evaluate", street, *flags, bare_map, "--refine")
    retriever = Retriever.open(bare_map, 5.0)
    observation = retriever.places.observation(5)
    with pytest.warns(UserWarning, match="Open3D is absent"):
        ranking = retriever.refine(observation, world())
    assert ranking.matches[0].id == "00/000005" and not ranking.matches[0].refined


def test_a_check_of_what_has_no_scans_is_refused(refused, laps, town_map):
    assert "the map has no scans" in refused("evaluate", laps, "--sequence", "01", "--map", town_map, "--refine")


def test_a_drive_without_a_lidar_leaves_the_check(any2any, laps, tmp_path):
    folder = tmp_path / "map"
    both = ("--modality", "lidar", "--modality", "text")
    assert any2any("build-map", laps, folder, "--sequence", "00", *both, "--clouds").code == 0
    alone = shutil.copytree(laps, tmp_path / "laps")
    shutil.rmtree(alone / "sequences" / "01" / "velodyne")
    done = any2any("calibrate", folder, alone, "--sequence", "01", "--fusion", "likelihood_ratio")
    assert done.code == 0 and "rankings will not be refined: 01 has no 'lidar'" in done.out
