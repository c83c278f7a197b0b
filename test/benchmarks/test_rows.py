"""A row knows its bar and its ratio, and is the same after JSON."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.speed import _clock, _section
from benchmarks.speed._rows import Row

NUMBERS = st.floats(1e-6, 1e6)
FIGURES = st.none() | st.just(float("inf")) | NUMBERS
ROWS = st.builds(
    Row, what=st.text(), value=FIGURES, unit=st.text(max_size=5), spread=st.none() | st.tuples(NUMBERS, NUMBERS),
    rival=st.text(max_size=9), rival_value=FIGURES, bar=st.sampled_from(["", "≤ 25", "≥ 100", "≤ 1.15 ×"]),
    note=st.text(max_size=9), short=st.text(max_size=9), section=st.text(max_size=9),
)  # fmt: skip


@given(ROWS)
def test_json_gives_the_same_row_again(row):
    plain = json.loads(json.dumps(row.plain()))
    assert Row.read(plain) == row
    assert plain["met"] is row.met


@pytest.mark.parametrize(
    ("bar", "value", "met"),
    [("≤ 25", 25.0, True), ("≤ 25", 25.1, False), ("≥ 100", 100.0, True), ("≥ 100", 99.0, False),
     ("≤ 0", 0.0, True), ("≤ 0", 1.0, False), ("≥ 100", 0.0, False), ("", 3.0, None), ("≤ 25", None, None),
     ("≤ 25", float("inf"), False)],
)  # fmt: skip
def test_a_bar_is_held_against_the_value(bar, value, met):
    assert Row("x", value, "ms", bar=bar).met is met


def test_a_bar_with_times_is_held_against_the_ratio():
    assert Row("x", 114.0, "ms", rival="plain", rival_value=100.0, bar="≤ 1.15 ×").met
    assert not Row("x", 1.0, "ms", rival="plain", rival_value=1.0, ratio=1.2, bar="≤ 1.15 ×").met
    assert Row("x", 1.0, "ms", bar="≤ 1.15 ×").met is None


def test_the_ratio_is_that_of_the_values_unless_one_is_given():
    assert Row("x", 3.0, "ms", rival="y", rival_value=2.0).ratio == 1.5
    assert Row("x", 3.0, "ms", rival="y", rival_value=2.0, ratio=1.4).ratio == 1.4
    assert Row("x", None, "ms", rival="y", rival_value=2.0).ratio is None
    assert Row("x", 3.0, "ms", rival="y", rival_value=0.0).ratio is None
    assert Row("x", 3.0, "ms", rival="y", rival_value=float("inf")).ratio is None
    assert Row("x", float("inf"), "ms", rival="y", rival_value=2.0).ratio is None


def test_a_share_below_one_is_good_also_where_more_is_better():
    assert Row("x", 100.0, "%", rival="y", rival_value=25.0, bar="≥ 100").share == 0.25
    assert Row("x", 300.0, "pictures/s", rival="y", rival_value=100.0).share == pytest.approx(1 / 3)
    assert Row("x", 1.0, "ms", rival="y", rival_value=4.0, bar="≤ 2").share == 0.25
    assert Row("x", 1.0, "ms").share is None


@pytest.mark.parametrize("bar", ["25", "< 25", "≤ fast", "≤ 25 ms"])
def test_what_is_no_bar_is_refused(bar):
    with pytest.raises(ValueError, match="is no bar"):
        Row("x", 1.0, "ms", bar=bar)


def test_methods_take_turns_after_one_round_unseen():
    called = []
    spent = _clock.clock([lambda: called.append("a"), lambda: called.append("b")], rounds=3)
    assert called == ["a", "b"] * 4
    assert spent.shape == (3, 2) and (spent >= 0).all()


def test_the_ratio_of_timed_is_the_median_of_the_turns():
    spent = np.array([[1.0, 1.0], [4.0, 2.0], [9.0, 3.0]])
    row = _clock.timed("x", spent, "y")
    assert (row.value, row.rival_value, row.ratio) == (4.0, 2.0, 2.0)
    assert row.spread == (2.5, 6.5)
    assert _clock.timed("x", spent).rival_value is None


def test_a_section_as_a_program_writes_its_rows(tmp_path, monkeypatch, capsys):
    file = tmp_path / "rows"
    monkeypatch.setattr("sys.argv", ["section", "--quick", "--rows", str(file)])
    monkeypatch.setattr(_section, "interruptible", lambda: None)
    asked = []

    def section(quick):
        asked.append(quick)
        yield Row("one", 1.0, "ms")
        yield Row("two", None, "ms", note="unmeasured: no GPU")

    _section.main(section, "somewhere/encoders.py")
    read = [Row.read(json.loads(line)) for line in file.read_text().splitlines()]
    assert asked == [True]
    assert [(row.what, row.section) for row in read] == [("one", "encoders"), ("two", "encoders")]
    assert "encoders: two: unmeasured: no GPU" in capsys.readouterr().out
