"""The simulated town: is it KITTI, is it the same every time, does it hold what was asked for?"""

from __future__ import annotations

import json
import shutil
import wave
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from any2any_ros.data import kitti
from any2any_ros.errors import Any2AnyError
from any2any_ros.sim.town import TownConfig, write
from any2any_ros.sim.town import folder as folder_module
from any2any_ros.sim.town.buildings import SHOPS
from any2any_ros.sim.town.route import corners, drive, legs, streets
from any2any_ros.sim.town.textures import hashed
from any2any_ros.sim.town.things import COLOURS
from any2any_ros.sim.town.words import SALIENCE, SYNONYMS, caption, look_around
from any2any_ros.sim.town.world import build_world

TINY = TownConfig(places=40, squares=3, reverse_every=2, speed=30, points=8000, width=104, height=32, caption_errors=0)
LAPS = ("00", "01")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("town") / "tiny", TINY, workers=1, progress=False)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def camera_poses(folder: Path, lap: str) -> np.ndarray:
    poses = np.tile(np.eye(4), (TINY.places, 1, 1))
    poses[:, :3] = np.loadtxt(folder / "poses" / f"{lap}.txt").reshape(-1, 3, 4)
    return poses


def calibration(folder: Path, lap: str) -> dict[str, np.ndarray]:
    lines = (folder / "sequences" / lap / "calib.txt").read_text().splitlines()
    return {line.split(":")[0]: np.array(line.split()[1:], dtype=float).reshape(3, 4) for line in lines}


def test_same_bytes_from_other_processes(folder: Path, tmp_path: Path) -> None:
    small = replace(TINY, places=24, speed=40, squares=2)
    alone = write(tmp_path / "alone", small, workers=1, progress=False)
    shared = write(tmp_path / "shared", small, workers=2, progress=False)
    assert files(alone) == files(shared)


def test_another_seed_is_another_town() -> None:
    assert not np.allclose(corners(TINY), corners(replace(TINY, seed=1)))


def test_hash_is_the_same_everywhere() -> None:
    found = hashed(np.array([0.0, 1.0, -7.0]), np.array([3, 5, 8]))
    np.testing.assert_allclose(found, [0.511254, 0.176428, 0.938057], atol=1e-6)


@pytest.mark.parametrize("lap", LAPS)
def test_every_frame_has_its_files(folder: Path, lap: str) -> None:
    sequence = folder / "sequences" / lap
    names = [f"{i:06d}" for i in range(TINY.places)]
    assert sorted(p.stem for p in (sequence / "velodyne").glob("*.bin")) == names
    assert sorted(p.stem for p in (sequence / "image_2").glob("*.png")) == names
    assert len((sequence / "captions.txt").read_text().splitlines()) == TINY.places


@pytest.mark.parametrize("lap", LAPS)
def test_scans_are_velodyne_files(folder: Path, lap: str) -> None:
    for file in (folder / "sequences" / lap / "velodyne").iterdir():
        points = np.fromfile(file, dtype=np.float32).reshape(-1, 4)
        assert len(points) >= TINY.points
        reach = np.linalg.norm(points[:, :3], axis=1)
        assert reach.min() > 0.5
        assert reach.max() < TINY.range_max + 1
        assert points[:, 3].min() >= 0
        assert points[:, 3].max() <= 1
        ground = points[(np.hypot(points[:, 0], points[:, 1]) < 8) & (points[:, 2] < -1)]
        assert np.median(ground[:, 2]) == pytest.approx(-1.73, abs=0.2)


def test_pictures_have_the_size_asked_for_and_show_something(folder: Path) -> None:
    for file in (folder / "sequences" / "00" / "image_2").iterdir():
        picture = cv2.imread(str(file))
        assert picture.shape == (TINY.height, TINY.width, 3)
        assert picture.std() > 10


@pytest.mark.parametrize("lap", LAPS)
def test_times_increase_from_one_period(folder: Path, lap: str) -> None:
    times = np.loadtxt(folder / "sequences" / lap / "times.txt")
    np.testing.assert_allclose(times, np.arange(1, TINY.places + 1) / TINY.rate, atol=1e-6)


@pytest.mark.parametrize("lap", LAPS)
def test_sound_lasts_until_the_last_frame(folder: Path, lap: str) -> None:
    with wave.open(str(folder / "sequences" / lap / "audio.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert file.getnframes() == TINY.places / TINY.rate * 8000
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(float)
    assert 50 < samples.std() < 10000
    assert (np.abs(samples) > 32000).mean() < 0.01


@pytest.mark.parametrize("lap", LAPS)
def test_poses_are_rigid(folder: Path, lap: str) -> None:
    turns = camera_poses(folder, lap)[:, :3, :3]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (TINY.places, 1, 1)), atol=1e-7)
    np.testing.assert_allclose(np.linalg.det(turns), 1, atol=1e-7)


def test_both_laps_share_the_first_camera_frame(folder: Path) -> None:
    first, second = (camera_poses(folder, lap) for lap in LAPS)
    np.testing.assert_allclose(first[0], np.eye(4), atol=1e-8)
    apart = np.linalg.norm(second[:, None, :3, 3] - first[None, :, :3, 3], axis=2)[..., :].min(axis=1)
    spacing = TINY.speed / TINY.rate
    assert apart.max() < spacing / 2 + 2 * TINY.offset + 1
    # y points down in a camera frame, and a town is flat.
    assert np.abs(second[:, 1, 3]).max() < 1


def test_steps_are_even(folder: Path) -> None:
    for lap in LAPS:
        steps = np.linalg.norm(np.diff(camera_poses(folder, lap)[:, :3, 3], axis=0), axis=1)
        assert steps.max() < 1.1 * TINY.speed / TINY.rate


@pytest.mark.parametrize("lap", LAPS)
def test_calibration_says_what_the_camera_did(folder: Path, lap: str) -> None:
    matrices = calibration(folder, lap)
    assert set(matrices) == {"P0", "P1", "P2", "P3", "Tr"}
    focal = TINY.width / 2 / np.tan(np.radians(TINY.field_of_view / 2))
    np.testing.assert_allclose(matrices["P2"][[0, 1], [0, 1]], focal)
    np.testing.assert_allclose(matrices["Tr"][:, :3] @ [1, 0, 0], [0, 0, 1], atol=1e-9)
    assert matrices["P1"][0, 3] / focal == pytest.approx(-0.54)


def test_scan_and_picture_agree_on_the_sky(folder: Path) -> None:
    """Points projected by P2 and Tr land where the picture is not sky: the sensors see one world."""
    matrices, sequence = calibration(folder, "00"), folder / "sequences" / "00"
    on_sky = []
    for i in range(0, TINY.places, 5):
        points = np.fromfile(sequence / "velodyne" / f"{i:06d}.bin", dtype=np.float32).reshape(-1, 4)[:, :3]
        camera = np.c_[points, np.ones(len(points))] @ np.vstack([matrices["Tr"], [0, 0, 0, 1]]).T
        u, v, depth = (camera @ matrices["P2"].T).T
        ahead = depth > 2
        column, row = (np.round(a[ahead] / depth[ahead]).astype(int) for a in (u, v))
        inside = (column >= 0) & (column < TINY.width) & (row >= 0) & (row < TINY.height)
        blue, _, red = cv2.imread(str(sequence / "image_2" / f"{i:06d}.png")).astype(int).transpose(2, 0, 1)
        on_sky.append(((blue > 200) & (blue > red + 25))[row[inside], column[inside]].mean())
    assert np.mean(on_sky) < 0.05


def test_our_reader_takes_it_for_kitti(folder: Path) -> None:
    drives = [kitti.read(folder, lap) for lap in LAPS]
    for lap, read in enumerate(drives):
        assert read.modalities == ("audio", "camera", "lidar", "text")
        assert len(read) == TINY.places
        true = drive(TINY, lap).poses
        there = np.linalg.inv(read.poses[0]) @ read.poses
        np.testing.assert_allclose(there, np.linalg.inv(true[0]) @ true, atol=1e-5)


def test_reversed_squares_are_driven_the_other_way(folder: Path) -> None:
    story = json.loads((folder / "town.json").read_text())
    first, second = (camera_poses(folder, lap) for lap in LAPS)
    corner = np.array(story["laps"]["01"]["metres_to_shared_corner"])
    nearest = np.linalg.norm(second[:, None, :3, 3] - first[None, :, :3, 3], axis=2).argmin(axis=1)
    ahead = np.einsum("ni,ni->n", second[:, :3, 2], first[nearest, :3, 2])
    same_street = np.array(story["laps"]["01"]["street"]) == np.array(story["laps"]["00"]["street"])[nearest]
    opposite = np.array(story["laps"]["01"]["opposite"])
    clear = same_street & (corner > 8)
    assert (ahead[clear & opposite] < 0).mean() > 0.85
    assert (ahead[clear & ~opposite] > 0).mean() > 0.85
    assert set(np.array(story["laps"]["01"]["square"])[opposite]) == set(story["reversed_squares"]) == {1}


def test_both_laps_drive_every_street_once() -> None:
    for swapped in ((), (1,), (0, 2), (0, 1, 2)):
        way = legs(3, swapped)
        assert sorted(street for street, _ in way) == list(range(12))
        network = streets(corners(TINY))
        ends = [(s.end, s.start) if back else (s.start, s.end) for s, back in ((network[i], b) for i, b in way)]
        for (_, arrival), (departure, _) in zip(ends, ends[1:] + ends[:1], strict=True):
            assert arrival == pytest.approx(departure)


def test_calibration_and_test_squares_are_apart(folder: Path) -> None:
    story = json.loads((folder / "town.json").read_text())
    assert sorted(story["calibration_squares"] + story["test_squares"]) == list(range(TINY.squares))


def test_captions_name_what_is_in_view() -> None:
    world = build_world(TINY, 0)
    honest = replace(TINY, caption_errors=0.0, caption_empty=0.0)
    names = {phrase: key for key in (*SALIENCE, *SHOPS, *COLOURS) for phrase in SYNONYMS.get(key, (key,))}
    for frame in range(0, TINY.places, 4):
        facts = look_around(world.scene, world.things, world.lap.poses[frame])
        seen = " ".join(f"{f.thing.kind} {f.thing.colour} {f.thing.shop} {f.thing.material}" for f in facts)
        text = caption(facts, honest, 1, np.random.default_rng(frame)).lower()
        assert text
        for phrase, key in names.items():
            if f" {phrase} " in text and sum(phrase in other for other in names) == 1:
                assert key in seen, f"'{phrase}' in '{text}'"


def test_left_is_left() -> None:
    world = build_world(TINY, 0)
    facts = look_around(world.scene, world.things, world.lap.poses[5])
    lidar_from_world = np.linalg.inv(world.lap.poses[5])
    for fact in facts:
        x, y = (lidar_from_world @ [fact.thing.x, fact.thing.y, 0, 1])[:2]
        if fact.side == ("left",) and max(fact.thing.size) < 3:
            assert y > abs(x) / 3


def test_nothing_stands_in_the_robots_way() -> None:
    for lap in (0, 1):
        world = build_world(replace(TINY, traffic=30, parked=1, offset=2), lap)
        rays = np.array([[np.cos(a), np.sin(a), 0] for a in np.linspace(0, 2 * np.pi, 60)], dtype=np.float32)
        for pose in world.lap.poses:
            for height in (0.7, 1.3):
                origin = np.array([*pose[:2, 3], height], dtype=np.float32)
                assert world.scene.cast(origin, rays).distance.min() > 0.4


def test_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_module, "_write_frame", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "town", TINY, workers=1, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_same_settings_are_reused_and_others_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "town")
    before = files(copy)
    (copy / "poses" / "00.txt").touch()
    assert write(copy, TINY) == copy and files(copy) == before
    with pytest.raises(Any2AnyError, match="other settings"):
        write(copy, replace(TINY, seed=5))
    assert files(copy) == before


def test_overwrite_takes_another_towns_place(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "town")
    small = replace(TINY, places=20, squares=2, speed=40)
    write(copy, small, workers=1, progress=False, overwrite=True)
    assert json.loads((copy / "town.json").read_text())["settings"] == asdict(small)
    assert [p.name for p in tmp_path.iterdir()] == ["town"]


def test_a_folder_that_is_no_town_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(Any2AnyError, match="no simulated town"):
        write(tmp_path, TINY, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "value"),
    [("places", 3), ("offset", 5.0), ("parked", -0.1), ("first_lap", "hail"), ("points", 10)],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(Any2AnyError, match=name):
        replace(TINY, **{name: value})


def test_blocks_too_small_for_houses_are_refused() -> None:
    with pytest.raises(Any2AnyError, match="blocks do not fit"):
        TownConfig(places=40)
