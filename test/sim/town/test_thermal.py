"""The thermal camera of the town: temperatures that could be, and nothing of what is only painted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from any2any_ros.data import kitti
from any2any_ros.errors import Any2AnyError
from any2any_ros.sim.town import TownConfig, write
from any2any_ros.sim.town.mesh import Kind
from any2any_ros.sim.town.thermal import HEIGHT, WIDTH, ZERO, ThermalCamera
from any2any_ros.sim.town.world import World, build_world

TINY = TownConfig(places=24, squares=2, speed=40, points=1000, width=32, height=16, traffic=20)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(TINY, 0)


def celsius(world: World, frame: int, seed: int = 0) -> np.ndarray:
    counts = ThermalCamera(TINY, world, 0).shoot(world.lap.poses[frame], np.random.default_rng(seed))
    assert counts.dtype == np.uint16 and counts.shape == (HEIGHT, WIDTH)
    return counts / 100 - ZERO


def test_nothing_is_colder_than_the_sky_or_hotter_than_an_engine(world: World) -> None:
    for frame in range(0, TINY.places, 6):
        seen = celsius(world, frame)
        assert seen.min() > -40 and seen.max() < 80
        assert seen[:10].min() < 0 < seen[-10:].min()  # a clear sky above, a warm street below


def test_the_same_rays_of_chance_give_the_same_picture(world: World) -> None:
    np.testing.assert_array_equal(celsius(world, 3), celsius(world, 3))
    assert 0 < np.abs(celsius(world, 3) - celsius(world, 3, seed=1)).mean() < 5


def test_what_is_painted_on_a_surface_is_not_seen(world: World) -> None:
    """Markings, bricks, signs and stripes of another kind leave the picture as it is."""
    before = celsius(world, 5)
    surfaces = world.scene.surfaces.copy()
    world.scene.surfaces["marks"], world.scene.surfaces["masonry"] = 0, 1
    world.scene.surfaces["accent"] = 0.5
    painted = celsius(world, 5)
    world.scene.surfaces[:] = surfaces
    np.testing.assert_array_equal(before, painted)


def test_walls_in_the_sun_are_warmer_than_in_its_shade(world: World) -> None:
    camera = ThermalCamera(TINY, world, 0)
    walls = np.flatnonzero(world.scene.surfaces["kind"][world.scene.surface] == Kind.FACADE)
    points = np.array([[0.0, 0.0, 500.0]] * len(walls), dtype=np.float32)  # far above all that could shade it
    sun = camera._sunshine(points, world.scene.normals[walls])
    assert (sun > 0.3).any() and (sun == 0).any()


def test_a_heated_house_keeps_its_insulation_from_lap_to_lap() -> None:
    winter = replace(TINY, first_lap="winter evening", second_lap="winter evening")
    leaks = []
    for lap in (0, 1):
        there = build_world(winter, lap)
        camera, surfaces = ThermalCamera(winter, there, lap), there.scene.surfaces
        front = surfaces["kind"] == Kind.FACADE
        leaks.append(dict(zip(surfaces["thing"][front].tolist(), camera._still[front].tolist(), strict=True)))
    assert leaks[0] == leaks[1] and len(set(leaks[0].values())) > 5
    assert all(there.condition.air - 2 < warmth < 10 for warmth in leaks[0].values())


def test_engines_people_and_fog(world: World) -> None:
    camera = ThermalCamera(TINY, world, 0)
    assert camera._engines.max() > 10 > np.median(camera._engines)
    people = [i for i, thing in enumerate(world.things) if thing.kind == "person"]
    warm = camera._still[np.isin(world.scene.surfaces["thing"], people)]
    assert len(warm) and (warm > world.condition.air + 3).all() and (warm < 35).all()
    foggy = build_world(replace(TINY, first_lap="foggy morning"), 0)
    assert np.ptp(celsius(foggy, 5)) < np.ptp(celsius(world, 5))


def test_the_other_sensors_do_not_notice_it(tmp_path: Path) -> None:
    without = write(tmp_path / "without", TINY, workers=1, progress=False)
    beside = write(tmp_path / "with", TINY, workers=1, progress=False, thermal=True)
    for file in (p for p in without.rglob("*") if p.is_file() and p.name != "town.json"):
        assert (beside / file.relative_to(without)).read_bytes() == file.read_bytes()
    stories = [json.loads((folder / "town.json").read_text()) for folder in (without, beside)]
    assert stories[1].pop("thermal") is True and stories[0] == stories[1]
    drive = kitti.read(beside, "01")
    assert "thermal" in drive.modalities and "thermal" not in kitti.read(without, "01").modalities
    raw = cv2.imread(str(beside / "sequences/01/thermal/000004.png"), cv2.IMREAD_UNCHANGED)
    assert raw.dtype == np.uint16
    np.testing.assert_array_equal(drive.sample("thermal", 4), raw)
    assert write(beside, TINY, workers=1, progress=False) == beside  # it has all that is asked for
    with pytest.raises(Any2AnyError, match="other settings"):
        write(without, TINY, workers=1, progress=False, thermal=True)
