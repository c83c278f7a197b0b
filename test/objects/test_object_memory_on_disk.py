"""A memory of objects is saved whole and comes back exactly; a damaged one is refused."""

import json

import numpy as np
import pytest
from fitted_states import header, write_header
from sightings import ENCODERS, all_gone, memory, sighting, vector

from any2any_ros import storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects.object_memory import ObjectMemory
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.map_header import EncoderRecord


def filled(**settings):
    known = memory(**settings)
    for stamp in (1, 2):
        known.see([sighting(float(x), camera=vector(), depth=vector()) for x in range(5)], stamp)
    known.see([sighting(7.0, depth=vector())], 3, lambda objects: [o.id == "object-3" for o in objects])
    return known


def objects_file(folder):
    (file,) = folder.glob("objects-*.npz")
    return file


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
    assert {p.name.split("-")[0] for p in tmp_path.iterdir()} == {"map.json", "objects", "places"}


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
    with pytest.raises(Any2AnyError, match=r"Cannot use the objects in .*absent.*map\.json"):
        ObjectMemory.load(tmp_path / "absent", ENCODERS)
    reference_map.save(filled().as_map(), tmp_path / "map")
    with pytest.raises(Any2AnyError, match=r"Cannot use the objects in .*map"):
        ObjectMemory.load(tmp_path / "map", ENCODERS)


def test_another_state_in_its_place_is_refused(tmp_path, make_objects):
    filled().save(tmp_path)
    storage.save(make_objects(), objects_file(tmp_path))
    with pytest.raises(Any2AnyError, match="it holds objects 'views'"):
        ObjectMemory.load(tmp_path, ENCODERS)


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "noise"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    filled().save(tmp_path)
    file = objects_file(tmp_path)
    content = file.read_bytes()
    if damage == "absent":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "noise": content[::-1]}[damage])
    with pytest.raises(Any2AnyError, match=r"Cannot use the objects in .*Remove the folder, and let the robot see"):
        ObjectMemory.load(tmp_path, ENCODERS)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"sightings": np.ones(3, np.int64)}, "its parts do not fit together"),
        ({"low": np.zeros((6, 3)) * np.nan}, "each number of 'low' must be finite"),
        ({"low": np.full((6, 3), 99.0)}, "a box is inside out"),
        ({"ids": np.array(["object-1"] * 6)}, "an id is not unique"),
        ({"following": np.array(3)}, "not object-N with N below 3"),
        ({"missed": -np.ones(6, np.int64)}, "each number of 'missed' must be finite.* and at least 0"),
        ({"counts": {"camera": np.ones((6, 2), np.int64)}}, "its parts do not fit together"),
        ({"sums": {"camera": np.ones((5, 4))}}, "its parts do not fit together"),
        ({"sums": {"camera": np.ones((6, 5))}}, "another dimension than its encoder"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(tmp_path, wrong, why):
    filled().save(tmp_path)
    file = objects_file(tmp_path)
    text = json.dumps(header(file))
    with np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if name != storage.HEADER}
    for key, value in wrong.items():
        arrays |= {f"{key}/{m}": v for m, v in value.items()} if isinstance(value, dict) else {key: value}
    np.savez(file, **arrays)
    write_header(file, text)
    with pytest.raises(Any2AnyError, match=why):
        ObjectMemory.load(tmp_path, ENCODERS)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Any2AnyError, match="Cannot save the objects in"):
        filled().save(tmp_path / "file")
