"""Alignments: what both sides make of vectors that have no direction, and an alignment made of two functions."""

import numpy as np
import pytest

from any2any_ros import storage
from any2any_ros.alignments import CSA, FunctionAlignment, Head
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Alignment

DRAW = np.random.default_rng(0)
SIDES = [DRAW.normal(size=(6,)), DRAW.normal(size=(6, 3)), DRAW.normal(size=(4,)), DRAW.normal(size=(4, 3))]
ALIGNMENTS = {"csa": CSA(*SIDES, np.array([0.9, 0.5, 0.1])), "head": Head(*SIDES)}


@pytest.mark.parametrize("alignment", ALIGNMENTS.values(), ids=ALIGNMENTS)
def test_the_inner_product_of_the_sides_is_the_similarity(alignment):
    x, y = DRAW.normal(size=(5, 6)), DRAW.normal(size=(7, 4))
    u, v = ((x - SIDES[0]) @ SIDES[1], (y - SIDES[2]) @ SIDES[3])
    weights = alignment.correlations if isinstance(alignment, CSA) else np.ones(3)
    u, v = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (u, v))
    assert isinstance(alignment, Alignment) and alignment.query(x).dtype == np.float32
    np.testing.assert_allclose(alignment.query(x) @ alignment.reference(y).T, (u * weights) @ v.T, atol=1e-6)


@pytest.mark.parametrize("alignment", ALIGNMENTS.values(), ids=ALIGNMENTS)
def test_a_vector_at_the_mean_is_similar_to_nothing(alignment):
    assert (alignment.query(SIDES[0][None]) == 0).all() and (alignment.reference(SIDES[2][None]) == 0).all()


@pytest.mark.parametrize("alignment", ALIGNMENTS.values(), ids=ALIGNMENTS)
def test_it_is_saved_and_read_again(alignment, tmp_path):
    storage.save(alignment, tmp_path / "state")
    again, x = storage.load(tmp_path / "state", type(alignment)), DRAW.normal(size=(5, 6))
    np.testing.assert_array_equal(again.query(x), alignment.query(x))


def test_a_head_refuses_another_dimension():
    with pytest.raises(Any2AnyError, match="they have 4 dimensions, it takes 6"):
        ALIGNMENTS["head"].query(np.ones((1, 4)))


def test_an_alignment_made_of_two_functions():
    doubled = FunctionAlignment(lambda x: 2 * x, lambda y: y)
    assert isinstance(doubled, Alignment)
    assert doubled.query(np.ones((1, 2))).tolist() == [[2, 2]] and doubled.reference(np.ones((1, 2))).sum() == 2
    with pytest.raises(TypeError, match="no fitted state"):  # so a large map keeps no shards that it made
        storage.fingerprint(doubled)
