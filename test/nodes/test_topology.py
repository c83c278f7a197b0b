"""Which processes are started, with which parameters and in which environment."""

import dataclasses
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from any2any_ros import encoders, share
from any2any_ros.encoders.lidar import LidarConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import topology
from any2any_ros.nodes.bringup import program
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.sensor_topic import SensorTopic


@pytest.fixture
def map_folder(tmp_path):
    """A map whose LiDAR was encoded with other settings than the defaults, and whose text by another plug."""
    lidar = encoders.build("lidar", {"rings": 30})
    columns = {"lidar": np.zeros((1, lidar.dimension)) + 1, "text": np.ones((1, 384))}
    records = {
        "lidar": EncoderRecord("lidar", lidar.fingerprint, lidar.dimension, dataclasses.asdict(lidar.config)),
        "text": EncoderRecord("sentence", "sentence-1", 384, {"threads": 2}),
    }
    reference_map.save(ReferenceMap(ObservationSet(columns, np.eye(4)[None], ("a",)), records, "m"), tmp_path / "map")
    return str(tmp_path / "map")


def test_each_encoder_runs_as_it_made_the_map(map_folder):
    processes = {p.name: p for p in topology.place_recognition(map_folder)}
    assert list(processes) == ["lidar_encoder", "text_encoder", "retrieval"]
    assert processes["lidar_encoder"].parameters["settings.rings"] == 30
    assert processes["lidar_encoder"].parameters["settings.sectors"] == LidarConfig().sectors
    assert processes["text_encoder"].parameters["encoder"] == "sentence"
    assert processes["text_encoder"].parameters["modality"] == "text"
    assert processes["retrieval"].parameters["map"] == map_folder


def test_some_sensors_only_and_without_a_map():
    processes = topology.place_recognition("", ["camera"], use_sim_time=True, image_transport="compressed")
    assert [p.name for p in processes] == ["camera_encoder", "retrieval"]
    assert all(p.parameters["use_sim_time"] for p in processes)
    assert processes[0].parameters["message_type"] == "sensor_msgs/msg/CompressedImage"
    assert processes[0].parameters["topic"] == "camera/image_raw/compressed"


RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("front/image_raw", RAW)),
        ({"image_transport": "compressed"}, ("front/image_raw/compressed", COMPRESSED)),
        ({"topics": {"camera": "rear/image"}}, ("rear/image", RAW)),
        ({"topics": {"camera": "/rear"}, "image_transport": "compressed"}, ("/rear/compressed", COMPRESSED)),
    ],
)
def test_nodes_listen_where_the_map_was_recorded_unless_told_otherwise(tmp_path, options, expected):
    recorded = {
        "camera": SensorTopic("/front/image_raw", RAW, "front"),
        "lidar": SensorTopic("/lidar/points", "sensor_msgs/msg/PointCloud2"),
    }
    records = {m: EncoderRecord(m, f"{m}-1", 4) for m in recorded}
    places = ObservationSet({m: np.ones((1, 4)) for m in recorded}, np.eye(4)[None], ("a",))
    reference_map.save(ReferenceMap(places, records, topics=recorded), tmp_path)
    camera, lidar, _ = topology.place_recognition(str(tmp_path), **options)
    assert (camera.parameters["topic"], camera.parameters["message_type"]) == expected
    assert "topic" not in lidar.parameters  # the default topic, which a namespace may stand before


@pytest.mark.parametrize("topics", [{"camera": ""}, {"camera": "/a b"}, {"radar": "/radar"}])
def test_a_topic_that_cannot_be_listened_to_is_refused(topics):
    with pytest.raises(Any2AnyError, match=r"No topic is needed for radar|cannot be the name of a topic"):
        topology.place_recognition("", ["camera"], topics=topics)


def test_a_map_that_is_none_is_told():
    with pytest.raises(Any2AnyError, match="build-map"):
        topology.place_recognition("/nowhere")


def test_the_grounding_node_gets_what_is_given_and_no_more(untrained_model):
    (process,) = topology.object_grounding(str(untrained_model))
    assert (process.executable, process.name) == ("grounding_node", "grounding")
    assert process.parameters == {"use_sim_time": False, "model": str(untrained_model)}
    (process,) = topology.object_grounding(str(untrained_model), objects="kept", hearing="none", use_sim_time=True)
    assert process.parameters["objects"] == "kept" and process.parameters["hearing"] == "none"
    assert process.parameters["use_sim_time"] is True


def test_its_parameters_are_the_nodes_own(untrained_model):
    from any2any_ros import config, node_config

    (process,) = topology.object_grounding(str(untrained_model), objects="kept", hearing="none")
    known = {f.name for f in config.fields(node_config.GroundingNodeConfig)}
    assert set(process.parameters) - {"use_sim_time"} <= known


@pytest.mark.parametrize("model", ["", "/nowhere"])
def test_a_model_that_is_none_is_told(model):
    with pytest.raises(Any2AnyError, match="any2any train"):
        topology.object_grounding(model)


def test_loopback_stays_on_this_machine():
    environment = topology.environment("loopback")
    profile = environment["FASTRTPS_DEFAULT_PROFILES_FILE"]
    assert "<address>127.0.0.1</address>" in Path(profile).read_text()
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert environment["FASTDDS_DEFAULT_PROFILES_FILE"] == profile


def test_nodes_find_the_package_that_started_them_and_nothing_in_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "cwd" / "any2any_ros").mkdir(parents=True)
    (tmp_path / "say.py").write_text("import any2any_ros.share\nprint(any2any_ros.share.__file__)\n")
    monkeypatch.chdir(tmp_path / "cwd")
    for variable in ("PYTHONPATH", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(variable, f":{tmp_path}:")
    environment = {**os.environ, **topology.environment("")}
    assert environment["PYTHONPATH"].split(":")[-1] == environment["LD_LIBRARY_PATH"] == str(tmp_path)
    done = subprocess.run(program("say"), env=environment, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == share.__file__


def test_a_robot_has_a_network():
    environment = topology.environment("robot")
    assert "interfaceWhiteList" not in Path(environment["FASTRTPS_DEFAULT_PROFILES_FILE"]).read_text().split("-->")[-1]
    assert "ROS_AUTOMATIC_DISCOVERY_RANGE" not in environment
    assert "FASTRTPS_DEFAULT_PROFILES_FILE" not in topology.environment("")


def test_odometry_is_for_the_encoders_that_use_it():
    laser, camera, _ = topology.place_recognition("", ["laser_scan", "camera"], odometry="/tf:odom.base_link")
    assert laser.parameters["odometry"] == "/tf:odom.base_link" and "odometry" not in camera.parameters
    assert "odometry" not in topology.place_recognition("", ["laser_scan"])[0].parameters
    with pytest.raises(Any2AnyError, match="names no two frames"):
        topology.place_recognition("", ["laser_scan"], odometry="/tf:odom")


@pytest.mark.parametrize("transport", ["theora", "Compressed", "raw "])
@pytest.mark.parametrize("modality", ["camera", "text"])
def test_a_transport_that_does_not_exist_is_refused(transport, modality):
    with pytest.raises(Any2AnyError, match=f"'{transport}' is no transport of images: there are raw, compressed"):
        topology.place_recognition("", [modality], image_transport=transport)


def test_the_localization_listens_to_the_localizer_that_it_is_told_of():
    (process,) = topology.localization(initial_pose=True, localizer_pose="pcl_pose")
    assert process.parameters["localizer_pose"] == "pcl_pose" and process.parameters["initial_pose"]
    assert "localizer_pose" not in topology.localization()[0].parameters
    with pytest.raises(Any2AnyError):
        topology.localization(localizer_pose="no topic")
