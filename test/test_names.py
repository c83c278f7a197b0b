"""A modality's name never holds a path, wherever it comes from, and topics and types have rules of their own."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from any2any_ros import names
from any2any_ros.config import fields
from any2any_ros.data.bag_poses import PoseSource
from any2any_ros.data.sources import BagSource
from any2any_ros.errors import Any2AnyError
from any2any_ros.node_config import EncoderNodeConfig, GroundingNodeConfig, RetrievalNodeConfig
from any2any_ros.objects import grounding_model
from any2any_ros.observation import Embedding, ObservationSet
from any2any_ros.retrieval import adopted, calibration, reference_map
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap

BAD = ["", "../../evil", "/etc/passwd", "a/b", "a.b", "a b", "camera\n", "caméra", "x" * 65, "x" * 1_000_000, None, 7]
STATES = Path(__file__).with_name("formats") / "today/states"
REFUSED = "cannot be the name of a modality"


@given(st.text(max_size=70) | st.from_regex(r"[A-Za-z0-9_/.~-]{0,70}", fullmatch=True))
def test_a_modality_has_letters_digits_and_underscores_and_nothing_else(name):
    good = 1 <= len(name) <= 64 and set(name) <= set(map(chr, range(128))) and name.replace("_", "a").isalnum()
    if good:
        assert names.modality(name) == name
    else:
        with pytest.raises(Any2AnyError, match=REFUSED):
            names.modality(name)


@pytest.mark.parametrize("name", ["/front/image_raw", "camera", "~/x", "a/b_2/C3", "/" + "x" * 254])
def test_names_of_topics(name):
    assert names.topic(name) == name


@pytest.mark.parametrize(
    "name", ["", "/", "a//b", "a/", "1a", "a/2", "a b", "a-b", "/" + "x" * 255, "../a", "a\n", None]
)
def test_what_is_no_topic(name):
    with pytest.raises(Any2AnyError, match="cannot be the name of a topic"):
        names.topic(name)


@pytest.mark.parametrize(
    ("name", "topic", "frames"),
    [("odom", "odom", None), ("/tf:odom.base_link", "/tf", ("odom", "base_link")), ("/tf:/a./b", "/tf", ("a", "b"))],
)
def test_names_of_odometry(name, topic, frames):
    assert names.odometry(name) == (topic, frames)


@pytest.mark.parametrize("name", ["", "/tf:", "/tf:odom", "/tf:.base", "/tf:odom.", "a b", ":a.b", None])
def test_what_is_no_odometry(name):
    with pytest.raises(Any2AnyError):
        names.odometry(name)


@pytest.mark.parametrize(
    "name",
    ["os", "os.path", "a/b", "a/msg/b", "A/msg/B", "../x/msg/B", "a/srv/B", "a/msg/B\n", "a.b/msg/C"],
)
def test_what_is_no_message_type(name):
    assert names.message_type("sensor_msgs/msg/Image") == "sensor_msgs/msg/Image"
    with pytest.raises(Any2AnyError, match="cannot be the name of a message type"):
        names.message_type(name)


# --- where names come in ---


@pytest.mark.parametrize("name", BAD)
def test_in_a_message_or_from_python(name):
    with pytest.raises(Any2AnyError, match=REFUSED) as error:
        Embedding(name, np.ones(3), 0)
    assert len(str(error.value)) < 300


@pytest.fixture
def map_folder(tmp_path):
    places = ObservationSet({"text": np.ones((2, 4))}, np.tile(np.eye(4), (2, 1, 1)), ("a", "b"))
    reference = ReferenceMap(places, {"text": EncoderRecord("text", "text-1", 4)})
    reference_map.save(reference, tmp_path / "map")
    calibration.save(calibration.uncalibrated(reference), tmp_path / "map")
    return tmp_path / "map"


@pytest.mark.parametrize("name", [name for name in BAD if isinstance(name, str)])
def test_in_a_map(map_folder, name):
    header = json.loads((map_folder / "map.json").read_text())
    header["encoders"][name] = header["encoders"]["text"]
    (map_folder / "map.json").write_text(json.dumps(header))
    with pytest.raises(Any2AnyError, match=f"(?s)Cannot read the map .*({REFUSED}|is no printable text)"):
        reference_map.load(map_folder)


@pytest.mark.parametrize(
    "change",
    [{"encoders": {"../x": "text-1"}}, {"pairs": [["text", "../x"]]}, {"drift": ["../x"]}],
    ids=lambda change: next(iter(change)),
)
def test_in_a_calibration(map_folder, change):
    if "drift" in change:
        shutil.copy(STATES / "drift.npz", map_folder / "calibration/drift-0.npz")
    path = map_folder / "calibration/calibration.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(Any2AnyError, match=f"Cannot read the calibration in .*{REFUSED}"):
        calibration.load(map_folder)


def test_of_an_adopted_sensor(map_folder):
    (map_folder / "adopted" / "old thermal").mkdir(parents=True)
    for load in (reference_map.load, adopted.load):
        with pytest.raises(Any2AnyError, match=REFUSED):
            load(map_folder)


def test_in_a_model(untrained_model, tmp_path):
    folder = shutil.copytree(untrained_model, tmp_path / "model")
    header = json.loads((folder / "model.json").read_text())
    header["encoders"]["../x"] = header["encoders"]["text"]
    (folder / "model.json").write_text(json.dumps(header))
    with pytest.raises(Any2AnyError, match=f"Cannot read the model .*{REFUSED}"):
        grounding_model.load(folder)


@pytest.mark.parametrize("topics", [{"../x": "/camera"}, {"camera": "/a b"}])
def test_in_the_topics_of_a_bag(tmp_path, topics):
    with pytest.raises(Any2AnyError, match="cannot be the name of"):
        BagSource(tmp_path, topics)
    with pytest.raises(Any2AnyError, match="cannot be the name of a topic"):
        PoseSource("/a b")


@pytest.mark.parametrize("cls", [EncoderNodeConfig, RetrievalNodeConfig, GroundingNodeConfig])
def test_in_parameters(cls):
    named = [f.name for f in fields(cls) if re.search(r"topic$|^modality$|^odometry$|^message_type$", f.name)]
    assert named and cls() == cls(**{f.name: f.default for f in fields(cls)})
    for name in named:
        with pytest.raises(Any2AnyError, match=f"Setting '{name}': .* cannot be the name of"):
            cls(**{name: "../x y"})


@pytest.mark.parametrize(
    "flags",
    [
        ("build-map", "{laps}", "{out}", "--sequence", "00", "--modality", "../x"),
        ("build-map", "{laps}", "{out}", "--sequence", "00", "--encoder", "../x=text"),
        ("build-map", "{laps}", "{out}", "--sequence", "00", "--set", "../x.rings=3"),
        ("build-map", "{laps}", "{out}", "--sequence", "00", "--ask", "../x"),
        ("evaluate", "{laps}", "--sequence", "00", "--modality", "../x"),
        ("bringup", "{map}", "--modality", "../../x"),
    ],
    ids=" ".join,
)
def test_on_the_command_line(refused, laps, map_folder, tmp_path, flags):
    before = sorted(tmp_path.parent.rglob("*"))
    line = [flag.format(laps=laps, out=tmp_path / "out", map=map_folder) for flag in flags]
    assert "cannot be the name of" in refused(*line) or "There is no sensor" in refused(*line)
    assert sorted(tmp_path.parent.rglob("*")) == before


# --- ids of places ----------------------------------------------------------------------------------------------------


@example(["\x000"])  # a zero that is no padding
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=12).map(lambda id: id.rstrip("\0")), max_size=5))
def test_the_id_of_a_place_is_printable_text(ids):
    array = np.array(ids, dtype=np.str_)
    if all(id.isprintable() and id for id in ids):
        assert names.places(array) == tuple(ids)
    else:
        with pytest.raises(Any2AnyError, match=r"The ids of the places cannot be used: one (is empty|has a character)"):
            names.places(array)


@pytest.mark.parametrize(
    ("ids", "why"),
    [
        (np.array([b"a", b"b"]), "an array of .S1"), (np.array([1, 2]), "an array of int64"),
        (np.array([["a"]]), r"shape \(1, 1\)"), (np.array(["a", "b" * 201]), "one has 201 characters"),
        (np.array(["x" * 1_000_000]), "one has 1000000 characters"), (np.array(["", "a"]), "one is empty"),
    ],
)  # fmt: skip
def test_ids_of_another_type_or_length_are_refused(ids, why):
    assert names.places(np.array(["a", "b" * 200])) == ("a", "b" * 200)
    with pytest.raises(Any2AnyError, match=f"The ids of the places cannot be used: .*{why}.*1 to 200 characters"):
        names.places(ids)
