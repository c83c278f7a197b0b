"""Which references count as right: distances on the ground, and along the way driven."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros.data.splits import apart, blocks, by_instance, ground_distance, positives, same_drive, squares
from any2any_ros.errors import Any2AnyError


def poses_at(points):
    poses = np.tile(np.eye(4), (len(points), 1, 1))
    poses[:, : np.shape(points)[1], 3] = points
    return poses


points = hnp.arrays(np.float64, st.tuples(st.integers(0, 12), st.just(2)), elements=st.floats(-50, 50))


@given(points, points)
def test_distances_are_those_on_the_ground(here, there):
    found = ground_distance(poses_at(here), poses_at(there))
    assert found.shape == (len(here), len(there))
    for i, j in np.ndindex(*found.shape):
        assert found[i, j] == pytest.approx(np.hypot(here[i][0] - there[j][0], here[i][1] - there[j][1]))


def test_height_does_not_count():
    assert ground_distance(poses_at([[0, 0, 0]]), poses_at([[3, 4, 99]])).item() == 5


def test_right_is_nearer_than_the_radius():
    found = positives(poses_at([[0, 0]]), poses_at([[4.99, 0], [5.0, 0], [0, -4], [np.nan, 0]]), 5.0)
    assert found.tolist() == [[True, False, True, False]]


@pytest.mark.filterwarnings("error")
def test_an_unknown_pose_has_no_right_answer_and_is_none():
    lost = np.full((2, 4, 4), np.nan)
    assert not positives(lost, poses_at([[0, 0]]), 5.0).any() and not positives(poses_at([[0, 0]]), lost, 5.0).any()


def test_one_drive_answers_itself_only_from_afar_along_the_way():
    """There and back: the last frame stands where the first does, 40 m of driving later."""
    there_and_back = poses_at([[x, 0] for x in (0, 10, 20, 10, 0)])
    allowed = same_drive(there_and_back, 25.0)
    assert allowed.tolist() == [
        [False, False, False, True, True],
        [False, False, False, False, True],
        [False, False, False, False, False],
        [True, False, False, False, False],
        [True, True, False, False, False],
    ]
    np.testing.assert_array_equal(allowed, allowed.T)
    assert not same_drive(there_and_back, 40.0).any()


def test_earlier_frames_alone_are_known_on_a_first_drive():
    there_and_back = poses_at([[x, 0] for x in (0, 10, 20, 10, 0)])
    earlier = same_drive(there_and_back, 25.0, earlier=True)
    np.testing.assert_array_equal(earlier, np.tril(same_drive(there_and_back, 25.0)))
    assert earlier[4, 0] and not earlier[0, 4]


@given(points, points, st.floats(0, 60))
def test_apart_is_far_from_every_one(here, there, distance):
    found = apart(poses_at(here), poses_at(there), distance)
    for i in range(len(here)):
        assert found[i] == all(np.linalg.norm(here[i] - other) >= distance for other in there)


def test_blocks_take_turns_along_the_way():
    line = poses_at([[5.0 * i, 0] for i in range(13)])
    assert blocks(line, 20.0).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1]
    assert blocks(line, 20.0, parts=3).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0]
    assert blocks(poses_at(np.empty((0, 2))), 20.0).tolist() == []


@given(points.filter(len), st.floats(1, 50), st.integers(1, 5))
def test_neighbours_within_a_stretch_are_in_one_block(where, length, parts):
    poses = poses_at(where)
    found = blocks(poses, length, parts)
    way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(where, axis=0), axis=1))])
    assert set(found) <= set(range(parts))
    for i in range(1, len(where)):
        if way[i] // length == way[i - 1] // length:
            assert found[i] == found[i - 1]


names = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6)), min_size=1, max_size=60)


@given(names, st.sampled_from([(1.0,), (0.5, 0.5), (0.5, 0.25, 0.25), (3.0, 1.0)]), st.integers(0, 5))
def test_no_object_is_in_two_parts_and_shares_are_kept_within_one(rows, shares, seed):
    labels = np.array([label for label, _ in rows])
    instances = np.array([f"{label}_{number}" for label, number in rows])
    part = by_instance(labels, instances, shares, seed)
    for instance in np.unique(instances):
        assert len(set(part[instances == instance])) == 1
    for label in np.unique(labels):
        objects = np.unique(instances[labels == label])
        dealt = np.bincount([part[instances == o][0] for o in objects], minlength=len(shares))
        assert (np.abs(dealt - len(objects) * np.array(shares) / sum(shares)) < 1).all()


def test_a_split_hangs_on_its_seed_and_on_the_objects_alone():
    labels = np.repeat(["mug", "can"], 40)
    instances = np.array([f"{label}_{i // 4}" for i, label in enumerate(labels)])
    one = by_instance(labels, instances, (0.5, 0.5), 0)
    np.testing.assert_array_equal(by_instance(labels[::-1], instances[::-1], (0.5, 0.5), 0), one[::-1])
    assert (by_instance(labels, instances, (0.5, 0.5), 1) != one).any()


@pytest.mark.parametrize("shares", [(), (0.5, 0.0), (1.0, -1.0), (np.nan,)])
def test_shares_that_share_nothing_out_are_refused(shares):
    with pytest.raises(Any2AnyError, match="Give positive shares"):
        by_instance(np.array(["mug"]), np.array(["mug_1"]), shares)


def test_squares_of_the_ground_are_numbered():
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, :2, 3] = [[1, 1], [59, 59], [61, 1], [-1, 1], [1, 2]]
    found = squares(poses, 60.0)
    assert (
        found[0] == found[1] == found[4] and len(set(found.tolist())) == 3 and sorted(set(found.tolist())) == [0, 1, 2]
    )
