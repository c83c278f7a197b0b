"""A calibration is fitted: the best fusion is chosen on places it has not seen."""

from dataclasses import replace

import numpy as np
import pytest
from noisy_drives import NOISE, PROMISES, drive

from any2any_ros.calibration import comparison, fitting
from any2any_ros.calibration.fitting import CalibrationConfig, calibrate
from any2any_ros.calibration.task import Task
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.calibration import uncalibrated
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.similarity import SimilarityMatrix, same_modality


@pytest.fixture(scope="module")
def fitted():
    reference, task = drive(NOISE)
    return reference, task.queries, calibrate(reference, task, promises=PROMISES)


def test_every_fusion_is_compared_and_the_best_is_chosen(fitted):
    _, _, found = fitted
    rows = {row["fusion"]: row for row in found.table}
    assert set(rows) == set(FUSIONS.names())
    assert [row["fusion"] for row in found.table if row["chosen"]] == [found.fusion.plug]
    assert rows[found.fusion.plug]["recall@1"] >= max(row["recall@1"] for row in rows.values()) - comparison.LUCK


def test_a_loud_sensor_that_means_nothing_is_not_averaged_in(fitted):
    """The constructed case: averaging similarities follows the useless sensor, weighing them does not."""
    _, _, found = fitted
    rows = {row["fusion"]: row for row in found.table}
    assert found.fusion.plug != "raw_mean"
    everything = "fair+good+useless"
    by_pattern = rows[found.fusion.plug]["patterns"]
    assert by_pattern[everything]["recall@1"] > 0.9
    assert by_pattern["useless"]["recall@1"] < 0.2 and by_pattern["useless"]["chance@1"] == pytest.approx(1 / 60)


def test_the_table_is_the_mean_over_all_queries_under_every_subset_of_the_sensors(fitted):
    _, _, found = fitted
    for row in found.table:
        assert len(row["patterns"]) == 7
        weights = [p["queries"] for p in row["patterns"].values()]
        for key in ("recall@1", "recall@5", "chance@1"):
            mean = np.average([p[key] for p in row["patterns"].values()], weights=weights)
            assert row[key] == pytest.approx(mean)


def test_a_fusion_that_is_asked_for_is_taken():
    found = calibrate(*drive(NOISE), CalibrationConfig(fusion="min_max"), PROMISES)
    assert found.fusion.plug == "min_max" and [row["fusion"] for row in found.table] == ["min_max"]
    with pytest.raises(Any2AnyError, match="There is no fusion 'maximum'"):
        calibrate(*drive(NOISE), CalibrationConfig(fusion="maximum"))


class Spy(RawMean):
    """Remembers which queries it was fitted on, and which it then judged; a query's place is in its similarities."""

    plug = "spy"
    log: list = []  # noqa: RUF012

    @classmethod
    def fit(cls, similarity, positive):
        made = cls()
        object.__setattr__(made, "fitted_on", set(np.flatnonzero(positive.any(axis=0)).tolist()))
        cls.log.append((made, set()))
        return made

    def score(self, similarity):
        next(judged for made, judged in self.log if made is self).update(
            np.nanargmax(np.nanmean(similarity, axis=(-2, -1)), axis=-1).ravel().tolist()
        )
        return super().score(similarity)


def test_no_query_is_judged_by_a_fusion_that_has_seen_its_place(monkeypatch):
    monkeypatch.setattr(fitting, "_fusions", lambda choice: [Spy])
    monkeypatch.setattr(Spy, "log", [])
    # A hidden place cannot be told by its score.
    monkeypatch.setattr(fitting._Contestant, "ranked_unmapped", lambda contestant, task: [])
    reference, task = drive({"good": 0.001})
    calibrate(reference, task, promises=PROMISES)
    *of_folds, final = Spy.log
    assert len(of_folds) == 4
    for fold, (made, judged) in enumerate(of_folds):
        assert judged == set(np.flatnonzero(task.folds == fold))
        assert made.fitted_on == set(np.flatnonzero(task.folds != fold))
    # The one that is chosen has seen all of them, and judged none.
    assert final[0].fitted_on == set(range(60)) and not final[1]


def test_every_query_takes_part_in_the_confidence(fitted, monkeypatch):
    seen = []
    real = fitting.confidence_fitting.fit
    monkeypatch.setattr(
        fitting.confidence_fitting, "fit", lambda events, config: seen.extend(events) or real(events, config)
    )
    calibrate(*drive(NOISE), CalibrationConfig(fusion="raw_mean"), PROMISES)
    mapped, unmapped = [e for e in seen if e.mapped], [e for e in seen if not e.mapped]
    assert {e.fold for e in mapped} == {e.fold for e in unmapped} == {0, 1, 2, 3}
    for events in (mapped, unmapped):
        assert len(events) == 60 * 7 and {e.pattern for e in events} >= {"good", "fair+good", "fair+good+useless"}
    assert all(len(e.right) == 60 and e.right.sum() == 1 for e in mapped)
    assert all(len(e.right) == 59 and e.right.sum() == 0 for e in unmapped)  # its own place is hidden


def test_the_queries_of_a_stretch_are_told_to_the_confidence(monkeypatch):
    seen = []
    real = fitting.confidence_fitting.fit
    monkeypatch.setattr(
        fitting.confidence_fitting, "fit", lambda events, config: seen.extend(events) or real(events, config)
    )
    reference, task = drive(NOISE)
    calibrate(reference, task, CalibrationConfig(fusion="raw_mean"), PROMISES)
    assert {e.stretch for e in seen} == set(task.stretches.tolist()) and len(set(task.stretches)) == 12
    assert all(e.stretch % 4 == e.fold for e in seen)


def test_it_says_how_many_queries_are_wanted_where_there_are_too_few():
    """60 queries of 12 stretches could prove everything; 60 of 4 stretches could not."""
    reference, task = drive(NOISE)
    config = CalibrationConfig(fusion="raw_mean")
    assert calibrate(reference, task, config, PROMISES).wanted == {}
    found = calibrate(reference, replace(task, folds=np.arange(60) // 15), config, PROMISES)
    assert set(found.wanted) == set(found.table[0]["patterns"]) and min(found.wanted.values()) > 60


def test_what_is_hidden_of_the_map_may_be_more_than_what_is_right(monkeypatch):
    seen = []
    real = fitting.confidence_fitting.fit
    monkeypatch.setattr(
        fitting.confidence_fitting, "fit", lambda events, config: seen.extend(events) or real(events, config)
    )
    reference, task = drive(NOISE)
    hidden = np.abs(np.subtract.outer(np.arange(60), np.arange(60))) < 3
    config = CalibrationConfig(fusion="raw_mean")
    calibrate(reference, replace(task, hidden=hidden), config, PROMISES)
    assert {len(e.right) for e in seen if not e.mapped} == {55, 56, 57}
    assert all(len(e.right) == 60 for e in seen if e.mapped)


def test_wrong_pairs_are_drawn_and_right_ones_all_kept():
    reference, task = drive({"good": 0.3}, count=60)
    task = replace(task, positive=task.positive & (np.arange(60) < 20))
    baseline, every = Retriever(reference, uncalibrated(reference)), np.ones(60, dtype=bool)
    training = fitting._TrainingData.of(baseline, task, CalibrationConfig(max_pairs=60 * 30))
    similarity, labels = training.of_queries(every)
    assert similarity.shape == (60, 30, 1, 1) and labels.shape == (60, 30)
    assert labels.sum() == 20
    # What is kept is what the whole matrix says of these references, in their order.
    whole = SimilarityMatrix(reference.places, same_modality(("good",)))(task.queries)[:, :, 0, 0]
    apart = np.abs(whole[:, :, None] - similarity[:, None, :, 0, 0]).max(axis=0)  # (all, kept)
    columns = apart.argmin(axis=0)
    assert apart.min(axis=0).max() < 1e-5 and (np.diff(columns) > 0).all() and set(range(20)) <= set(columns)
    np.testing.assert_array_equal(labels, task.positive[:, columns])
    np.testing.assert_array_equal(similarity, training.of_queries(every)[0])


def test_too_few_stretches_are_refused():
    reference, task = drive(NOISE)
    task = replace(task, positive=task.positive & (task.folds == 1)[:, None])
    with pytest.raises(Any2AnyError, match="15 of 60 queries lie near a reference, in 1 stretches"):
        calibrate(reference, task)


@pytest.mark.filterwarnings("error")
def test_a_drive_without_a_sensor_of_the_maps_is_refused():
    reference, task = drive({"good": 0.3})
    queries = task.queries
    for other in (queries.only([]), ObservationSet({"thermal": np.ones((60, 3))}, queries.poses, queries.ids)):
        with pytest.raises(Any2AnyError, match="the map good"):
            calibrate(reference, replace(task, queries=other))


def test_a_drive_calibrates_the_map_made_from_itself():
    """References too near along the path may not answer: it is as if each query's map lacked them."""
    reference, task = drive(NOISE)
    queries = ObservationSet(
        {m: v + 0.3 * np.random.default_rng(1).normal(size=v.shape) for m, v in reference.places.embeddings.items()},
        reference.places.poses,
        reference.places.ids,
    )
    twice = np.tile(np.eye(30, dtype=bool), (2, 2))  # the second half drives the first again
    allowed = ~np.eye(60, dtype=bool)
    places = ObservationSet(
        {m: np.concatenate([v[:30], v[:30]]) for m, v in queries.embeddings.items()}, queries.poses, queries.ids
    )
    itself = Task(places, twice, allowed, folds=task.folds, same_place=5.0)
    found = calibrate(ReferenceMap(places, reference.encoders, "town"), itself, promises=PROMISES)
    everything = next(row for row in found.table if row["chosen"])["patterns"]["fair+good+useless"]
    # of 59 references that may answer one is right, and it is the query's very copy; its own row never answers
    assert everything["chance@1"] == pytest.approx(1 / 59) and everything["recall@1"] == 1.0
