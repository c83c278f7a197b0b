"""`any2any calibrate`: the map learns from another drive, and its table shows chance beside each fusion."""

import json
import shutil

import numpy as np

from any2any_ros.data import kitti
from any2any_ros.data.sources import open_recording
from any2any_ros.fusion import FUSIONS
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.retriever import Retriever


def test_the_table_of_all_fusions_is_printed_and_kept(any2any, laps, town_map, tmp_path):
    folder = shutil.copytree(town_map, tmp_path / "map")
    shutil.rmtree(folder / "calibration")
    done = any2any("calibrate", folder, laps, "--sequence", "01")
    assert done.code == 0, done.err
    heading, _, *rows = done.out.split("\n\n")[0].split("\n")
    assert heading.split() == ["fusion", "R@1", "R@5", "chance@1", "chosen"]
    fusions = set(FUSIONS.names())
    assert {row.split()[0] for row in rows} == fusions
    table = json.loads((folder / "calibration" / "calibration.json").read_text())["table"]
    assert [row["fusion"] for row in table if row["chosen"]] == [row.split()[0] for row in rows if row.endswith("yes")]


def test_a_drive_that_is_too_short_is_told(any2any, laps, town_map, tmp_path):
    folder, file = shutil.copytree(town_map, tmp_path / "map"), tmp_path / "report.json"
    done = any2any("calibrate", folder, laps, "--sequence", "01", "--fusion", "mixture", "--json", file)
    wanted = json.loads(file.read_text())["wanted"]
    assert wanted and "Too few queries" in done.out
    assert all(
        f"{pattern}: " in done.out and f"at least {least} are wanted" in done.out for pattern, least in wanted.items()
    )


def test_a_calibrated_map_says_how_probable_its_answers_are(laps, town_map):
    retriever = Retriever.open(town_map, 5.0)
    reference, calibrated = retriever.reference, retriever.calibration
    assert calibrated
    source = open_recording(laps, "02")
    queries = source.observe(reference_map.map_encoders(reference, source.modalities), 0.0)
    ranking = retriever.rank(queries.observation(10))
    assert ranking.matches[0].id == "00/000010" and 0.5 < ranking.probability < 1
    assert "00/000010" in ranking.place_set


def test_promises_and_fusion_are_flags(any2any, laps, town_map, tmp_path):
    folder = shutil.copytree(town_map, tmp_path / "map")
    flags = ("--fusion", "min_max", "--precision", 0.6, "--json", tmp_path / "f.json")
    done = any2any("calibrate", folder, laps, "--sequence", "01", *flags)
    assert done.code == 0 and len(done.out.split("\n\n")[0].split("\n")) == 3
    header = json.loads((folder / "calibration" / "calibration.json").read_text())
    assert header["fusion"] == "min_max" and header["same_place"] == 5.0
    told = json.loads((tmp_path / "f.json").read_text())
    assert told["fusions"][0]["fusion"] == "min_max" and len(told["reading"]["topics"]) == 4


def test_what_is_near_can_be_told(any2any, laps, town_map, tmp_path):
    folder = shutil.copytree(town_map, tmp_path / "map")
    any2any("calibrate", folder, laps, "--sequence", "01", "--fusion", "raw_mean", "--hit-radius", 8)
    header = json.loads((folder / "calibration" / "calibration.json").read_text())
    assert header["same_place"] == 8.0
    assert np.isclose(header["table"][0]["chance@1"], 3 / 24)  # the place itself and its two neighbours


def test_the_map_s_own_drive_teaches_by_its_loops_alone(any2any, refused, laps, tmp_path):
    """Lap 02 drives the ring twice; a frame must not find itself, or everything would look certain."""
    folder = tmp_path / "map"
    assert any2any("build-map", laps, folder, "--sequence", "02").code == 0
    done = any2any("calibrate", folder, laps, "--sequence", "02", "--fusion", "raw_mean")
    assert done.code == 0, done.err
    table = json.loads((folder / "calibration" / "calibration.json").read_text())["table"]
    # of 48 frames those within the path gap may not answer, and one of the others is the place driven before
    assert 1 / 48 < table[0]["patterns"]["lidar"]["chance@1"] < 1 / 24 and table[0]["recall@1"] > 0.9
    assert "so they would find themselves" in refused("calibrate", folder, laps, "--sequence", "02", "--keyframe", 15)


def test_bad_inputs_are_refused_in_one_line(refused, laps, town_map, tmp_path):
    assert "build-map DRIVE MAP" in refused("calibrate", tmp_path, laps, "--sequence", "01")
    assert "There is no" in refused("calibrate", town_map, tmp_path / "absent")
    assert "There is no fusion 'best'" in refused("calibrate", town_map, laps, "--sequence", "01", "--fusion", "best")
    assert "'precision'" in refused("calibrate", town_map, laps, "--sequence", "01", "--precision", 2)
    assert "'hit_radius'" in refused("calibrate", town_map, laps, "--sequence", "01", "--hit-radius", 0)
    # A drive elsewhere: the same ring without its poses.
    alone = shutil.copytree(laps / "sequences" / "01", tmp_path / "01")
    assert "0 of 24 queries lie near a reference" in refused("calibrate", town_map, alone)
    log = tmp_path / "house.log"
    lines = (f"FLASER 40 {' '.join(['5'] * 40)} {6 * i} 23 0 0 0 0 {i + 1} host {i}\n" for i in range(9))
    log.write_text("".join(lines))
    assert "any2any calibrate: Cannot calibrate" in refused("calibrate", town_map, log)
    assert kitti.read(laps, "01").modalities  # nothing of the above has touched the drive


def test_an_imputer_is_kept_with_the_map_and_evaluate_says_so(any2any, laps, town_map, tmp_path):
    folder = shutil.copytree(town_map, tmp_path / "map")
    flags = ("--fusion", "likelihood_ratio", "--imputer", "calmrl")
    done = any2any("calibrate", folder, laps, "--sequence", "01", *flags)
    assert done.code == 0, done.err
    retriever = Retriever.open(folder, 5.0)
    reference, calibrated = retriever.reference, retriever.calibration
    assert calibrated.imputer.plug == "calmrl" and retriever.modalities == tuple(sorted(reference.encoders))
    judged = any2any("evaluate", laps, "--sequence", "02", "--map", folder, "--json", tmp_path / "f.json")
    assert judged.code == 0 and judged.out.startswith("The map has the imputer calmrl"), judged.err
    report = json.loads((tmp_path / "f.json").read_text())
    assert report["imputer"] == "calmrl" and len(report["groups"]) == len(report["trust"]) == 15
    plain = any2any("evaluate", laps, "--sequence", "02", "--map", town_map, "--json", tmp_path / "g.json")
    assert "imputer" not in plain.out and json.loads((tmp_path / "g.json").read_text())["imputer"] == "none"
