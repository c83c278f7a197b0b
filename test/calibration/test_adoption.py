"""Adopting a sensor: the others' recognition teaches it, and held-out places judge it."""

from dataclasses import replace

import numpy as np
import pytest
from adopted_worlds import SEEN, SENSOR, UNSEEN

from any2any_ros.calibration import adoption
from any2any_ros.calibration.adoption import AdoptionConfig, by_cell
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.head import RECIPES
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.workflows.adopt import AdoptionOptions, adopt_from_frames


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
    folder, _ = world
    retriever = Retriever.open(folder, 5.0)
    reference = retriever.reference
    with pytest.raises(Any2AnyError, match="the map was made from this drive"):
        adopt_from_frames(reference, retriever, reference.places, SENSOR)


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
