"""A large map opened from disk answers as one held in memory does."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from large_maps import (
    WIDTH,
    N,
    fusions,
    in_memory,
    never_made,
    opened,
    places,
    queries,
    same_answers,
    shard_folders,
    write,
)

from any2any_ros.config import AliveConfig, RetrievalConfig
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.z_score import ZScore
from any2any_ros.imputers.none import NoImputer
from any2any_ros.learning import csa
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.calibration import uncalibrated
from any2any_ros.retrieval.large import search
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.large.shard_cache import IN_MEMORY, ShardFolder
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.searcher import WholeMapSearcher
from any2any_ros.retrieval.similarity import SameSpace

pytestmark = pytest.mark.usefixtures("small_maps_are_large")


@pytest.fixture(params=fusions().values(), ids=fusions().keys())
def folder(request, tmp_path):
    """A calibrated map on disk that nobody has opened."""
    write(tmp_path / "map", request.param)
    return tmp_path / "map"


def aligned_by(reference, alignments, fusion):
    return replace(uncalibrated(reference), fusion=fusion, alignments=alignments)


def test_a_map_answers_from_disk_as_from_memory_the_first_time_and_after(folder, monkeypatch):
    first = opened(folder)
    assert len(shard_folders(folder)) == 1
    from_memory = in_memory(first)
    never_made(monkeypatch)
    again = opened(folder)
    assert isinstance(again.searcher, LargeMapSearcher) and isinstance(from_memory.searcher, LargeMapSearcher)
    on_disk, in_ram = (found.searcher.shards._shards[0][0] for found in (again, from_memory))
    assert not on_disk.flags.writeable and in_ram.flags.writeable
    same_answers(first, from_memory)
    same_answers(again, from_memory)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the kernel tells what is in memory on Linux alone")
def test_neither_opening_nor_ranking_leaves_vectors_or_poses_in_memory(one):
    """Not the first time either, when all of them are read."""

    def looked_at():
        file = re.escape(str(one)) + r"/places-\w+\.npz"
        found = re.findall(file + r"\n.*?\nRss: +(\d+) kB", Path("/proc/self/smaps").read_text(), re.S)
        return sum(map(int, found))

    for _ in range(2):
        found = opened(one)
        assert looked_at() == 0
        found.places.observation(5)
        assert looked_at() > 0
        assert found.rank(queries()[0]).differences
        assert looked_at() == 0


def test_it_still_does_when_places_are_added_one_by_one(folder):
    opened(folder)
    again = opened(folder)
    from_memory = in_memory(again)
    for seed in range(1, 8):
        more = places(seed, 1 + seed % 3)
        more = more.only(["camera", "lidar"]) if seed % 2 else more
        for side in (again, from_memory):
            side.add(more)
    assert len(again.places) == len(from_memory.places) > N
    same_answers(again, from_memory)


def test_places_added_are_found_and_saved_and_kept_anew(one):
    opened(one)
    before = shard_folders(one)
    localizer = Localizer(AliveConfig(), RetrievalConfig(device="cpu"), 5.0)
    localizer.open(one, lambda known: {})
    for i in range(3):
        new = places(50 + i, 1, missing=0)
        new = replace(new, embeddings=dict.fromkeys(WIDTH, new.embeddings["lidar"]))  # all nine pairs agree
        localizer.add_place(new)
        assert localizer.rank(new.observation(0)).matches[0].id == new.ids[0]
    reference_map.save(localizer.reference, one)
    again = opened(one)
    assert again.places.ids == localizer.reference.places.ids and len(again.places) == N + 3
    same_answers(again, localizer.retriever)
    assert shard_folders(one) != before and len(shard_folders(one)) == 1


def across(seed=0):
    """Return alignments into a space shared by two pairs, and others."""
    draw = np.random.default_rng(seed)
    shared = draw.normal(size=(100, 3))
    sides = {m: shared @ draw.normal(size=(3, d)) for m, d in WIDTH.items()}
    fitted = csa.fit(sides["camera"], sides["lidar"])
    same = SameSpace()
    return {("camera", "lidar"): fitted, ("audio", "lidar"): fitted, ("lidar", "lidar"): same, ("audio", "audio"): same}


@pytest.mark.parametrize("fusion", fusions((3, 2)).values(), ids=fusions((3, 2)).keys())
def test_alignments_are_known_again_by_their_content(one, fusion, monkeypatch):
    reference = reference_map.load(one)

    def aligned(seed):
        return Retriever(reference, aligned_by(reference, across(seed), fusion), device="cpu")

    first = aligned(0)
    assert len(first.searcher.shards.columns) == 3  # both pairs that share an alignment share its vectors
    from_memory, made = in_memory(first), LargeMapSearcher._new_shards
    never_made(monkeypatch)
    same_answers(aligned(0), from_memory)
    monkeypatch.setattr(LargeMapSearcher, "_new_shards", made)
    other = aligned(1)
    same_answers(other, in_memory(other))


def test_another_process_is_asked_before_shards_are_made_here_and_never_again(one, monkeypatch):
    asked = []

    def elsewhere():
        asked.append(opened(one))  # as another process would

    made, count = LargeMapSearcher._new_shards, []
    monkeypatch.setattr(LargeMapSearcher, "_new_shards", lambda *a: count.append(1) or made(*a))
    first = Retriever.open(one, 5.0, "cpu", 1, elsewhere)
    assert len(asked) == 1 and count == [1]  # what the other one has made is opened
    same_answers(first, asked[0])
    Retriever.open(one, 5.0, "cpu", 1, elsewhere)
    assert len(asked) == 1


def test_what_no_other_process_makes_is_made_here(one):
    same_answers(Retriever.open(one, 5.0, "cpu", 1, lambda: None), opened(one))


def test_a_localizer_searches_by_as_many_threads_as_it_was_told(one, monkeypatch):
    pools = []

    class Pool(search.ThreadPoolExecutor):
        def __init__(self, threads):
            pools.append(threads)
            super().__init__(threads)

    monkeypatch.setattr(search, "ThreadPoolExecutor", Pool)
    found = []
    for threads in (1, 3):
        localizer = Localizer(AliveConfig(), RetrievalConfig(threads=threads), 5.0)
        localizer.open(one, lambda modalities: dict.fromkeys(modalities, 1.0))
        found.append([m.id for m in localizer.rank(localizer.reference.places.observation(3)).matches])
    assert found[0] == found[1] and pools == [3]


def test_a_map_that_is_not_calibrated_yet_keeps_its_shards_too(one):
    shutil.rmtree(one / "calibration")
    found = opened(one)
    assert len(list((one / "shards").glob("*/shards.json"))) == 1
    same_answers(found, in_memory(found))


def test_a_map_of_a_fusion_without_a_bound_is_compared_whole_and_keeps_nothing(one):
    reference = reference_map.load(one)
    found = Retriever(reference, aligned_by(reference, across(), ZScore()))
    assert isinstance(found.searcher, WholeMapSearcher) and not (one / "shards").exists()


def test_an_imputer_that_makes_other_references_keeps_nothing(one):
    class Everywhere(NoImputer):
        def extend(self, observations):
            filled = {m: np.nan_to_num(np.asarray(v), nan=1.0) for m, v in observations.embeddings.items()}
            return ObservationSet(filled, observations.poses, observations.ids)

    reference = reference_map.load(one)
    calibration = aligned_by(reference, across(), fusions((3, 2))["likelihood_ratio"])
    Retriever(reference, replace(calibration, imputer=Everywhere()))
    assert not (one / "shards").exists()


def test_an_alignment_that_is_no_fitted_state_keeps_nothing(one):
    class Mine:
        def query(self, x):
            return x

        reference = query

    reference = reference_map.load(one)
    fusion = LikelihoodRatio(np.full((1, 1), 4.0), np.zeros((1, 1)))
    Retriever(reference, aligned_by(reference, {("lidar", "lidar"): Mine()}, fusion))
    assert not (one / "shards").exists()


def test_other_places_never_meet_the_shards_of_the_file(one):
    opened(one)
    reference = reference_map.load(one)
    assert reference.shard_cache == ShardFolder(one, reference.shard_cache.source)
    backwards = replace(reference, places=reference.places.take(range(N - 1, -1, -1)))
    assert backwards.shard_cache is IN_MEMORY and reference.with_places(places(3, 1)).shard_cache is IN_MEMORY
    query = places(0, missing=0.3).observation(7)
    assert {Retriever(r, calibration.load(one)).rank(query, 1).matches[0].id for r in (reference, backwards)} == {"0/7"}
