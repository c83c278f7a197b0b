"""The trajectories of a bag: topics of every type, files, and what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from bag_files import text, written
from pose_messages import FIX, ODOMETRY, STAMPED, TF, WITH_COVARIANCE, fix, message, odometry, transforms
from scipy.spatial.transform import Rotation, Slerp

from any2any_ros.config import PoseConfig
from any2any_ros.data import bag_poses, earth
from any2any_ros.data.bag_poses import PoseSource
from any2any_ros.data.bag_reading import open_reader
from any2any_ros.data.report import SensorReport
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS

SECONDS = np.arange(10, 20) * NS


def read(path, topic="", report=None, **more):
    with open_reader(path) as reader:
        return bag_poses.read(reader, PoseSource(topic, **more), report)


@pytest.mark.parametrize("kind", [STAMPED, WITH_COVARIANCE, ODOMETRY])
def test_poses_are_interpolated_between_messages(tmp_path, kind):
    draw = np.random.default_rng(0)
    at, positions, turns = np.array([10, 11, 12.5, 13]) * NS, draw.normal(size=(4, 3)), Rotation.random(4, draw)
    content = [
        (int(stamp) + 5_000_000, message(kind, int(stamp), p, q))  # it comes 5 ms after it was true
        for stamp, p, q in zip(at, positions, turns.as_quat(), strict=True)
    ]
    found = read(written(tmp_path / "bag", ("/odom", kind, content)), "odom")
    asked = np.array([9.5, 10, 10.25, 12, 13, 13.01]) * NS
    poses = found.trajectory.at(asked.astype(np.int64)).poses
    assert np.isnan(poses[[0, -1]]).all()  # before the first and after the last, nothing is known
    expected = np.array([np.interp(asked[1:-1], at, positions[:, axis]) for axis in range(3)]).T
    np.testing.assert_allclose(poses[1:-1, :3, 3], expected, atol=1e-9)
    np.testing.assert_allclose(poses[1:-1, :3, :3], Slerp(at, turns)(asked[1:-1]).as_matrix(), atol=1e-6)
    assert found.trajectory.source == "/odom" and found.frame == ("base_link" if kind == ODOMETRY else "")


def test_messages_that_are_no_poses_are_counted_with_a_reason(tmp_path):
    """Many a driver publishes zeros, or NaN, until it knows where it is."""
    bad = [((0, 0, 0), (0, 0, 0, 0)), ((np.nan, 0, 0), (0, 0, 0, 1)), ((1e300, 0, 0), (0, 0, 0, 1))]
    content = [(i * NS, message(STAMPED, i * NS, *pose)) for i, pose in enumerate(bad, start=1)]
    content += [(9 * NS, message(STAMPED, 0, (7, 0, 0)))]  # without a stamp, it was when it was recorded
    report = SensorReport()
    found = read(written(tmp_path / "bag", ("/pose", STAMPED, content)), "/pose", report)
    assert found.trajectory.stamps_ns.tolist() == [9 * NS] and found.trajectory.poses[0, 0, 3] == 7
    (row,) = report.topics.values()
    assert (row.messages_read, row.messages_encoded, row.messages_refused) == (4, 1, 3)
    assert "is no rotation" in row.first_reason


def test_a_topic_that_is_not_there_or_holds_no_poses_is_an_error(tmp_path):
    path = written(
        tmp_path / "bag",
        ("/odom", ODOMETRY, odometry(SECONDS, range(10))),
        ("/caption", "std_msgs/msg/String", [(NS, text("mill"))]),
    )
    assert len(read(path).trajectory) == 0  # it has no ground truth, and none was asked for
    with pytest.raises(Any2AnyError, match=r"no topic odm in the bag .*: its topics are /caption, /odom\. "):
        read(path, "/odm")
    with pytest.raises(Any2AnyError, match=r"Topic /caption holds no poses: its type is std_msgs/msg/String"):
        read(path, "caption")
    with pytest.raises(Any2AnyError, match="Topic /odom has no frames to choose"):
        read(path, "/odom:map.base")
    for wrong in ("/tf:map", "/tf:", "/tf:.base", "no topic"):
        with pytest.raises(Any2AnyError):
            PoseSource(wrong)
    with pytest.raises(Any2AnyError, match="two sources of poses"):
        PoseSource("/odom", tmp_path / "slam.txt")


def test_a_clock_that_stepped_back_is_an_error_with_a_cure(tmp_path):
    stamps = SECONDS - np.where(np.arange(10) >= 5, 6 * NS, 0)
    content = [(int(t), m) for t, (_, m) in zip(SECONDS, odometry(stamps, range(10)), strict=True)]
    path = written(tmp_path / "bag", ("/odom", ODOMETRY, content))
    with pytest.raises(Any2AnyError, match=r"The clock of /odom stepped back: by 5.0 s, at message 6 of 10.*received"):
        read(path, "/odom")
    found = read(path, "/odom", settings=PoseConfig(stamps="received")).trajectory
    np.testing.assert_array_equal(found.poses[:, 0, 3], range(10))


def test_one_message_from_before_is_left_out(tmp_path):
    content = odometry(SECONDS, range(10))
    content.insert(5, (14 * NS + 5, message(ODOMETRY, 3 * NS, (99, 0, 0))))
    report = SensorReport()
    found = read(written(tmp_path / "bag", ("/odom", ODOMETRY, content)), "/odom", report).trajectory
    np.testing.assert_array_equal(found.poses[:, 0, 3], range(10))
    assert [(row.messages_encoded, row.messages_refused) for row in report.topics.values()] == [(10, 1)]


# --- transforms -------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    """map -> odom, corrected once a second; odom -> base_link, ten times a second; base_link -> lidar, static."""
    slow = [(int(s), transforms(int(s), ("map", "odom", (100, 0, 0), 0))) for s in SECONDS]
    fast = np.arange(100, 191) * (NS // 10)
    quick = [(int(s), transforms(int(s), ("odom", "base_link", (s / NS - 10, 0, 0), 0.1))) for s in fast]
    static = [(10 * NS, transforms(0, ("base_link", "lidar", (0, 0, 2), 0)))]
    return written(tmp_path / "bag", ("/tf", TF, slow + quick), ("/tf_static", TF, static))


@pytest.mark.parametrize(("frames", "first"), [("map.base_link", (100, 0)), ("odom.lidar", (0, 2))])
def test_transforms_are_chained_at_the_rate_of_the_fastest(tree, frames, first):
    found = read(tree, f"/tf:{frames}")
    assert len(found.trajectory) == 91 and found.trajectory.source == f"/tf:{frames}"
    assert found.frame == frames.partition(".")[2]
    np.testing.assert_allclose(found.trajectory.poses[0, [0, 2], 3], first)
    np.testing.assert_allclose(np.diff(found.trajectory.poses[:, 0, 3]), 0.1)


def test_frames_are_listed_when_they_are_not_named(tree, tmp_path):
    with pytest.raises(Any2AnyError, match=r"/tf holds 2 transforms: they are /tf:map.odom, /tf:odom.base_link\."):
        read(tree, "/tf")
    with pytest.raises(Any2AnyError, match="no transform from map to gps: the frames are base_link, lidar, map, odom"):
        read(tree, "/tf:map.gps")
    with pytest.raises(Any2AnyError, match="lidar does not move in base_link"):
        read(tree, "/tf:base_link.lidar")
    single = [(int(s), transforms(int(s), ("world", "drone", (i, 0, 0), 0))) for i, s in enumerate(SECONDS)]
    found = read(written(tmp_path / "one", ("/tf", TF, single)), "/tf")
    assert found.trajectory.source == "/tf:world.drone" and found.frame == "drone"


def test_a_gap_of_one_transform_is_a_gap_of_the_chain(tmp_path):
    slow = [(int(s), transforms(int(s), ("map", "odom", (0, 0, 0), 0))) for s in (*SECONDS[:3], *SECONDS[8:])]
    quick = [(int(s), transforms(int(s), ("odom", "base", (0, 0, 0), 0))) for s in SECONDS]
    found = read(written(tmp_path / "bag", ("/tf", TF, slow + quick)), "/tf:map.base").trajectory
    assert found.stamps_ns.tolist() == [*SECONDS[:3], *SECONDS[8:]]
    assert found.at(np.array([14 * NS])).reasons == ("in a gap between poses, of 6.0 s",)


def test_of_two_parents_the_one_that_was_asked_for_counts(tmp_path):
    both = [
        (int(s), transforms(int(s), ("map", "base", (i, 0, 0), 0), ("odom", "base", (-i, 0, 0), 0)))
        for i, s in enumerate(SECONDS)
    ]
    path = written(tmp_path / "bag", ("/tf", TF, both))
    for parent, sign in (("map", 1), ("odom", -1)):
        np.testing.assert_allclose(read(path, f"/tf:{parent}.base").trajectory.poses[:, 0, 3], sign * np.arange(10))


def mounted(path, kind, content):
    """Write a bag of poses of base_link, to which an antenna and a LiDAR are fixed, 2 m ahead and 1 m to the left."""
    edges = [("base_link", "gps", (0, 1, 0), 0), ("base_link", "lidar", (2, 0, 0), 0)]
    return written(path, ("/pose", kind, content), ("/tf_static", TF, [(10 * NS, transforms(0, *edges))]))


def test_poses_are_moved_to_the_base_frame(tmp_path):
    """An antenna 1 m to the left of a robot that drives east is 1 m north of it."""
    content = [(int(s), fix(int(s), 49.0, 8.4 + i * 1e-4)) for i, s in enumerate(SECONDS)]
    path = mounted(tmp_path / "bag", FIX, content)
    found = read(path, "/pose", settings=PoseConfig(base_frame="base_link"))
    assert found.frame == "base_link"
    np.testing.assert_allclose(found.trajectory.poses[:, 1, 3], -1.0, atol=1e-3)
    with pytest.raises(Any2AnyError, match="no transform from gps to wheel: the frames are base_link, gps, lidar"):
        read(path, "/pose", settings=PoseConfig(base_frame="wheel"))
    path = mounted(tmp_path / "stamped", STAMPED, [(NS, message(STAMPED, NS))])
    with pytest.raises(Any2AnyError, match="Cannot move the poses to base_link: /pose does not say whose they are"):
        read(path, "/pose", settings=PoseConfig(base_frame="base_link"))


# --- satellites ---------------------------------------------------------------------------------------------------


def test_fixes_become_metres_east_and_north_of_the_first(tmp_path):
    """Against the radii of the Earth at this latitude, which are textbook formulae."""
    latitude, longitude = 49.0 + np.arange(10) * 1e-5, 8.4 + np.arange(10) * 2e-5
    content = [(int(s), fix(int(s), *at)) for s, *at in zip(SECONDS, latitude, longitude, strict=True)]
    content[0] = (10 * NS, fix(10 * NS, 0.0, 0.0))
    content[1] = (11 * NS, fix(11 * NS, np.nan, 8.0, status=-1))
    report = SensorReport()
    found = read(written(tmp_path / "bag", ("/fix", FIX, content)), "/fix", report)
    assert found.origin == (latitude[2], longitude[2], 100.0) and found.frame == "gps" and len(found.trajectory) == 8
    a, e2 = 6378137.0, 0.00669437999014
    w = np.sqrt(1 - e2 * np.sin(np.radians(latitude[2])) ** 2)
    north = np.radians(latitude[9] - latitude[2]) * a * (1 - e2) / w**3
    east = np.radians(longitude[9] - longitude[2]) * a / w * np.cos(np.radians(latitude[2]))
    np.testing.assert_allclose(found.trajectory.poses[-1, :2, 3], (east, north), rtol=1e-4)
    heading = np.arctan2(north, east)  # the robot looks where it drives
    np.testing.assert_allclose(found.trajectory.poses[:, 0, 0], np.cos(heading), atol=1e-4)
    assert [row.messages_refused for row in report.topics.values()] == [2]


def test_two_drives_have_one_frame_when_they_have_one_origin(tmp_path):
    content = [(int(s), fix(int(s), 49.0, 8.4 + i * 1e-5)) for i, s in enumerate(SECONDS)]
    path = written(tmp_path / "bag", ("/fix", FIX, content))
    base = (48.999, 8.4, 90.0)
    with open_reader(path) as reader:
        assert bag_poses.origin(reader, PoseSource("/fix")) == (49.0, 8.4, 100.0)
    found = read(path, "/fix", origin=base)
    np.testing.assert_allclose(found.trajectory.poses[0, :3, 3], (0, 111.2, 10.0), atol=0.1)
    np.testing.assert_allclose(earth.metres(np.array([[*base[:2], np.nan]]), base), [[0, 0, 0]], atol=1e-6)


def test_a_bag_of_other_poses_has_no_origin(tree):
    with open_reader(tree) as reader:
        assert bag_poses.origin(reader, PoseSource("/tf:map.odom")) is None


def test_a_receiver_without_a_position_gives_no_poses(tmp_path):
    content = [(int(s), fix(int(s), 0, 0, status=-1)) for s in SECONDS]
    found = read(written(tmp_path / "bag", ("/fix", FIX, content)), "/fix")
    assert len(found.trajectory) == 0 and found.origin is None
