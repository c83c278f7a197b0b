"""The map on disk: reading gives what was written, an interrupted write changes nothing, and damage is an error."""

import hashlib
import json
import mmap
from dataclasses import replace

import numpy as np
import pytest
from stored_maps import RECORDS, example, places, places_file

from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Embedding, ObservationSet
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap, load, map_encoders, save
from any2any_ros.retrieval.sensor_topic import SensorTopic


@pytest.fixture
def saved(tmp_path):
    save(example(), tmp_path / "map")
    return tmp_path / "map"


def same_places(one, other):
    assert one.ids == other.ids and one.modalities == other.modalities
    np.testing.assert_array_equal(one.poses, other.poses)
    for m in one.modalities:
        np.testing.assert_array_equal(one.embeddings[m], other.embeddings[m])


def test_comes_back_bit_by_bit(saved):
    again = load(saved)
    same_places(again.places, places())
    assert (again.name, again.frame_id) == ("town", "odom") and again.encoders == RECORDS
    assert len(again) == 6


POINTS = SensorTopic("/points", "sensor_msgs/msg/PointCloud2", "os_sensor")


def test_topics_come_back_and_older_maps_have_none(saved):
    assert load(saved).topics == {} and "topics" not in json.loads((saved / "map.json").read_text())
    save(replace(example(), topics={"lidar": POINTS, "a sensor that was not encoded": POINTS}), saved)
    assert load(saved).topics == {"lidar": POINTS}


@pytest.mark.parametrize("topic", [{"name": "/a b"}, {"type": "os.system"}, {"frame_id": "\x1b"}, {"name": 3}])
def test_a_topic_that_is_none_is_refused(saved, topic):
    header = json.loads((saved / "map.json").read_text())
    (saved / "map.json").write_text(json.dumps(header | {"topics": {"lidar": vars(POINTS) | topic}}))
    with pytest.raises(Any2AnyError, match="Cannot read the map"):
        load(saved)


def test_unknown_poses_and_an_empty_map_come_back(tmp_path):
    without_pose = ObservationSet({"text": np.ones((1, 16))}, np.full((1, 4, 4), np.nan), ("x",))
    empty = ObservationSet({"text": np.empty((0, 16))}, np.empty((0, 4, 4)), ())
    for what in (without_pose, empty):
        save(ReferenceMap(what, {"text": RECORDS["text"]}), tmp_path / "map")
        same_places(load(tmp_path / "map").places, what)


def test_is_plain_files_that_anybody_can_read(saved):
    header = json.loads((saved / "map.json").read_text())
    assert header["count"] == 6 and header["encoders"]["lidar"]["settings"] == {"rings": 4, "descriptor": "polar"}
    with np.load(saved / header["places"], allow_pickle=False) as stored:
        assert sorted(stored.files) == ["embedding/lidar", "embedding/text", "ids", "poses"]


def test_saving_again_replaces_and_leaves_no_old_file(saved):
    save(example(places=places(3, seed=1)), saved)
    same_places(load(saved).places, places(3, seed=1))
    assert len(list(saved.iterdir())) == 2


def test_an_unchanged_map_is_saved_over_itself(saved):
    save(load(saved), saved)
    same_places(load(saved).places, places())


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Any2AnyError, match=r"Cannot write the map .*file"):
        save(example(), tmp_path / "file")


def on_disk(array):
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def test_a_large_map_stays_on_disk(saved, monkeypatch):
    assert not on_disk(load(saved).places.embeddings["text"])
    monkeypatch.setattr(reference_map, "LARGE", 6)
    found = load(saved)
    same_places(found.places, places())
    assert on_disk(found.places.poses) and all(on_disk(v) for v in found.places.embeddings.values())
    monkeypatch.setattr(reference_map, "LARGE", 7)
    assert not on_disk(load(saved).places.poses)


@pytest.mark.parametrize("changed", [False, True])
def test_a_large_map_is_saved_over_the_file_that_it_lies_in(saved, monkeypatch, changed):
    monkeypatch.setattr(reference_map, "LARGE", 3)
    found, before = load(saved), places_file(saved)
    if changed:
        found = found.with_places(ObservationSet({"text": np.ones((1, 16))}, np.eye(4)[None], ("added",)))
    save(found, saved)
    assert (places_file(saved) != before) == changed and len(list(saved.iterdir())) == 2
    for one in (found, load(saved)):  # the old one's file has another name, or none
        same_places(one.places.take(range(6)), places())
        assert len(one) == 6 + changed


def test_the_file_of_places_has_the_name_of_its_content(saved):
    digest = hashlib.sha256(places_file(saved).read_bytes()).hexdigest()
    assert places_file(saved).name == f"places-{digest[:16]}.npz"


def test_there_is_no_map_where_there_is_none(tmp_path):
    with pytest.raises(Any2AnyError, match="build-map DRIVE MAP"):
        load(tmp_path / "absent")


def embedding(modality="lidar", width=4, encoder="lidar-1-abc"):
    return Embedding(modality, np.ones(width), 0, encoder=encoder)


@pytest.mark.parametrize(
    ("given", "why", "remedy"),
    [
        (embedding("camera"), "the map's modalities are lidar, text", "stop its encoder"),
        (embedding(width=5), "it has 5 dimensions, the map's have 4", "build the map again"),
        (embedding(encoder="lidar-2-xyz"), "'lidar-2-xyz' made it, and 'lidar-1-abc' made the map", "map's settings"),
    ],
)
def test_an_embedding_that_cannot_be_compared_is_refused(given, why, remedy):
    with pytest.raises(Any2AnyError, match=f"'{given.modality}' embedding cannot be used with map 'town'") as error:
        example().validate(given)
    assert why in error.value.why and remedy in error.value.remedy


def test_an_embedding_of_the_maps_encoder_is_accepted():
    example().validate(embedding())
    example().validate(embedding(), demand_fingerprint=True)
    example().validate(embedding(encoder=""))  # nobody said what made it


def test_an_embedding_without_a_fingerprint_is_refused_where_one_is_demanded():
    with pytest.raises(Any2AnyError, match="it does not name its encoder, and 'lidar-1-abc' made the map"):
        example().validate(embedding(encoder=""), demand_fingerprint=True)
    ReferenceMap.bare(places(3)).validate(embedding(encoder=""), demand_fingerprint=True)  # the map names none either


def test_places_are_appended_and_the_old_map_stays():
    old = example()
    new = old.with_places(ObservationSet({"text": np.ones((1, 16))}, np.eye(4)[None], ("added",)))
    assert len(old) == 6 and len(new) == 7 and new.places.ids[-1] == "added"
    assert not new.places.present("lidar")[-1]
    assert (new.name, new.frame_id, new.encoders) == (old.name, old.frame_id, old.encoders)


def test_a_place_that_is_there_already_is_refused():
    with pytest.raises(Any2AnyError, match="appears twice"):
        example().with_places(places(1))


def test_the_maps_encoders_are_built_again_as_they_were():
    from any2any_ros import encoders

    made = {m: encoders.build(m, s) for m, s in (("lidar", {"rings": 4}), ("text", {"bins": 16}))}
    records = {m: EncoderRecord(e.plug, e.fingerprint, e.dimension, vars(e.config)) for m, e in made.items()}
    empty = {m: np.empty((0, e.dimension)) for m, e in made.items()}
    reference = ReferenceMap(ObservationSet(empty, np.empty((0, 4, 4)), ()), records)
    built = map_encoders(reference, ["text", "lidar", "camera"])
    assert {m: e.fingerprint for m, e in built.items()} == {m: r.fingerprint for m, r in records.items()}
    assert list(map_encoders(reference, ["camera"])) == []
