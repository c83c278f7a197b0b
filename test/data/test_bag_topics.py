"""What a bag says of its sensors' topics."""

import numpy as np
from bag_files import STORE, text, written

from any2any_ros.data import bag_messages
from any2any_ros.data.bag_reading import open_reader
from any2any_ros.data.bag_topics import sensor_topics
from any2any_ros.retrieval.sensor_topic import SensorTopic

SECOND = 10**9


def picture(frame):
    return bag_messages.image_message(STORE, np.zeros((2, 2, 3), np.uint8), bag_messages.header(STORE, SECOND, frame))


def test_topics_have_their_type_and_the_frame_of_their_first_message(tmp_path):
    image = "sensor_msgs/msg/Image"
    bag = written(
        tmp_path / "bag",
        ("/front/image_raw", image, [(SECOND, picture("front_optical")), (2 * SECOND, picture("another"))]),
        ("/rear/image_raw", image, [(SECOND, picture("a\x1b[2Jframe"))]),
        ("/said", "std_msgs/msg/String", [(SECOND, text("a mill"))]),
    )
    topics = {"camera": "front/image_raw", "rear": "/rear/image_raw", "text": "/said", "lidar": "/points"}
    with open_reader(bag) as reader:
        found = sensor_topics(reader, topics)
    assert found == {
        "camera": SensorTopic("/front/image_raw", image, "front_optical"),
        "rear": SensorTopic("/rear/image_raw", image, ""),
        "text": SensorTopic("/said", "std_msgs/msg/String", ""),
    }
