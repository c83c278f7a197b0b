"""Results as text: aligned, to three places, and nothing made up where nothing is known."""

import pytest

from any2any_ros import tables

NAN = float("nan")


def test_columns_are_aligned_numbers_to_the_right():
    rows = [{"name": "lidar", "recall": 0.12345, "count": 7}, {"name": "camera+text", "recall": 1.0, "count": 1234}]
    assert tables.table(rows, {"sensor": "name", "R@1": "recall", "n": "count"}).split("\n") == [
        "sensor         R@1     n",
        "-----------  -----  ----",
        "lidar        0.123     7",
        "camera+text  1.000  1234",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (NAN, "-"), (True, "yes"), (False, ""), (0.0005, "0.001"), (3, "3"), ("x", "x"), (-1.0, "-1.000")],
)
def test_a_cell_says_what_is_known(value, shown):
    assert tables.table([{"k": value}], {"head": "k"}).split("\n")[2].strip() == shown


def test_a_missing_key_is_a_dash_and_no_rows_are_a_heading():
    assert tables.table([{}], {"head": "k"}).split("\n")[2] == "-"
    assert tables.table([], {"head": "k", "tail": "t"}) == "head  tail\n----  ----"


GROUP = {
    "pattern": "lidar", "queries": 9, "chance@1": 0.1, "recall@1": 0.5, "chance@5": 0.4, "recall@5": 0.75, "mrr": 0.6,
    "best_single": "lidar", "best_single_recall@1": 0.5,
}  # fmt: skip


def test_groups_show_chance_beside_every_recall():
    heading, _, row = tables.groups([GROUP]).split("\n")
    assert " ".join(heading.split()) == "sensors alive queries chance@1 R@1 chance@5 R@5 best alone its R@1"
    assert row.split() == ["lidar", "9", "0.100", "0.500", "0.400", "0.750", "lidar", "0.500"]


def test_live_groups_show_probability_and_latency():
    live = GROUP | {"mean_probability": 0.52, "latency_p50_ms": 12.0, "latency_p99_ms": 31.5}
    assert tables.groups([live]).split("\n")[2].split()[-3:] == ["0.520", "12.000", "31.500"]


def test_fusions_are_listed_best_first():
    rows = [
        {"fusion": "mean", "recall@1": 0.2, "recall@5": 0.5, "chance@1": 0.1, "chosen": False},
        {"fusion": "mixture", "recall@1": 0.6, "recall@5": 0.8, "chance@1": 0.1, "chosen": True},
    ]
    lines = tables.fusions(rows).split("\n")[2:]
    assert [line.split()[0] for line in lines] == ["mixture", "mean"]
    assert lines[0].endswith("yes") and not lines[1].endswith("yes")


def test_trust_shows_coverage_and_size_for_every_level():
    row = {
        "pattern": "lidar", "queries": 9, "mean_probability": 0.5, "recall@1": 0.6, "expected_calibration_error": 0.05,
        "accepted": 0.0, "accepted_precision": None, "coverage@0.9": 0.91, "size@0.9": 3.5,
    }  # fmt: skip
    heading, _, line = tables.reliability([row]).split("\n")
    assert " ".join(heading.split()).endswith("accepted precision cover@0.9 set@0.9")
    assert line.split() == ["lidar", "9", "0.500", "0.600", "0.050", "0.000", "-", "0.910", "3.500"]


def test_patterns_with_too_few_queries_are_named_with_how_many_are_wanted():
    row = {"patterns": {"lidar": {"queries": 40}, "camera": {"queries": 90}}}
    first, line = tables.too_few(row, {"lidar": 75}).split("\n")
    assert "Too few queries" in first and line == "  lidar: 40 queries, at least 75 are wanted"
    assert tables.too_few(row, {}) == ""
