"""Whether /diagnostics named a fault: after how long, in which words, and until when."""

import pytest

from benchmarks.soak.said import Line, Said
from benchmarks.soak.schedule import Fault

SILENT = Fault("sensor_silent", 100.0, 106.0, "camera")
OK, STALE = Line(0, "alive"), Line(1, "stale")


def heard(*lines, name="retrieval: camera", until=120.0):
    """Hear a line once a second; lines: from when on it says what."""
    said = Said()
    for at in range(90, int(until) + 1):
        line = [text for start, text in lines if start <= at]
        if line and line[-1] is not None:
            said.hear(float(at), name, line[-1])
    return said


def named(said, fault=SILENT, until=120.0):
    found = said.naming(fault, fault.start, until)
    return found.after, found.gone


def test_a_fault_is_named_from_the_first_line_that_fits():
    said = heard((90, OK), (103, STALE), (107, OK))
    assert named(said) == (3.0, 1.0)
    found = said.naming(SILENT, 100.0, 120.0)
    assert (found.line, found.text) == ("retrieval: camera", "stale")


def test_another_text_another_line_or_the_level_ok_names_nothing():
    assert named(heard((90, OK), (103, Line(1, "late")), (107, OK))) == (None, None)
    assert named(heard((90, OK), (103, STALE), (107, OK), name="retrieval: lidar")) == (None, None)
    assert named(heard((90, OK), (103, Line(0, "stale")), (107, OK))) == (None, None)


def test_what_was_said_before_or_long_after_names_nothing():
    assert named(heard((90, STALE), (95, OK))) == (None, None)
    assert named(heard((90, OK), (110, STALE), (112, OK))) == (None, None)


def test_a_fault_that_is_named_to_the_end_is_not_gone():
    assert named(heard((90, OK), (103, STALE))) == (3.0, None)


def test_figures_that_change_in_the_text_do_not_end_the_naming():
    lines = [
        (103, Line(1, "stale for 1 s")),
        (104, Line(1, "stale for 2 s")),
        (108, Line(1, "stale for 6 s")),
        (109, OK),
    ]
    assert named(heard((90, OK), *lines)) == (3.0, 3.0)


def test_a_killed_process_is_named_by_its_silence():
    fault = Fault("encoder_killed", 100.0, 106.0, "camera")
    said = heard((90, OK), (101, None), (105, OK), name="camera_encoder: camera")
    assert named(said, fault) == (pytest.approx(1.6), 0.0)
    assert named(heard((90, OK), name="camera_encoder: camera"), fault) == (None, None)


def test_a_sensor_that_sends_too_much_is_named_by_the_rate_that_is_shown():
    fault = Fault("ten_times", 100.0, 106.0, "camera")
    usual, much = Line(0, "encoding", 10.0), Line(0, "encoding", 100.0)
    said = heard((90, usual), (102, much), (107, usual), name="camera_encoder: camera")
    assert named(said, fault) == (2.0, 1.0)
    assert named(heard((90, usual), name="camera_encoder: camera"), fault) == (None, None)
