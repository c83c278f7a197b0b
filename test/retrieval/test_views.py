"""What a picture says of the robot's heading."""

import numpy as np
import pytest

from any2any_ros.geometry import clouds
from any2any_ros.localization import planar
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.sensor_topic import COMPRESSED, RAW, SensorTopic
from any2any_ros.retrieval.views import Views, without_heading

CLOUD = "sensor_msgs/msg/PointCloud2"
FRONT, REAR = clouds.mounting("0.5 0 1 0 0 0"), clouds.mounting("-0.5 0 1 0 0 3.14159265")
MOUNTINGS = {"camera_front": FRONT, "camera_rear": REAR}
TOPICS = {
    "camera_front": SensorTopic("/front", RAW), "camera_rear": SensorTopic("/rear/compressed", COMPRESSED),
    "lidar_left": SensorTopic("/left", CLOUD), "lidar_right": SensorTopic("/right", CLOUD),
}  # fmt: skip
MODALITIES = sorted(TOPICS)
PLACE = clouds.mounting("10 5 0 0 0 0.5")


def views(topics=TOPICS, mountings=MOUNTINGS):
    records = {m: EncoderRecord(m, m.split("_")[0], 4) for m in MODALITIES}
    columns = {m: np.ones((1, 4), np.float32) for m in MODALITIES}
    places = ObservationSet(columns, PLACE[None], ("a",), mountings=mountings)
    return Views.of(ReferenceMap(places, records, topics=topics))


def pose(found, query, reference, mountings=None):
    """Return what is said when this pair is the best one."""
    probability = np.full((len(MODALITIES), len(MODALITIES)), 0.1)
    probability[MODALITIES.index(query), MODALITIES.index(reference)] = 0.9
    return found.pose(PLACE, probability, MODALITIES, MODALITIES, mountings or {})


def test_pairs_are_pictures_of_one_encoder():
    cameras = ("camera_front", "camera_rear")
    assert views().pairs == {(q, r) for q in cameras for r in cameras}
    alone = {(m, n) for m in MODALITIES for n in MODALITIES if m != n and m[:3] == n[:3]}
    assert views({}).pairs == alone  # they may be pictures


def test_the_robot_is_turned_as_the_cameras_are():
    turned, known = pose(views(), "camera_rear", "camera_front")
    expected = planar.of(PLACE @ FRONT @ np.linalg.inv(REAR))
    np.testing.assert_allclose(planar.of(turned), expected, atol=1e-6)
    assert known and abs(planar.between(planar.of(PLACE), planar.of(turned))[2]) == pytest.approx(np.pi)
    assert turned[2, 3] == PLACE[2, 3]
    live = {"camera_rear": clouds.mounting("0 0 1 0 0 1.5707963")}  # on this robot it looks to the left
    assert planar.of(pose(views(), "camera_rear", "camera_front", live)[0])[2] == pytest.approx(0.5 - np.pi / 2)
    same, known = pose(views(), "camera_front", "camera_front")
    np.testing.assert_allclose(same, PLACE, atol=1e-12)
    assert known


UPWARD = clouds.mounting("0 0 1 0 1.5707963 0")


@pytest.mark.parametrize("mountings", [{}, {"camera_front": FRONT}, {"camera_front": FRONT, "camera_rear": UPWARD}])
def test_without_a_mounting_no_heading_is_known(mountings):
    said, known = pose(views(mountings=mountings), "camera_rear", "camera_front")
    np.testing.assert_array_equal(said, PLACE)
    assert not known and pose(views(mountings=mountings), "camera_front", "camera_front")[1]


def test_what_is_no_picture_says_what_the_place_says():
    for found in (pose(views(), "lidar_left", "lidar_right"), pose(Views(), "camera_rear", "camera_front")):
        np.testing.assert_array_equal(found[0], PLACE)
        assert found[1]
    nothing = np.full((4, 4), np.nan)
    assert views().pose(PLACE, nothing, MODALITIES, MODALITIES, {}) == (PLACE, True)


def test_a_covariance_without_heading_keeps_what_is_known_of_the_position():
    covariance = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 0.3]])
    unknown = without_heading(covariance)
    np.testing.assert_array_equal(unknown[:2, :2], covariance[:2, :2])
    assert unknown[2].tolist() == [0, 0, planar.YAW_OF_A_CIRCLE] and covariance[2, 2] == 0.3
