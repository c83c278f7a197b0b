"""The nouns: what is refused at the door, and that missing stays missing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Embedding, Observation, ObservationSet

NAN = np.nan


def sample(n=4):
    camera = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    camera[1] = NAN
    poses = np.tile(np.eye(4), (n, 1, 1))
    poses[:, 0, 3] = np.arange(n)
    ids = tuple(f"drive/{i}" for i in range(n))
    return ObservationSet({"lidar": np.ones((n, 3)), "camera": camera}, poses, ids)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([], "not (D,)"),
        ([[1, 2]], "not (D,)"),
        ([1, NAN, np.inf], "2 of its 3 values are not finite"),
        ([1e39], "1 of its 1 values"),  # too large for float32
    ],
)
def test_a_vector_that_cannot_be_compared_is_refused(values, why):
    for make in (lambda: Embedding("camera", values, 0), lambda: Observation({"camera": values})):
        with pytest.raises(Any2AnyError, match="'camera' has no usable vector") as error:
            make()
        assert why in error.value.why


def test_vectors_become_contiguous_float32():
    strided = np.arange(10, dtype=np.float64)[::2]
    for vector in (Embedding("m", strided, 0).vector, Observation({"m": strided}).embeddings["m"]):
        assert vector.dtype == np.float32 and vector.flags["C_CONTIGUOUS"]
        assert vector.tolist() == [0, 2, 4, 6, 8]


def test_an_observation_keeps_only_what_it_is_asked_to():
    seen = Observation({"lidar": [1.0], "camera": [2.0]}, 5)
    assert seen.modalities == ("camera", "lidar")
    assert seen.only(["lidar", "audio"]).modalities == ("lidar",) and seen.only(["lidar"]).stamp_ns == 5
    assert seen.only([]).embeddings == {}


def test_one_observation_is_a_set_of_one_without_a_pose():
    one = Observation({"lidar": [1.0, 2.0]}).as_set()
    assert len(one) == 1 and one.embeddings["lidar"].tolist() == [[1, 2]] and np.isnan(one.poses).all()
    assert len(Observation({}).as_set()) == 1


def test_present_tells_the_rows_that_have_a_modality():
    assert sample().present("camera").tolist() == [True, False, True, True]
    assert sample().present("lidar").all()
    assert not sample().present("audio").any() and len(sample().present("audio")) == 4


def test_a_row_leaves_its_missing_modalities_out():
    rows = list(sample())
    assert [row.modalities for row in rows] == [("camera", "lidar"), ("lidar",), *[("camera", "lidar")] * 2]
    assert rows[2].embeddings["camera"].tolist() == [4, 5]


@pytest.mark.parametrize(
    ("index", "ids"),
    [
        ([2, 0], ["drive/2", "drive/0"]),
        (np.array([False, True, False, True]), ["drive/1", "drive/3"]),
        (range(1, 3), ["drive/1", "drive/2"]),
        (3, ["drive/3"]),
        ([], []),
        ([-1], ["drive/3"]),
    ],
)
def test_take_keeps_rows_together(index, ids):
    taken = sample().take(index)
    assert list(taken.ids) == ids
    assert taken.poses[:, 0, 3].tolist() == [float(i[-1]) for i in ids]
    assert taken.embeddings["lidar"].shape == (len(ids), 3)
    assert np.isnan(taken.embeddings["camera"]).all(axis=1).tolist() == [i == "drive/1" for i in ids]


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(Any2AnyError, match="3 flags for 4"):
        sample().take(np.array([True, False, True]))


def test_only_drops_columns_and_keeps_rows():
    less = sample().only(["camera"])
    assert less.modalities == ("camera",) and less.ids == sample().ids
    assert len(sample().only([])) == 4


@pytest.mark.parametrize(
    ("embeddings", "poses", "ids", "why"),
    [
        ({}, np.tile(np.eye(4), (2, 1, 1)), ("a",), "1 ids but poses of shape (2, 4, 4)"),
        ({}, np.zeros((1, 3, 4)), ("a",), "poses of shape (1, 3, 4)"),
        ({}, np.tile(np.eye(4), (2, 1, 1)), ("a", "a"), "appears twice"),
        ({"m": np.zeros((3, 2))}, np.tile(np.eye(4), (2, 1, 1)), ("a", "b"), "(3, 2) for 2 ids"),
        ({"m": np.zeros(2)}, np.tile(np.eye(4), (2, 1, 1)), ("a", "b"), "(2,) for 2 ids"),
        ({"m": [[1, NAN], [1, 2]]}, np.tile(np.eye(4), (2, 1, 1)), ("a", "b"), "in part only"),
        ({"m": [[1, np.inf], [1, 2]]}, np.tile(np.eye(4), (2, 1, 1)), ("a", "b"), "in part only"),
        ({"m": [[np.inf, np.inf], [1, 2]]}, np.tile(np.eye(4), (2, 1, 1)), ("a", "b"), "in part only"),
    ],
)
def test_what_does_not_fit_together_is_refused(embeddings, poses, ids, why):
    with pytest.raises(Any2AnyError) as error:
        ObservationSet(embeddings, poses, ids)
    assert why in error.value.why


def test_poses_stay_float64():
    far = np.eye(4)[None] * 1.0
    far[0, 0, 3] = 500_000.123_456  # metres, as in UTM: float32 would lose the centimetres
    assert float(ObservationSet({}, far, ("a",)).poses[0, 0, 3]) == 500_000.123_456


def test_stacked_sets_fill_what_a_part_lacks_with_nan():
    whole = sample().only(["camera"])
    other = ObservationSet({"audio": np.ones((2, 5))}, np.tile(np.eye(4), (2, 1, 1)), ("x", "y"))
    stacked = ObservationSet.concatenate([whole, other])
    assert stacked.ids == (*whole.ids, "x", "y") and stacked.poses.shape == (6, 4, 4)
    assert stacked.present("camera").tolist() == [True, False, True, True, False, False]
    assert stacked.present("audio").tolist() == [False] * 4 + [True] * 2
    assert stacked.embeddings["audio"].dtype == np.float32


def at(x, n):
    """Return n poses (n, 4, 4), x metres from the origin."""
    poses = np.tile(np.eye(4), (n, 1, 1))
    poses[:, 0, 3] = x
    return poses


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["camera", "audio", ""])), min_size=1, max_size=8))
def test_what_is_appended_is_what_is_stacked(parts):
    """Also where a part lacks a modality, and where additions pile up."""
    sets = []
    for i, (n, modality) in enumerate(parts):
        values = {modality: np.random.default_rng(i).normal(size=(n, 3))} if modality else {}
        sets.append(ObservationSet(values, at(i, n), tuple(f"{i}/{j}" for j in range(n)), np.arange(n)))
    whole = sets[0]
    for part in sets[1:]:
        whole = whole.appended(part)
    expected = ObservationSet.concatenate(sets)
    assert whole.ids == expected.ids and whole.modalities == expected.modalities and len(whole) == len(expected)
    for one, other in ((whole.poses, expected.poses), (whole.stamps_ns, expected.stamps_ns)):
        np.testing.assert_array_equal(np.asarray(one), other)
    for m in expected.modalities:
        np.testing.assert_array_equal(np.asarray(whole.embeddings[m]), expected.embeddings[m])
        np.testing.assert_array_equal(whole.present(m), expected.present(m))
    some = whole.take(range(len(whole) - 1, -1, -2))
    np.testing.assert_array_equal(some.poses, expected.poses[::-2])
    if len(whole):
        assert whole.observation(len(whole) - 1).modalities == expected.observation(len(whole) - 1).modalities


def test_an_appended_set_copies_nothing_and_refuses_what_does_not_fit():
    whole = sample(100)
    more = whole.appended(ObservationSet({"lidar": np.ones((1, 3))}, np.eye(4)[None], ("new",)))
    assert np.shares_memory(more.embeddings["lidar"].parts[0], whole.embeddings["lidar"])
    assert np.shares_memory(more.poses.parts[0], whole.poses)
    with pytest.raises(Any2AnyError, match="appears twice"):
        more.appended(sample(2))
    with pytest.raises(Any2AnyError, match=r"3 and 4 dimensions"):
        whole.appended(ObservationSet({"lidar": np.ones((1, 4))}, np.eye(4)[None], ("new",)))


def test_what_was_checked_before_is_taken_as_it_is():
    values = np.array([[1, NAN]], dtype=np.float32)  # which no set would take that looks
    taken = ObservationSet.verified({"m": values}, np.zeros((1, 4, 4)), ("a",))
    assert taken.embeddings["m"] is values and taken.stamps_ns.tolist() == [0]


@pytest.mark.parametrize(
    ("values", "poses", "ids", "why"),
    [
        (np.zeros((2, 2)), np.zeros((2, 4, 4)), ("a", "b"), "their type float64"),
        (np.zeros((3, 2), np.float32), np.zeros((2, 4, 4)), ("a", "b"), "(3, 2) for 2 ids"),
        (np.zeros(2, np.float32), np.zeros((2, 4, 4)), ("a", "b"), "(2,) for 2 ids"),
        (np.zeros((2, 2), np.float32), np.zeros((2, 4, 4), np.float32), ("a", "b"), "float32"),
        (np.zeros((2, 2), np.float32), np.zeros((1, 4, 4)), ("a", "b"), "poses of shape (1, 4, 4)"),
        (np.zeros((2, 2), np.float32), np.zeros((2, 4, 4)), ("a", "a"), "appears twice"),
    ],
)
def test_what_was_checked_before_must_still_fit_together(values, poses, ids, why):
    with pytest.raises(Any2AnyError) as error:
        ObservationSet.verified({"m": values}, poses, ids)
    assert why in error.value.why


def test_a_set_knows_when_its_rows_were_sensed_if_it_was_told():
    told = ObservationSet(
        {"m": np.ones((3, 2))}, np.tile(np.eye(4), (3, 1, 1)), ("a", "b", "c"), np.array([10, 20, 30])
    )
    untold = ObservationSet({"m": np.ones((1, 2))}, np.tile(np.eye(4), (1, 1, 1)), ("x",))
    stacked = ObservationSet.concatenate([told.take([2, 0]), told.only(["m"]).take([False, True, False]), untold])
    assert stacked.stamps_ns.tolist() == [30, 10, 20, 0] and stacked.stamps_ns.dtype == np.int64
    assert [o.stamp_ns for o in stacked] == [30, 10, 20, 0]
    assert told.observation(1).as_set().stamps_ns.tolist() == [20]
    assert told.take([]).stamps_ns.shape == (0,)
    with pytest.raises(Any2AnyError, match=r"stamps of \(2,\)"):
        ObservationSet({}, np.tile(np.eye(4), (1, 1, 1)), ("a",), np.array([1, 2]))


def test_stacking_nothing_is_empty():
    assert len(ObservationSet.concatenate([])) == 0


def test_stacking_two_widths_is_refused():
    one, other = sample(), ObservationSet({"lidar": np.ones((1, 7))}, np.tile(np.eye(4), (1, 1, 1)), ("x",))
    with pytest.raises(Any2AnyError, match=r"'lidar'.*3 and 7"):
        ObservationSet.concatenate([one, other])


@given(st.lists(st.integers(0, 3), min_size=1, unique=True), st.lists(st.booleans(), min_size=4, max_size=4))
def test_taking_then_stacking_gives_the_rows_back(order, mask):
    whole, mask = sample(), np.array(mask)
    parts = ObservationSet.concatenate([whole.take(mask), whole.take(~mask)])
    again = parts.take([parts.ids.index(i) for i in whole.ids])
    np.testing.assert_array_equal(again.embeddings["camera"], whole.embeddings["camera"])
    np.testing.assert_array_equal(again.poses, whole.poses)
    assert whole.take(order).ids == tuple(whole.ids[i] for i in order)


# --- sensors off, and filled in -------------------------------------------------------------------------------


def two_sensors():
    columns = {"lidar": np.array([[1.0], [np.nan], [3.0]]), "camera": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])}
    return ObservationSet(columns, np.tile(np.eye(4), (3, 1, 1)), ("a", "b", "c"), np.array([1, 2, 3]))


def test_sensors_are_off_in_the_order_of_their_names():
    seen = two_sensors()
    left = seen.without(np.array([[True, False], [False, False], [False, True]]))
    assert left.present("camera").tolist() == [False, True, True]
    assert left.present("lidar").tolist() == [True, False, False]
    assert left.ids == seen.ids and left.stamps_ns.tolist() == [1, 2, 3]
    assert seen.present("camera").all()  # untouched


def test_what_is_missing_is_filled_and_nothing_else():
    left = two_sensors().without(np.array([[True, False], [False, False], [False, True]]))
    filled = left.filled({"camera": np.array([7.0, 8.0]), "lidar": np.arange(3.0)[:, None], "audio": np.zeros(4)})
    np.testing.assert_array_equal(filled.embeddings["camera"], [[7, 8], [3, 4], [5, 6]])
    np.testing.assert_array_equal(filled.embeddings["lidar"], [[1], [1], [2]])
    assert set(filled.embeddings) == {"camera", "lidar"} and filled.embeddings["camera"].dtype == np.float32


def test_a_sensor_without_values_stays_missing():
    left = two_sensors().filled({})
    assert left.present("lidar").tolist() == [True, False, True]
