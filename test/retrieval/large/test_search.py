"""Exact top-k: rows, order and scores are those of ranking everything by the fusion's own float64 score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import any2any
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.fusion.z_score import ZScore
from any2any_ros.retrieval.large import shards
from any2any_ros.retrieval.large.bounds import BINS, PairQuery
from any2any_ros.retrieval.large.search import Search, largest
from any2any_ros.retrieval.large.shards import Shards

QUERY, REFERENCE = 3, 2  # modalities
RAW = LikelihoodRatio(np.ones((1, 1)), np.zeros((1, 1)))  # the similarity itself
DIMENSION = {"lidar": 5, "camera": 3}


def brute_force(store, pairs, fusion, k):
    """Rank every reference by the fusion's score of float64 similarities; nothing shared with the search."""
    rows = np.arange(len(store))
    similarity = np.full((len(store), QUERY, REFERENCE), np.nan)
    for pair in pairs:
        similarity[:, pair.cell[0], pair.cell[1]] = store.take(pair.column, rows) @ pair.vector.astype(np.float64)
    scores = fusion.score(similarity) if len(rows) else np.empty(0)
    known = rows[~np.isnan(scores)]
    order = sorted(known, key=lambda row: (-scores[row], row))[:k]
    return order, scores[order]


def grid_vectors(draw, n, dimension, missing=0.3):
    """Return vectors whose products are exact in any order of summation, so that ties are ties; many are equal."""
    few = draw.integers(-2, 3, (max(1, n // 2), dimension)) / 4
    vectors = few[draw.integers(0, len(few), n)]
    vectors[draw.random(n) < missing] = np.nan
    return vectors


def smooth_vectors(draw, n, dimension, missing=0.3):
    vectors = draw.normal(size=(n, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[draw.random(n) < missing] = np.nan
    return vectors


def store_of(draw, n, kind, shard_rows, missing=0.3):
    store = Shards(DIMENSION, shard_rows)
    for size in np.diff([0, *sorted(draw.integers(0, n + 1, 2)), n]):  # in three portions, some of them empty
        store.add({c: kind(draw, size, d, missing) for c, d in DIMENSION.items()}, int(size))
    return store


def pairs_of(draw, kind, missing=0.3):
    """Return the pairs of a query that lacks some modalities, and cannot be compared in one pair."""
    pairs = []
    for q, (r, d) in ((q, column) for q in range(QUERY) for column in enumerate(DIMENSION.values())):
        if (q, r) != (2, 1):
            pairs.append(PairQuery((q, r), r, kind(draw, 1, d, 0.0)[0].astype(np.float32)))
    alive = draw.random(QUERY) >= missing
    return [pair for pair in pairs if alive[pair.cell[0]]]


def calibration(draw, pairs=400, scale=1.0, silent=None):
    """Return similarities (P, 3, 2), a third missing, and labels (P,); `silent` is a cell never observed."""
    positive = draw.random(pairs) < 0.4
    similarity = scale * (draw.normal(size=(pairs, QUERY, REFERENCE)) * 0.3 + 0.4 * positive[:, None, None])
    similarity[draw.random(similarity.shape) < 0.3] = np.nan
    if silent is not None:
        similarity[:, silent[0], silent[1]] = np.nan
    return similarity, positive


def likelihood_ratio(draw):
    """Return one as fitted, of another sign, silent in one pair, or saying nothing at all."""
    slope = draw.normal(3, 3, (QUERY, REFERENCE)) * draw.choice([0.0, 1.0, 30.0])
    slope[draw.integers(QUERY), draw.integers(REFERENCE)] = 0.0
    return LikelihoodRatio(slope, draw.normal(size=slope.shape) * draw.choice([0.0, 1.0]))


def conformal(draw):
    """Return an Any2Any fusion of any kind: few or many pairs, constant or empty calibrators, stage 2 by pattern."""
    similarity, positive = calibration(
        draw, int(draw.choice([3, 8, 400, 1500])), draw.choice([1e-6, 0.2, 1.0, 5.0]), (None, (0, 0))[draw.integers(2)]
    )
    if draw.random() < 0.3:
        similarity[:, 1, 0] = 0.25  # constant, and a similarity that grid vectors do have
    return any2any.calibrate(
        similarity,
        positive,
        combine=str(draw.choice(["mean", "max"])),
        inverse=str(draw.choice(["exclusion", "literal"])),
        by_availability=bool(draw.random() < 0.5),
        stage2=str(draw.choice(["auto", "same", "leave_one_out", "split"])),
    )


FUSIONS = {"any2any": conformal, "likelihood_ratio": likelihood_ratio, "raw_mean": lambda draw: RawMean()}


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("kind", [grid_vectors, smooth_vectors])
@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 2, 7, 40, 300]),
    k=st.sampled_from([0, 1, 3, 10, 1000]),
    shard_rows=st.sampled_from([1, 16, 1 << 10]),
    missing=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
)
def test_the_ranking_is_that_of_brute_force(fusion, kind, seed, n, k, shard_rows, missing):
    draw = np.random.default_rng(seed)
    store = store_of(draw, n, kind, shard_rows, missing)
    pairs = pairs_of(draw, kind, min(missing, 0.9))
    fitted = FUSIONS[fusion](draw)
    rows, scores = Search(store, fitted, (QUERY, REFERENCE), threads=1 + seed % 3).top_k(pairs, k)
    expected_rows, expected_scores = brute_force(store, pairs, fitted, k)
    np.testing.assert_array_equal(rows, expected_rows)
    if kind is grid_vectors:  # similarities are exact: so is the score, to the last bit
        np.testing.assert_array_equal(scores, expected_scores)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_only_a_few_references_are_scored_exactly(fusion, monkeypatch):
    """On a map that one would search so: most of it is ruled out by the first pass."""
    draw = np.random.default_rng(0)
    store = store_of(draw, 20_000, smooth_vectors, 1 << 13)
    fitted = any2any.calibrate(*calibration(draw, 3000)) if fusion == "any2any" else FUSIONS[fusion](draw)
    search = Search(store, fitted, (QUERY, REFERENCE))
    scored, exact = [], search.exact
    monkeypatch.setattr(search, "exact", lambda pairs, rows: scored.extend(rows) or exact(pairs, rows))
    pairs = pairs_of(draw, smooth_vectors, 0.0)
    rows, _ = search.top_k(pairs, 5)
    assert list(rows) == list(brute_force(store, pairs, fitted, 5)[0])
    assert 5 <= len(scored) < 1000


@pytest.mark.parametrize("combine", ["mean", "max"])
def test_every_key_bounds_its_exact_value(combine):
    """Without the slack of the bound, and without the refinement, bins alone would rank wrongly."""
    draw = np.random.default_rng(1)
    store = store_of(draw, 5000, smooth_vectors, 1 << 10)
    fitted = any2any.calibrate(*calibration(draw, 3000), combine=combine)
    search = Search(store, fitted, (QUERY, REFERENCE))
    pairs = pairs_of(draw, smooth_vectors, 0.0)
    bound = search._bound(pairs, store.patterns, store.longest)
    keys = search.keys(bound).astype(np.float64)
    fused = fitted.fused(search.similarity(pairs, np.arange(len(store))))
    folded = Search(store, likelihood_ratio(draw), (QUERY, REFERENCE))
    linear = folded._bound(pairs, store.patterns, store.longest)
    exact = folded.exact(pairs, np.arange(len(store)))
    assert (np.abs(folded.keys(linear).astype(np.float64) - exact)[~np.isnan(exact)] <= linear.slack).all()
    seen = ~np.isnan(fused)
    assert (keys[~seen] == -np.inf).all() and 0 < seen.sum() < len(seen)
    assert (keys[seen] + bound.slack >= fused[seen]).all()
    assert (keys[seen] - fused[seen]).max() < 0.05  # some steps of the staircase
    assert all(len(t) <= BINS + 3 for part in bound.parts for t in part.tables)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_what_single_precision_cannot_tell_apart_is_ranked_all_the_same(fusion):
    """The same numbers in another order in each reference: their sums differ by less than float32 loses on the way."""
    draw = np.random.default_rng(6)
    alike = draw.permuted(np.tile(draw.normal(size=200), (2000, 1)), axis=1)
    store = Shards({"camera": 201}, 512)
    store.add({"camera": np.column_stack([alike, 1e-3 * draw.normal(size=2000)])})
    pairs = [PairQuery((0, 0), 0, np.array([*[1000.0] * 200, 0.1], dtype=np.float32))]
    if fusion == "any2any":  # many steps between any two of them
        similarity = Search(store, RAW, (1, 1)).similarity(pairs, np.arange(2000))
        fitted = any2any.calibrate(similarity, np.arange(2000) % 2 == 0)
    else:
        fitted = RAW if fusion == "likelihood_ratio" else RawMean()
    search = Search(store, fitted, (1, 1))
    everyone = search.exact(pairs, np.arange(2000))
    assert len(np.unique(everyone)) > 500
    rows, scores = search.top_k(pairs, 40)
    order = np.lexsort((np.arange(2000), -everyone))[:40]
    keys = search.keys(search._bound(pairs, store.patterns, store.longest))
    assert not set(order) <= set(largest(keys, 200))
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_array_equal(scores, everyone[order])


def test_equal_references_tie_wherever_they_stand():
    """One vector a hundred times over, across shards: the first rows win, for any k."""
    draw = np.random.default_rng(2)
    one = {c: smooth_vectors(draw, 1, d, 0.0) for c, d in DIMENSION.items()}
    store = Shards(DIMENSION, 16)
    for _ in range(100):
        store.add(one)
    pairs = pairs_of(draw, smooth_vectors, 0.0)
    for fitted in (likelihood_ratio(draw), any2any.calibrate(*calibration(draw))):
        for k in (1, 17, 99, 200):
            rows, scores = Search(store, fitted, (QUERY, REFERENCE)).top_k(pairs, k)
            assert list(rows) == list(range(min(k, 100))) and len(set(scores)) == 1


def test_added_places_are_found():
    draw = np.random.default_rng(3)
    store = store_of(draw, 50, smooth_vectors, 16)
    fitted = LikelihoodRatio(np.ones((QUERY, REFERENCE)), np.zeros((QUERY, REFERENCE)))
    search = Search(store, fitted, (QUERY, REFERENCE))
    vector = smooth_vectors(draw, 1, 5, 0.0)[0].astype(np.float32)
    pairs = [PairQuery((0, 0), 0, vector)]
    assert 50 not in search.top_k(pairs, 1)[0]
    store.add({"lidar": 3 * vector[None]})  # longer than any: the bound has to know
    assert list(search.top_k(pairs, 1)[0]) == [50]


def test_a_map_opened_from_disk_is_searched_as_it_lies(tmp_path):
    draw = np.random.default_rng(5)
    store = store_of(draw, 300, smooth_vectors, 64)
    store.save(tmp_path)
    opened = shards.load(tmp_path)
    assert all(isinstance(array.base, np.memmap) for shard in opened._shards for array in shard)
    pairs = pairs_of(draw, smooth_vectors, 0.0)
    for make in FUSIONS.values():
        fitted = make(draw)
        expected = Search(store, fitted, (QUERY, REFERENCE)).top_k(pairs, 9)
        np.testing.assert_array_equal(Search(opened, fitted, (QUERY, REFERENCE)).top_k(pairs, 9), expected)


def test_what_does_not_fit_is_refused():
    draw = np.random.default_rng(4)
    store = store_of(draw, 5, smooth_vectors, 16)
    with pytest.raises(Any2AnyError, match="z_score"):
        Search(store, ZScore(), (QUERY, REFERENCE))
    search = Search(store, likelihood_ratio(draw), (QUERY, REFERENCE))
    good = PairQuery((0, 0), 0, np.ones(5, dtype=np.float32))
    bad = [
        [PairQuery((0, 0), 0, np.ones(4, dtype=np.float32))],
        [PairQuery((0, 0), 0, np.full(5, np.nan, dtype=np.float32))],
        [PairQuery((QUERY, 0), 0, np.ones(5, dtype=np.float32))],
        [PairQuery((0, 0), 2, np.ones(5, dtype=np.float32))],
        [good, good],
    ]
    for pairs in bad:
        with pytest.raises(Any2AnyError):
            search.top_k(pairs, 3)
    assert len(search.top_k([good], 3)[0]) <= 3
    steep = LikelihoodRatio(np.full((QUERY, REFERENCE), 1e35), np.zeros((QUERY, REFERENCE)))
    with pytest.raises(Any2AnyError, match="likelihood"):
        Search(store, steep, (QUERY, REFERENCE)).top_k([good], 3)
