"""A map in the hands of a Python user who drives: scans are put together step by step."""

import numpy as np
import pytest
from rooms import hall_log

import any2any_ros as a2a
from any2any_ros.data import carmen


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hall")
    log = hall_log(folder)
    return a2a.build_map(log, folder / "map").path, carmen.read(log)


@pytest.fixture
def hall(built):
    """Return a map of a log, opened anew, and the log."""
    return a2a.open_map(built[0]), built[1]


def test_the_steps_of_a_drive_give_what_its_map_holds(hall):
    house, drive = hall
    seen = []
    for i in range(len(drive)):
        step = a2a.Step(int(drive.stamps_ns[i]), drive.odometry(i))
        seen.append(house.observe({"laser_scan": drive.sample("laser_scan", i)}, step))
    places = house.reference.places
    for row, id in enumerate(places.ids):
        frame = seen[int(id.split("/")[1])]
        np.testing.assert_array_equal(frame.embeddings["laser_scan"], places.embeddings["laser_scan"][row])
        np.testing.assert_array_equal(frame.birds_eye["laser_scan"], places.birds_eye["laser_scan"][row])


def test_a_scan_without_a_step_stands_alone(hall):
    house, drive = hall
    moment = {"laser_scan": drive.sample("laser_scan", 39)}
    together = [house.observe({"laser_scan": drive.sample("laser_scan", i)}, a2a.Step(i, None)) for i in range(40)][-1]
    alone, again = house.observe(moment), house.observe(moment)
    np.testing.assert_array_equal(alone.embeddings["laser_scan"], again.embeddings["laser_scan"])
    assert alone.embeddings["laser_scan"] @ together.embeddings["laser_scan"] < 0.97


def test_a_robot_is_located_and_so_is_a_place_that_it_adds(hall, tmp_path):
    house, drive = hall
    moment = {"laser_scan": drive.sample("laser_scan", 25)}
    step = a2a.Step(0, drive.odometry(25))
    ranking = house.rank(moment, 1, step)
    assert abs(ranking.matches[0].pose[0, 3] - drive.poses[25, 0, 3]) < 0.5
    other = a2a.open_map(house.save(tmp_path / "other"))
    other.add(moment, drive.poses[25], "here", step)
    assert other.rank(moment, 1, step).matches[0].id == "here"


@pytest.mark.parametrize("odometry", [np.eye(3), np.full((4, 4), np.nan), 2 * np.eye(4)])
def test_a_step_whose_odometry_is_no_pose_is_refused(odometry):
    with pytest.raises(a2a.Any2AnyError, match="The odometry cannot be used"):
        a2a.Step(0, odometry)
