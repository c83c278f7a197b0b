"""Registration of scans: known motions are found again, and another place is not taken for the same one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry import registration
from any2any_ros.geometry.registration import PreparedScan, RegistrationConfig, above_ground, register, thinned

ROOT = Path(__file__).parents[2]
CONFIG = RegistrationConfig()


@pytest.fixture
def icp():
    pytest.importorskip("open3d", reason="Open3D is absent: pip install 'any2any_ros[open3d]'", exc_type=ImportError)


def wall(a, b, height, step=0.4):
    """Return points (N, 3) of an upright wall from a to b."""
    length = np.hypot(*np.subtract(b, a))
    along, up = np.meshgrid(np.arange(0, length, step) / length, np.arange(-1.7, height, step))
    return np.column_stack([np.outer(1 - along.ravel(), a) + np.outer(along.ravel(), b), up.ravel()])


def world(seed=0, houses=45, size=60.0):
    """Return points (N, 3) of a flat ground with houses of all sizes, none closer to the middle than 8 m."""
    draw = np.random.default_rng(seed)
    ground = np.column_stack([draw.uniform(-size, size, (8000, 2)), np.full(8000, -1.7)])
    parts = [ground]
    while len(parts) <= 4 * houses:
        x, y = draw.uniform(-size, size, 2)
        w, d, h = draw.uniform(2, 9, 3)
        if np.hypot(x, y) > 8 + np.hypot(w, d):
            corners = [(x, y), (x + w, y), (x + w, y + d), (x, y + d)]
            parts += [wall(a, b, h) for a, b in zip(corners, corners[1:] + corners[:1], strict=True)]
    return np.concatenate(parts)


def pose(yaw=0.0, x=0.0, y=0.0, z=0.0, roll=0.0):
    """Return (4, 4); angles in degrees."""
    a, b = np.radians(yaw), np.radians(roll)
    out = np.eye(4)
    turn = [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
    out[:3, :3] = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    out[:3, 3] = x, y, z
    return out


def seen_from(points, stand, seed=0, share=0.7, noise=0.02):
    """Return some of the points (N, 3) in the frame of a sensor at `stand`, in an order of their own, with noise."""
    draw = np.random.default_rng([7, seed])
    kept = draw.permutation(len(points))[: int(share * len(points))]
    back = np.linalg.inv(stand)
    return points[kept] @ back[:3, :3].T + back[:3, 3] + draw.normal(0, noise, (len(kept), 3))


def errors(found, true):
    """Return metres and degrees between two poses."""
    away = np.linalg.inv(true) @ found
    angle = np.arccos(np.clip((np.trace(away[:3, :3]) - 1) / 2, -1, 1))
    return float(np.linalg.norm(away[:3, 3])), float(np.degrees(angle))


def assert_found(found, true, least=0.8):
    metres, degrees = errors(found.pose, true)
    assert found.converged and metres < 0.1 and degrees < 0.3
    assert least < found.overlap <= 1 and 0 <= found.rmse <= CONFIG.near


STANDS = [
    pose(0), pose(33, 5), pose(77, -3, 4), pose(121, 0, -5), pose(180, 2, 2), pose(200, -5), pose(245, 1, -1),
    pose(290, 3, 3.9), pose(359, -2, 0.5), pose(150, 2, -2, 0.3, 3.0),
]  # fmt: skip


@pytest.mark.parametrize("stand", STANDS, ids=lambda p: f"{np.degrees(np.arctan2(p[1, 0], p[0, 0])):.0f}")
def test_a_known_motion_is_found_from_any_heading(icp, stand):
    points = world()
    assert_found(register(seen_from(points, stand, 1), seen_from(points, pose(), 2)), stand)


@pytest.mark.parametrize("stand", STANDS, ids=lambda p: f"{np.degrees(np.arctan2(p[1, 0], p[0, 0])):.0f}")
def test_a_first_guess_is_near(stand):
    """The guess needs no Open3D."""
    points = world()
    query, reference = (PreparedScan.of(seen_from(points, p, i), CONFIG) for i, p in enumerate((stand, pose())))
    metres, degrees = errors(registration.first_guesses(query, reference)[0], stand)
    assert metres < 1.5 and degrees < 4.5


def test_outliers_and_a_half_hidden_view_are_borne(icp):
    points, stand = world(3), pose(140, 2, -3)
    query = seen_from(points, stand, 1)
    draw = np.random.default_rng(4)
    half = query[query[:, 1] > -3]
    noise = draw.uniform([-40, -40, 0], [40, 40, 10], (len(half) // 20, 3))
    found = register(np.concatenate([half, noise]), seen_from(points, pose(), 2))
    assert_found(found, stand, least=0.4)
    # Lorries and the like lower the overlap; they must not go unnoticed.
    assert found.overlap < register(half, seen_from(points, pose(), 2)).overlap


def test_identical_clouds_lie_where_they_are(icp):
    points = seen_from(world(), pose())
    found = register(points, points)
    np.testing.assert_allclose(found.pose, np.eye(4), atol=1e-6)
    assert found.overlap == 1.0 and found.rmse < 1e-6 and found.converged


def test_another_place_and_the_mirrored_one_overlap_little(icp):
    here = world(0)
    query = seen_from(here, pose(60, 1, 1), 1)
    same = register(query, seen_from(here, pose(), 2)).overlap
    assert same > 0.9
    for other in (world(1), here * [1, -1, 1], here * [-1, 1, 1]):
        assert register(query, seen_from(other, pose(), 2)).overlap < 0.5 * same


def test_the_same_scans_give_the_same_answer_bit_by_bit(icp):
    points = world(5)
    query, reference = seen_from(points, pose(100, 4), 1), seen_from(points, pose(), 2)
    answers = [register(query, reference) for _ in range(3)]
    assert len({a.pose.tobytes() for a in answers}) == 1 and len({(a.overlap, a.rmse) for a in answers}) == 1


def test_points_that_are_not_numbers_or_far_away_change_nothing(icp):
    points = world(6)
    query, reference = seen_from(points, pose(20, 1), 1), seen_from(points, pose(), 2)
    junk = np.array([[np.nan, 0, 0], [0, np.inf, 0], [1e30, 0, 0], [0, 0, -np.inf], [0, 500, 0]])
    spoilt = np.concatenate([junk, query])
    np.testing.assert_array_equal(register(spoilt, reference).pose, register(query, reference).pose)


SCARCE = [np.empty((0, 3)), np.full((500, 3), np.nan), np.ones((1, 3)), np.zeros((5000, 3))]


@pytest.mark.parametrize("points", SCARCE, ids=["empty", "all NaN", "one", "one spot"])
def test_too_few_points_are_not_registered(points):
    """Without Open3D, and whichever of the two scans it is."""
    enough = seen_from(world(), pose())
    for found in (register(points, enough), register(enough, points)):
        assert not found.converged and np.isnan(found.overlap) and np.isnan(found.pose).all()


def test_bare_ground_is_not_registered():
    draw = np.random.default_rng(0)
    field = np.column_stack([draw.uniform(-40, 40, (20000, 2)), draw.normal(-1.7, 0.02, 20000)])
    assert np.isnan(register(field, field).overlap)


@pytest.mark.parametrize("shape", [(5,), (5, 2), (2, 5, 3)])
def test_an_array_that_is_no_cloud_is_refused(shape):
    with pytest.raises(Any2AnyError, match="its shape is"):
        register(np.zeros(shape), np.zeros((5, 3)))


@given(st.integers(0, 10_000), st.integers(0, 200), st.sampled_from([0.2, 0.5, 1.3]))
def test_thinning_keeps_the_mean_of_every_cube(seed, n, voxel):
    points = np.random.default_rng(seed).normal(0, 2, (n, 3))
    cubes = {}
    for p in points:
        if np.hypot(*p[:2]) < 6 and (np.abs(p) < 6).all():
            cubes.setdefault(tuple(np.floor(p / voxel)), []).append(p)
    expected = sorted(np.mean(c, axis=0).tolist() for c in cubes.values())
    found = thinned(points, voxel, 6.0)
    assert found.shape == (len(cubes), 3)
    np.testing.assert_allclose(sorted(found.tolist()), expected, atol=1e-9)


def test_a_hill_is_ground_and_what_stands_on_it_is_not():
    draw = np.random.default_rng(0)
    xy = draw.uniform(-30, 30, (20000, 2))
    hill = np.column_stack([xy, 0.1 * xy[:, 0]])
    post = np.column_stack([np.full(20, 5.0), np.full(20, 5.0), 0.5 + np.linspace(0.8, 4, 20)])
    standing = above_ground(np.concatenate([hill, post]), CONFIG.ground)
    assert not standing[: len(hill)].any() and standing[len(hill) :].all()


def test_without_open3d_the_error_names_the_extra():
    code = """
import sys
sys.modules["open3d"] = None
from any2any_ros.geometry import registration
try:
    registration.open3d()
except ValueError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert "any2any_ros[open3d]" in done.stdout


def test_open3d_is_not_imported_before_it_is_needed():
    code = "import sys, any2any_ros.geometry.refiner; assert not {'open3d', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=True)
