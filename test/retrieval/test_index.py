"""The exact index against a plain matrix product."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Index
from any2any_ros.retrieval.index import ExactIndex


def filled(*sizes, dimension=7, seed=0):
    """Return an index that was filled in pieces of these sizes, and all its vectors."""
    draw, index, parts = np.random.default_rng(seed), ExactIndex(dimension), [np.empty((0, dimension), np.float32)]
    for size in sizes:
        parts.append(draw.normal(size=(size, dimension)).astype(np.float32))
        index.add(parts[-1])
    return index, np.concatenate(parts)


def test_is_an_index():
    assert isinstance(ExactIndex(3), Index)


@given(st.lists(st.integers(0, 40), max_size=4), st.integers(0, 5), st.integers(1, 60), st.integers(0, 100))
def test_equals_the_matrix_product(sizes, queries, k, seed):
    index, vectors = filled(*sizes, seed=seed)
    query_vectors = np.random.default_rng(seed + 1).normal(size=(queries, 7)).astype(np.float32)
    exact = query_vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    assert len(index) == len(vectors) and index.dimension == 7
    np.testing.assert_allclose(index.similarity(query_vectors), exact, atol=1e-5)
    similarity, rows = index.search(query_vectors, k)
    assert similarity.shape == rows.shape == (queries, min(k, len(vectors)))
    np.testing.assert_allclose(similarity, -np.sort(-exact, axis=1)[:, :k], atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(exact, rows, axis=1), similarity, atol=1e-5)


def test_its_answers_do_not_change_when_more_is_added():
    index, vectors = filled(5)
    before = index.similarity(vectors)
    copy = before.copy()
    index.add(np.ones((10_000, 7), dtype=np.float32))  # Faiss moves its memory
    np.testing.assert_array_equal(before, copy)
    assert index.similarity(vectors[:1]).shape == (1, 10_005)


def test_a_first_row_that_is_added_later_moves_no_others():
    """A robot that adds a place goes on answering: a gigabyte is not copied then."""
    index, _ = filled(500)
    before = index._vectors
    index.add(np.ones((1, 7), dtype=np.float32))
    assert index._vectors is before and len(index) == 501


def test_keeps_its_own_copy():
    vectors = np.ones((2, 3), dtype=np.float32)
    index = ExactIndex(3)
    index.add(vectors)
    vectors[:] = 0
    assert index.similarity(np.ones((1, 3), dtype=np.float32)).tolist() == [[3, 3]]


def test_strided_and_float64_vectors_are_taken():
    index = ExactIndex(2)
    index.add(np.arange(8.0).reshape(2, 4)[:, ::2])
    assert index.similarity(np.array([[1.0, 1.0]])).tolist() == [[2, 10]]


def test_another_width_is_refused_on_both_sides():
    index, _ = filled(3)
    for use in (index.add, index.similarity, lambda v: index.search(v, 1)):
        with pytest.raises(Any2AnyError, match="they have 6 dimensions, the index has 7"):
            use(np.zeros((1, 6), dtype=np.float32))
    assert len(index) == 3
