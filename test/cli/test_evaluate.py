"""`any2any evaluate`: recall of every subset of the sensors, with chance beside it, on real logs too."""

import json
import shutil

import numpy as np
import pytest

from any2any_ros.data import bags, kitti

FIGURES = {
    "pattern",
    "queries",
    "chance@1",
    "recall@1",
    "chance@5",
    "recall@5",
    "mrr",
    "best_single",
    "best_single_recall@1",
}


def groups_of(path):
    return {g["pattern"]: g for g in json.loads(path.read_text())["groups"]}


# Raw range profiles reach 0.33 and 0.40 under the same protocol; see docs/laser_scan.md.
@pytest.mark.parametrize(("name", "bar", "chance"), [("intel", 0.40, 0.037), ("fhw", 0.50, 0.028)])
def test_real_logs_are_recognised(any2any, shared_data, tmp_path, name, bar, chance):
    log = shared_data / "laser2d" / f"{name}-corrected.log.gz"
    done = any2any("evaluate", log, "--json", tmp_path / "figures.json")
    assert done.code == 0, done.err
    report = json.loads((tmp_path / "figures.json").read_text())
    assert report["source"] == f"{name}-corrected"
    assert report["place"] == {"hit_radius": 2.0, "keyframe": 0.5, "path_gap": 20.0}
    (group,) = report["groups"]
    assert set(group) == FIGURES and group["pattern"] == group["best_single"] == "laser_scan"
    assert group["recall@1"] >= bar and group["recall@5"] >= group["recall@1"]
    assert group["chance@1"] == pytest.approx(chance, abs=0.001) and group["queries"] > 200
    heading, _, row = done.out.split("\n\n")[0].split("\n")
    assert "chance@1" in heading and f"{group['recall@1']:.3f}" in row and f"{group['chance@1']:.3f}" in row


def test_a_drive_is_judged_against_itself_in_every_subset(any2any, laps, tmp_path):
    """Lap 02 drives the ring twice: only the second round has an earlier answer, the first a later one."""
    done = any2any("evaluate", laps, "--sequence", "02", "--json", tmp_path / "f.json")
    assert done.code == 0, done.err
    found = groups_of(tmp_path / "f.json")
    assert len(found) == 15 and set(found["audio+camera+lidar+text"]) == FIGURES
    for pattern, group in found.items():
        # Without its first frame, which is silent, the second round has 24 answers and the first none.
        assert group["queries"] == 24, pattern
        assert group["recall@1"] > 0.9 and group["chance@1"] < 0.1
    everything = any2any("evaluate", laps, "--sequence", "02", "--references", "all", "--json", tmp_path / "a.json")
    assert everything.code == 0 and groups_of(tmp_path / "a.json")["lidar"]["queries"] == 48


def test_sensors_and_settings_can_be_chosen(any2any, laps, tmp_path):
    flags = ("--modality", "lidar", "--modality", "text", "--set", "lidar.min_points=8", "--fusion", "z_score")
    done = any2any("evaluate", laps, "--sequence", "02", *flags, "--json", tmp_path / "f.json")
    assert done.code == 0 and set(groups_of(tmp_path / "f.json")) == {"lidar", "text", "lidar+text"}


def test_a_drive_is_judged_against_a_map(any2any, laps, town_map, tmp_path):
    done = any2any("evaluate", laps, "--sequence", "02", "--map", town_map, "--json", tmp_path / "f.json")
    assert done.code == 0, done.err
    found = groups_of(tmp_path / "f.json")
    assert len(found) == 15 and found["camera+lidar"]["queries"] == 48
    assert found["camera+lidar"]["chance@1"] == pytest.approx(1 / 24) and found["camera+lidar"]["recall@1"] > 0.9
    trust = {row["pattern"]: row for row in json.loads((tmp_path / "f.json").read_text())["trust"]}
    assert set(trust) == set(found) and trust["lidar"]["recall@1"] == found["lidar"]["recall@1"]
    assert trust["camera+lidar"]["coverage@0.9"] > 0.8 and "How true the probabilities are" in done.out


def test_what_is_right_can_be_told(any2any, laps, town_map, tmp_path):
    done = any2any(
        "evaluate", laps, "--sequence", "02", "--map", town_map, "--hit-radius", 8, "--json", tmp_path / "f.json"
    )
    assert done.code == 0 and groups_of(tmp_path / "f.json")["lidar"]["chance@1"] == pytest.approx(3 / 24)
    assert json.loads((tmp_path / "f.json").read_text())["place"]["hit_radius"] == 8.0


def test_a_bag_is_judged_as_its_drive_is(any2any, laps, town_map, tmp_path):
    bag = bags.write(kitti.read(laps, "02"), tmp_path / "bag")
    for source, out in (((bag,), "bag.json"), ((laps, "--sequence", "02"), "drive.json")):
        done = any2any("evaluate", *source, "--map", town_map, "--modality", "lidar", "--json", tmp_path / out)
        assert done.code == 0, done.err
    assert groups_of(tmp_path / "bag.json") == groups_of(tmp_path / "drive.json")


def test_bad_inputs_are_refused_in_one_line(refused, laps, town_map, tmp_path):
    alone = shutil.copytree(laps / "sequences" / "02", tmp_path / "02")  # its poses lie elsewhere
    assert "There is no" in refused("evaluate", tmp_path / "absent.log")
    assert "is no CARMEN laser log" in refused("evaluate", laps / "poses" / "00.txt")
    assert "There is no sensor 'thermal'" in refused("evaluate", laps, "--sequence", "00", "--modality", "thermal")
    assert "no frame comes within 5 m of another one 20 m along the path" in refused(
        "evaluate", laps, "--sequence", "00"
    )
    assert "or there is no ground truth" in refused("evaluate", alone)
    assert "'hit_radius'" in refused("evaluate", laps, "--sequence", "02", "--hit-radius", -1)
    assert "Cannot read the map" in refused("evaluate", laps, "--sequence", "02", "--map", tmp_path)
    assert "0 of its 48 frames lie within" in refused("evaluate", alone, "--map", town_map)
    assert "Nothing in 02 can be evaluated" in refused(
        "evaluate", laps, "--sequence", "02", "--map", town_map, "--modality", "x"
    )
    (tmp_path / "file").touch()
    assert "file" in refused(
        "evaluate", laps, "--sequence", "02", "--modality", "text", "--json", tmp_path / "file" / "x"
    )


# --- --missing: sensors that are off at random ---


def test_a_command_shows_them(any2any, laps, town_map, tmp_path):
    flags = ("--sequence", "02", "--map", town_map, "--missing", 0, 0.5, "--json", tmp_path / "f.json")
    done = any2any("evaluate", laps, *flags)
    assert done.code == 0 and "With sensors switched off at random" in done.out, done.err
    none, half = json.loads((tmp_path / "f.json").read_text())["missing"]
    assert none["recall@1"] > 0.9 and half["missing"] == 0.5 and half["chance@1"] < 0.1
    alone = any2any("evaluate", laps, "--sequence", "02", "--missing", 0.25, "--json", tmp_path / "g.json")
    assert alone.code == 0 and json.loads((tmp_path / "g.json").read_text())["missing"][0]["queries"] == 24


@pytest.mark.parametrize("text", ["1", "-0.1", "half", "nan"])
def test_no_such_share(any2any, laps, text):
    done = any2any("evaluate", laps, "--missing", text)
    assert done.code == 2 and "--missing" in done.err and "Traceback" not in done.err


def test_a_scan_that_cannot_be_used_is_missing_and_evaluation_goes_on(any2any, tmp_path):
    """A scan in open space ended the evaluation of a whole log."""
    draw, lines = np.random.default_rng(0), []
    walls = draw.uniform(2, 20, (30, 180)).round(2)
    for i, place in enumerate([*range(30), *range(30)]):
        ranges = np.full(180, 81.9) if i in (4, 40) else walls[place]
        lines.append(f"FLASER 180 {' '.join(map(str, ranges))} {place} 0 0 0 0 0 {i} host {i}\n")
    (tmp_path / "house.log").write_text("".join(lines))
    flags = ("--hit-radius", 0.5, "--keyframe", 0, "--path-gap", 20, "--json", tmp_path / "f.json")
    done = any2any("evaluate", tmp_path / "house.log", "--encoder", "laser_scan=laser_scan", *flags)
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "f.json").read_text())
    (group,), (topic,) = found["groups"], found["reading"]["topics"]
    assert (topic["messages_read"], topic["messages_refused"]) == (60, 2) and topic["first_reason"]
    assert group["queries"] == 28 and group["recall@1"] == 1  # without frame 40, and the one whose answer was frame 4
