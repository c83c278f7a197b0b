"""Calibration: the best fusion is chosen on places it has not seen, and what is saved is all or nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from any2any_ros import storage
from any2any_ros.calibration import comparison
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.calibration import CalibrationConfig, calibrate, load, open_map, save
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap
from any2any_ros.retrieval.similarity import same_modality
from any2any_ros.trust.confidence import ConfidenceConfig

PROMISES = ConfidenceConfig(min_queries=30)
NOISE = {"good": 0.3, "fair": 0.8, "useless": 30.0}


def drive(noise, count=60, seed=0, fingerprint="1"):
    """Return a map of `count` places and a drive through it, each sensor as noisy as it is told to be.

    The useless sensor's vectors all point about the same way: its similarities are the largest, and mean nothing.
    """
    draw = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = 10.0 * np.arange(count)
    mapped, driven = {}, {}
    for m, sigma in noise.items():
        truth = draw.normal(size=(count, 12)) + (40 if sigma > 10 else 0)
        mapped[m] = truth
        driven[m] = truth + sigma * draw.normal(size=truth.shape)
    ids = [tuple(f"{lap}/{i}" for i in range(count)) for lap in ("map", "drive")]
    records = {m: EncoderRecord(m, f"{m}-{fingerprint}", 12) for m in noise}
    reference = ReferenceMap(ObservationSet(mapped, poses, ids[0]), records, "town")
    return reference, ObservationSet(driven, poses, ids[1]), np.eye(count, dtype=bool), np.arange(count) // 5 % 4


@pytest.fixture(scope="module")
def fitted():
    reference, *rest = drive(NOISE)
    return reference, rest[0], calibrate(reference, *rest, 5.0, promises=PROMISES)


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
    chosen = rows[found.fusion.plug]["patterns"]
    assert chosen[everything]["recall@1"] > 0.9
    assert chosen["useless"]["recall@1"] < 0.2 and chosen["useless"]["chance@1"] == pytest.approx(1 / 60)


def test_the_table_is_the_mean_over_all_queries_under_every_subset_of_the_sensors(fitted):
    _, _, found = fitted
    for row in found.table:
        assert len(row["patterns"]) == 7
        weights = [p["queries"] for p in row["patterns"].values()]
        for key in ("recall@1", "recall@5", "chance@1"):
            mean = np.average([p[key] for p in row["patterns"].values()], weights=weights)
            assert row[key] == pytest.approx(mean)


def test_a_fusion_that_is_asked_for_is_taken():
    found = calibrate(*drive(NOISE), 5.0, CalibrationConfig(fusion="min_max"), PROMISES)
    assert found.fusion.plug == "min_max" and [row["fusion"] for row in found.table] == ["min_max"]
    with pytest.raises(Any2AnyError, match="There is no fusion 'maximum'"):
        calibrate(*drive(NOISE), 5.0, CalibrationConfig(fusion="maximum"))


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
    monkeypatch.setattr(calibration, "_fusions", lambda choice: [Spy])
    monkeypatch.setattr(Spy, "log", [])
    # A hidden place cannot be told by its score.
    judge = calibration._judge
    monkeypatch.setattr(calibration, "_judge", lambda *given: judge(*given) if len(given) == 6 else [])
    reference, queries, positive, folds = drive({"good": 0.001})
    calibrate(reference, queries, positive, folds, 5.0, promises=PROMISES)
    *judges, kept = Spy.log
    assert len(judges) == 4
    for fold, (made, judged) in enumerate(judges):
        assert judged == set(np.flatnonzero(folds == fold))
        assert made.fitted_on == set(np.flatnonzero(folds != fold))
    # The one that is kept has seen all of them, and judged none.
    assert kept[0].fitted_on == set(range(60)) and not kept[1]


def test_every_query_takes_part_in_the_confidence(fitted, monkeypatch):
    seen = []
    real = calibration.confidence.fit
    monkeypatch.setattr(
        calibration.confidence, "fit", lambda events, config: seen.extend(events) or real(events, config)
    )
    calibrate(*drive(NOISE), 5.0, CalibrationConfig(fusion="raw_mean"), PROMISES)
    mapped, lost = [e for e in seen if e.mapped], [e for e in seen if not e.mapped]
    assert {e.fold for e in mapped} == {e.fold for e in lost} == {0, 1, 2, 3}
    for events in (mapped, lost):
        assert len(events) == 60 * 7 and {e.pattern for e in events} >= {"good", "fair+good", "fair+good+useless"}
    assert all(len(e.right) == 60 and e.right.sum() == 1 for e in mapped)
    assert all(len(e.right) == 59 and e.right.sum() == 0 for e in lost)  # its own place is hidden


def test_what_is_hidden_of_the_map_may_be_more_than_what_is_right(monkeypatch):
    seen = []
    real = calibration.confidence.fit
    monkeypatch.setattr(
        calibration.confidence, "fit", lambda events, config: seen.extend(events) or real(events, config)
    )
    reference, queries, positive, folds = drive(NOISE)
    hidden = np.abs(np.subtract.outer(np.arange(60), np.arange(60))) < 3
    config = CalibrationConfig(fusion="raw_mean")
    calibrate(reference, queries, positive, folds, 5.0, config, PROMISES, hidden)
    assert {len(e.right) for e in seen if not e.mapped} == {55, 56, 57}
    assert all(len(e.right) == 60 for e in seen if e.mapped)


def test_wrong_pairs_are_drawn_and_right_ones_all_kept():
    reference, queries, positive, _ = drive({"good": 0.3}, count=60)
    positive = positive & (np.arange(60) < 20)
    matrix = calibration.SimilarityMatrix(reference.places, same_modality(("good",)))
    half = CalibrationConfig(max_pairs=60 * 30)
    similarity, labels = calibration._matrices(matrix, queries, positive, np.ones_like(positive), half)
    assert similarity.shape == (60, 30, 1, 1) and labels.shape == (60, 30)
    assert labels.sum() == 20
    # What is kept is what the whole matrix says of these references, in their order.
    whole = matrix(queries)[:, :, 0, 0]
    apart = np.abs(whole[:, :, None] - similarity[:, None, :, 0, 0]).max(axis=0)  # (all, kept)
    columns = apart.argmin(axis=0)
    assert apart.min(axis=0).max() < 1e-5 and (np.diff(columns) > 0).all() and set(range(20)) <= set(columns)
    np.testing.assert_array_equal(labels, positive[:, columns])
    np.testing.assert_array_equal(
        similarity, calibration._matrices(matrix, queries, positive, np.ones_like(positive), half)[0]
    )


def test_too_few_stretches_are_refused():
    reference, queries, positive, folds = drive(NOISE)
    positive[folds != 1] = False
    with pytest.raises(Any2AnyError, match="15 of 60 queries lie near a reference, in 1 stretches"):
        calibrate(reference, queries, positive, folds, 5.0)


@pytest.mark.filterwarnings("error")
def test_a_drive_without_a_sensor_of_the_maps_is_refused():
    reference, queries, positive, folds = drive({"good": 0.3})
    for other in (queries.only([]), ObservationSet({"thermal": np.ones((60, 3))}, queries.poses, queries.ids)):
        with pytest.raises(Any2AnyError, match="the map good"):
            calibrate(reference, other, positive, folds, 5.0)


# --- saved and read -------------------------------------------------------------------------------------------


def test_ranks_the_same_after_it_was_saved(fitted, tmp_path):
    reference, queries, found = fitted
    save(found, tmp_path)
    again = load(tmp_path)
    assert again.encoders == found.encoders and again.same_place == 5.0 and again.table == found.table
    for observation in list(queries)[:10]:
        one, other = (c.retriever(reference).rank(observation) for c in (found, again))
        assert [(m.id, m.score, m.probability) for m in one.matches] == [
            (m.id, m.score, m.probability) for m in other.matches
        ]
        assert (one.accepted, one.place_set) == (other.accepted, other.place_set)


def test_there_may_be_none(tmp_path):
    assert load(tmp_path) is None


def test_a_map_opens_with_its_calibration_and_without(fitted, tmp_path):
    reference, queries, found = fitted
    reference_map.save(reference, tmp_path)
    _, plain, calibrated = open_map(tmp_path, 7.0)
    assert not calibrated and isinstance(plain.fusion, RawMean) and plain.same_place == 7.0
    assert np.isnan(plain.rank(queries.observation(0)).probability)
    save(found, tmp_path)
    opened, retriever, calibrated = open_map(tmp_path, 7.0)
    assert calibrated and opened.name == "town" and retriever.same_place == 5.0
    assert retriever.rank(queries.observation(0)).probability > 0


@pytest.mark.parametrize("other", [{"fingerprint": "2"}, {"noise": {"good": 0.3}}], ids=["settings", "sensors"])
def test_another_maps_encoders_are_refused(fitted, other):
    reference = drive(**({"noise": NOISE} | other))[0]
    with pytest.raises(Any2AnyError, match="The calibration does not fit map 'town'") as error:
        fitted[2].retriever(reference)
    assert "any2any calibrate" in error.value.remedy


def test_an_unfinished_save_keeps_the_old_calibration(fitted, tmp_path, monkeypatch):
    old, new = fitted[2], calibrate(*drive(NOISE), 5.0, CalibrationConfig(fusion="raw_mean"), PROMISES)
    save(old, tmp_path)

    def killed_at(step):
        count = 0
        real_write, real_rename = storage.write_atomically, Path.rename

        def step_on(real):
            def counted(*arguments):
                nonlocal count
                count += 1
                if count == step:
                    raise KeyboardInterrupt
                return real(*arguments)

            return counted

        with monkeypatch.context() as patched:
            patched.setattr(storage, "write_atomically", step_on(real_write))
            patched.setattr(Path, "rename", step_on(real_rename))
            try:
                save(new, tmp_path)
            except KeyboardInterrupt:
                return True
        return False

    steps = 1
    while killed_at(steps):
        assert load(tmp_path).fusion.plug == old.fusion.plug, f"killed at step {steps}"
        steps += 1
    assert steps > 5
    assert load(tmp_path).fusion.plug == "raw_mean" and [p.name for p in tmp_path.iterdir()] == ["calibration"]


DAMAGE = {
    "not whole": lambda f: (f / "calibration.json").unlink(),
    "cut short": lambda f: (f / "calibration.json").write_text("{"),
    "a list": lambda f: (f / "calibration.json").write_text("[]"),
    "null": lambda f: (f / "calibration.json").write_text("null"),
    "short of a value": lambda f: (f / "calibration.json").write_text('{"format": 1}'),
    "of another format": lambda f: (f / "calibration.json").write_text('{"format": 9}'),
    "without its fusion": lambda f: (f / "fusion.npz").unlink(),
    "of a damaged confidence": lambda f: (f / "confidence.json").write_text("no"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_calibration_is_refused(fitted, tmp_path, damage):
    save(fitted[2], tmp_path)
    damage(tmp_path / "calibration")
    with pytest.raises(Any2AnyError, match=r"Cannot read the calibration in .*alibrate again"):
        load(tmp_path)


def test_the_saved_table_is_plain_json(fitted, tmp_path):
    save(fitted[2], tmp_path)
    header = json.loads((tmp_path / "calibration" / "calibration.json").read_text())
    assert header["fusion"] == fitted[2].fusion.plug and len(header["table"]) == len(FUSIONS.names())


def test_a_drive_calibrates_the_map_made_from_itself():
    """References too near along the path may not answer: it is as if each query's map lacked them."""
    reference, _, _, folds = drive(NOISE)
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
    found = calibrate(
        ReferenceMap(places, reference.encoders, "town"), places, twice, folds, 5.0, promises=PROMISES, allowed=allowed
    )
    everything = next(row for row in found.table if row["chosen"])["patterns"]["fair+good+useless"]
    # of 59 references that may answer one is right, and it is the query's very copy; its own row never answers
    assert everything["chance@1"] == pytest.approx(1 / 59) and everything["recall@1"] == 1.0
