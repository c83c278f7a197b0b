"""A map that was opened: warmed up, it answers as before, and it is warm."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from large_maps import RECORDS, fusions, queries, write

from any2any_ros.config import RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.learning import head
from any2any_ros.observation import Observation
from any2any_ros.retrieval import adopted, calibration, reference_map, retriever
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.opened_map import open_map


def opened(folder):
    return open_map(folder, RetrievalConfig(device="cpu"), 5.0)


def adopt(folder):
    """Teach the map a sensor whose vectors are those of its camera, doubled."""
    reference = reference_map.load(folder)
    camera = reference.places.embeddings["camera"][reference.places.present("camera")]
    learnt = head.fit(2 * camera, camera, head.Space.of(camera), head.Recipe(True, 1e-3, 10.0))
    record = EncoderRecord("thermal", "thermal-1", camera.shape[1])
    trust = calibration.Calibration(RawMean(), None, adopted.fingerprints(reference, "thermal", record), 5.0)
    adopted.save(adopted.Adopted("thermal", record, {"camera": learnt}, trust), folder)


def test_the_tables_of_the_search_are_made_before_the_first_answer(tmp_path, monkeypatch):
    for module in (retriever, reference_map):
        monkeypatch.setattr(module, "LARGE", 100)
    write(tmp_path, fusions()["any2any"])
    warm, cold = opened(tmp_path), opened(tmp_path)
    warm.warm_up()
    assert isinstance(warm.retriever.searcher, LargeMapSearcher)
    tables = [one.retriever.searcher._search._bound._table.cache_info().currsize for one in (warm, cold)]
    assert tables == [9, 0]  # one for each pair
    for query in queries():
        a, b = warm.rank(query, 5), cold.rank(query, 5)
        assert [(m.id, m.score) for m in a.matches] == [(m.id, m.score) for m in b.matches]


def test_adopted_sensors_are_warmed_up_too(tmp_path, monkeypatch):
    write(tmp_path)
    adopt(tmp_path)
    both, ranked = opened(tmp_path), []
    for one in (both.retriever, *both.adopted.values()):
        rank = one.rank
        monkeypatch.setattr(one, "rank", lambda query, rank=rank: ranked.append(query.modalities) or rank(query))
    both.warm_up()
    assert ranked == [tuple(sorted(RECORDS)), ("thermal",)]


def test_an_empty_map_is_warmed_up(tmp_path):
    write(tmp_path)
    whole = reference_map.load(tmp_path)
    reference_map.save(replace(whole, places=whole.places.take([])), tmp_path)
    none = opened(tmp_path)
    none.warm_up()
    assert not none.rank(Observation({"camera": np.ones(6, dtype=np.float32)}), 3).matches


def test_a_map_that_is_none_is_refused(tmp_path):
    with pytest.raises(Any2AnyError, match=r"no map\.json"):
        opened(tmp_path)


@pytest.mark.parametrize("large", [10**6, 100])
def test_a_map_that_is_no_longer_used_is_gone_at_once(tmp_path, monkeypatch, large):
    """Python's collector of cycles comes late, and a robot whose maps are replaced would hold several."""
    for module in (retriever, reference_map):
        monkeypatch.setattr(module, "LARGE", large)
    write(tmp_path, fusions()["any2any"])
    one = opened(tmp_path)
    one.warm_up()
    one.rank(queries()[0], 5)
    gc.collect()
    gc.disable()
    try:
        gone = [weakref.ref(part) for part in (one, one.retriever, one.reference.places, one.retriever.searcher)]
        del one
        assert [part() for part in gone] == [None] * 4
    finally:
        gc.enable()
