"""Who is near is what looking at every place says, however the places came."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.trust.ground import Ground


def laid_out(sizes, seed):
    """Return the ground, added to in parts, and all positions; a fifth are unknown, and some stand twice."""
    draw = np.random.default_rng(seed)
    parts = [np.round(draw.uniform(0, 10, size=(n, 2)), 1) for n in sizes]
    for part in parts:
        part[draw.random(len(part)) < 0.2, 0] = np.nan
    ground = Ground(parts[0])
    for part in parts[1:]:
        ground.add(part)
    return ground, np.concatenate(parts)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8), st.integers(0, 1000))
def test_near_is_who_is_near(sizes, seed):
    ground, positions = laid_out(sizes, seed)
    assert len(ground) == len(positions)
    np.testing.assert_array_equal(ground.positions, positions)
    np.testing.assert_array_equal(ground.known, np.isfinite(positions).all(axis=1))
    points = np.random.default_rng(seed + 1).uniform(0, 10, size=(7, 2))
    apart = np.linalg.norm(points[:, None] - positions[None], axis=2)
    origin, target = ground.within(points, 2.05)
    assert sorted(zip(origin.tolist(), target.tolist(), strict=True)) == [tuple(p) for p in np.argwhere(apart <= 2.05)]
    np.testing.assert_array_equal(ground.counts(points, 2.05), (apart <= 2.05).sum(axis=1))


def test_few_trees_hold_places_that_came_one_by_one():
    ground = Ground(np.zeros((1000, 2)))
    base = ground._trees[0][1]
    for i in range(300):
        ground.add(np.full((1, 2), float(i)))
        assert ground._trees[0][1] is base and len(ground._trees) <= 10
    assert ground.counts(np.full((1, 2), 299.0), 0.5).tolist() == [1]


@pytest.mark.parametrize(
    ("positions", "spacing"),
    [
        (np.empty((0, 2)), 0.0),
        (np.zeros((1, 2)), 0.0),
        (np.full((3, 2), np.nan), 0.0),
        (np.stack([np.arange(5000.0) * 3, np.zeros(5000)], axis=1), 3.0),
        (np.array([[0.0, 0.0], [4.0, 0.0], [np.nan, 1.0]]), 4.0),
    ],
)
def test_the_spacing_is_that_of_neighbours(positions, spacing):
    assert Ground(positions).spacing == pytest.approx(spacing)
