"""The command: reality and towns in, a page and figures out."""

import json

import pytest
import tiny_real_sets
import town_order
from order import towns

from any2any_ros.errors import Any2AnyError
from any2any_ros.progress import silent
from any2any_ros.sim.town import TownConfig

pytest.importorskip("embreex")
TINY = ["places=40", "squares=3", "reverse_every=2", "speed=30", "points=8000", "width=104", "height=32"]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Write some sets; let the command write its files beside them."""
    monkeypatch.setattr(town_order, "OUT", tmp_path / "out")
    monkeypatch.setattr(town_order, "ROOT", tmp_path / "checkout")
    folder = tmp_path / "data"
    tiny_real_sets.kitti_bev(folder, tiny_real_sets.ring(60))
    tiny_real_sets.picture_pairs(folder / "vpr")
    tiny_real_sets.nordland(folder)
    return folder


def run(*words, town=TINY):
    settings = [word for setting in town for word in ("--set", setting)]
    return town_order.main([*map(str, words), "--towns", "1", *settings])


def test_a_run_writes_figures_and_a_page(data, tmp_path, capsys):
    assert run(data) in (0, 1)
    results = json.loads((tmp_path / "out/results.json").read_text())
    sensors = results["sensors"]
    assert [one["name"] for one in sensors["lidar"]["reality"]] == ["kitti_bev ring"]
    assert [one["name"] for one in sensors["camera"]["reality"]] == ["vpr pairs", "nordland winter_summer"]
    for found in sensors.values():
        for one in (*found["reality"], *found["town"]):
            assert len(one["hits"]) >= 7 and all(len(h) == one["queries"] for h in one["hits"].values())
    page = (tmp_path / "out/town.md").read_text()
    assert "## LiDAR" in page and "## Camera" in page and str(data) not in page
    assert all(f"| {d.name} |" in page for of in town_order.DESCRIPTORS.values() for d in of)
    assert not (tmp_path / "checkout").exists()  # only a whole run writes docs/town.md
    assert "Kendall" in capsys.readouterr().out

    known = tmp_path / "out/results.json"
    run("--reality", known, "--only", "camera", "--json", tmp_path / "again.json")
    again = json.loads((tmp_path / "again.json").read_text())["sensors"]
    assert list(again) == ["camera"] and again["camera"] == sensors["camera"]


def test_what_is_missing_is_an_error(tmp_path, capsys):
    assert town_order.main([]) == 2 and "neither DATA nor --reality" in capsys.readouterr().err
    assert (
        town_order.main([str(tmp_path), "--set", "perked=1"]) == 2 and "no setting 'perked'" in capsys.readouterr().err
    )
    with pytest.raises(Any2AnyError, match="parked"):
        town_order.configured(["parked=7"], 1)


def test_settings_of_a_town():
    config = town_order.configured(["parked=0.9", "places=600", "second_lap=summer"], 5)
    assert config == TownConfig(seed=5, parked=0.9, places=600, second_lap="summer")


def test_pictures_of_streets_driven_the_other_way_are_left_out():
    config = town_order.configured(TINY, 3)
    town = towns.simulate(config, ["lidar", "camera"], 1, silent)
    assert len(town.lidar.references) == len(town.camera.references) == 40
    assert 0 < len(town.camera.queries) < len(town.lidar.queries) == 20
    assert len(town.heights) == 60
    assert town.lidar.recording.drive.sample("lidar", 0).shape[1] == 4
    assert town.camera.recording.drive.sample("camera", 0).shape == (30, 96, 3)  # of 32 x 104 pixels


def test_the_settings_of_a_second_drive_leave_the_streets_free_and_dry():
    config = town_order.configured(town_order.AGAIN, 11)
    assert (config.change, config.traffic, config.parked_stay) == (0, 0, 1)
    assert config.lane + config.offset <= 2  # m; more would be on the pavement of the narrowest street
