"""The topic that a sensor was recorded on, over another transport."""

import pytest

from any2any_ros.errors import Any2AnyError
from any2any_ros.retrieval.sensor_topic import COMPRESSED, RAW, SensorTopic

FRONT = SensorTopic("/front/image_raw", RAW, "front")
FRONT_COMPRESSED = SensorTopic("/front/image_raw/compressed", COMPRESSED, "front")


@pytest.mark.parametrize(
    ("topic", "transport", "expected"),
    [
        (FRONT, "", FRONT),
        (FRONT, "raw", FRONT),
        (FRONT, "compressed", FRONT_COMPRESSED),
        (FRONT_COMPRESSED, "raw", FRONT),
        (FRONT_COMPRESSED, "compressed", FRONT_COMPRESSED),
        (SensorTopic("/jpeg", COMPRESSED), "raw", SensorTopic("/jpeg", RAW)),
        (SensorTopic("/points", "sensor_msgs/msg/PointCloud2"), "compressed", None),
    ],
)
def test_pictures_may_come_over_another_transport(topic, transport, expected):
    assert topic.over(transport) == (expected or topic)


@pytest.mark.parametrize(("name", "kind"), [("/a b", RAW), ("", RAW), ("/a", "os"), ("/a", "sensor_msgs/Image")])
def test_a_topic_that_is_none_is_refused(name, kind):
    with pytest.raises(Any2AnyError, match="cannot be the name of"):
        SensorTopic(name, kind)
