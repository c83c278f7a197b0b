"""Adopting a sensor: the others' recognition teaches it, held-out places judge it, and what is saved is whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from any2any_ros import storage
from any2any_ros.calibration import adoption
from any2any_ros.calibration.adoption import AdoptionConfig, by_cell
from any2any_ros.config import AliveConfig, PlaceConfig, RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.learning.head import RECIPES
from any2any_ros.observation import Embedding, ObservationSet
from any2any_ros.retrieval import adopted as adopted_sensors
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval import retriever as retriever_module
from any2any_ros.retrieval.adopted import Adopted
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.workflows.adopt import AdoptionOptions, NewSensor, adopt_from_frames
from any2any_ros.workflows.calibrate import fit

PLACE = PlaceConfig()
NEW = EncoderRecord("thermal", "thermal-test", 10)
SENSOR = NewSensor("thermal", NEW)
COUNT, WIDTH = 320, 16  # places 10 m apart, on as many lines as fill a square
SEEN, UNSEEN = np.arange(220), np.arange(230, COUNT)  # by the drive of the adoption, and by none


def observe(latent, noise, seed, modalities):
    """Return what each sensor, with a mixing of its own, sees of the places."""
    draw, columns = np.random.default_rng(seed), {}
    for m, sigma in modalities.items():
        mixing = np.random.default_rng(sum(map(ord, m))).normal(size=(latent.shape[1], 10 if m == "thermal" else 12))
        columns[m] = (latent @ mixing + noise * sigma * draw.normal(size=(len(latent), mixing.shape[1]))).astype("f4")
    return columns


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A calibrated map of camera and lidar in a folder, a drive with a thermal camera beside them, and its places."""
    latent = np.random.default_rng(0).normal(size=(COUNT, 8))
    poses = np.tile(np.eye(4), (COUNT, 1, 1))
    rows, columns = np.divmod(np.arange(COUNT), WIDTH)
    poses[:, 0, 3], poses[:, 1, 3] = 10.0 * np.where(rows % 2, WIDTH - 1 - columns, columns), 10.0 * rows
    known = {"camera": 1.0, "lidar": 1.0}
    ids = [tuple(f"{lap}/{i:03d}" for i in range(COUNT)) for lap in ("map", "first", "second")]
    records = {m: EncoderRecord(m, f"{m}-test", 12) for m in known}
    reference = ReferenceMap(ObservationSet(observe(latent, 0.0, 1, known), poses, ids[0]), records, "grid")
    folder = tmp_path_factory.mktemp("adoption") / "map"
    reference_map.save(reference, folder)
    first = ObservationSet(observe(latent, 0.7, 2, known), poses, ids[1])
    calibration.save(fit(reference, first), folder)
    driven = ObservationSet(observe(latent, 0.7, 3, known | {"thermal": 0.7}), poses, ids[2])
    return folder, driven


@pytest.fixture(scope="module")
def adopted(world):
    folder, driven = world
    retriever = Retriever.open(folder, 5.0)
    reference = retriever.reference
    frames = driven.take(SEEN)
    blind = replace(frames, poses=np.full_like(frames.poses, np.nan))  # no pose of the drive is needed
    return adopt_from_frames(reference, retriever, blind, SENSOR)


@pytest.fixture
def own_folder(world, adopted, tmp_path):
    """A copy of the map, with the sensor adopted."""
    import shutil

    shutil.copytree(world[0], tmp_path / "map")
    adopted_sensors.save(adopted, tmp_path / "map")
    return tmp_path / "map"


def recall(adopted, world, rows=UNSEEN):
    folder, driven = world
    retriever = adopted.retriever(reference_map.load(folder))
    ranked = [retriever.rank(o, 1).matches[0].id for o in driven.take(rows).only(["thermal"])]
    return np.mean([name == f"map/{i:03d}" for name, i in zip(ranked, rows, strict=True)])


def test_the_new_sensor_alone_finds_places_that_the_drive_never_saw(adopted, world):
    assert recall(adopted, world) > 0.5  # chance: 1 / 320


def test_emergent_pairs_teach_nearly_what_true_places_do(adopted, world):
    folder, driven = world
    reference = reference_map.load(folder)
    pairs = replace(driven.take(SEEN), poses=reference.places.poses[SEEN])
    fitted = adoption.fit_heads(reference.places, pairs, "thermal", 5.0)
    paired = replace(adopted, heads=fitted.heads)
    assert recall(adopted, world) >= 0.9 * recall(paired, world)


def test_its_probability_is_about_true_on_places_it_has_not_seen(adopted, world):
    folder, driven = world
    retriever = adopted.retriever(reference_map.load(folder))
    rankings = [retriever.rank(o) for o in driven.take(UNSEEN).only(["thermal"])]
    assert np.mean([r.probability for r in rankings]) == pytest.approx(recall(adopted, world), abs=0.15)


def test_what_is_reported_is_what_was_found(adopted):
    report = adopted.report
    assert report["frames"] == len(SEEN) >= report["pairs"] > 150 and "right" not in report
    assert report["mrr"] > 3 * report["chance"] and report["p"] <= 0.01
    assert set(report["recipes"]) == {"camera", "lidar"} == set(adopted.heads)


def test_with_poses_it_is_told_how_many_pairs_are_right(world):
    folder, driven = world
    retriever = Retriever.open(folder, 5.0)
    reference = retriever.reference
    report = adopt_from_frames(reference, retriever, driven.take(SEEN), SENSOR).report
    assert report["with_pose"] == report["pairs"] and 0.9 < report["right"] / report["pairs"] <= 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["noise", "shuffled", "stuck"])
def test_a_sensor_that_knows_no_places_is_refused(world, kind, seed):
    folder, driven = world
    retriever = Retriever.open(folder, 5.0)
    reference = retriever.reference
    frames, draw = driven.take(SEEN), np.random.default_rng(seed)
    vectors = frames.embeddings["thermal"]
    useless = {
        "noise": draw.normal(size=vectors.shape), "shuffled": draw.permutation(vectors), "stuck": 0 * vectors + seed
    }[kind]  # fmt: skip
    frames = replace(frames, embeddings={**frames.embeddings, "thermal": useless.astype(np.float32)})
    with pytest.raises(Any2AnyError, match="does not tell places apart"):
        adopt_from_frames(reference, retriever, frames, SENSOR)


def test_too_few_pairs_are_refused_with_their_number(world):
    folder, driven = world
    retriever = Retriever.open(folder, 5.0)
    reference = retriever.reference
    with pytest.raises(
        Any2AnyError, match=r"of 40 frames with it, \d+ are recognised with certainty, and 150 are needed"
    ):
        adopt_from_frames(reference, retriever, driven.take(range(40)), SENSOR)
    strict = AdoptionConfig(min_pairs=100_000)
    with pytest.raises(Any2AnyError, match="100000 are needed"):
        adopt_from_frames(reference, retriever, driven.take(SEEN), SENSOR, AdoptionOptions(adoption=strict))


def test_the_maps_own_drive_is_refused(world):
    folder, driven = world
    retriever = Retriever.open(folder, 5.0)
    reference = retriever.reference
    with pytest.raises(Any2AnyError, match="the map was made from this drive"):
        adopt_from_frames(reference, retriever, replace(driven, ids=reference.places.ids), SENSOR)


def test_pairs_at_one_place_or_never_beside_a_known_sensor_teach_nothing(world):
    folder, driven = world
    places = reference_map.load(folder).places
    alone = driven.take(SEEN)
    alone.embeddings["camera"][:], alone.embeddings["lidar"][:] = np.nan, np.nan
    with pytest.raises(Any2AnyError, match="in no moment together"):
        adoption.fit_heads(places, alone, "thermal", 5.0)
    with pytest.raises(Any2AnyError, match="all pairs lie at one place"):
        adoption.fit_heads(places, driven.take([0, 1, 2]), "thermal", 5.0)


def test_no_pair_is_judged_by_a_head_that_has_seen_its_place(world, monkeypatch):
    folder, driven = world
    pairs, fitted = driven.take(SEEN), []
    places = reference_map.load(folder).places
    plain = adoption.head.fit

    def spy(x, y, space, recipe):
        fitted.append({tuple(row) for row in x.tolist()})
        return plain(x, y, space, recipe)

    monkeypatch.setattr(adoption.head, "fit", spy)
    adoption.fit_heads(places, pairs, "thermal", 5.0, RECIPES[:1])
    folds = by_cell(pairs.poses)
    rows = [tuple(row) for row in pairs.embeddings["thermal"].tolist()]
    for f, seen in zip(np.unique(folds), fitted, strict=False):  # one fit a fold, then the whole one
        assert seen == {row for row, fold in zip(rows, folds, strict=True) if fold != f}


def test_neighbours_are_held_out_together():
    poses = np.tile(np.eye(4), (4, 1, 1))
    poses[:, 0, 3] = 1, 59, 61, -1
    folds = by_cell(poses)
    assert folds[0] == folds[1] and len({*folds[1:]}) == 3


def test_a_shift_against_oneself_is_chance():
    similarity = np.eye(100, dtype=np.float32)
    quality = adoption._by_shift(similarity, np.eye(100, dtype=bool))
    assert quality[0] == 1 and (quality[1:] < 0.3).all() and len(quality) == 1 + 88


def test_it_is_kept_without_loss_and_known_to_the_map(own_folder, adopted, world):
    reference = reference_map.load(own_folder)
    assert reference.adopted == {"thermal": NEW} and set(reference.sensors) == {"camera", "lidar", "thermal"}
    assert "thermal" not in reference.encoders and "thermal" not in reference.places.embeddings
    (again,) = adopted_sensors.load(own_folder).values()
    observation = world[1].take(UNSEEN[:1]).only(["thermal"]).observation(0)
    before, after = (a.retriever(reference).rank(observation) for a in (adopted, again))
    assert [m.id for m in before.matches] == [m.id for m in after.matches]
    assert before.probability == after.probability and again.report == adopted.report
    adopted_sensors.save(again, own_folder)  # once more, over itself
    assert sorted(p.name for p in (own_folder / "adopted").iterdir()) == ["thermal"]


def test_the_old_calibration_answers_as_before(own_folder, world):
    observation = world[1].take([7]).observation(0)
    before, after = (Retriever.open(f, 5.0).rank(observation) for f in (world[0], own_folder))
    assert before.probability == after.probability and before.modalities == after.modalities == ("camera", "lidar")


def test_an_interrupted_save_leaves_the_old_one(own_folder, adopted, monkeypatch):
    kept = (own_folder / "adopted/thermal/adopted.json").read_text()

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(storage, "save", full)
    with pytest.raises(OSError, match="No space"):
        adopted_sensors.save(adopted, own_folder)
    assert (own_folder / "adopted/thermal/adopted.json").read_text() == kept
    assert [p.name for p in (own_folder / "adopted").iterdir()] == ["thermal"]


@pytest.mark.parametrize("harm", ["adopted.json", "head-0.npz", "calibration/fusion.json"])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_damage_is_told(own_folder, harm, how):
    file = own_folder / "adopted/thermal" / harm
    file.write_bytes(file.read_bytes()[:10]) if how == "cut" else file.unlink()
    with pytest.raises(Any2AnyError, match=r"Adopt it again|Fit it again|Calibrate again"):
        adopted_sensors.load(own_folder)
    if harm == "adopted.json":
        with pytest.raises(Any2AnyError, match=r"Remove .*, and adopt the sensor again"):
            reference_map.load(own_folder)


def test_it_is_bound_to_the_encoders_of_both_sides(own_folder):
    (kept,) = adopted_sensors.load(own_folder).values()
    reference = reference_map.load(own_folder)
    other = replace(reference, encoders=reference.encoders | {"lidar": EncoderRecord("lidar", "lidar-other", 12)})
    newer = Adopted("thermal", replace(NEW, fingerprint="thermal-other"), kept.heads, kept.calibration)
    for side, of in ((kept, other), (newer, reference)):
        with pytest.raises(Any2AnyError, match="Adopt it again"):
            side.retriever(of)


# --- a map in use ---------------------------------------------------------------------------------------------


@pytest.fixture
def localizer(own_folder):
    opened = Localizer(AliveConfig(), RetrievalConfig(k=3), same_place=5.0)
    opened.open(own_folder, lambda modalities: {})
    return opened


def seen(world, modality, place):
    return Embedding(modality, world[1].embeddings[modality][place], 10**9, encoder=f"{modality}-test")


def test_the_new_sensor_answers_where_no_known_one_is_alive(localizer, world):
    known, alone, both = ([seen(world, m, 240) for m in ms] for ms in (["camera"], ["thermal"], ["camera", "thermal"]))
    rankings = [localizer.rank(localizer.observation(given, "", 10**9)) for given in (known, alone, both)]
    assert rankings[1].modalities == ("thermal",) and rankings[1].missing == ("camera", "lidar")
    assert 0 < rankings[1].probability < 1 and rankings[1].place_set
    assert rankings[2].modalities == ("camera",) and rankings[2].probability == rankings[0].probability


def test_another_encoder_and_an_unknown_sensor_are_refused(localizer, world):
    other = replace(seen(world, "thermal", 3), encoder="thermal-other")
    radar = replace(seen(world, "thermal", 3), modality="radar")
    for stranger in (other, radar):
        with pytest.raises(Any2AnyError, match="cannot be used with map"):
            localizer.add(stranger, 10**9)


def test_a_place_added_later_is_found_by_the_new_sensor(localizer, world):
    latent = world[1].take([5])
    far = np.eye(4)[None] + 500 * np.eye(4, k=3)[None]
    place = ObservationSet(
        {m: latent.embeddings[m] + 3 for m in latent.modalities},
        far,
        ("shed",),
    )
    localizer.add_place(place)
    assert len(localizer.reference) == COUNT + 1 and "thermal" not in localizer.reference.places.embeddings
    ranking = localizer.rank(localizer.observation([seen(world, "thermal", 240)], "", 10**9), 1000)
    assert len(ranking.matches) == COUNT + 1
    with pytest.raises(Any2AnyError, match="Cannot add a place"):
        localizer.add_place(replace(place.only(["thermal"]), ids=("barn",)))


def test_a_large_maps_vectors_are_kept_for_the_new_sensor_too(own_folder, world, monkeypatch):
    for module in (retriever_module, reference_map):
        monkeypatch.setattr(module, "LARGE", COUNT)
    reference, adopted = reference_map.load(own_folder), adopted_sensors.load(own_folder)["thermal"]
    shape = 1, len(adopted.heads)
    ratio = replace(adopted.calibration, fusion=LikelihoodRatio(np.full(shape, 9.0), np.zeros(shape)))
    first = replace(adopted, calibration=ratio).retriever(reference)
    assert list((own_folder / "adopted/thermal/shards").glob("*/shards.json")) and not (own_folder / "shards").exists()
    assert reference_map.load(own_folder).adopted and adopted_sensors.load(own_folder)  # both pass them by
    monkeypatch.setattr(LargeMapSearcher, "_new_shards", lambda self, reference: pytest.fail("made again"))
    again = replace(adopted_sensors.load(own_folder)["thermal"], calibration=ratio).retriever(reference)
    query = world[1].only(["thermal"]).observation(240)
    one, other = first.rank(query, 20), again.rank(query, 20)
    assert [(m.id, m.score) for m in one.matches] == [(m.id, m.score) for m in other.matches]
    assert len(one.matches) == 20


def test_what_is_asked_for_in_sequence_goes_through_the_filter(own_folder, world):
    follower = Localizer(AliveConfig(), RetrievalConfig(k=3, filter="bayes"), same_place=5.0)
    follower.open(own_folder, lambda modalities: {})
    answers = []
    for i in range(230, 250):
        moment = replace(seen(world, "thermal", i), stamp_ns=i * 10**9)
        answers += follower.add(moment, i * 10**9) + follower.flush(i * 10**9)
    assert np.mean([a.matches[0].id == f"map/{i:03d}" for a, i in zip(answers, range(230, 250), strict=True)]) > 0.8


def test_paths_in_the_documentation_are_those_on_disk(own_folder):
    found = {str(Path(p).relative_to(own_folder / "adopted/thermal").parts[0]) for p in
             (own_folder / "adopted/thermal").rglob("*")}  # fmt: skip
    assert found == {"adopted.json", "calibration", "head-0.json", "head-0.npz", "head-1.json", "head-1.npz"}
