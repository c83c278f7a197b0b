"""From a recording to a calibrated and judged map, without the command; the same numbers as with it."""

import json

import numpy as np
import pytest

import any2any_ros as a2a
from any2any_ros.retrieval import reference_map


@pytest.fixture(scope="module")
def built(laps, tmp_path_factory):
    """A map of lap 00, calibrated on lap 01, and the calibration."""
    folder = tmp_path_factory.mktemp("front_door") / "ring"
    place_map = a2a.build_map(a2a.open_recording(laps, "00"), folder)
    options = a2a.CalibrationOptions(calibration=a2a.CalibrationConfig(fusion="likelihood_ratio"))
    return folder, place_map, a2a.calibrate(place_map, a2a.open_recording(laps, "01"), options)


def test_a_recording_becomes_a_map_that_is_open(laps, tmp_path):
    options = a2a.MapOptions(name="quarter", keyframe=11)
    place_map = a2a.build_map(a2a.open_recording(laps, "00"), str(tmp_path / "map"), ["lidar", "text"], options)
    assert (place_map.name, len(place_map), place_map.modalities) == ("quarter", 12, ("lidar", "text"))
    again = a2a.open_map(tmp_path / "map")
    np.testing.assert_array_equal(again.reference.places.poses, place_map.reference.places.poses)


def test_the_command_makes_the_same_map(any2any, laps, built, tmp_path):
    assert any2any("build-map", laps, tmp_path / "ring", "--sequence", "00").code == 0
    ours, theirs = reference_map.load(built[0]), reference_map.load(tmp_path / "ring")
    assert ours.encoders == theirs.encoders and ours.name == theirs.name and ours.places.ids == theirs.places.ids
    for modality, column in theirs.places.embeddings.items():
        np.testing.assert_array_equal(ours.places.embeddings[modality], column)


def test_a_calibration_is_stored_with_the_map(built):
    folder, place_map, fitted = built
    assert isinstance(fitted, a2a.Calibration) and fitted.fusion.plug == "likelihood_ratio"
    assert not place_map.calibrated and a2a.open_map(folder).calibrated  # what is open stays as it was opened


def test_a_report_shows_chance_beside_recall_for_every_pattern(laps, built):
    report = a2a.evaluate(a2a.open_recording(laps, "02"), map=built[0])
    assert isinstance(report, a2a.Report) and len(report.groups) == 15
    for group in report.groups:
        assert group["recall@1"] > group["chance@1"] > 0
    assert "chance@1" in str(report) and "audio+camera+lidar+text" in str(report)
    assert len(report.reliability) == 15 and report.imputer == "none" and report.refined == []
    json.dumps(report.as_dict())


def test_the_command_prints_and_writes_the_same_report(any2any, laps, built, tmp_path):
    options = a2a.EvaluationOptions(missing=(0.0, 0.5))
    report = a2a.evaluate(a2a.open_recording(laps, "02"), built[0], ["lidar", "text"], options)
    flags = ("--map", built[0], "--modality", "lidar", "--modality", "text", "--missing", 0, 0.5)
    done = any2any("evaluate", laps, "--sequence", "02", *flags, "--json", tmp_path / "f.json")
    assert done.code == 0 and done.out.startswith(f"{report}\n\nsensor ")
    written = json.loads((tmp_path / "f.json").read_text())
    assert (
        json.loads(json.dumps(report.as_dict())).items() <= written.items() and written.keys() - report.as_dict().keys()
    )


def test_without_a_map_a_drive_is_judged_against_its_own_past(laps):
    report = a2a.evaluate(a2a.open_recording(laps, "02"), encoders=["lidar"])
    (group,) = report.groups
    assert group["queries"] == 24 and report.imputer is None and report.reliability == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"fusion": "mixture"}, "'fusion' cannot be 'mixture': the choices are raw_mean, min_max"),
        ({"references": "later"}, "'references' cannot be 'later': the choices are earlier, all"),
        ({"missing": (0.5, 1.0)}, r"The share 1.0 of missing sensors cannot be used"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, why):
    with pytest.raises(a2a.Any2AnyError, match=why):
        a2a.EvaluationOptions(**options)


def test_a_keyframe_that_cannot_be_meant_is_refused(laps, tmp_path):
    with pytest.raises(a2a.Any2AnyError, match="'keyframe' cannot be -1"):
        a2a.build_map(a2a.open_recording(laps, "00"), tmp_path / "map", ["text"], a2a.MapOptions(keyframe=-1.0))
    assert not (tmp_path / "map").exists()


def test_nothing_is_printed_and_progress_is_called(laps, tmp_path, capsys):
    heard = []

    def progress(loop, what):
        heard.append(what)
        return loop

    a2a.build_map(a2a.open_recording(laps, "00"), tmp_path / "map", ["text"], progress=progress)
    a2a.evaluate(a2a.open_recording(laps, "02"), tmp_path / "map", progress=progress)
    assert heard == ["encoding 00", "encoding 02"]
    assert capsys.readouterr() == ("", "")
