"""Calibration with bird's-eye images: what an alignment tells is fitted, and rankings with it have a confidence."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import drawn, scene

from any2any_ros.calibration import evaluation, fitting, reliability
from any2any_ros.calibration.task import Task
from any2any_ros.encoders.birds_eye import BirdsEyeEncoder
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.retrieval import calibration as calibrations
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import ConfidenceConfig

ENCODER = BirdsEyeEncoder()
PLACES, SPACING, BLOCK = 48, 20.0, 2
PROMISES = ConfidenceConfig(min_queries=10)


def observed(kind, noise, draw):
    """Return all places in a row, each seen from a little beside, with vectors that say little of the place."""
    seen = [
        ENCODER.described(drawn(scene(i), *(draw.uniform(-180, 180), *draw.uniform(-6, 6, 2)))) for i in range(PLACES)
    ]
    poses = np.tile(np.eye(4), (PLACES, 1, 1))
    poses[:, 0, 3] = SPACING * np.arange(PLACES)
    vectors = np.stack([s.vector for s in seen]) + draw.normal(0, noise, (PLACES, ENCODER.dimension))
    ids = tuple(f"{kind}/{i:03d}" for i in range(PLACES))
    images = {"lidar": np.stack([s.birds_eye for s in seen])}
    return ObservationSet({"lidar": vectors.astype(np.float32)}, poses, ids, birds_eye=images)


@pytest.fixture(scope="module")
def reference():
    return ReferenceMap(
        observed("map", 0.0, np.random.default_rng(1)), {"lidar": EncoderRecord.of(ENCODER)}, "scenes", identity="one"
    )


@pytest.fixture(scope="module")
def task():
    queries = observed("query", 0.04, np.random.default_rng(2))
    return Task(queries, np.eye(PLACES, dtype=bool), folds=np.arange(PLACES) // BLOCK % 4)


@pytest.fixture(scope="module")
def fitted(reference, task):
    return fitting.calibrate(reference, task, promises=PROMISES)


@pytest.fixture(scope="module")
def retriever(reference, fitted):
    return Retriever(reference, fitted)


def test_the_alignment_is_fitted_and_told(fitted):
    told = fitted.alignment.summary
    assert told["sensor"] == "lidar" and told["queries"] == PLACES
    assert told["refined_recall@1"] > told["recall@1"] + 0.1 and told["refined_recall@1"] > 0.9
    assert fitted.alignment.evidence.slope > 0


def test_queries_without_images_leave_it_out(reference, task):
    blind = replace(task, queries=replace(task.queries, birds_eye={}))
    fitted = fitting.calibrate(reference, blind, promises=PROMISES)
    assert fitted.alignment is None
    best = Retriever(reference, fitted).rank(task.queries.observation(0)).matches[0]
    assert np.isnan(best.overlap)  # what was not calibrated is not used


def test_a_calibrated_answer_is_right_and_sure(retriever, task):
    rankings = [retriever.rank(task.queries.observation(i)) for i in range(PLACES)]
    right = [r.matches[0].id == f"map/{i:03d}" for i, r in enumerate(rankings)]
    assert np.mean(right) > 0.95 and np.mean([r.accepted for r in rankings]) > 0.8
    assert np.mean([r.probability for r in rankings]) > 0.85


def test_an_answer_without_an_image_has_the_other_confidence(retriever, task):
    seen = task.queries.observation(3)
    blind = Observation(seen.embeddings)
    ranking = retriever.rank(blind)
    shortlist = retriever._shortlist(blind, 5, {})
    candidates = retriever._candidates(shortlist, ("lidar",), 5)
    assert ranking.probability == pytest.approx(retriever.confidence.probability(candidates, ("lidar",))[0])
    assert np.isnan(ranking.matches[0].overlap)


def test_what_is_evaluated_is_what_a_robot_does(retriever, task):
    outcomes = reliability.outcomes(retriever, task, [0.1])
    assert len(outcomes) == PLACES
    for i, outcome in enumerate(outcomes):
        ranking = retriever.rank(task.queries.observation(i))
        assert outcome.probability == pytest.approx(ranking.probability, abs=1e-6)
        assert outcome.accepted == ranking.accepted
        assert outcome.right == (ranking.matches[0].id == f"map/{i:03d}")
        assert outcome.size == (len(ranking.place_set),)
    (group,) = evaluation.evaluate(retriever, task)
    assert group["recall@1"] == pytest.approx(np.mean([o.right for o in outcomes]))


def test_it_outlives_the_disk(reference, fitted, retriever, task, tmp_path):
    reference_map.save(reference, tmp_path)
    calibrations.save(fitted, tmp_path)
    again = Retriever.open(tmp_path)
    for i in range(0, PLACES, 7):
        before, after = (r.rank(task.queries.observation(i)) for r in (retriever, again))
        assert [m.id for m in before.matches] == [m.id for m in after.matches]
        assert before.probability == after.probability and before.accepted == after.accepted
        np.testing.assert_array_equal(before.matches[0].pose, after.matches[0].pose)


def test_a_calibration_without_it_has_no_trace_of_it(reference, task, tmp_path):
    blind = replace(task, queries=replace(task.queries, birds_eye={}))
    reference_map.save(reference, tmp_path)
    calibrations.save(fitting.calibrate(reference, blind, promises=PROMISES), tmp_path)
    assert "alignment" not in (tmp_path / "calibration" / "calibration.json").read_text()
    assert not list((tmp_path / "calibration").glob("alignment*"))
