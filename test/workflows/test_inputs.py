"""How a recording and its encoders are named by a Python user."""

import numpy as np
import pytest
from bag_files import text, written

from any2any_ros import encoders
from any2any_ros.data.sources import open_recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap
from any2any_ros.retrieval.sensor_topic import SensorTopic
from any2any_ros.workflows.inputs import chosen_encoders, opened

AVAILABLE = ("camera", "lidar", "text")


def plugs(choice):
    return {m: encoder.plug for m, encoder in chosen_encoders(AVAILABLE, choice).items()}


def test_encoders_are_chosen_by_modality_by_name_or_as_they_are():
    assert plugs(None) == {m: encoders.default(m) for m in AVAILABLE}
    assert plugs(["text", "lidar"]) == {"text": "text", "lidar": "birds_eye"}
    assert plugs({"camera": "crop"}) == {"camera": "crop"}
    coarse = encoders.build("lidar", {"rings": 4})
    assert chosen_encoders(AVAILABLE, {"lidar": coarse})["lidar"] is coarse


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        (["radar"], "There is no sensor 'radar': there are camera, lidar, text"),
        ({"camera": "text"}, "Encoder 'text' cannot encode camera: it takes text, not image"),
        ({"camera": encoders.build("text")}, "Encoder 'text' cannot encode camera"),
        ({"camera": "radar"}, "There is no encoder 'radar'"),
    ],
)
def test_what_cannot_be_meant_is_refused(choice, why):
    with pytest.raises(Any2AnyError, match=why):
        chosen_encoders(AVAILABLE, choice)


def test_a_bag_is_opened_with_the_topics_that_the_map_was_made_from(tmp_path):
    said = [(10**9, text("a mill"))]
    kind = "std_msgs/msg/String"
    bag = written(tmp_path / "bag", ("/said", kind, said), ("/caption", kind, said), ("/radio", kind, said))
    places = ObservationSet({"text": np.ones((1, 4))}, np.eye(4)[None], ("a",))
    for topic, expected in (
        (("/said", kind), "/said"),
        (("/gone", kind), "/caption"),
        (("/said", "a/msg/B"), "/caption"),
    ):
        records = {"text": EncoderRecord("text", "text-1", 4)}
        reference_map.save(ReferenceMap(places, records, topics={"text": SensorTopic(*topic)}), tmp_path / "map")
        assert opened(bag, tmp_path / "map").topics == {"text": expected}
        told = open_recording(bag, topics={"text": "/radio"})
        assert opened(told, tmp_path / "map").topics == {"text": "/radio"}


def test_a_path_is_opened_and_a_recording_is_taken_as_it_is(laps, tmp_path):
    recording = open_recording(laps, "00")
    assert opened(recording) is recording
    assert opened(str(laps / "sequences" / "00")).name == opened(laps / "sequences" / "00").name == "00"
    with pytest.raises(Any2AnyError, match="There is no"):
        opened(tmp_path / "absent")
