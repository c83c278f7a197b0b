"""The descriptor of an object's depth: the same thing from nearer, further, elsewhere in the picture, full of holes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros.encoders.depth import SIZES, DepthConfig, DepthEncoder, _support
from any2any_ros.errors import Any2AnyError

FOCAL = 300.0
ENCODER = DepthEncoder(DepthConfig(focal=FOCAL))
BALL, BOX, TALL = "ball", "box", "tall"
SIZE = {BALL: (0.1, 0.1, 0.1), BOX: (0.16, 0.1, 0.04), TALL: (0.06, 0.06, 0.2)}  # m: length, breadth, height


def look(kind, away=0.8, tilt=40.0, yaw=0.0, scale=1.0, noise=0.0, holes=0.0, crop=0.25, seed=0):
    """Return a crop (H, W) m of something on a table, seen from `away` metres and `tilt` degrees above the table.

    Rays are met with the table and with the thing's own equation, apart from the code under test.
    """
    draw = np.random.default_rng(seed)
    length, breadth, height = (scale * s for s in SIZE[kind])
    t, turn = np.radians(tilt), np.radians(yaw)
    forward = np.array([np.cos(t), 0.0, -np.sin(t)])
    right, down = np.array([0.0, -1.0, 0.0]), np.array([-np.sin(t), 0.0, -np.cos(t)])
    eye = np.array([0, 0, height / 2]) - away * forward
    half = (max(length, breadth, height) / 2 * (1 + 2 * crop)) / away * FOCAL
    v, u = np.mgrid[-half : half + 1, -half : half + 1] / FOCAL
    rays = forward + u[..., None] * right + v[..., None] * down  # depth along the axis is the ray's parameter
    c, s = np.cos(turn), np.sin(turn)
    spin = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    start, rays = spin @ eye, rays @ spin.T
    table = -start[2] / np.where(rays[..., 2] < -1e-9, rays[..., 2], np.nan)
    depth = np.fmin(
        table, _ball(start, rays, length / 2) if kind == BALL else _box(start, rays, length, breadth, height)
    )
    depth = depth + draw.normal(0, noise, depth.shape)
    depth[draw.random(depth.shape) < holes] = np.nan
    return depth.astype(np.float32)


def _ball(start, rays, radius):
    centre = start - [0, 0, radius]
    a, b, c = (rays**2).sum(-1), rays @ centre, centre @ centre - radius**2
    inside = b**2 - a * c
    return np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, np.nan)


def _box(start, rays, length, breadth, height):
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [(np.array([-s / 2, s / 2]) - start[i]) for i, s in enumerate((length, breadth))]
        ends.append(np.array([0, height]) - start[2])
        crossing = [np.sort(e / rays[..., i, None], axis=-1) for i, e in enumerate(ends)]
    enter = np.nanmax([x[..., 0] for x in crossing], axis=0)
    leave = np.nanmin([x[..., 1] for x in crossing], axis=0)
    return np.where((enter < leave) & (leave > 0), enter, np.nan)


def similarity(one, other, encoder=ENCODER):
    return float(encoder.encode(one) @ encoder.encode(other))


STRANGERS = max(similarity(look(a), look(b)) for a, b in ((BALL, BOX), (BALL, TALL), (BOX, TALL)))


@pytest.mark.parametrize("size", [32, 96, 100])
def test_has_the_dimension_it_declares(size):
    encoder = DepthEncoder(DepthConfig(size=size))
    assert encoder.encode(look(BOX)).shape == (encoder.dimension,)


@pytest.mark.parametrize("kind", SIZE)
@pytest.mark.parametrize("away", [0.5, 0.65, 1.2, 1.6])
def test_distance_changes_less_than_another_thing(kind, away):
    assert similarity(look(kind), look(kind, away=away)) > max(0.85, STRANGERS)


@pytest.mark.parametrize("kind", SIZE)
@pytest.mark.parametrize("tilt", [30.0, 50.0])
def test_the_height_one_looks_from_changes_less_than_another_thing(kind, tilt):
    assert similarity(look(kind), look(kind, tilt=tilt)) > STRANGERS


@pytest.mark.parametrize("kind", SIZE)
def test_noise_and_holes_change_little(kind):
    assert similarity(look(kind), look(kind, noise=0.0015, holes=0.15)) > max(0.8, STRANGERS)


def test_a_cut_that_is_off_the_middle_changes_little():
    whole = look(BALL, crop=0.6)
    assert similarity(look(BALL), whole[4:, : -len(whole) // 8]) > max(0.9, STRANGERS)


def test_twice_the_size_is_another_thing_only_to_the_metres():
    """A dice and a chest look alike; what tells them apart is the metric part."""
    near, far = look(BOX, away=0.5, scale=0.5), look(BOX, away=1.0)  # the same picture, but for its depth
    shape, metres = (
        DepthEncoder(DepthConfig(focal=FOCAL, **w)) for w in ({"metric": 0.0}, {"picture": 0.0, "shape": 0.0})
    )
    assert similarity(near, far, shape) > 0.9 and similarity(near, far, metres) < 0.6


@pytest.mark.parametrize("away", [0.5, 0.8, 1.3])
@pytest.mark.parametrize(("kind", "part", "expected"), [(BOX, 0, 0.04), (TALL, 0, 0.2), (BOX, 1, 0.16), (BALL, 1, 0.1)])
def test_sizes_are_in_metres_at_any_distance(kind, part, expected, away):
    votes = ENCODER.encode(look(kind, away=away))[-4 * len(SIZES) :].reshape(4, -1)[part]
    found = np.exp((votes * np.log(SIZES)).sum() / votes.sum())
    assert found == pytest.approx(expected, rel=0.3)


def test_the_support_is_found_wherever_the_optical_axis_is():
    """A plane is linear in inverse depth over pixels, so a cut's unknown offset only shears what is read off it."""
    depth = look(BOX, tilt=35.0, crop=0.8)
    cut = depth[10:, 14:]
    for part in (depth, cut):
        v, u = np.mgrid[: part.shape[0], : part.shape[1]]
        rays = np.stack([u / FOCAL, v / FOCAL, np.ones(part.shape)], axis=-1)
        plane = _support(rays, part, np.isfinite(part))
        error = np.abs(1 / (rays @ plane) - part)
        assert (error < 0.002).mean() > 0.6  # of the pixels: the table


@pytest.mark.parametrize("fill", [np.nan, 0.0, -1.0, np.inf])
def test_nothing_measured_is_refused(fill):
    with pytest.raises(Any2AnyError, match="Cannot use a depth image"):
        ENCODER.encode(np.full((40, 50), fill, np.float32))


def test_too_little_measured_is_refused():
    depth = look(BOX)
    depth[:, : int(0.95 * depth.shape[1])] = np.nan
    with pytest.raises(Any2AnyError, match="pixels were measured"):
        ENCODER.encode(depth)


@pytest.mark.parametrize("shape", [(96, 1), (1, 96), (2, 60), (8, 1000), (1000, 9)])
def test_a_strip_is_refused(shape):
    with pytest.raises(Any2AnyError, match=r"Cannot use a depth image: it is .* pixels after reduction"):
        ENCODER.encode(np.full(shape, 1.0, np.float32))


def test_a_bare_table_and_a_bare_wall_are_described_all_the_same():
    wall = np.full((60, 60), 1.0, np.float32)
    assert np.isfinite(ENCODER.encode(wall)).all()


def test_weights_that_leave_nothing_are_refused():
    with pytest.raises(Any2AnyError, match="leave nothing to encode"):
        DepthConfig(picture=0.0, shape=0.0, metric=0.0)


@settings(max_examples=60)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        elements=st.one_of(st.floats(0.25, 5, width=32), st.just(np.nan), st.floats(width=32)),
    )
)
def test_any_depth_is_encoded_or_refused(depth):
    try:
        vector = ENCODER.encode(depth)
    except Any2AnyError as error:
        assert error.what == "Cannot use a depth image"  # noqa: PT017 - either outcome is right
    else:
        assert np.isfinite(vector).all() and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
