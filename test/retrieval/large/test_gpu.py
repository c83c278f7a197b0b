"""What a GPU is asked to do, on PyTorch's CPU: the same rankings as without it, whatever the vectors and patterns."""

import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import any2any
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.fusion.z_score import ZScore
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.protocols import Index
from any2any_ros.retrieval.calibration import uncalibrated
from any2any_ros.retrieval.index import ExactIndex
from any2any_ros.retrieval.large import gpu
from any2any_ros.retrieval.large.bounds import PairQuery
from any2any_ros.retrieval.large.search import Search
from any2any_ros.retrieval.large.shards import Shards
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.similarity import SimilarityMatrix, same_modality

DIMENSION = {"camera": 4, "lidar": 6}
HERE = "cpu:0"  # PyTorch's name of the CPU, by which ours takes it for an accelerator


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: make torch")


def vectors(draw, n, dimension, missing=0.3):
    made = draw.normal(size=(n, dimension)).astype(np.float32)
    made[draw.random(n) < missing] = np.nan
    return made


def places(draw, n, missing=0.3):
    columns = {m: vectors(draw, n, d, missing) for m, d in DIMENSION.items()}
    return ObservationSet(columns, np.tile(np.eye(4), (n, 1, 1)), tuple(f"{draw.random()}" for _ in range(n)))


def test_is_an_index(torch):
    assert isinstance(gpu.GpuIndex(3, HERE), Index)


@given(st.lists(st.integers(0, 30), max_size=4), st.integers(0, 4), st.integers(1, 50), st.integers(0, 100))
@settings(deadline=None)
def test_the_index_answers_as_faiss_does(sizes, queries, k, seed):
    pytest.importorskip("torch", reason="PyTorch is not installed: make torch")
    draw = np.random.default_rng(seed)
    ours, theirs = gpu.GpuIndex(5, HERE), ExactIndex(5)
    for size in sizes:
        more = draw.normal(size=(size, 5)).astype(np.float32)
        ours.add(more)
        theirs.add(more)
    query_vectors = draw.normal(size=(queries, 5)).astype(np.float32)
    assert len(ours) == len(theirs) == sum(sizes)
    np.testing.assert_allclose(ours.similarity(query_vectors), theirs.similarity(query_vectors), atol=1e-5)
    (values, rows), (expected, at) = ours.search(query_vectors, k), theirs.search(query_vectors, k)
    np.testing.assert_allclose(values, expected, atol=1e-5)
    np.testing.assert_array_equal(rows, at)


def test_the_index_keeps_its_own_copy(torch):
    index, given_vectors = gpu.GpuIndex(2, HERE), np.ones((3, 2), np.float32)
    index.add(given_vectors)
    given_vectors[:] = 7
    assert index.similarity(np.ones((1, 2), np.float32)).tolist() == [[2, 2, 2]]


def test_vectors_of_another_width_are_refused(torch):
    index = gpu.GpuIndex(2, HERE)
    for use in (index.add, index.similarity, lambda v: index.search(v, 1)):
        with pytest.raises(Any2AnyError, match="3 dimensions, the index has 2"):
            use(np.ones((1, 3), np.float32))


@given(st.integers(0, 80), st.integers(1, 20), st.integers(0, 10_000), st.sampled_from(["ratio", "mean", "max"]))
@settings(deadline=None, max_examples=60)
def test_a_search_finds_the_same(n, k, seed, kind):
    """Rows, order and scores, bit for bit: also of shards that grow, with anything missing on either side."""
    pytest.importorskip("torch", reason="PyTorch is not installed: make torch")
    draw = np.random.default_rng(seed)
    store = Shards(DIMENSION, shard_rows=16)
    fusion = fused(draw, kind)
    plain, fast = Search(store, fusion, (2, 2)), Search(store, fusion, (2, 2), HERE)
    for size in (n, int(draw.integers(0, 40))):  # then what a running map learns
        store.add({m: vectors(draw, size, d) for m, d in DIMENSION.items()}, size)
        pairs = [
            PairQuery((q, r), r, draw.normal(size=d).astype(np.float32))
            for q in range(2)
            for r, d in enumerate(DIMENSION.values())
            if draw.random() < 0.7
        ]
        rows, scores = plain.top_k(pairs, k)
        found = fast.top_k(pairs, k)
        np.testing.assert_array_equal(found[0], rows)
        np.testing.assert_array_equal(found[1], scores)


def fused(draw, kind):
    if kind == "ratio":
        return LikelihoodRatio(draw.normal(3, 3, (2, 2)), draw.normal(size=(2, 2)))
    similarity = draw.normal(size=(200, 2, 2))
    similarity[draw.random(similarity.shape) < 0.2] = np.nan
    return any2any.calibrate(similarity, draw.random(200) < 0.5, combine=kind)


def on(places, fusion, device):
    reference = ReferenceMap.bare(places)
    return Retriever(reference, replace(uncalibrated(reference), fusion=fusion), device=device)


@pytest.mark.parametrize("fusion", [ZScore(), RawMean(), LikelihoodRatio(np.full((2, 2), 2.0), np.zeros((2, 2)))])
def test_a_map_ranks_the_same(torch, monkeypatch, fusion):
    """The whole road, scored whole and searched by bounds."""
    draw = np.random.default_rng(0)
    reference, more = places(draw, 60), places(draw, 7)
    queries = [Observation({m: draw.normal(size=d).astype(np.float32)}) for m, d in DIMENSION.items()]
    monkeypatch.setattr("any2any_ros.retrieval.retriever.LARGE", 50)
    plain = on(reference, fusion, "cpu")
    monkeypatch.setattr("any2any_ros.retrieval.retriever.available_device", lambda device, count: HERE)
    fast = on(reference, fusion, "auto")
    for retriever in (plain, fast):
        retriever.add(more)
    for query in queries:
        expected, found = plain.rank(query, 10), fast.rank(query, 10)
        assert [m.id for m in found.matches] == [m.id for m in expected.matches] and len(found.matches) == 10
        np.testing.assert_allclose([m.score for m in found.matches], [m.score for m in expected.matches], atol=1e-5)


def test_a_full_gpu_leaves_the_work_to_the_cpu(torch):
    """Its memory is full at the first product, and at the first look at a large map."""

    class Full(gpu.GpuIndex):
        def _products(self, queries):
            if self.device != "cpu":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super()._products(queries)

    index = Full(2, HERE)
    index.add(np.eye(2, dtype=np.float32))
    with pytest.warns(UserWarning, match=r"memory is full .*2\.00 GiB.*the CPU searches on"):
        assert index.similarity(np.eye(2, dtype=np.float32)).tolist() == [[1, 0], [0, 1]]
    assert index.device == "cpu"

    class FullKeys(gpu.GpuKeys):
        def _copy_new_rows(self):
            if self.device != "cpu":
                raise torch.OutOfMemoryError("CUDA out of memory.")
            super()._copy_new_rows()

    store = Shards({"a": 2})
    store.add({"a": np.eye(2)})
    search = Search(store, LikelihoodRatio(np.ones((1, 1)), np.zeros((1, 1))), (1, 1))
    search.keys = FullKeys(store, HERE)
    with pytest.warns(UserWarning, match="memory is full"):
        rows, scores = search.top_k([PairQuery((0, 0), 0, np.array([0, 1], np.float32))], 2)
    assert rows.tolist() == [1, 0] and scores.tolist() == [1, 0]


def test_a_full_machine_is_an_error(torch):
    """There is nowhere else to go when it is the CPU's own memory."""

    class Full(gpu.GpuIndex):
        def _products(self, queries):
            raise torch.OutOfMemoryError("no room")

    index = Full(2, "cpu")
    with pytest.raises(torch.OutOfMemoryError):
        index.similarity(np.eye(2, dtype=np.float32))


@pytest.mark.parametrize(
    ("device", "count", "driver", "cuda", "expected"),
    [
        ("cpu", 10**6, True, True, "cpu"),
        ("auto", 10**6, True, True, "cuda"),
        ("auto", 100, True, True, "cpu"),
        ("auto", 10**6, False, True, "cpu"),
        ("auto", 10**6, True, False, "cpu"),
        ("cuda", 1, False, True, "cuda"),
        ("cuda", 1, True, False, None),
    ],
)
def test_where_vectors_are_compared(monkeypatch, tmp_path, device, count, driver, cuda, expected):
    (tmp_path / "driver").touch()
    monkeypatch.setattr(gpu, "DRIVERS", (str(tmp_path / ("driver" if driver else "none")),))
    seen = types.SimpleNamespace(cuda=types.SimpleNamespace(is_available=lambda: cuda))
    monkeypatch.setitem(sys.modules, "torch", seen)
    monkeypatch.setattr(gpu, "find_spec", lambda name: object())
    if expected:
        assert gpu.available_device(device, count) == expected
    else:
        with pytest.raises(Any2AnyError, match="Cannot search on the GPU"):
            gpu.available_device(device, count)


def test_without_pytorch_the_cpu_searches(monkeypatch, tmp_path):
    (tmp_path / "driver").touch()
    monkeypatch.setattr(gpu, "DRIVERS", (str(tmp_path / "driver"),))
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    assert gpu.available_device("auto", 10**6) == "cpu"
    with pytest.raises(Any2AnyError, match="not installed, or finds no GPU"):
        gpu.available_device("cuda", 10**6)


def test_small_maps_do_not_ask_pytorch():
    """It takes a second and 200 MB, which a robot without a GPU need not spend."""
    before = "torch" in sys.modules
    SimilarityMatrix(places(np.random.default_rng(0), 5), same_modality(tuple(DIMENSION)))
    assert ("torch" in sys.modules) == before
