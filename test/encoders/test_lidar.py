"""The LiDAR descriptors: what turning, shuffling and thinning a cloud may change, and clouds that say nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros.encoders.lidar import LidarConfig, LidarEncoder, sector_of
from any2any_ros.errors import Any2AnyError

DESCRIPTORS = ("polar", "range_image", "bev")
ENCODERS = {name: LidarEncoder(LidarConfig(descriptor=name)) for name in DESCRIPTORS}
POLAR = ENCODERS["polar"]


def street(seed, density=40):
    """Return a cloud of 60 pillars of some height around the sensor."""
    draw = np.random.default_rng(seed)
    pillars = draw.uniform([-40, -40, 0.5], [40, 40, 15], (60, 3))
    points = np.repeat(pillars, density, axis=0)
    points[:, 2] = points[:, 2] * np.tile(np.linspace(0, 1, density), 60) - 1.8
    return np.c_[points, np.zeros(len(points))].astype(np.float32)


def turned(points, degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    out = points.astype(np.float64)
    out[:, 0], out[:, 1] = c * points[:, 0] - s * points[:, 1], s * points[:, 0] + c * points[:, 1]
    return out.astype(np.float32)


def similarity(one, other, encoder=POLAR):
    return float(encoder.encode(one) @ encoder.encode(other))


@pytest.fixture(scope="module")
def strangers():
    """The highest similarity of two different streets."""
    vectors = np.array([POLAR.encode(street(seed)) for seed in range(20)])
    return (vectors @ vectors.T - 2 * np.eye(20)).max()


@pytest.mark.parametrize(
    ("change", "dimension"),
    [
        ({}, 20 * 16),
        ({"rings": 7, "harmonics": 3}, 21),
        ({"sectors": 8, "harmonics": 360}, 20 * 5),  # a circle of 8 has no more than 5
        ({"sectors": 9, "harmonics": 360}, 20 * 5),
        ({"descriptor": "range_image"}, 20 * 60),
        ({"descriptor": "bev", "sectors": 11}, 121),
    ],
    ids=str,
)
def test_has_the_dimension_it_declares(change, dimension):
    encoder = LidarEncoder(LidarConfig(**change))
    assert encoder.encode(street(0)).shape == (encoder.dimension,) == (dimension,)


@pytest.mark.parametrize("sectors", [1, 7, 30, 59])
def test_a_turn_by_whole_sectors_changes_nothing(sectors):
    # Points in the middle of a sector, so that rounding puts none into the next.
    draw = np.random.default_rng(0)
    angle, reach = np.radians(6 * draw.integers(0, 60, 2000) + 3), draw.uniform(1, 79, 2000)
    points = np.c_[reach * np.cos(angle), reach * np.sin(angle), draw.uniform(-1.5, 8, 2000)]
    np.testing.assert_allclose(POLAR.encode(turned(points, 6 * sectors)), POLAR.encode(points), atol=1e-6)


@given(st.floats(0, 360))
@settings(max_examples=30)
def test_any_turn_changes_little(degrees):
    assert similarity(street(1), turned(street(1), degrees)) > 0.93


@pytest.mark.parametrize("degrees", [3, 45, 90, 180, 271])
def test_a_turned_street_is_more_alike_than_another(degrees, strangers):
    same = [similarity(street(seed), turned(street(seed), degrees)) for seed in range(10)]
    assert min(same) > strangers


@pytest.mark.parametrize("name", ["range_image", "bev"])
def test_the_others_keep_the_heading(name):
    assert similarity(street(1), turned(street(1), 90), ENCODERS[name]) < 0.8


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_the_order_of_the_points_does_not_matter(name):
    points = street(2)
    shuffled = np.random.default_rng(0).permutation(points)
    np.testing.assert_array_equal(ENCODERS[name].encode(shuffled), ENCODERS[name].encode(points))


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_points_that_come_twice_do_not_matter(name):
    points = street(2)
    np.testing.assert_array_equal(ENCODERS[name].encode(np.repeat(points, 2, axis=0)), ENCODERS[name].encode(points))


def test_a_sparser_sensor_sees_about_the_same(strangers):
    assert similarity(street(3, density=40), street(3, density=10)) > max(strangers, 0.95)


def test_range_noise_changes_little(strangers):
    points = street(4)
    noisy = points + np.random.default_rng(0).normal(0, 0.03, points.shape).astype(np.float32)
    assert similarity(points, noisy) > max(strangers, 0.93)


def test_intensity_is_not_looked_at():
    points = street(5)
    np.testing.assert_array_equal(POLAR.encode(points[:, :3]), POLAR.encode(points))


def test_the_highest_point_of_a_cell_counts():
    """Heights above the ground: the sensor's height is added, and what lies below it is nothing."""
    low, high = street(6), street(6)
    high[:, 2] += 3
    taller = LidarEncoder(LidarConfig(sensor_height=4.8))
    np.testing.assert_allclose(taller.encode(low), POLAR.encode(high), atol=1e-6)


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_what_lies_beyond_the_range_does_not_exist(name):
    far = np.array([[80, 0, 5, 0], [0, -500, 5, 0], [1e30, 0, 0, 0], [3, 3, 1e30, 0], [0, 0, 1, 0]], dtype=np.float32)
    points = street(7)
    np.testing.assert_array_equal(ENCODERS[name].encode(np.r_[points, far]), ENCODERS[name].encode(points))


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_points_that_are_not_finite_do_not_exist(name):
    broken = np.repeat(street(8)[:6], 1, axis=0)
    for i, (axis, value) in enumerate([(0, np.nan), (1, np.nan), (2, np.nan), (0, np.inf), (1, -np.inf), (2, np.inf)]):
        broken[i, axis] = value
    points = street(8)
    np.testing.assert_array_equal(ENCODERS[name].encode(np.r_[points, broken]), ENCODERS[name].encode(points))


@pytest.mark.parametrize("reach", [80.0, 79.99999, 13.7, 1.0])
@pytest.mark.parametrize("name", DESCRIPTORS)
def test_points_at_the_very_edge_fall_into_the_last_cell(name, reach):
    encoder = LidarEncoder(LidarConfig(descriptor=name, max_range=reach, min_points=1))
    edge = np.nextafter(np.float32(reach), np.float32(0))
    half = np.nextafter(np.float32(reach / np.sqrt(2)), np.float32(0))
    at = [[edge, 0], [0, edge], [-edge, 0], [0, -edge], [half, half], [-half, -half], [half, -half], [-half, half]]
    points = np.c_[np.array(at), np.full(8, 0.5), np.zeros(8)].astype(np.float32)
    assert np.linalg.norm(encoder.encode(points)) == pytest.approx(1, abs=1e-5)


coordinates = st.floats(-90, 90, width=32) | st.sampled_from(
    [0.0, -0.0, 80.0, 79.99999, 56.568542, -1.8, 1e-30, 3e38, -3e38]
)


@settings(max_examples=200)
@given(
    st.sampled_from(DESCRIPTORS), st.integers(2, 128), st.integers(8, 200), st.floats(1, 500),
    hnp.arrays(np.float32, st.tuples(st.integers(0, 40), st.just(3)), elements=coordinates),
)  # fmt: skip
def test_any_cloud_is_encoded_or_refused(name, rings, sectors, reach, points):
    encoder = LidarEncoder(LidarConfig(name, rings=rings, sectors=sectors, max_range=reach, min_points=5))
    try:
        vector = encoder.encode(points)
    except Any2AnyError as error:
        assert error.what == "Cannot use a point cloud"  # noqa: PT017 - either outcome is right
    else:
        assert vector.shape == (encoder.dimension,)
        assert np.isfinite(vector).all() and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_cloud_of_too_few_points_in_range_is_refused():
    points = np.r_[street(9)[:99], np.full((50, 4), 1000, dtype=np.float32)]
    with pytest.raises(Any2AnyError, match="99 of its 149 points lie within 80 m"):
        POLAR.encode(points)
    POLAR.encode(np.r_[points, street(9)[100:101]])


@pytest.mark.parametrize("name", ["polar", "bev"])
def test_a_cloud_of_nothing_but_ground_is_refused(name):
    flat = street(10)
    flat[:, 2] = -1.8
    with pytest.raises(Any2AnyError, match=r"no point is higher than 1\.8 m below the sensor"):
        ENCODERS[name].encode(flat)


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_points_below_the_ground_change_nothing(name):
    points = street(11)
    below = np.random.default_rng(0).uniform((-40, -40, -9, 0), (40, 40, -1.9, 1), (5 * len(points), 4))
    both = np.concatenate([points, below.astype(np.float32)])
    if name == "range_image":  # it knows no ground
        assert not np.array_equal(ENCODERS[name].encode(both), ENCODERS[name].encode(points))
    else:
        np.testing.assert_array_equal(ENCODERS[name].encode(both), ENCODERS[name].encode(points))


@pytest.mark.parametrize("sectors", [8, 60, 720])
@pytest.mark.parametrize("reach", [1e-38, 1.0, 500.0])
def test_the_sector_of_a_point_is_that_of_its_angle(sectors, reach):
    """Points at the edges of sectors and on the axes, with zeros of either sign, and many others."""
    edges = np.arange(4 * sectors) * (np.pi / 2 / sectors)
    axes = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [1, -0.0], [-1, -0.0], [-0.0, 1], [-0.0, -1]])
    anywhere = np.random.default_rng(0).uniform(-1, 1, (100_000, 2))
    x, y = (np.concatenate([np.c_[np.cos(edges), np.sin(edges)], axes, anywhere]) * reach).astype(np.float32).T
    expected = np.floor(np.arctan2(y, x) * (sectors / (2 * np.pi)))
    np.testing.assert_array_equal(sector_of(x, y, sectors), np.where(expected < 0, expected + sectors, expected))
