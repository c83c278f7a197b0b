"""Simple descriptors find a place again: turned LiDAR images, pictures with noise."""

import numpy as np
import pytest
import tiny_real_sets
from order import camera, lidar
from order.descriptors import Descriptor

from any2any_ros.birds_eye.image import INSIDE, SIZE

PLACES = 6
named = [pytest.param(d, id=d.name) for d in lidar.DESCRIPTORS]


def place(number):
    """Return the counts of walls and posts of one place."""
    rng = np.random.default_rng(number)
    counted = np.zeros((SIZE, SIZE), dtype=np.uint8)
    for row, column in rng.integers(10, SIZE - 40, (4 + 2 * number, 2)):
        counted[row, column : column + 30] = rng.integers(3, 10)
    posts = rng.integers(5, SIZE - 5, (60, 2))
    counted[posts[:, 0], posts[:, 1]] = rng.integers(1, 5, 60)
    return np.where(INSIDE, counted, 0).astype(np.uint8)


@pytest.mark.parametrize("descriptor", named)
def test_a_quarter_turn_changes_nothing_that_matters(descriptor):
    places = [place(number) for number in range(PLACES)]
    turned = [np.ascontiguousarray(np.rot90(counted)) for counted in places]
    scores = descriptor.scores(turned, places)
    assert scores.shape == (PLACES, PLACES) and np.isfinite(scores).all()
    np.testing.assert_array_equal(scores.argmax(axis=1), np.arange(PLACES))
    assert np.diag(scores).min() > 0.98


def test_scan_context_is_the_cosine_of_columns_at_the_best_turn():
    """Against the definition, written out."""
    one, other = (np.moveaxis(lidar._columns([place(n)])[:, 0], 0, 1) for n in (1, 2))
    grids = [np.fft.irfft(g, n=lidar.SECTORS, axis=1) for g in (one, other)]
    turns = [(grids[0] * np.roll(grids[1], s, axis=1)).sum() for s in range(lidar.SECTORS)]
    assert lidar.scan_context([place(1)], [place(2)])[0, 0] == pytest.approx(max(turns), abs=1e-5)


def test_points_are_those_that_were_counted():
    counted = place(3)
    cloud = lidar.points(counted)
    assert len(cloud) == counted.sum() and np.hypot(cloud[:, 0], cloud[:, 1]).max() < 25.3


@pytest.mark.parametrize("descriptor", [pytest.param(d, id=d.name) for d in camera.DESCRIPTORS])
def test_a_picture_with_noise_is_found(descriptor):
    queries, references = ([tiny_real_sets.scene(n, seed) for n in range(PLACES)] for seed in (0, 1))
    scores = descriptor.scores(queries, references)
    assert scores.shape == (PLACES, PLACES)
    assert (scores.argmax(axis=1) == np.arange(PLACES)).mean() > 0.8


def test_only_references_that_are_allowed_are_answers():
    class Real:
        allowed = np.array([[False, True, True], [True, True, True]])
        right = np.array([[True, True, False], [False, False, True]])

    scores = np.array([[9.0, 2.0, 1.0], [1.0, 3.0, 2.0]])
    found = Descriptor("made up", "", lambda queries, references: scores).hits(Real(), [0, 0], [0, 0, 0])
    assert found.tolist() == [True, False]
