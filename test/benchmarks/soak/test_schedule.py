"""The schedule of the fault campaign: every kind occurs, nothing overlaps that must not, and calm lies between."""

import pytest

from any2any_ros.errors import Any2AnyError
from benchmarks.soak import schedule, truth
from benchmarks.soak.kinds import KINDS, SIMULATED, SYSTEM

RUNS = [(2, 7), (2, 1), (10, 3), (60, 7)]


@pytest.fixture(params=RUNS, ids=str)
def chapters(request):
    return schedule.draw(*request.param)


def overlapping(chapter):
    faults = chapter.faults
    return [(a, b) for a in faults for b in faults if a is not b and a.start <= b.start < a.end]


def test_every_kind_of_fault_occurs(chapters):
    assert [chapter.clock for chapter in chapters] == [SYSTEM, SIMULATED]
    occurred = [{fault.kind for fault in chapter.faults} for chapter in chapters]
    assert set.union(*occurred) == set(KINDS)
    assert not {kind for kind in occurred[0] if KINDS[kind].clock == SIMULATED}


def test_a_fault_is_as_long_as_its_kind_needs_and_ends_within_the_chapter(chapters):
    for chapter in chapters:
        for fault in chapter.faults:
            assert fault.start >= schedule.SETTLED and fault.end <= chapter.seconds
            assert fault.end - fault.start >= KINDS[fault.kind].seconds - 1e-9


def test_some_faults_overlap_and_calm_lies_between_them(chapters):
    assert any(overlapping(chapter) for chapter in chapters)
    for chapter in chapters:
        quiet = sum(
            not any(f.start <= t / 10 < f.end for f in chapter.faults) for t in range(int(10 * chapter.seconds))
        )
        assert quiet / (10 * chapter.seconds) > 0.15


def test_faults_that_must_not_overlap_do_not(chapters):
    for chapter in chapters:
        for one, other in overlapping(chapter):
            assert not KINDS[one.kind].alone or KINDS[one.kind].alone != KINDS[other.kind].alone
            assert not one.sensor or one.sensor != other.sensor


def test_one_sensor_lives_unless_all_are_silent(chapters):
    for chapter in chapters:
        for at in {fault.start for fault in chapter.faults}:
            silent = any(f.kind == "all_silent" and f.start <= at < f.end for f in chapter.faults)
            assert bool(truth.alive(chapter.faults, at)) is not silent


def test_no_process_is_killed_in_the_second_half_of_a_chapter(chapters):
    for chapter in chapters:
        assert all(f.start < 0.6 * chapter.seconds for f in chapter.faults if KINDS[f.kind].kills)


def test_the_seed_decides():
    assert schedule.draw(2, 7) == schedule.draw(2, 7) != schedule.draw(2, 8)


def test_only_some_kinds():
    (chapter,) = schedule.draw(2, 7, ["clock_back"])
    assert chapter.clock == SIMULATED and chapter.seconds == 120 and {f.kind for f in chapter.faults} == {"clock_back"}
    assert {f.kind for c in schedule.draw(5, 7, ["late", "garbage"]) for f in c.faults} == {"late", "garbage"}


@pytest.mark.parametrize("minutes", [1.0, 0.0, -1.0, float("nan")])
def test_a_run_that_is_too_short_is_refused(minutes):
    with pytest.raises(Any2AnyError, match="too short"):
        schedule.draw(minutes, 7)
