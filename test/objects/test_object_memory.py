"""Which sighting is which object, and an object's vectors and box; against brute force."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sightings import ENCODERS, all_gone, memory, sighting, vector

from any2any_ros.errors import Any2AnyError
from any2any_ros.objects import remembered_object
from any2any_ros.objects.object_memory import MemoryConfig, ObjectMemory
from any2any_ros.objects.remembered_object import Sighting

# --- seen again -----------------------------------------------------------------------------------------------------


def test_what_is_seen_again_is_the_same_object_and_believed():
    known = memory()
    (first,) = known.see([sighting(1.0)], 10)
    assert len(known) == 0 and [o.id for o in known.everything] == ["object-0"]
    (again,) = known.see([sighting(1.03)], 20)
    assert again is first and len(known) == 1 and again.seen_ns == 20 and again.sightings == 2
    np.testing.assert_allclose(again.centre, [1.015, 0, 0])
    (other,) = known.see([sighting(1.3)], 30)
    assert other.id == "object-1" and len(known) == 1


def test_confirm_is_how_often_something_must_be_seen():
    known = memory(confirm=3)
    for count in (0, 0, 1):
        known.see([sighting(0.0)], 1)
        assert len(known) == count
    sure = memory(confirm=1)
    sure.see([sighting(0.0)], 1)
    assert [o.id for o in sure.believed] == ["object-0"]


def test_merge_is_how_near_a_middle_must_be():
    for apart, count in ((0.19, 1), (0.21, 2)):
        known = memory(merge=0.2)
        known.see([sighting(0.0, size=0.02)], 1)
        known.see([sighting(apart, size=0.02)], 2)
        assert len(known.everything) == count


def test_a_middle_inside_of_the_other_s_box_is_near_however_far_it_is():
    known = memory(merge=0.05)
    known.see([sighting(0.0, size=0.4)], 1)
    known.see([sighting(0.15, size=0.05)], 2)
    assert len(known.everything) == 1 and len(known) == 1


def test_two_sightings_of_one_picture_are_never_one_object():
    known = memory()
    found = known.see([sighting(0.0), sighting(0.01), sighting(0.02)], 1)
    assert len({o.id for o in found}) == 3 == len(known.everything)
    found = known.see([sighting(0.0), sighting(0.01), sighting(0.02)], 2)
    assert len({o.id for o in found}) == 3 == len(known)


def test_a_new_thing_does_not_take_an_object_from_the_sighting_it_belongs_to():
    """The pairing of least total distance would: 0.3 + 0.2 < 0.01 + 0.5."""
    known = memory(merge=0.08)
    near, far = known.see([sighting(0.0, size=0.02), sighting(-0.3, size=0.02)], 1)
    seen, new = known.see([sighting(0.01, size=0.02), sighting(0.2, size=0.02)], 2)
    assert seen is near and new is not far and near.sightings == 2 and far.sightings == 1


@examples(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 0.3), st.floats(0, 0.3)), min_size=1, max_size=4),
    st.lists(st.tuples(st.floats(0, 0.3), st.floats(0, 0.3)), min_size=1, max_size=4),
)
def test_the_pairing_saves_most_of_all_pairings(before, after):
    known = memory(merge=0.08)
    size = 1e-3
    old = known.see([sighting(x, y, size=size) for x, y in before], 1)
    places = [o.centre.copy() for o in old]
    found = known.see([sighting(x, y, size=size) for x, y in after], 2)
    assert len({o.id for o in found}) == len(found)

    def saved(pairs):
        gaps = [np.hypot(*(np.array(after[i]) - places[j][:2])) for i, j in pairs if j is not None]
        return sum(0.08 - g for g in gaps) if all(g <= 0.08 for g in gaps) else -1

    chosen = [(i, next((j for j, o in enumerate(old) if o is f), None)) for i, f in enumerate(found)]
    slots = [*range(len(old)), *[None] * len(after)]
    best = max(saved(list(enumerate(p))) for p in set(itertools.permutations(slots, len(after))))
    assert saved(chosen) == pytest.approx(best, abs=1e-3)  # what lies inside of a box counts as nearer than it is


# --- what it is like ------------------------------------------------------------------------------------------------


@examples(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), st.sets(st.sampled_from(["camera", "depth"]), min_size=1)), max_size=25))
def test_vectors_are_the_mean_direction_of_all_that_was_seen(looks):
    known = memory(confirm=1)
    every = {}
    for number, (which, modalities) in enumerate(looks):
        embeddings = {m: vector(100 * number + len(m)) for m in modalities}
        (found,) = known.see([sighting(float(which), **embeddings)], number)
        for m, v in embeddings.items():
            every.setdefault((found.id, m), []).append(v.astype(float))
    there = known.as_map()
    for row, name in enumerate(there.places.ids):
        for m in ENCODERS:
            column = there.places.embeddings[m][row]
            if (name, m) in every:
                mean = np.sum(every[name, m], axis=0)
                np.testing.assert_allclose(column, mean / np.linalg.norm(mean), atol=1e-5)
            else:
                assert np.isnan(column).all()
        assert there.places.ids == tuple(o.id for o in known.believed)


def test_a_box_is_the_mean_of_all_that_was_seen():
    known = memory()
    places = [0.0, 0.02, 0.05, 0.01]
    for x in places:
        (found,) = known.see([sighting(x, size=0.1 + x)], 1)
    np.testing.assert_allclose(found.low, np.mean([[x - (0.1 + x) / 2, *[-(0.1 + x) / 2] * 2] for x in places], axis=0))
    np.testing.assert_allclose(found.high, np.mean([[x + (0.1 + x) / 2, *[(0.1 + x) / 2] * 2] for x in places], axis=0))


def test_what_a_modality_never_saw_is_missing():
    known = memory(confirm=1)
    known.see([sighting(0.0, camera=vector(1)), sighting(1.0, depth=vector(2))], 1)
    first, second = known.believed
    assert first.vector("depth") is None and second.vector("camera") is None
    places = known.as_map().places
    assert places.present("camera").tolist() == [True, False] and places.present("depth").tolist() == [False, True]


def test_as_a_map_objects_stand_upright_at_their_middles():
    known = memory()
    for stamp in (1, 2):
        known.see([sighting(1.0, 2.0, 3.0), sighting(-1.0)], stamp)
    known.see([sighting(5.0)], 3)
    there = known.as_map("kitchen", "world")
    assert (there.name, there.frame_id, there.places.ids) == ("kitchen", "world", ("object-0", "object-1"))
    np.testing.assert_array_equal(there.places.poses[:, :3, :3], np.tile(np.eye(3), (2, 1, 1)))
    np.testing.assert_allclose(there.places.poses[:, :3, 3], [[1, 2, 3], [-1, 0, 0]])
    assert dict(there.encoders) == ENCODERS


def test_nothing_is_an_empty_map():
    there = memory().as_map()
    assert len(there) == 0 and there.places.embeddings["depth"].shape == (0, 4)


def test_looking_again_adds_vectors_and_no_sighting():
    known = memory(confirm=1, gone=2)
    (found,) = known.see([sighting(0.0, depth=vector(1))], 1)
    known.see([], 2, all_gone)
    version, low = known.version, found.low.copy()
    known.refresh({"object-0": {"camera": vector(2)}, "object-9": {"camera": vector(3)}}, 5)
    np.testing.assert_allclose(found.vector("camera"), vector(2), atol=1e-6)
    assert (found.sightings, found.seen_ns, known.version) == (1, 5, version + 1)
    np.testing.assert_array_equal(found.low, low)
    known.refresh({}, 6)
    assert known.version == version + 1
    # A picture of the empty table does not prove that it still stands there.
    known.see([], 7, all_gone)
    assert known.everything == ()


# --- input, cost ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "embedding"),
    [
        ([0, 0, np.nan], [1, 1, 1], [1, 0]), ([0, 0, 0], [1, np.inf, 1], [1, 0]), ([1, 0, 0], [0, 1, 1], [1, 0]),
        ([0, 0], [1, 1], [1, 0]), ([0, 0, 0], [1, 1, 1], [np.nan, 0]), ([0, 0, 0], [1, 1, 1], []),
        ([0, 0, 0], [1, 1, 1], [[1, 0]]),
    ],
)  # fmt: skip
def test_a_sighting_that_is_none_is_refused(low, high, embedding):
    with pytest.raises(Any2AnyError, match="sighting"):
        Sighting({"camera": np.array(embedding, np.float32)}, np.array(low, float), np.array(high, float))


@pytest.mark.parametrize("wrong", [{"merge": -0.1}, {"confirm": 0}, {"gone": 0}, {"capacity": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(Any2AnyError, match=next(iter(wrong))):
        MemoryConfig(**wrong)


def test_the_version_rises_with_every_look():
    known = memory()
    versions = [known.version]
    for look in ([sighting(0.0)], [sighting(0.0)], []):
        known.see(look, 1)
        versions.append(known.version)
    assert versions == sorted(set(versions))


def test_thousands_of_objects_are_no_burden(tmp_path):
    known = memory()
    grid = [sighting(0.5 * (i % 60), 0.5 * (i // 60)) for i in range(2400)]
    for first in range(0, len(grid), 60):
        for stamp in (1, 2):
            known.see(grid[first : first + 60], stamp)
    assert len(known) == len(grid)
    began = time.perf_counter()
    for stamp in range(3, 8):
        known.see(grid[200:220], stamp, lambda objects: [False] * len(objects))
    assert (time.perf_counter() - began) / 5 < 0.4  # some 0.02 s on a core of its own
    known.save(tmp_path)
    assert len(ObjectMemory.load(tmp_path, ENCODERS)) == len(grid)


def test_distances_and_insides_are_those_of_every_pair():
    draw = np.random.default_rng(3)
    a, b = ([sighting(*draw.uniform(-0.2, 0.2, 3), size=draw.uniform(0.05, 0.4)) for _ in range(n)] for n in (6, 9))
    apart = remembered_object.distances(remembered_object.corners(a), remembered_object.corners(b))
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            inside = any(
                (x.low <= y.centre).all() and (y.centre <= x.high).all() for x, y in ((one, other), (other, one))
            )
            gap = np.linalg.norm(one.centre - other.centre) * (remembered_object.INSIDE if inside else 1)
            assert apart[i, j] == pytest.approx(gap)
