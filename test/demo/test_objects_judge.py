"""The demo of objects: what an answer is worth, and the figures of a story."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from objects_story import NAMES, SHIFT, TABLE, box, recorded

from any2any_ros.demo import objects_judge
from any2any_ros.demo.objects_commands import Command

# --- what answers are worth -----------------------------------------------------------------------------------------


def test_a_box_is_of_the_thing_it_is_around():
    boxes = {f"object-{i}": box(t, 0.03) for i, t in enumerate(TABLE.things)}
    boxes["object-99"] = (np.array([9.0, 9.0, 0.0]), np.array([9.1, 9.1, 0.1]))
    assert objects_judge.instances_of(boxes, TABLE.things) == {f"object-{i}": n for i, n in enumerate(NAMES)}
    assert objects_judge.instances_of({}, TABLE.things) == {}


@given(st.lists(st.tuples(st.integers(0, len(NAMES) - 1), st.floats(0, 0.2)), max_size=6))
def test_a_thing_has_one_box_at_most_and_no_box_a_thing_far_away(drawn):
    boxes = {f"object-{i}": box(TABLE.things[row], off) for i, (row, off) in enumerate(drawn)}
    found = objects_judge.instances_of(boxes, TABLE.things)
    assert len(set(found.values())) == len(found)
    things = dict(zip(NAMES, TABLE.things, strict=True))
    for i, name in found.items():
        middle = sum(boxes[i]) / 2
        assert np.linalg.norm((middle - (things[name].low + things[name].high) / 2)[:2]) <= objects_judge.NEAR + 1e-9
    near = {row for row, off in drawn if off < 1e-3}
    assert {NAMES[row] for row in near} <= set(found.values())


ONE, SEVERAL, NONE = (Command("x", False, meant) for meant in (("a",), ("a", "b"), ()))


@pytest.mark.parametrize(
    ("command", "code", "first", "worth"),
    [
        (ONE, "OK", "a", "good"), (ONE, "OK", "b", "bad"), (ONE, "OK", None, "bad"), (ONE, "NOT_FOUND", "a", "bad"),
        (ONE, "AMBIGUOUS", "a", "asks"), (ONE, "AMBIGUOUS", "b", "asks"), (ONE, "NOT_UNDERSTOOD", None, "asks"),
        (SEVERAL, "AMBIGUOUS", "b", "good"), (SEVERAL, "OK", "b", "good"), (SEVERAL, "OK", "c", "bad"),
        (SEVERAL, "NOT_FOUND", "a", "bad"), (NONE, "NOT_FOUND", "a", "good"), (NONE, "OK", "a", "bad"),
        (NONE, "AMBIGUOUS", "a", "asks"), (NONE, "NO_OBJECTS", None, "asks"),
    ],
)  # fmt: skip
def test_what_an_answer_is_worth(command, code, first, worth):
    assert objects_judge.outcome(command, code, first)[0] == worth


# --- a recorded story -----------------------------------------------------------------------------------------------


@pytest.fixture
def story(tmp_path):
    return recorded(tmp_path)


def test_the_figures_of_a_story(story):
    report = objects_judge.report(story, TABLE.things)
    memory = report["acts"][0]["memory"]
    assert (memory["things"], memory["remembered"], memory["phantoms"]) == (8, 7, 1)
    assert memory["missing"] == [NAMES[-1]]
    assert memory["error_mean"] == pytest.approx(SHIFT) and memory["error_max"] == pytest.approx(SHIFT)
    empty = report["acts"][1]["memory"]
    assert (empty["remembered"], empty["phantoms"], empty["error_mean"], empty["error_max"]) == (0, 0, None, None)
    s = report["summary"]
    assert (s["commands"], s["one_meant"], s["right_first"]) == (5, 4, 2)
    assert (s["accepted"], s["accepted_right"]) == (3, 2)
    assert (s["good"], s["asks"], s["bad"]) == (3, 1, 1)
    assert (s["spoken"], s["words_understood"]) == (2, 0)
    assert s["typed_seconds_p50"] == 0.5 and s["spoken_seconds_p50"] == 2.5
    assert report["acts"][0]["look_seconds_p50"] == 0.2 and report["acts"][1]["look_seconds_p50"] is None
    assert report["acts"][0]["commands"][1]["matches"][1] == {
        "id": "object-1", "is": NAMES[1], "probability": 0.2, "right": True,
    }  # fmt: skip
