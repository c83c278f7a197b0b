"""Known motions of clouds are found again, in a made-up street and on real scans."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scenes import scene, street
from scipy.spatial.transform import Rotation

from any2any_ros.submaps.cloud_matching import CloudTarget, cell_centres, matched, normals

HOUSES = scene(1, places=30)
LOOSE = (1.0, 0.3)


def target_of(points):
    return CloudTarget(points, normals(points))


HERE = target_of(cell_centres(street(HOUSES), 0.5, 60.0))


def off(one, other):
    """Return how far two poses (4, 4) are apart, m and rad."""
    between = np.linalg.solve(one, other)
    return np.linalg.norm(between[:3, 3]), Rotation.from_matrix(between[:3, :3]).magnitude()


def flat(x, y, turn):
    pose = np.eye(4)
    pose[:3, :3], pose[:2, 3] = Rotation.from_euler("z", turn).as_matrix(), (x, y)
    return pose


@settings(deadline=None, max_examples=25)
@given(st.floats(-0.7, 0.7), st.floats(-0.7, 0.7), st.floats(-0.1, 0.1))
@example(0.0, 0.625, 0.0977)  # ten steps ended 0.4 m off
@example(0.7, -0.7, -0.1)
def test_a_known_motion_is_found(x, y, turn):
    seen = cell_centres(street(HOUSES, np.degrees(turn), x, y), 0.5, 60.0)
    match = matched(seen, HERE, np.eye(4), LOOSE)
    metres, radians = off(match.pose, flat(x, y, turn))
    assert metres < 0.1 and radians < 0.02 and match.overlap > 0.5


@settings(deadline=None, max_examples=10)
@given(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05), st.floats(-0.5, 0.5))
def test_roll_pitch_and_height_are_found_too(roll, pitch, z):
    true = np.eye(4)
    true[:3, :3], true[2, 3] = Rotation.from_euler("xyz", [roll, pitch, 0]).as_matrix(), z
    seen = (cell_centres(street(HOUSES), 0.5, 60.0) - true[:3, 3]) @ true[:3, :3]
    metres, radians = off(matched(seen, HERE, np.eye(4), LOOSE).pose, true)
    assert metres < 0.05 and radians < 0.01


def test_on_a_bare_plain_the_guess_stays_along_it_and_is_corrected_across_it():
    x, y = np.meshgrid(np.arange(-20, 20, 0.5), np.arange(-20, 20, 0.5))
    plain = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, -1.5)])
    guess = flat(0.5, 0.2, 0.0)
    guess[2, 3] = 0.3
    match = matched(plain, target_of(plain), guess, (0.3, 0.1))
    np.testing.assert_allclose(match.pose[:3, 3], (0.5, 0.2, 0.0), atol=0.02)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_too_few_points_leave_the_guess(count):
    guess, few = flat(1.0, 2.0, 0.3), cell_centres(street(HOUSES), 0.5, 60.0)[:count]
    for points, target in ((few, HERE), (HERE.points, target_of(few))):
        match = matched(points, target, guess, LOOSE)
        assert match.overlap == 0 and (match.pose == guess).all()


def test_one_point_of_each_cube_is_left_and_it_is_their_mean():
    points = np.array([[0.1, 0.1, 0.1], [0.3, 0.3, 0.3], [0.9, 0.1, 0.1], [70.0, 0, 0], [np.nan, 0, 0]])
    found = cell_centres(points, 0.5, 60.0)
    np.testing.assert_allclose(found[np.argsort(found[:, 0])], [[0.2, 0.2, 0.2], [0.9, 0.1, 0.1]])
    assert cell_centres(points[:0], 0.5, 60.0).shape == (0, 3)


def ply(path):
    data = path.read_bytes()
    return np.frombuffer(data[data.index(b"end_header\n") + 11 :], "<f4").reshape(-1, 4)


def test_a_real_pair_of_scans_lies_as_its_authors_say(shared_data):
    folder = shared_data / "real/odd_sensors/pair_small_gicp"
    source, target = (cell_centres(ply(folder / f"{name}.ply"), 0.5, 60.0) for name in ("source", "target"))
    match = matched(source, target_of(target), np.eye(4), LOOSE)
    metres, radians = off(match.pose, np.loadtxt(folder / "T_target_source.txt"))
    assert metres < 0.05 and np.degrees(radians) < 0.5
