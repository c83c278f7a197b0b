"""Shards keep what they were given, to half precision, in memory and on disk."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.errors import Any2AnyError
from any2any_ros.retrieval.large import blocks, shards
from any2any_ros.retrieval.large.shards import Shards

DIMENSION = {"lidar": 4, "camera/front": 3}


def vectors(draw, n, missing=0.3):
    found = {}
    for column, d in DIMENSION.items():
        found[column] = draw.normal(size=(n, d))
        found[column][draw.random(n) < missing] = np.nan
    return found


def contents(store):
    return [store.take(c, np.arange(len(store))) for c in range(len(store.columns))]


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(0, 20), max_size=6),
    shard_rows=st.sampled_from([1, 3, 16, 1000]),
)
def test_what_was_added_is_there(seed, sizes, shard_rows):
    draw = np.random.default_rng(seed)
    store, given_ = Shards(DIMENSION, shard_rows), [vectors(draw, n) for n in sizes]
    for part in given_:
        store.add(part)
    assert len(store) == sum(sizes)
    for i, column in enumerate(DIMENSION):
        expected = np.concatenate([np.empty((0, DIMENSION[column])), *(p[column] for p in given_)])
        np.testing.assert_array_equal(contents(store)[i], expected.astype(np.float16))
        norms = np.linalg.norm(expected.astype(np.float16).astype(float), axis=1)
        assert store.longest[i] >= np.nanmax(norms, initial=0.0)
        assert np.array_equal(store.patterns[store.pattern, i], ~np.isnan(expected[:, 0]))


def test_blocks_multiply_all_rows_once(monkeypatch):
    monkeypatch.setattr(shards, "BLOCK_ROWS", 7)
    monkeypatch.setattr(blocks, "CACHED", 12)
    draw = np.random.default_rng(0)
    store = Shards(DIMENSION, 17)
    store.add(vectors(draw, 40))
    products, at = [[], []], 0
    queries = [draw.normal(size=(2, d)).astype(np.float32) for d in DIMENSION.values()]
    for block in store.blocks():
        assert block.start == at < block.stop
        at = block.stop
        for column in (0, 1):
            out = np.full((2, block.stop - block.start), np.nan, dtype=np.float32)
            block.multiply(column, queries[column], out)
            products[column].append(out)
    assert at == 40 and len(products[0]) == 7  # 7, 7, 3; 7, 7, 3; 6
    for column in (0, 1):
        expected = queries[column] @ np.nan_to_num(contents(store)[column]).T  # missing: zeros
        np.testing.assert_allclose(np.concatenate(products[column], axis=1), expected, atol=1e-6)


@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_every_step_th_block_is_a_share_of_all(monkeypatch, step):
    monkeypatch.setattr(shards, "BLOCK_ROWS", 4)
    store = Shards(DIMENSION, 17)
    store.add(vectors(np.random.default_rng(0), 40))
    shares = [[(b.start, b.stop) for b in store.blocks(i, step)] for i in range(step)]
    assert sorted(span for share in shares for span in share) == [(b.start, b.stop) for b in store.blocks()]


def test_a_column_left_out_is_missing():
    store = Shards(DIMENSION, 4)
    store.add({"lidar": np.ones((3, 4))})
    store.add({}, 2)
    assert np.isnan(contents(store)[1]).all()
    assert np.isnan(contents(store)[0]).all(axis=1).tolist() == [False] * 3 + [True] * 2


def test_a_round_trip_on_disk_and_growing_afterwards(tmp_path):
    draw = np.random.default_rng(0)
    store, more = Shards(DIMENSION, 16), vectors(draw, 21)
    store.add(vectors(draw, 40))
    store.save(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    for verify in (False, True):
        opened = shards.load(tmp_path, verify)
        assert opened.columns == store.columns and len(opened) == 40
        np.testing.assert_array_equal(opened.longest, store.longest)
        for a, b in zip(contents(opened), contents(store), strict=True):
            np.testing.assert_array_equal(a, b)
    for grown in (opened, store):
        grown.add(more)
    for a, b in zip(contents(opened), contents(store), strict=True):
        np.testing.assert_array_equal(a, b)
    opened.save(tmp_path)
    np.testing.assert_array_equal(contents(shards.load(tmp_path, verify=True))[0], contents(store)[0])
    assert len(names & {path.name for path in tmp_path.iterdir()}) > 6  # full shards stay as they were


def test_an_empty_map_is_kept(tmp_path):
    Shards(DIMENSION).save(tmp_path)
    assert len(shards.load(tmp_path, verify=True)) == 0


def saved(folder):
    store = Shards(DIMENSION, 16)
    store.add(vectors(np.random.default_rng(0), 40))
    store.save(folder)
    return sorted(folder.glob("*.npy"))


@pytest.mark.parametrize("damage", ["cut", "gone", "other", "text", "pickle"])
def test_damage_is_told(tmp_path, damage):
    for path in saved(tmp_path):
        whole = path.read_bytes()
        if damage == "cut":
            path.write_bytes(whole[:-3])
        elif damage == "gone":
            path.unlink()
        elif damage == "other":
            np.save(path, np.zeros((2, 2), dtype=np.float16))
        elif damage == "text":
            path.write_text("not an array")
        else:
            np.save(path, np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(Any2AnyError, match="Cannot open the shards"):
            shards.load(tmp_path)
        path.write_bytes(whole)
    assert len(shards.load(tmp_path)) == 40


def test_a_flipped_bit_is_told_when_asked(tmp_path):
    for path in saved(tmp_path):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(Any2AnyError, match=r"checksum of .* is wrong"):
            shards.load(tmp_path, verify=True)
        path.write_bytes(whole)


def test_a_damaged_index_is_told(tmp_path):
    saved(tmp_path)
    index = tmp_path / "shards.json"
    header = json.loads(index.read_text())
    for damaged in ("{", "[]", json.dumps(header | {"format": 99}), json.dumps(header | {"longest": [1.0]})):
        index.write_text(damaged)
        with pytest.raises(Any2AnyError, match="Cannot open the shards"):
            shards.load(tmp_path)
    with pytest.raises(Any2AnyError):
        shards.load(tmp_path / "nowhere")


def test_what_cannot_be_stored_is_refused():
    store = Shards(DIMENSION)
    for wrong in (
        {"lidar": np.ones((2, 5))},
        {"lidar": np.ones((2, 4)), "camera/front": np.ones((3, 3))},
        {"lidar": np.full((1, 4), 1e6)},
        {"lidar": np.array([[1, np.nan, 1, 1]])},
        {"lidar": np.array([[np.inf, np.nan, np.nan, np.nan]])},
        {"radar": np.ones((2, 4))},
    ):
        with pytest.raises(Any2AnyError, match="Cannot store"):
            store.add(wrong)
        assert len(store) == 0


@pytest.mark.parametrize("wrong", [{"lidar": 0}, {str(i): 1 for i in range(63)}])
def test_columns_that_cannot_be_kept(wrong):
    with pytest.raises(Any2AnyError, match="Cannot store"):
        Shards(wrong)
    assert len(Shards({str(i): 1 for i in range(62)})) == 0


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Any2AnyError, match="Cannot write"):
        Shards(DIMENSION).save(tmp_path / "file")
