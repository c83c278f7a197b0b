"""Towns as bird's-eye images: their format is KITTI's, and pairs show one place whatever was varied."""

import numpy as np
import pytest
from birds_eye_network import towns
from birds_eye_network.towns import Town
from real_sets import kitti_bev

from any2any_ros.birds_eye import image


def points(seed=0, count=3000):
    """Points (N, 4) around a sensor, in metres."""
    draw = np.random.default_rng(seed)
    return np.column_stack([draw.uniform(-30, 30, (count, 2)), draw.uniform(-2, 3, count), np.zeros(count)])


@pytest.fixture
def town():
    """Two drives along one street; the second one is 1 m beside the first, and goes 30 m on alone."""
    x = np.r_[np.arange(0, 60, 2.0), np.arange(1, 91, 2.0)]
    lap = np.repeat([0, 1], [30, 45])
    images = np.random.default_rng(1).integers(0, 4, (75, image.SIZE, image.SIZE)).astype(np.uint8)
    return Town("street", images, np.column_stack([x, lap]), lap)


def test_an_image_of_a_scan_is_the_one_that_a_set_of_kitti_would_give():
    counted = kitti_bev.image_counts(points())
    pixels = np.round(counted * (255 / 10)).astype(np.uint8)
    there = image.of_counts(kitti_bev.cells(kitti_bev.cloud(pixels)))
    made = towns.image_of_scan(points())
    np.testing.assert_array_equal(made, there)
    assert made.shape == (image.SIZE, image.SIZE) and np.count_nonzero(made) > 500


def test_a_pole_on_the_left_is_on_the_left_of_the_image():
    pole = np.column_stack([np.full(9, 4.1), np.full(9, 10.1), np.linspace(-1, 2, 9), np.zeros(9)])
    assert np.argwhere(towns.image_of_scan(pole)).tolist() == [[62 + 25, 62 + 10]]


def test_partners_are_of_the_same_place_and_of_the_other_drive_where_it_passed(town):
    draw = np.random.default_rng(2)
    rows = draw.permutation(len(town))
    partners = town.partners(rows, draw)
    assert (np.linalg.norm(town.ground[rows] - town.ground[partners], axis=1) < towns.SAME).all()
    passed = town.ground[rows, 0] < 60
    assert (town.lap[rows] != town.lap[partners])[passed].all()
    assert (town.lap[rows] == town.lap[partners])[town.ground[rows, 0] > 62].all()


def test_negatives_are_far_from_each_other_and_no_pair_is_one(town):
    rows = np.arange(len(town))
    partners = town.partners(rows, np.random.default_rng(3))
    negatives = town.negatives(rows, partners)
    assert not np.diag(negatives).any()
    for i, j in np.argwhere(negatives)[::50]:
        assert np.hypot(*(town.ground[rows[i]] - town.ground[partners[j]])) > towns.OTHER


def test_a_varied_image_shows_the_same_things_turned_and_a_little_aside():
    levels = np.zeros((image.SIZE, image.SIZE), np.uint8)
    levels[60:66, 90:96] = 3  # a block 30 cells ahead
    draw, seen = np.random.default_rng(4), 0
    for _ in range(30):
        made = towns.varied(levels, draw)
        assert made.dtype == np.uint8 and not made[~image.INSIDE].any()
        if made.any():
            seen += 1
            middle = np.argwhere(made).mean(axis=0) - image.SIZE // 2
            assert np.hypot(*middle) == pytest.approx(30.5, abs=1.5 * towns.SHIFT + 2)
            assert set(np.unique(made)) <= {0, 3} and np.count_nonzero(made) <= 45
    assert seen > 20  # now and then it is in the shadow


def test_the_same_seed_describes_the_same_town_and_another_seed_another_one():
    one, other = towns.town_config(301), towns.town_config(302)
    assert one == towns.town_config(301) and one != other and one.places == towns.FRAMES
