"""What holds for any recorded drive: the way driven, keyframes, and encoding frame by frame."""

from __future__ import annotations

import shutil
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros import encoders
from any2any_ros.data import kitti
from any2any_ros.data.drive import Drive, encode, keyframes, travelled
from any2any_ros.data.report import SensorReport
from any2any_ros.errors import Any2AnyError


def poses_at(points):
    """Return poses (N, 4, 4) at ground points (N, 2)."""
    points = np.asarray(points, dtype=float).reshape(-1, 2)
    poses = np.tile(np.eye(4), (len(points), 1, 1))
    poses[:, :2, 3] = points
    return poses


ways = hnp.arrays(np.float64, st.tuples(st.integers(0, 30), st.just(2)), elements=st.floats(-100, 100))


@given(ways)
def test_the_way_driven_is_the_sum_of_the_steps(points):
    """Where each step is as long as the way is measured in."""
    points = 3 * np.round(points)
    expected, total = [], 0.0
    for i in range(len(points)):
        total += float(np.hypot(*(points[i] - points[i - 1]))) if i else 0.0
        expected.append(total)
    assert travelled(poses_at(points)) == pytest.approx(expected)


def test_a_fine_way_is_measured_to_its_end():
    line = np.outer(np.arange(200) * 0.13, [0.6, 0.8])
    assert travelled(poses_at(line)) == pytest.approx(np.arange(200) * 0.13)


def test_a_robot_that_stands_and_jitters_drives_nowhere():
    noise = np.random.default_rng(0).normal(0, 0.05, (480, 2))
    line = np.outer(np.arange(20) * 2.0, [1, 0])
    points = np.concatenate([line[:10], line[9] + noise, line[10:]])
    path = travelled(poses_at(points))
    assert path[-1] == pytest.approx(38.0, abs=0.5) and np.ptp(path[10:489]) < 0.5
    assert (np.diff(path) >= 0).all()
    assert len(keyframes(poses_at(points), 1.0)) == 20


def test_the_way_is_on_the_ground():
    poses = poses_at([[0, 0], [3, 4]])
    poses[1, 2, 3] = 100  # a lift
    assert travelled(poses).tolist() == [0, 5]


def test_the_way_through_unknown_poses_is_straight():
    nowhere = [np.nan, np.nan]
    assert travelled(poses_at([nowhere, [0, 0], nowhere, [8, 0], [9, 0]])).tolist() == [0, 0, 0, 8, 9]
    assert travelled(poses_at([nowhere, nowhere])).tolist() == [0, 0]


@given(ways, st.floats(0.1, 50))
def test_keyframes_are_so_far_from_the_one_before_and_no_farther_than_need_be(points, distance):
    kept = keyframes(poses_at(points), distance)
    assert list(kept) == sorted(set(kept)) and kept.tolist()[:1] == [0][: len(points)]
    for here, there in pairwise([*kept, len(points)]):
        away = np.linalg.norm(points[here + 1 : there + 1] - points[here], axis=1)
        assert (away[: there - here - 1] < distance).all() and (away[there - here - 1 :] >= distance).all()


def test_a_frame_without_a_pose_is_no_keyframe():
    nowhere = [np.nan, np.nan]
    assert keyframes(poses_at([nowhere, [0, 0], nowhere, [8, 0]]), 1.0).tolist() == [1, 3]
    with pytest.raises(Any2AnyError, match="Cannot choose keyframes: none of the 2 frames has a pose"):
        keyframes(poses_at([nowhere, nowhere]), 1.0)


@pytest.mark.parametrize("distance", [0.0, -1.0])
def test_no_distance_takes_every_frame(distance):
    assert keyframes(poses_at(np.zeros((4, 2))), distance).tolist() == [0, 1, 2, 3]


def test_a_kitti_drive_is_a_drive(laps):
    drive: Drive = kitti.read(laps, "00")
    assert drive.name == "00" and len(drive.ids()) == len(drive) == len(drive.poses) == len(drive.stamps_ns)


def test_encodes_what_there_is_and_leaves_the_rest_nan(laps):
    drive = kitti.read(laps, "01").take(range(9))
    built = {m: encoders.build(m) for m in ("camera", "lidar", "text")}
    found = encode(drive, built)
    assert found.ids == drive.ids() and found.modalities == ("camera", "lidar", "text")
    np.testing.assert_array_equal(found.poses, drive.poses)
    for m, encoder in built.items():
        for i in range(len(drive)):
            sample = drive.sample(m, i)
            assert found.present(m)[i] == (sample is not None)
            if sample is not None:
                np.testing.assert_array_equal(found.embeddings[m][i], encoder.encode(sample))


def test_sound_is_gathered_from_frame_to_frame(laps):
    """Frames are half a second apart, and a second is heard at once."""
    drive = kitti.read(laps, "00").take(range(4))
    found = encode(drive, {"audio": encoders.build("audio")}).embeddings["audio"]
    chunks = [drive.sample("audio", i) for i in range(4)]
    second = type(chunks[2])(np.concatenate([chunks[1].samples, chunks[2].samples]), chunks[2].rate)
    np.testing.assert_array_equal(found[2], encoders.build("audio").encode(second))
    assert np.isnan(found[0]).all()


def test_an_encoder_starts_a_second_drive_afresh(laps):
    encoder = {"audio": encoders.build("audio")}
    first = encode(kitti.read(laps, "00"), encoder).embeddings["audio"]
    np.testing.assert_array_equal(encode(kitti.read(laps, "00"), encoder).embeddings["audio"], first)


def test_encoders_of_sensors_that_are_not_there_are_left_out(laps):
    drive = kitti.read(laps, "00").take(range(2))
    assert encode(drive, {"laser_scan": encoders.build("laser_scan")}).modalities == ()
    assert len(encode(drive, {})) == 2


def test_a_sample_that_is_refused_is_missing_and_counted(laps):
    drive, report = kitti.read(laps, "00").take(range(3)), SensorReport()
    picky = encoders.build("lidar", {"min_points": 100_000})
    places = encode(drive, {"lidar": picky, "text": encoders.build("text")}, report=report)
    assert not places.present("lidar").any() and places.present("text").all()
    row = report.topic("lidar", "", "cloud")
    assert (row.promised, row.messages_read, row.messages_encoded, row.messages_refused) == (3, 3, 0, 3)
    assert row.first_reason.startswith("Frame 00/000000: Cannot use a point cloud")


def test_a_file_that_cannot_be_read_is_missing_and_counted(laps, tmp_path):
    shutil.copytree(laps / "sequences" / "00", tmp_path / "00")
    (tmp_path / "00" / "image_2" / "000001.png").write_bytes(b"no picture")
    report = SensorReport()
    places = encode(kitti.read(tmp_path / "00").take(range(3)), {"camera": encoders.build("camera")}, report=report)
    assert places.present("camera").tolist() == [True, False, True] and "000001.png" in report.first_reason


def test_progress_counts_the_frames(laps):
    told = []

    def progress(loop, what):
        told.append((list(loop), what))
        return told[-1][0]

    encode(kitti.read(laps, "00").take(range(5)), {"text": encoders.build("text")}, progress)
    assert told == [([0, 1, 2, 3, 4], "encoding 00")]
