"""Rankings that are checked by the alignment of bird's-eye images."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from scenes import drawn, scene

from any2any_ros.birds_eye import image
from any2any_ros.config import RetrievalConfig
from any2any_ros.encoders.birds_eye import BirdsEyeEncoder
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry import clouds
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.calibration import uncalibrated
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.opened_map import open_map
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever

ENCODER = BirdsEyeEncoder()
CELL = ENCODER.cell
SPACING = 20.0  # m between the places


def poses_of(count):
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = SPACING * np.arange(count)
    return poses


def places_of(count, with_images=True):
    seen = [ENCODER.described(drawn(scene(i))) for i in range(count)]
    images = {"lidar": np.stack([s.birds_eye for s in seen])} if with_images else {}
    ids = tuple(f"place/{i}" for i in range(count))
    return ObservationSet({"lidar": np.stack([s.vector for s in seen])}, poses_of(count), ids, birds_eye=images)


def map_of(places, **more):
    return ReferenceMap(places, {"lidar": EncoderRecord.of(ENCODER)}, "scenes", **more)


def retriever_of(reference):
    return Retriever(reference, uncalibrated(reference, 5.0))


def query_of(place, heading=0.0, x=0.0, y=0.0, vector_of=None):
    """Return what a robot observes at a place; vector_of: another place, whose vector is taken."""
    seen = ENCODER.described(drawn(scene(place), heading, x, y))
    vector = seen.vector if vector_of is None else ENCODER.described(drawn(scene(vector_of))).vector
    return Observation({"lidar": vector}, birds_eye={"lidar": seen.birds_eye})


@pytest.fixture(scope="module")
def retriever():
    return retriever_of(map_of(places_of(12)))


def test_places_that_are_no_longer_used_are_gone_at_once():
    ranker = retriever_of(map_of(places_of(3)))
    ranker.rank(query_of(1))
    places = weakref.ref(ranker.reference.places)
    gc.disable()
    try:
        del ranker
        assert places() is None
    finally:
        gc.enable()


def test_the_image_corrects_what_the_vector_says(retriever):
    query = query_of(3, 25.0, 4, -2, vector_of=7)
    assert retriever.rank(Observation(query.embeddings)).matches[0].id == "place/7"
    assert retriever.rank(query).matches[0].id == "place/3"


def test_the_pose_is_that_of_the_robot_not_of_the_place(retriever):
    best = retriever.rank(query_of(5, 120.0, 10, -6)).matches[0]
    assert best.id == "place/5" and not best.refined and 0.3 < best.overlap <= 1
    np.testing.assert_allclose(best.pose[:2, 3], [5 * SPACING + 10 * CELL, -6 * CELL], atol=0.5 * CELL)
    assert np.degrees(np.arctan2(best.pose[1, 0], best.pose[0, 0])) == pytest.approx(120.0, abs=1.0)


def test_without_an_image_the_ranking_is_that_of_the_vectors(retriever):
    without = retriever_of(map_of(places_of(12, with_images=False)))
    query = Observation(query_of(2, 10.0).embeddings)
    ours, theirs = retriever.rank(query), without.rank(query)
    assert [m.id for m in ours.matches] == [m.id for m in theirs.matches]
    assert all(np.isnan(m.overlap) for m in ours.matches)


def test_a_place_without_an_image_is_ranked_by_its_vector():
    places = places_of(6)
    images = places.birds_eye["lidar"].copy()
    images[4] = 0
    retriever = retriever_of(map_of(replace(places, birds_eye={"lidar": images})))
    ranking = retriever.rank(query_of(4), k=6)
    (match,) = [m for m in ranking.matches if m.id == "place/4"]
    assert np.isnan(match.overlap) and len(ranking.matches) == 6


def test_places_that_were_added_are_aligned(retriever):
    grown = retriever_of(map_of(places_of(4)))
    grown.add(query_of(9).as_set(poses_of(10)[9], "new"))
    best = grown.rank(query_of(9, 60.0, 3, 3)).matches[0]
    assert best.id == "new" and best.overlap > 0.3


def test_of_near_references_only_the_best_is_aligned():
    places = places_of(4)
    poses = poses_of(4)
    poses[1, 0, 3] = 1.0  # m, beside the first
    retriever = retriever_of(map_of(replace(places, poses=poses)))
    rows = retriever.alignment.first_places(np.array([1, 0, 2, 3]), "lidar", places.embeddings["lidar"][1])
    assert rows.tolist() == [1, 2, 3]


def test_references_without_a_pose_are_aligned_each():
    places = places_of(3)
    retriever = retriever_of(map_of(replace(places, poses=np.full((3, 4, 4), np.nan))))
    assert retriever.alignment.first_places(np.arange(3), "lidar", places.embeddings["lidar"][0]).tolist() == [0, 1, 2]


def test_the_mounting_turns_the_pose_into_that_of_the_robot():
    """The LiDAR looks to the left: its x is the robot's y."""
    retriever = retriever_of(map_of(replace(places_of(6), mountings={"lidar": clouds.mounting("0 0 0 0 0 1.5707963")})))
    best = retriever.rank(query_of(2, 0.0, 10, 0)).matches[0]
    np.testing.assert_allclose(best.pose[:2, 3], [2 * SPACING, 10 * CELL], atol=0.5 * CELL)


def test_images_outlive_the_disk(tmp_path):
    reference_map.save(map_of(places_of(5)), tmp_path / "map")
    read = reference_map.load(tmp_path / "map")
    np.testing.assert_array_equal(read.places.birds_eye["lidar"], places_of(5).birds_eye["lidar"])
    assert read.encoders["lidar"].cell == CELL
    best = retriever_of(read).rank(query_of(1, 80.0, 5, 5)).matches[0]
    assert best.id == "place/1" and best.overlap > 0.3


def test_images_of_an_encoder_that_makes_none_are_refused():
    places = places_of(2)
    record = replace(EncoderRecord.of(ENCODER), settings={})
    with pytest.raises(Any2AnyError, match="whose encoder makes none"):
        ReferenceMap(places, {"lidar": record})


def test_images_of_another_size_are_refused():
    places = places_of(2)
    with pytest.raises(Any2AnyError, match="not uint8 \\(2, "):
        replace(places, birds_eye={"lidar": np.zeros((2, image.PACKED + 1), np.uint8)})


def test_an_image_without_its_vector_is_not_used(retriever):
    query = query_of(3)
    assert Observation({"camera": np.ones(3)}, birds_eye=query.birds_eye).birds_eye == {}
    assert query.only(["camera"]).birds_eye == {} and query.only(["lidar"]).birds_eye.keys() == {"lidar"}


def test_an_image_that_a_map_has_no_use_for_is_left_out(tmp_path):
    reference_map.save(map_of(places_of(3, with_images=False)), tmp_path)
    opened = open_map(tmp_path, RetrievalConfig(device="cpu"), 5.0)
    plain = replace(opened.reference, encoders={"lidar": replace(EncoderRecord.of(ENCODER), settings={})})
    opened.reference = plain
    opened.add_place(query_of(9).as_set(poses_of(10)[9], "new"))
    assert len(opened.reference) == 4 and opened.reference.places.birds_eye == {}


def test_each_sensor_counts_as_mounted_where_it_is():
    """The map's LiDAR is 0.4 m ahead; the robot's 1.2 m ahead, and looks to the left."""
    known = {"lidar": clouds.mounting("0.4 0 1.8 0 0 0")}
    retriever = retriever_of(map_of(replace(places_of(6), mountings=known)))
    query = query_of(2, 30.0, 10, 0)
    here = clouds.mounting("1.2 0 0.9 0 0 1.5707963")
    best = retriever.rank(replace(query, mountings={"lidar": here})).matches[0]
    sensor = retriever.rank(query).matches[0].pose @ clouds.mounting("0.4 0 0 0 0 0")
    expected = sensor @ np.linalg.inv(clouds.mounting("1.2 0 0 0 0 1.5707963"))
    np.testing.assert_allclose(best.pose, expected, atol=1e-6)
    plain = retriever_of(map_of(places_of(6)))  # nothing says where its LiDAR was
    unknown = [plain.rank(q).matches[0].pose for q in (query, replace(query, mountings={"lidar": here}))]
    np.testing.assert_array_equal(*unknown)
