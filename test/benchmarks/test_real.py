"""The command: what it finds, what it writes, and what it says when there is nothing."""

import json

import pytest
import real
import tiny_real_sets

from any2any_ros.errors import Any2AnyError


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Write some sets; let the command write its files beside them."""
    monkeypatch.setattr(real, "OUT", tmp_path / "out")
    monkeypatch.setattr(real, "ROOT", tmp_path / "checkout")
    folder = tmp_path / "data"
    tiny_real_sets.kitti_bev(folder / "real", tiny_real_sets.ring(60))
    tiny_real_sets.laser_log(folder / "laser2d", tiny_real_sets.ring(120), "hall")
    tiny_real_sets.picture_pairs(folder / "real" / "vpr")
    tiny_real_sets.nordland(folder / "real")
    tiny_real_sets.iasm_audio(folder / "real")
    return folder


def names(found):
    return [f"{kind.KIND} {kind.name(path)}" for kind, path in found]


EVERYTHING = ["kitti_bev ring", "laser2d hall", "vpr pairs", "nordland winter_summer", "iasm_audio arrangement"]


def test_sets_are_found_below_a_folder_at_any_depth(data):
    assert names(real.find(data)) == EVERYTHING
    assert names(real.find(data / "real" / "kitti_bev" / "ring")) == ["kitti_bev ring"]
    assert names(real.find(data / "laser2d" / "hall-corrected.log")) == ["laser2d hall"]
    assert names(real.find(data, ["vpr", "hall"])) == ["laser2d hall", "vpr pairs"]
    assert names(real.find(data, ["kitti_bev"], ["ring"])) == ["kitti_bev ring"]


def test_what_is_not_there_is_an_error_that_helps(data, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Any2AnyError, match="it holds kitti_bev ring, laser2d hall") as raised:
        real.find(data, ["kitti_bev"], ["05"])
    assert "kitti_bev: a folder SEQUENCE with bev.npz" in raised.value.remedy
    with pytest.raises(Any2AnyError, match="nothing has one of the layouts: kitti_bev: a folder"):
        real.find(tmp_path / "empty")
    with pytest.raises(Any2AnyError, match="the path does not exist"):
        real.find(tmp_path / "nowhere")


def test_a_run_writes_its_results_and_a_page(data, tmp_path, capsys):
    file = tmp_path / "f.json"
    arguments = [str(data), "--only", "kitti_bev", "--sequence", "ring", "--encoder", "lidar", "--no-peers"]
    assert real.main([*arguments, "--json", str(file)]) == 0
    results = json.loads(file.read_text())
    (found,) = results["sets"]
    (row,) = found["rows"]
    assert (row["method"], row["role"]) == ("lidar", "ours") and row["recall"]["1"] > 0.8 > 5 * found["chance"]["1"]
    assert found["queries"] == len(row["hits"]) and row["milliseconds"][0] <= row["milliseconds"][1]
    assert results["command"].startswith("python benchmarks/real.py")
    assert "**lidar**" in (tmp_path / "out" / "real.md").read_text()
    assert (tmp_path / "out" / "kitti_bev-ring-lidar.png").exists()
    assert not (tmp_path / "checkout").exists()  # only a whole run writes docs/real.md
    assert "R@1" in capsys.readouterr().out


def test_a_whole_run_measures_every_set_by_all_that_suits_it(data, tmp_path, monkeypatch):
    monkeypatch.setattr(real.peers, "ALL", ())
    assert real.main([str(data)]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [f"{s['kind']} {s['name']}" for s in results["sets"]] == EVERYTHING
    methods = {s["kind"]: {r["method"] for r in s["rows"] if r["role"] == "ours"} for s in results["sets"]}
    assert "laser_scan" in methods["laser2d"] and "lidar" in methods["kitti_bev"] and "audio" in methods["iasm_audio"]
    assert "camera" in methods["vpr"] & methods["nordland"]
    page = (tmp_path / "checkout" / "docs" / "real.md").read_text()
    assert "    make real\n" in page and all(f"## {name}" in page for name in EVERYTHING)


class Broken:
    name, ours = "a peer", False

    def suits(self, one):
        return one.kind == "vpr"

    def answer(self, one, progress):
        raise Any2AnyError("Cannot install it", "there is no network", "Connect")


def test_a_method_that_cannot_run_is_a_row_and_the_exit_code_is_1(data, tmp_path, monkeypatch):
    monkeypatch.setattr(real.peers, "ALL", (Broken(),))
    assert real.main([str(data), "--only", "vpr", "--encoder", "camera"]) == 1
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["sets"][0]["rows"]
    assert [r["method"] for r in rows] == ["camera", "a peer"] and "no network" in rows[1]["note"]


@pytest.mark.parametrize("arguments", [["--only", "sped"], ["--encoder", "radar"], ["--encoder", "lidar:rings"]])
def test_a_wrong_argument_ends_with_2_and_writes_nothing(data, tmp_path, capsys, arguments):
    assert real.main([str(data), *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: ") and not (tmp_path / "out").exists()


def test_what_was_measured_before_an_interruption_is_written(data, tmp_path, monkeypatch):
    def interrupted(*arguments):
        yield real.measure(real.kitti_bev.read(data / "real/kitti_bev/ring"), [], None)
        raise KeyboardInterrupt

    monkeypatch.setattr(real, "run", interrupted)
    assert real.main([str(data)]) == 130
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())["sets"]) == 1


def test_the_help_shows_every_layout(capsys):
    with pytest.raises(SystemExit):
        real.main(["--help"])
    said = capsys.readouterr().out
    assert all(kind.KIND in said and kind.LAYOUT[:40] in said for kind in real.KINDS)
