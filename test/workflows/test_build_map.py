"""What becomes of a recording's frames when they are the places of a map."""

import numpy as np
import pytest
import two_cameras

from any2any_ros import encoders
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet
from any2any_ros.place_map import open_map
from any2any_ros.workflows.build_map import MapOptions, as_map, write_map


def places(n, **columns):
    poses = np.tile(np.eye(4), (n, 1, 1))
    return ObservationSet(columns, poses, tuple(f"x/{i}" for i in range(n)))


def test_places_that_no_sensor_saw_are_left_out():
    text = encoders.build("text", {"bins": 16})
    seen = np.ones((3, 16), dtype=np.float32)
    seen[1] = np.nan
    assert as_map(places(3, text=seen), {"text": text}, "m").places.ids == ("x/0", "x/2")


@pytest.mark.parametrize("columns", [{}, {"text": np.full((3, 16), np.nan)}], ids=["nothing", "never"])
def test_a_map_of_nothing_is_refused(columns):
    text = encoders.build("text", {"bins": 16})
    with pytest.raises(Any2AnyError, match="Cannot make map 'm'"):
        as_map(places(3, **columns), {"text": text} if columns else {}, "m")


def test_a_rear_camera_may_query_a_map_of_the_front_one(tmp_path):
    """It has the same encoder, so their vectors can be compared."""
    recording = two_cameras.opened(two_cameras.bag(tmp_path / "bag", [(i, 1) for i in range(4)]))
    reference = write_map(recording, tmp_path / "map", options=MapOptions(query_only=("camera_rear",)))
    assert reference.places.modalities == ("camera_front",) and ("camera_rear", "camera_front") in reference.pairs
    assert reference.places.mountings.keys() == {"camera_front", "camera_rear"}
    back = open_map(tmp_path / "map").rank({"camera_rear": two_cameras.picture(2, 1, 99)})
    assert back.matches[0].id == "bag/000002"
