"""What calibration teaches the check: nothing is judged by what has seen its place, and checked answers stay true.

The overlaps are drawn; laying scans is tested with `registration` and, from end to end, in cli/test_check.py.
"""

import json

import numpy as np
import pytest

from any2any_ros.calibration import refinement
from any2any_ros.calibration.fitting import CalibrationConfig, calibrate
from any2any_ros.calibration.refinement import ScanRegistration
from any2any_ros.calibration.task import Task
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry.refiner import NO_REFINER, OverlapEvidence, Refiner, RefinerConfig
from any2any_ros.geometry.registration import Registration
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.calibration import load, save, uncalibrated
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import ConfidenceConfig

PROMISES = ConfidenceConfig(min_queries=30)
FUSION = CalibrationConfig(fusion="likelihood_ratio")
NOISE = {"camera": 2.5, "lidar": 1.8}
COUNT = 240


def drive(seed=0, noise=NOISE, count=COUNT):
    """Return a map of places 10 m apart, and the task of a drive through it."""
    draw = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = 10.0 * np.arange(count)
    mapped = {m: np.random.default_rng(99).normal(size=(count, 12)) for m in noise}
    driven = {m: mapped[m] + sigma * draw.normal(size=mapped[m].shape) for m, sigma in noise.items()}
    ids = [tuple(f"{lap}/{i}" for i in range(count)) for lap in ("map", f"drive{seed}")]
    records = {m: EncoderRecord(m, f"{m}-1", 12) for m in noise}
    reference = ReferenceMap(ObservationSet(mapped, poses, ids[0]), records, "town")
    queries, folds = ObservationSet(driven, poses, ids[1]), np.arange(count) // 10 % 4
    return reference, Task(queries, np.eye(count, dtype=bool), folds=folds, same_place=5.0)


def overlap_of(query, row, seed=0):
    """Return a drawn overlap: .6 on average where the place is right, .3 where it is not."""
    draw = np.random.default_rng([seed, query, row])
    return float(np.clip(draw.normal(0.6 if query == row else 0.3, 0.08), 0, 1))


class Surveyor:
    """Draws the overlaps at random, and records for which pairs; every ninth query has no scan."""

    def __init__(self, seed=0):
        self.seed, self.wanted = seed, {}

    def __call__(self, wanted):
        self.wanted = wanted
        return {q: {int(r): overlap_of(q, int(r), self.seed) for r in rows} for q, rows in wanted.items() if q % 9}


@pytest.fixture(scope="module")
def fitted():
    reference, task = drive()
    surveyor = Surveyor()
    scans = ScanRegistration(surveyor, RefinerConfig(candidates=6, refined_queries=160))
    return reference, surveyor, calibrate(reference, task, FUSION, PROMISES, scans)


def test_the_check_gains_on_held_out_places(fitted):
    _, surveyor, found = fitted
    summary = found.refiner.summary
    assert summary["queries"] == sum(q % 9 > 0 for q in surveyor.wanted) and summary["chance@1"] == pytest.approx(
        1 / COUNT
    )
    assert summary["recall@1"] + 0.1 < summary["refined_recall@1"] < 1
    assert found.refiner.evidence.candidates == 6 and found.refiner.evidence(np.array([0.6])) > 1


def test_as_many_queries_are_laid_as_told_and_each_candidate_once(fitted):
    _, surveyor, _ = fitted
    assert len(surveyor.wanted) == 160
    # at most six under each of two patterns with a LiDAR, with their places and without
    assert all(6 <= len(rows) == len(set(rows.tolist())) <= 24 for rows in surveyor.wanted.values())
    assert any(query in rows for query, rows in surveyor.wanted.items())


def test_the_draw_is_the_seeds():
    def wanted(seed):
        surveyor = Surveyor()
        config = CalibrationConfig(fusion="likelihood_ratio", seed=seed)
        scans = ScanRegistration(surveyor, RefinerConfig(refined_queries=20))
        calibrate(*drive(count=80), config, PROMISES, scans)
        return sorted(surveyor.wanted)

    assert wanted(1) == wanted(1) != wanted(2) and len(wanted(1)) == 20


def events(monkeypatch, reference, task, surveyor):
    """Return the events that the checked confidence is fitted on, and the pairs that each evidence is."""
    seen, pairs = [], []
    fit, learn = refinement.confidence_fitting.fit, OverlapEvidence.fit
    monkeypatch.setattr(refinement.confidence_fitting, "fit", lambda e, c: seen.append(e) or fit(e, c))
    monkeypatch.setattr(refinement.OverlapEvidence, "fit", lambda o, p, c: pairs.append((o, p)) or learn(o, p, c))
    calibrate(reference, task, FUSION, PROMISES, ScanRegistration(surveyor))
    return seen[-1], pairs  # the first are the unchecked ones


def test_no_overlap_is_judged_by_evidence_of_its_own_place(monkeypatch):
    surveyor = Surveyor()
    reference, task = drive(count=80)
    folds = task.folds
    _, pairs = events(monkeypatch, reference, task, surveyor)
    *held_out, (final, _) = pairs
    every = surveyor(surveyor.wanted)
    of_fold = {f: {o for q, there in every.items() for o in there.values() if folds[q] == f} for f in range(4)}
    assert len(held_out) == 2 * 4  # with their places, and without
    for i, (overlap, right) in enumerate(held_out):
        assert not set(overlap.tolist()) & of_fold[i // 2]
        assert set(overlap.tolist()) == set().union(*(of_fold[f] for f in range(4) if f != i // 2))
        assert 0 < right.sum() < len(right)
    assert set(final.tolist()) == set().union(*of_fold.values())


def test_a_place_hidden_from_the_map_is_among_what_teaches_trust(monkeypatch):
    surveyor = Surveyor()
    found, _ = events(monkeypatch, *drive(count=80), surveyor)
    mapped, unmapped = ([e for e in found if e.mapped == there] for there in (True, False))
    with_scan = sum(q % 9 > 0 for q in range(80))
    for group in (mapped, unmapped):
        assert len(group) == 2 * with_scan and {e.pattern for e in group} == {"lidar", "camera+lidar"}
        assert {e.fold for e in group} == {0, 1, 2, 3}
    assert not any(e.right.any() for e in unmapped) and all(len(e.right) == 79 for e in unmapped)
    # the overlap is a column of its own beside the sensors'
    assert {e.candidates.alike.shape[1] for e in found} == {2, 3}


def test_checked_probabilities_are_true_on_another_drive(fitted):
    """And the unchecked ones still are: each ranking has the confidence that it was made with."""
    reference, _, found = fitted
    retriever = Retriever(reference, found, Refiner(NO_REFINER.clouds))
    p, hit, accepted = [], [], []
    for seed in (1, 2):
        for i, observation in enumerate(drive(seed)[1].queries):
            first = retriever.rank(observation, retriever.refiner.candidates)
            rows = [int(m.id.split("/")[1]) for m in first.matches]
            registrations = {f"map/{r}": Registration(np.eye(4), overlap_of(i, r, seed), 0.1, True) for r in rows}
            rankings = (first, retriever.rank(observation, registrations=registrations))
            p.append([r.probability for r in rankings])
            hit.append([r.matches[0].id == f"map/{i}" for r in rankings])
            accepted.append([r.accepted for r in rankings])
    p, hit, accepted = np.array(p), np.array(hit), np.array(accepted)
    before, after = hit.mean(axis=0)
    assert after > before + 0.1
    assert np.abs(p.mean(axis=0) - hit.mean(axis=0)).max() < 0.06
    for low, high in ((0.0, 0.5), (0.5, 0.9), (0.9, 1.0)):
        inside = (p[:, 1] >= low) & (p[:, 1] < high)
        assert inside.sum() < 20 or abs(p[inside, 1].mean() - hit[inside, 1].mean()) < 0.12, (low, high)
    assert accepted[:, 1].mean() > accepted[:, 0].mean() and hit[accepted[:, 1], 1].mean() > 0.85


def test_a_map_without_a_lidar_is_checked_all_the_same():
    surveyor = Surveyor()
    found = calibrate(*drive(noise={"camera": 1.5}, count=80), FUSION, PROMISES, ScanRegistration(surveyor))
    assert found.refiner is not None and len(surveyor.wanted) == 80


@pytest.mark.parametrize("how", ["nothing lies anywhere", "no candidates", "no queries", "nobody lays"])
def test_nothing_learnt_is_no_check(how):
    reference, task = drive(count=80)
    configs = {"no candidates": RefinerConfig(candidates=0), "no queries": RefinerConfig(refined_queries=0)}
    surveyor = {"nothing lies anywhere": lambda wanted: {}}.get(how, Surveyor())
    scans = ScanRegistration(surveyor, configs.get(how, RefinerConfig()))
    found = calibrate(reference, task, FUSION, PROMISES, None if how == "nobody lays" else scans)
    assert found.refiner is None and found.confidence is not None
    # What has learnt no check does none: its probabilities would not be true.
    assert Retriever(reference, found, Refiner(NO_REFINER.clouds, candidates=5)).refiner is NO_REFINER


def test_before_calibration_the_best_overlap_comes_first():
    reference = drive(count=20)[0]
    refiner = Refiner(NO_REFINER.clouds, candidates=3)
    retriever = Retriever(reference, uncalibrated(reference), refiner)
    first = retriever.rank(reference.places.observation(4), 3)
    registrations = {m.id: Registration(np.eye(4), 0.1 * i, 0.1, True) for i, m in enumerate(first.matches)}
    again = retriever.rank(reference.places.observation(4), 3, registrations=registrations)
    assert [m.id for m in again.matches] == [m.id for m in reversed(first.matches)] and np.isnan(again.probability)


# --- saved and read -------------------------------------------------------------------------------------------


def test_what_was_learnt_is_kept(fitted, tmp_path):
    reference, _, found = fitted
    save(found, tmp_path)
    again = load(tmp_path)
    assert (
        vars(again.refiner.evidence) == vars(found.refiner.evidence) and again.refiner.summary == found.refiner.summary
    )
    registrations = {f"map/{r}": Registration(np.eye(4), 0.2 + 0.1 * r, 0.1, True) for r in range(5)}
    for observation in list(drive(1)[1].queries)[:10]:
        one, other = (Retriever(reference, c).rank(observation, registrations=registrations) for c in (found, again))
        assert [(m.id, m.probability) for m in one.matches] == [(m.id, m.probability) for m in other.matches]
        assert (one.accepted, one.place_set) == (other.accepted, other.place_set)


def test_a_calibration_of_before_there_was_a_check_is_read(fitted, tmp_path):
    save(found := fitted[2], tmp_path)
    home = tmp_path / "calibration"
    header = json.loads((home / "calibration.json").read_text())
    del header["refiner"]
    (home / "calibration.json").write_text(json.dumps(header | {"format": 3, "usual": []}))
    for file in home.glob("refiner-*"):
        file.unlink()
    again = load(tmp_path)
    assert again.refiner is None and again.fusion.plug == found.fusion.plug


@pytest.mark.parametrize("name", ["refiner-evidence.npz", "refiner-confidence.npz"])
def test_a_damaged_check_is_refused(fitted, tmp_path, name):
    save(fitted[2], tmp_path)
    (tmp_path / "calibration" / name).unlink()
    with pytest.raises(Any2AnyError, match=r"Cannot read the calibration in .*alibrate again"):
        load(tmp_path)


@pytest.mark.parametrize("queries", [1, 3])
def test_a_handful_of_queries_is_enough_to_go_on_with(queries):
    """Fewer than there are folds: what is learnt without a query's fold may then be nothing at all."""

    def register(wanted):
        return {q: {int(r): overlap_of(q, int(r)) for r in rows} for q, rows in wanted.items()}

    scans = ScanRegistration(register, RefinerConfig(refined_queries=queries))
    found = calibrate(*drive(count=80), FUSION, PROMISES, scans)
    assert found.refiner.summary["queries"] == queries
    assert not np.isfinite(list(found.refiner.confidence.accept_above.values())).any()  # nothing is proven yet
