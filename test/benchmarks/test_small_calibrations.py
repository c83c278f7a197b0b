"""What is drawn, and what counts as a broken promise."""

import numpy as np
import pytest
import small_calibrations
from small_calibrations import Layout, broken, layouts

GOOD = {
    "recall@1": 0.8, "coverage@0.95": 0.95, "coverage@0.9": 0.88, "precision": 0.89, "accepted_count": 3.0,
    "accepted_unmapped": 0.05, "draws": 100, "refused": 2,
}  # fmt: skip


@pytest.mark.parametrize("layout", list(layouts(300, 5)), ids=str)
def test_a_draw_is_of_whole_blocks_that_do_not_overlap(layout):
    draw, first = np.random.default_rng(0), set()
    for _ in range(20):
        rows = layout.drawn(300, draw)
        assert len(set(rows.tolist())) == layout.queries and 0 <= rows.min() <= rows.max() < 300
        runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
        assert all(len(run) % layout.block == 0 for run in runs)
        first.add(int(rows[0]))
    assert len(first) > 5  # a draw can begin anywhere


def test_a_drive_calibrates_with_as_many_queries_as_leave_a_test():
    assert {one.queries for one in layouts(300, 5)} == {20, 40, 80, 160, 148}
    assert {one.queries for one in layouts(100, 5)} == {20, 40, 48}


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({}, []),
        ({"coverage@0.95": 0.929}, ["coverage@0.95"]),
        ({"precision": 0.87}, ["precision"]),
        ({"precision": 0.5, "accepted_count": 0.5}, []),  # 49 answers of 98 draws show nothing
        ({"accepted_unmapped": 0.08}, ["accepted_unmapped"]),
    ],
)
def test_a_promise_is_broken_that_falls_short_by_more_than_two_points(changed, names):
    assert broken(GOOD | changed) == names


def test_draws_that_were_all_refused_break_no_promise():
    row = {"data": "d", "drawn": "one run", "calibrated": 20, "draws": 100, "refused": 100}
    assert broken(row) == [] and len(small_calibrations.cells(row)) == len(small_calibrations.HEADINGS)


def test_a_block_of_one_run_is_the_whole_draw():
    rows = Layout("one run", 40, 40, 1).drawn(200, np.random.default_rng(1))
    np.testing.assert_array_equal(rows, np.arange(rows[0], rows[0] + 40))
