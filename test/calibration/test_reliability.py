"""The figures of trust, counted by hand, and on a map whose numbers are known."""

from dataclasses import dataclass

import numpy as np
import pytest

from any2any_ros.calibration import reliability
from any2any_ros.calibration.reliability import Outcome
from any2any_ros.calibration.task import Task
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.geometry.refiner import NO_REFINER, Refiner
from any2any_ros.geometry.registration import Registration
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.retriever import bare_retriever
from any2any_ros.trust.confidence import Confidence

FOUND = [
    Outcome("lidar", 0.1, True, 0.9, True, (True, True), (1, 4)),
    Outcome("lidar", 0.1, False, 0.7, True, (False, True), (1, 6)),
    Outcome("camera+lidar", 0.2, True, 0.95, False, (True, True), (3, 5)),
    Outcome("lidar", 0.2, False, 0.15, False, (False, False), (0, 2)),
]


def test_figures_are_counted():
    found = reliability.figures(FOUND, (0.2, 0.05))
    assert found["queries"] == 4 and found["chance@1"] == pytest.approx(0.15) and found["recall@1"] == 0.5
    assert found["accepted"] == 0.5 and found["accepted_precision"] == 0.5
    assert found["coverage@0.8"] == 0.5 and found["coverage@0.95"] == 0.75
    assert found["size@0.8"] == pytest.approx(1.25) and found["size@0.95"] == pytest.approx(4.25)
    assert found["mean_probability"] == pytest.approx(0.675)
    # one bin holds .9 and .95, the others one each
    assert found["expected_calibration_error"] == pytest.approx((abs(1.85 - 2) + 0.7 + 0.15) / 4)


def test_precision_of_nothing_is_unknown():
    assert reliability.figures(FOUND[2:], (0.2, 0.05))["accepted_precision"] is None


def test_patterns_are_told_apart_most_sensors_first():
    rows = reliability.by_pattern(FOUND, (0.2, 0.05))
    assert [(row["pattern"], row["queries"]) for row in rows] == [("camera+lidar", 1), ("lidar", 3)]


def test_the_reliability_diagram_holds_every_answer_once():
    points = reliability.reliability(FOUND)
    np.testing.assert_allclose(points, [[0.15, 0, 1], [0.7, 0, 1], [0.925, 1, 2]])
    assert reliability.reliability([]).shape == (0, 3)


def test_precision_falls_from_the_surest_answer_down():
    np.testing.assert_allclose(reliability.precision_by_share(FOUND), [[0.25, 1], [0.5, 1], [0.75, 2 / 3], [1, 0.5]])


def test_every_query_is_judged_under_every_pattern():
    draw = np.random.default_rng(0)
    columns = {m: draw.normal(size=(6, 4)) for m in ("camera", "lidar")}
    poses = np.tile(np.eye(4), (6, 1, 1))
    poses[:, 0, 3] = 10 * np.arange(6)
    places = ObservationSet(columns, poses, tuple("abcdef"))
    weights = {"*": np.array([[[0.0, 1.0], [0.0, 0.0]], [[20.0, 0.0], [0.0, 0.0]]])}
    steps = {"*": np.array([[-30.0, 0.0], [0.01, 0.99]])}
    confidence = Confidence(50.0, weights, steps, {"*": 3.0}, {"*": np.empty(0)}, {"*/0": np.linspace(0, 0.5, 50)})
    retriever = bare_retriever(places, RawMean(), confidence=confidence)
    wanted = np.arange(6) < 4
    found = reliability.outcomes(retriever, Task(places, np.eye(6, dtype=bool)), (0.1,), wanted)
    assert len(found) == 3 * 4 and {o.pattern for o in found} == {"camera", "lidar", "camera+lidar"}
    # every place finds itself, and is sure of it
    assert all(o.right and o.accepted and o.probability > 0.9 and o.covered == (True,) for o in found)
    assert all(o.chance == pytest.approx(1 / 6) for o in found)
    nowhere = reliability.outcomes(retriever, Task(places, np.zeros((6, 6), dtype=bool)), (0.1,), wanted)
    assert not any(o.right or o.covered[0] for o in nowhere) and all(o.accepted for o in nowhere)


def test_chance_is_of_what_can_be_compared():
    right, scores = np.array([True, True, False, False, False]), np.array([0.5, np.nan, 0.1, np.nan, 0.2])
    assert reliability._chance(right, scores) == pytest.approx(1 / 3)


# --- before refining and after --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Surveyor(Refiner):
    """Knows the place that the robot is at by its points, and that it stands a metre ahead of it."""

    def register(self, points, ids):
        ahead = np.eye(4)
        ahead[0, 3] = 1.0
        return {
            name: Registration(ahead, 0.9 if name == "abcdef"[int(points[0, 0])] else 0.1, 0.1, True) for name in ids
        }


def test_refining_is_judged_through_the_retrievers_own_road():
    poses = np.tile(np.eye(4), (6, 1, 1))
    poses[:, 0, 3] = 10 * np.arange(6)
    places = ObservationSet({"lidar": np.eye(6)}, poses, tuple("abcdef"))
    vectors = np.eye(6)[[0, 2, 2]] + 0.5 * np.eye(6)[[1, 1, 1]]  # the second robot is at b, and sees c before it
    robots = poses[:3].copy()
    robots[:, 0, 3] += [1.0, 1.5, 1.0]
    queries = ObservationSet({"lidar": vectors}, robots, ("x", "y", "z"))
    refiner = Surveyor(NO_REFINER.clouds, candidates=2)
    retriever = bare_retriever(places, RawMean())
    retriever.refiner = refiner
    right = np.eye(6, dtype=bool)[:3]
    found = reliability.refined(retriever, Task(queries, right), ((row, np.full((1, 3), row)) for row in (1, 0)))
    assert [(c.before.right, c.after.right) for c in found] == [(False, True), (True, True)]
    assert [c.metres for c in found] == pytest.approx([0.5, 0.0])
    assert all(c.before.chance == pytest.approx(1 / 6) and c.before.pattern == "lidar" for c in found)
    before, after = reliability.by_refinement(found, 0.1)
    assert (before["refined"], before["recall@1"], before["queries"]) == (False, 0.5, 2) and "metres p50" not in before
    assert (after["refined"], after["recall@1"], after["metres p50"]) == (True, 1.0, pytest.approx(0.25))


def test_a_wrong_answers_pose_is_no_error_of_the_pose():
    nobody = [reliability.Refined(FOUND[1], FOUND[1], float("nan"))]
    assert "metres p50" not in reliability.by_refinement(nobody, 0.2)[1]
