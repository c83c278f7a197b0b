"""An imputer adds a modality for the comparison; it never counts as observed, and is saved with the calibration."""

import json

import numpy as np
import pytest

from any2any_ros.calibration.fitting import CalibrationConfig, calibrate
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.calibration.task import Task
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.imputers import IMPUTERS, LATENT
from any2any_ros.imputers.none import NO_IMPUTER
from any2any_ros.learning import calmrl
from any2any_ros.learning import imputers as learning
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval import retriever as retriever_module
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever, bare_retriever
from any2any_ros.trust.confidence import ConfidenceConfig

WIDTH = {"camera": 12, "lidar": 10, "text": 8}
PROMISES = ConfidenceConfig(min_queries=30)


def drive(seed=0, count=60, missing=0.4):
    """Return an incomplete map and a drive through it, whose sensors all see the same few things."""
    draw = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = 10.0 * np.arange(count)
    beta = draw.normal(size=(count, 5))
    laps = []
    view = {m: draw.normal(size=(5, d)) for m, d in WIDTH.items()}
    for lap, share in (("map", missing), ("drive", 0.0)):
        columns = {m: beta @ w + 0.4 * draw.normal(size=(count, w.shape[1])) for m, w in view.items()}
        off = draw.random((count, 3)) < share
        off[off.all(axis=1), 0] = False
        columns = {m: np.where(off[:, [i]], np.nan, v) for i, (m, v) in enumerate(columns.items())}
        laps.append(ObservationSet(columns, poses, tuple(f"{lap}/{i}" for i in range(count))))
    records = {m: EncoderRecord(m, f"{m}-1", d) for m, d in WIDTH.items()}
    task = Task(laps[1], np.eye(count, dtype=bool), folds=np.arange(count) // 5 % 4, same_place=5.0)
    return ReferenceMap(laps[0], records, "town"), task


@pytest.fixture(scope="module")
def both():
    reference, task = drive()
    fitted = {i: calibrate(reference, task, CalibrationConfig("mixture", i), PROMISES) for i in IMPUTERS.names()}
    return reference, task.queries, fitted


def test_the_latent_is_the_posterior_mean_and_missing_where_nothing_was_seen():
    places = drive()[0].places
    model = calmrl.fit(places, latent=3)
    nothing = ObservationSet({"camera": np.full((1, 12), np.nan)}, np.tile(np.eye(4), (1, 1, 1)), ("dark",))
    found = model.extend(ObservationSet.concatenate([places, nothing]))
    np.testing.assert_allclose(found.embeddings[LATENT][:-1], model.posterior(places)[0], atol=1e-6)
    assert np.isnan(found.embeddings[LATENT][-1]).all()
    assert found.modalities[:-1] == places.modalities  # it is the last, so the sensors' columns stay where they are


def test_places_without_a_common_sensor_are_found(both):
    """A camera asks for places of which a LiDAR alone was mapped: without an imputer nothing can be compared."""
    reference, queries, fitted = both
    mapped = reference.places
    other = np.flatnonzero(mapped.present("lidar") & ~mapped.present("camera"))
    places = ObservationSet(
        {m: np.where(np.isin(np.arange(60), other)[:, None] & (m != "lidar"), np.nan, v)
         for m, v in mapped.embeddings.items()}, mapped.poses, mapped.ids,
    )  # fmt: skip
    lidar_only = ReferenceMap(places, reference.encoders)
    asked = queries.take(other)
    rank = {i: Retriever(lidar_only, found) for i, found in fitted.items()}

    def right(retriever):
        first = [retriever.rank(o.only(["camera"]), 1).matches[0].id for o in asked]
        return np.mean([name == f"map/{i}" for name, i in zip(first, other, strict=True)])

    assert len(other) > 8 and right(rank["none"]) == 0
    assert right(rank["calmrl"]) > 0.3  # chance 1/60


def test_it_counts_as_nobody_that_was_seen(both):
    _, queries, fitted = both
    reference = both[0]
    retriever = Retriever(reference, fitted["calmrl"])
    ranking = retriever.rank(queries.observation(3).only(["camera"]))
    assert ranking.modalities == ("camera",) and ranking.missing == ("lidar", "text")
    assert ranking.reference_modalities == ("camera", "lidar", "text")
    assert all(m.pair_probability.shape == (1, 3) for m in ranking.matches)
    assert set(ranking.differences) <= {"camera"}
    assert retriever.modalities == ("camera", "lidar", "text")
    patterns = {key for key in fitted["calmrl"].confidence.weights if key[0] not in "*a"}
    assert patterns and not any(LATENT in key for key in patterns)
    assert set(fitted["calmrl"].table[0]["patterns"]) == set(fitted["none"].table[0]["patterns"])


def test_nothing_seen_is_not_ranked(both):
    reference, _, fitted = both
    assert Retriever(reference, fitted["calmrl"]).rank(Observation({})).matches == ()


def test_added_places_are_compared_by_it_too(both):
    reference, queries, fitted = both
    retriever = Retriever(reference, fitted["calmrl"])
    new = ObservationSet({"lidar": queries.embeddings["lidar"][:1]}, np.eye(4)[None], ("new",))
    retriever.add(new)
    _, scores = Scorer.of(retriever).scores(queries.take([0]).only(["camera"]))
    assert len(retriever.places) == 61 and np.isfinite(scores[0, 60])


def test_a_large_map_answers_like_a_small_one(monkeypatch):
    reference, task = drive(1)
    fitted = calibrate(reference, task, CalibrationConfig("likelihood_ratio", "calmrl"), PROMISES)
    small = Retriever(reference, fitted)
    monkeypatch.setattr(retriever_module, "LARGE", 10)
    large = Retriever(reference, fitted)
    assert isinstance(large.searcher, LargeMapSearcher)
    for observation in list(task.queries)[:20]:
        for pattern in (["camera"], ["lidar", "text"]):
            one, two = (r.rank(observation.only(pattern)) for r in (small, large))
            np.testing.assert_allclose([m.score for m in one.matches], [m.score for m in two.matches], atol=0.05)
            assert one.modalities == two.modalities and two.matches[0].pair_probability.shape == (len(pattern), 3)


def test_it_is_kept_with_the_calibration(both, tmp_path):
    reference, queries, fitted = both
    reference_map.save(reference, tmp_path)
    for name in ("none", "calmrl"):
        calibration.save(fitted[name], tmp_path)
        header = json.loads((tmp_path / "calibration" / "calibration.json").read_text())
        assert header["imputer"] == name
        again = Retriever.open(tmp_path, 5.0)
        assert again.calibration.imputer.plug == name
        one, two = (r.rank(queries.observation(7)) for r in (Retriever(reference, fitted[name]), again))
        assert [m.id for m in one.matches] == [m.id for m in two.matches] and one.probability == two.probability
        assert (tmp_path / "calibration" / "imputer.npz").exists() == (name == "calmrl")


def test_a_calibration_made_before_imputers_is_read(both, tmp_path):
    fitted = both[2]
    calibration.save(fitted["none"], tmp_path)
    path = tmp_path / "calibration" / "calibration.json"
    header = json.loads(path.read_text())
    del header["imputer"]
    path.write_text(json.dumps(header | {"format": 3, "check": None, "usual": header["drift"]}))
    assert calibration.load(tmp_path).imputer is NO_IMPUTER


def test_a_lost_imputer_is_an_error_and_not_left_out(both, tmp_path):
    calibration.save(both[2]["calmrl"], tmp_path)
    (tmp_path / "calibration" / "imputer.npz").unlink()
    with pytest.raises(Any2AnyError, match="Cannot read the fitted state"):
        calibration.load(tmp_path)


def test_a_fusion_learns_from_queries_with_dead_sensors_too():
    reference, task = drive()
    queries = task.queries
    extended = calmrl.fit(reference.places, latent=3).training_queries(queries, 0)
    assert len(extended) == 120 and len(NO_IMPUTER.training_queries(queries, 0)) == 60
    np.testing.assert_array_equal(extended.embeddings["lidar"][:60], queries.embeddings["lidar"])
    assert 0.3 < extended.present("lidar")[60:].mean() < 0.7
    assert not np.allclose(extended.embeddings[LATENT][:60], extended.embeddings[LATENT][60:], equal_nan=True)


def test_every_imputer_can_be_fitted():
    assert IMPUTERS.names() == tuple(sorted(learning.FITS)) == ("calmrl", "none")
    fitted = {plug: learning.fit(plug, drive()[0].places) for plug in IMPUTERS.names()}
    assert all(type(fitted[plug]) is IMPUTERS.find(plug) for plug in fitted)
    with pytest.raises(Any2AnyError, match="'magic' cannot be fitted"):
        learning.fit("magic", drive()[0].places)


def test_an_unknown_imputer_is_refused():
    with pytest.raises(Any2AnyError, match="Setting 'imputer' cannot be 'magic'"):
        CalibrationConfig(imputer="magic")


def test_without_an_imputer_nothing_changes():
    places = drive()[0].places
    plain = bare_retriever(places, RawMean())
    assert plain.imputer is NO_IMPUTER and plain.places is places
