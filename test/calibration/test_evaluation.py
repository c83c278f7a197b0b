"""Recall by availability pattern, against rankings asked for one by one and counted by hand."""

from itertools import combinations

import numpy as np
import pytest

from any2any_ros.calibration import evaluation
from any2any_ros.calibration.evaluation import evaluate, hits, patterns, scored
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.calibration.task import Task
from any2any_ros.fusion.min_max import MinMax
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.fusion.reciprocal_rank import ReciprocalRank
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.retriever import bare_retriever

MODALITIES = ("audio", "camera", "lidar")


def random_set(seed, n, modalities=MODALITIES, missing=0.3):
    draw = np.random.default_rng(seed)
    columns = {m: draw.normal(size=(n, 4)).astype(np.float32) for m in modalities}
    for column in columns.values():
        column[draw.random(n) < missing] = np.nan
    poses = np.tile(np.eye(4), (n, 1, 1))
    return ObservationSet(columns, poses, tuple(f"{seed}/{i}" for i in range(n)))


def make(reference, fusion=None):
    return bare_retriever(reference, fusion or RawMean())


def test_up_to_four_sensors_every_subset_is_looked_at():
    names = ["d", "b", "a", "c"]
    expected = [c for size in range(1, 5) for c in combinations("abcd", size)]
    assert patterns(names) == expected and len(expected) == 15
    assert patterns([]) == []


def test_of_more_sensors_the_small_and_the_large_subsets():
    found = patterns("abcdef")
    assert {len(p) for p in found} == {1, 2, 5, 6} and len(found) == 6 + 15 + 6 + 1 == len(set(found))


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_every_query_is_ranked_with_every_subset_of_its_sensors(monkeypatch, chunk):
    monkeypatch.setattr(evaluation, "CHUNK", chunk)
    reference, queries = random_set(0, 12), random_set(1, 20)
    retriever, wanted = make(reference), np.arange(20) % 3 != 0
    found = {(one.pattern, one.row): one.scores for one in scored(retriever, queries, wanted)}
    expected = {
        (p, q) for q in np.flatnonzero(wanted) for p in patterns(MODALITIES) if all(queries.present(m)[q] for m in p)
    }
    assert set(found) == expected
    for (pattern, q), scores in found.items():
        alone = Scorer.of(retriever).scores(queries.take([q]).only(pattern))[1][0]
        np.testing.assert_allclose(scores, alone, atol=1e-6)


@pytest.mark.parametrize("fusion", [RawMean(), MinMax(), ReciprocalRank()])
def test_references_that_may_not_answer_are_as_if_they_were_not_there(fusion):
    """Also to fusions that weigh a reference against the others."""
    reference, queries = random_set(2, 15, missing=0), random_set(3, 6, missing=0)
    allowed = np.random.default_rng(0).random((6, 15)) < 0.6
    for one in scored(make(reference, fusion), queries, np.ones(6, dtype=bool), allowed):
        may = allowed[one.row]
        assert np.isnan(one.scores[~may]).all() and np.isnan(one.similarity[~may]).all()
        smaller = make(reference.take(may), fusion)
        expected = Scorer.of(smaller).scores(queries.take([one.row]).only(one.pattern))[1][0]
        np.testing.assert_allclose(one.scores[may], expected, atol=1e-6)


def test_of_many_sensors_a_query_s_own_pattern_is_always_among_those_asked(monkeypatch):
    monkeypatch.setattr(evaluation, "ALL_SUBSETS_UP_TO", 2)
    monkeypatch.setattr(evaluation, "patterns", lambda modalities: [(m,) for m in sorted(modalities)])
    reference, queries = random_set(0, 12), random_set(1, 20)
    found = {(one.pattern, one.row) for one in scored(make(reference), queries, np.ones(20, dtype=bool))}
    own = {(tuple(m for m in MODALITIES if queries.present(m)[q]), q) for q in range(20)}
    assert len({p for p, _ in own}) > 3
    assert found == {(p, q) for p, q in own if p} | {
        ((m,), q) for m in MODALITIES for q in range(20) if queries.present(m)[q]
    }


def test_only_queries_with_a_right_answer_among_those_allowed_count():
    positive = np.array([[1, 0], [1, 1], [0, 0]], dtype=bool)
    allowed = np.array([[0, 1], [0, 1], [1, 1]], dtype=bool)
    reference, queries = random_set(0, 2, missing=0), random_set(1, 3, missing=0)
    assert Task(queries, positive).answerable.tolist() == [True, True, False]
    task = Task(queries, positive, allowed)
    assert task.answerable.tolist() == [False, True, False]
    found = hits(make(reference), task)
    assert set(found) == set(patterns(MODALITIES)) and all(h.rows.tolist() == [1] for h in found.values())


def task_of(queries, positive, allowed):
    return Task(queries, positive) if allowed is None else Task(queries, positive, allowed)


def on_a_line():
    """Four references and three queries whose nearest are known: camera and lidar angles in degrees."""

    def directions(*degrees):
        turned = np.radians(np.array(degrees, dtype=float))
        return np.column_stack([np.cos(turned), np.sin(turned)])

    reference = ObservationSet(
        {"camera": directions(0, 30, 60, 90), "lidar": directions(0, 30, 60, 90)},
        np.tile(np.eye(4), (4, 1, 1)),
        tuple("abcd"),
    )
    nan = np.nan
    # camera finds the right one twice of three, lidar once of two (and is missing once)
    queries = ObservationSet(
        {"camera": directions(1, 31, 89), "lidar": directions(2, 88, nan)}, np.tile(np.eye(4), (3, 1, 1)), tuple("xyz")
    )
    positive = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], dtype=bool)
    return reference, queries, positive


def test_the_figures_of_a_case_done_by_hand():
    reference, queries, positive = on_a_line()
    groups = {g["pattern"]: g for g in evaluate(make(reference), Task(queries, positive))}
    assert set(groups) == {"camera", "lidar", "camera+lidar"}
    assert [groups[p]["queries"] for p in ("camera", "lidar", "camera+lidar")] == [3, 2, 2]
    assert groups["camera"]["recall@1"] == pytest.approx(2 / 3)
    assert groups["camera"]["recall@5"] == 1 and groups["camera"]["mrr"] == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert groups["lidar"]["recall@1"] == pytest.approx(1 / 2)
    # The best single sensor is judged on the very queries that have both.
    both = groups["camera+lidar"]
    assert (both["best_single"], both["best_single_recall@1"]) == ("camera", 1.0)
    assert all(g["chance@1"] == pytest.approx(1 / 4) and g["chance@5"] == 1 for g in groups.values())


def test_chance_counts_only_those_who_may_answer():
    reference, queries, positive = on_a_line()
    allowed = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0]], dtype=bool)
    groups = {g["pattern"]: g for g in evaluate(make(reference), task_of(queries, positive, allowed))}
    assert groups["camera"]["chance@1"] == pytest.approx((1 / 2 + 1 / 3 + 1) / 3)
    assert groups["camera"]["recall@1"] == 1  # the wrong one may not answer


def test_a_map_smaller_than_k_is_no_crash():
    reference, queries, positive = on_a_line()
    groups = evaluate(make(reference.take([0])), Task(queries, positive[:, :1]))
    assert {g["queries"] for g in groups} == {1} and {g["recall@5"] for g in groups} == {1}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("allowed", [None, np.ones((3, 4), dtype=bool)])
def test_a_sensor_that_no_query_has_makes_no_group(allowed):
    reference, queries, positive = on_a_line()
    queries.embeddings["lidar"][:] = np.nan
    assert [g["pattern"] for g in evaluate(make(reference), task_of(queries, positive, allowed))] == ["camera"]


@pytest.mark.parametrize("allowed", [None, np.ones((3, 4), dtype=bool)])
def test_no_right_answers_and_no_sensors_make_no_groups(allowed):
    reference, queries, positive = on_a_line()
    assert evaluate(make(reference), task_of(queries, np.zeros_like(positive), allowed)) == []
    assert evaluate(make(reference.only([])), task_of(queries.only([]), positive, allowed)) == []
