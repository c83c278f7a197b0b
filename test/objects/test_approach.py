"""Where the base stands: before the object, on the side of the camera, facing it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.objects.approach import stand
from any2any_ros.objects.remembered_object import RememberedObject
from any2any_ros.poses import fault

METRES = st.floats(-50, 50)


def thing(centre, size=(0.1, 0.2, 0.3)):
    half = np.array(size) / 2
    return RememberedObject("mug", np.array(centre) - half, np.array(centre) + half, 0)


def test_it_stands_before_the_box_and_looks_at_it():
    pose = stand(thing((2.0, 1.0, 0.8)), np.array([-1.0, 1.0, 1.2]), 0.6)
    np.testing.assert_allclose(pose[:3, 3], [2.0 - 0.05 - 0.6, 1.0, 0.0])
    np.testing.assert_allclose(pose[:3, :3], np.eye(3), atol=1e-12)


@given(st.tuples(METRES, METRES, METRES), st.tuples(METRES, METRES, METRES), st.floats(0, 10))
def test_the_object_is_straight_ahead_and_no_nearer_than_the_distance(centre, camera, distance):
    target = thing(centre)
    pose = stand(target, np.array(camera), distance)
    assert fault(pose) == "" and pose[2, 3] == 0
    x, y, _, _ = np.linalg.inv(pose) @ [*target.centre, 1]
    assert abs(y) < 1e-6 and distance + 0.05 - 1e-6 <= x <= distance + 0.15


def test_a_camera_right_above_sees_from_no_side():
    assert fault(stand(thing((1.0, 1.0, 1.0)), np.array([1.0, 1.0, 2.0]), 0.5)) == ""
