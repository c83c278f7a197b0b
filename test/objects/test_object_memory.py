"""Objects that are seen, seen again, seen to be gone, and saved; means and assignments against brute force."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from any2any_ros import storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects import remembered_object
from any2any_ros.objects.object_memory import MemoryConfig, ObjectMemory
from any2any_ros.objects.remembered_object import Sighting
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.reference_map import EncoderRecord

ENCODERS = {"camera": EncoderRecord("emma", "emma:c", 4), "depth": EncoderRecord("emma", "emma:d", 4)}
DRAW = np.random.default_rng(0)


def vector(seed=None):
    v = (DRAW if seed is None else np.random.default_rng(seed)).normal(size=4)
    return (v / np.linalg.norm(v)).astype(np.float32)


def sighting(x, y=0.0, z=0.0, size=0.1, **embeddings):
    """Return a cube of this size around a place."""
    middle = np.array([x, y, z])
    return Sighting(embeddings or {"camera": vector(0)}, middle - size / 2, middle + size / 2)


def memory(**settings):
    return ObjectMemory(ENCODERS, MemoryConfig(**settings))


def all_gone(objects):
    """Say of every object that has no sighting that it is gone."""
    return [True] * len(objects)


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


# --- gone -----------------------------------------------------------------------------------------------------------


def test_what_was_seen_gone_often_enough_is_forgotten():
    known = memory(gone=3)
    for stamp in (1, 2):
        known.see([sighting(0.0), sighting(1.0)], stamp)
    for stamp in (3, 4, 5):
        assert len(known) == 2
        known.see([sighting(1.0)], stamp, all_gone)
    assert [o.id for o in known.believed] == ["object-1"]
    (new,) = known.see([sighting(0.0)], 6)
    assert new.id == "object-2"


def test_seen_once_it_counts_from_the_start():
    known = memory(gone=2)
    for _ in range(4):
        known.see([sighting(0.0)], 1)
        known.see([], 2, all_gone)
    assert len(known) == 1


def test_only_what_the_picture_does_not_show_is_asked_about():
    known, asked = memory(gone=1), []

    def seen_gone(objects):
        asked.append([o.id for o in objects])
        return [o.id == "object-2" for o in objects]

    known.see([sighting(0.0), sighting(1.0), sighting(2.0)], 1)
    known.see([sighting(1.0)], 2, seen_gone)
    assert asked == [["object-0", "object-2"]] and [o.id for o in known.everything] == ["object-0", "object-1"]


def test_beyond_its_capacity_it_forgets_what_was_not_seen_for_longest():
    known = memory(capacity=3)
    for stamp, x in enumerate([0.0, 1.0, 2.0, 0.0, 3.0], start=1):
        known.see([sighting(x)], stamp)
    assert [o.id for o in known.everything] == ["object-0", "object-2", "object-3"]
    known.see([sighting(float(x)) for x in range(10, 15)], 9)
    assert len(known.everything) == 3


# --- pieces ---------------------------------------------------------------------------------------------------------


def test_pieces_of_what_is_then_seen_whole_are_joined():
    known = memory(merge=0.02)
    for stamp in (1, 2, 3):
        left, _ = known.see([sighting(-0.06, size=0.06, camera=vector(1)), sighting(0.06, size=0.06)], stamp)
    assert len(known) == 2
    for stamp in range(4, 12):
        (whole,) = known.see([sighting(0.0, size=0.2, depth=vector(2))], stamp)
        if stamp == 4:
            assert len(known) == 2  # once may be a mistake: things that touch from this side
    assert len(known.everything) == 1 and whole is known.everything[0] and whole is left
    assert (whole.low <= -0.06).all() and (whole.high >= 0.06).all()
    assert whole.counts == {"camera": 6, "depth": 8} and whole.seen_ns == 11
    mean = 3 * (vector(1).astype(float) + vector(0))
    np.testing.assert_allclose(whole.sums["camera"], mean, atol=1e-6)


def test_what_is_returned_is_remembered():
    draw = np.random.default_rng(1)
    known = memory(merge=0.05)
    for stamp in range(30):
        seen = [sighting(*draw.uniform(0, 0.5, 2), size=draw.uniform(0.02, 0.3)) for _ in range(4)]
        found = known.see(seen, stamp)
        assert all(any(f is o for o in known.everything) for f in found)
        assert len({o.id for o in known.everything}) == len(known.everything)


def test_a_small_thing_beside_a_long_one_in_the_same_picture_stays_its_own():
    """The box of a spoon that lies askew has much room in it."""
    known = memory()
    for stamp in (1, 2, 3):
        found = known.see([sighting(0.0, size=0.3), sighting(0.1, 0.05, size=0.04)], stamp)
    assert len(known) == 2 and found[0] is not found[1]


# --- kept -----------------------------------------------------------------------------------------------------------


def filled(**settings):
    known = memory(**settings)
    for stamp in (1, 2):
        known.see([sighting(float(x), camera=vector(), depth=vector()) for x in range(5)], stamp)
    known.see([sighting(7.0, depth=vector())], 3, lambda objects: [o.id == "object-3" for o in objects])
    return known


def test_what_is_kept_comes_back_exactly(tmp_path):
    known = filled()
    known.save(tmp_path / "objects")
    again = ObjectMemory.load(tmp_path / "objects", ENCODERS, known.config)
    assert len(again.everything) == 6 and len(again) == 5
    for a, b in zip(known.everything, again.everything, strict=True):
        for name in ("id", "seen_ns", "sightings", "missed", "counts"):
            assert getattr(a, name) == getattr(b, name)
        np.testing.assert_array_equal([a.low, a.high], [b.low, b.high])
        assert set(a.sums) == set(b.sums)
        for m, total in a.sums.items():
            np.testing.assert_array_equal(total, b.sums[m])
    again.see([sighting(0.0)], 4, lambda objects: [o.id == "object-3" for o in objects])
    again.see([sighting(0.0)], 5, lambda objects: [o.id == "object-3" for o in objects])
    assert "object-3" not in {o.id for o in again.everything}  # it had been looked through once before


def test_what_is_believed_is_kept_as_a_map(tmp_path):
    known = filled()
    known.save(tmp_path / "kitchen")
    there, here = reference_map.load(tmp_path / "kitchen"), known.as_map()
    assert there.name == "kitchen" and there.places.ids == here.places.ids and len(there) == 5
    for m, column in here.places.embeddings.items():
        np.testing.assert_array_equal(there.places.embeddings[m], column)


def test_a_name_is_never_given_twice(tmp_path):
    known = filled(gone=1)
    known.see([], 4, all_gone)
    assert known.everything == ()
    known.save(tmp_path)
    again = ObjectMemory.load(tmp_path, ENCODERS)
    assert again.see([sighting(0.0)], 5)[0].id == "object-6" == known.see([sighting(0.0)], 5)[0].id


def test_keeping_it_changes_nothing_and_the_newest_stays(tmp_path):
    known = filled()
    version = known.version
    known.save(tmp_path)
    assert known.version == version
    known.see([sighting(9.0)], 4)
    known.save(tmp_path)
    assert len(ObjectMemory.load(tmp_path, ENCODERS).everything) == 7
    assert {p.name.split("-")[0] for p in tmp_path.iterdir()} == {"map.json", "objects.json", "objects.npz", "places"}


def test_nothing_is_kept_as_nothing(tmp_path):
    memory().save(tmp_path)
    again = ObjectMemory.load(tmp_path, ENCODERS)
    assert again.everything == () and again.see([sighting(0.0)], 1)[0].id == "object-0"


@pytest.mark.parametrize(
    "others",
    [
        {**ENCODERS, "depth": EncoderRecord("emma", "emma:e", 4)}, {"camera": ENCODERS["camera"]}, {},
        {**ENCODERS, "depth": EncoderRecord("emma", "emma:d", 8)},
        {**ENCODERS, "thermal": EncoderRecord("emma", "emma:t", 4)},
    ],
)  # fmt: skip
def test_objects_of_other_heads_are_refused(tmp_path, others):
    filled().save(tmp_path)
    with pytest.raises(Any2AnyError, match="other encoders or heads made their vectors"):
        ObjectMemory.load(tmp_path, others)


def test_a_folder_without_objects_is_refused(tmp_path):
    with pytest.raises(Any2AnyError, match=r"Cannot use the objects in .*absent.*objects\.json"):
        ObjectMemory.load(tmp_path / "absent", ENCODERS)
    reference_map.save(filled().as_map(), tmp_path / "map")
    with pytest.raises(Any2AnyError, match=r"Cannot use the objects in .*map"):
        ObjectMemory.load(tmp_path / "map", ENCODERS)


def test_another_state_in_its_place_is_refused(tmp_path, make_objects):
    storage.save(make_objects(), tmp_path / "objects")
    with pytest.raises(Any2AnyError, match="it holds objects 'views'"):
        ObjectMemory.load(tmp_path, ENCODERS)


@pytest.mark.parametrize("name", ["objects.json", "objects.npz"])
@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "noise"])
def test_a_damaged_file_is_refused(tmp_path, name, damage):
    filled().save(tmp_path)
    file = tmp_path / name
    content = file.read_bytes()
    if damage == "absent":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "noise": content[::-1]}[damage])
    with pytest.raises(Any2AnyError, match=r"Cannot use the objects in .*Remove the folder, and let the robot see"):
        ObjectMemory.load(tmp_path, ENCODERS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sightings": np.ones(3, np.int64)}, {"low": np.zeros((6, 3)) * np.nan}, {"ids": np.array(["object-1"] * 6)},
        {"counts": {"camera": np.ones((6, 2), np.int64), "depth": np.ones(6, np.int64)}},
        {"sums": {"camera": np.ones((5, 4)), "depth": np.ones((6, 4))}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_parts_that_do_not_fit_together_are_refused(tmp_path, wrong):
    filled().save(tmp_path)
    with np.load(tmp_path / "objects.npz", allow_pickle=False) as stored:
        arrays = dict(stored)
    for key, value in wrong.items():
        arrays |= {f"{key}/{m}": v for m, v in value.items()} if isinstance(value, dict) else {key: value}
    np.savez(tmp_path / "objects.npz", **arrays)
    with pytest.raises(Any2AnyError, match="its parts do not fit together"):
        ObjectMemory.load(tmp_path, ENCODERS)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Any2AnyError, match="Cannot save the objects in"):
        filled().save(tmp_path / "file")


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
