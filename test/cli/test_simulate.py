"""`any2any simulate`: settings from flags, a folder that other verbs read, and nothing overwritten by accident."""

import json
from dataclasses import asdict

import pytest

from any2any_ros.data import kitti, kitti_layout
from any2any_ros.sim.town import TownConfig

SMALL = "--places 20 --squares 2 --speed 40 --points 1000 --width 32 --height 16 --workers 1".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    from any2any_ros.cli.main import main

    folder = tmp_path_factory.mktemp("simulate") / "town"
    assert main(["simulate", str(folder), *SMALL]) == 0
    return folder


def test_flags_are_the_settings(town):
    story = json.loads((town / "town.json").read_text())
    expected = TownConfig(places=20, squares=2, speed=40, points=1000, width=32, height=16)
    assert story["settings"] == asdict(expected)
    assert kitti_layout.drives(town) == ("00", "01") and len(kitti.read(town, "01")) == 20


def test_says_what_it_made_and_keeps_what_is_there(any2any, town):
    before = (town / "town.json").stat().st_mtime_ns
    done = any2any("simulate", town, *SMALL)
    assert done.code == 0 and "two laps of 20 places, 200 m each" in done.out
    assert (town / "town.json").stat().st_mtime_ns == before


def test_a_thermal_camera_comes_when_asked_for(any2any, tmp_path):
    assert any2any("simulate", tmp_path / "town", *SMALL, "--thermal").code == 0
    assert len(list((tmp_path / "town/sequences/01/thermal").glob("*.png"))) == 20


def test_another_town_is_not_overwritten_unasked(refused, town):
    assert "other settings" in refused("simulate", town, *SMALL, "--seed", 5)


def test_becomes_a_map(any2any, town, tmp_path):
    done = any2any("build-map", town, tmp_path / "map", "--sequence", "00", "--set", "lidar.min_points=10")
    assert done.code == 0 and "20 places" in done.out


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--places", 3], "Setting 'places' cannot be 3"),
        (["--places", 20], "blocks do not fit"),
        (["--first-lap", "hail"], "'first_lap'"),
    ],
)
def test_a_town_that_cannot_be_is_refused(refused, tmp_path, flags, why):
    assert why in refused("simulate", tmp_path / "town", *flags)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_refused(refused, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    assert "no simulated town" in refused("simulate", tmp_path, *SMALL, "--overwrite")
