"""KITTI's layouts are read as they are published: samples, poses, sound, raw drives."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
from kitti_files import PERIOD, PLACES, SPACING, oxts_row, write_raw

from any2any_ros.data import kitti, kitti_layout, kitti_poses
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS


def test_reads_an_odometry_sequence(laps):
    drive = kitti.read(laps, "00")
    assert drive.modalities == ("audio", "camera", "lidar", "text") and len(drive) == PLACES
    assert drive.ids()[:2] == ("00/000000", "00/000001")
    np.testing.assert_array_equal(np.diff(drive.stamps_ns), int(PERIOD * NS))
    assert drive.stamps_ns.dtype == np.int64 and drive.stamps_ns[0] > 0  # a stamp of 0 is none
    assert kitti_layout.drives(laps) == ("00", "01", "02")


def test_samples_are_what_is_in_the_files(laps):
    drive, folder = kitti.read(laps, "00"), laps / "sequences" / "00"
    np.testing.assert_array_equal(
        drive.sample("lidar", 5), np.fromfile(folder / "velodyne" / "000005.bin", np.float32).reshape(-1, 4)
    )
    pixels = drive.sample("camera", 5)
    np.testing.assert_array_equal(pixels[..., ::-1], cv2.imread(str(folder / "image_2" / "000005.png")))
    assert drive.sample("text", 5) == (folder / "captions.txt").read_text().split("\n")[5]
    assert drive.sample("thermal", 5) is None


def test_what_a_frame_lacks_is_none_and_the_others_are_there(laps):
    drive = kitti.read(laps, "01")
    lacks = {3: "camera", 5: "lidar", 7: "text", 0: "audio"}
    for i in range(10):
        found = {m for m in drive.modalities if drive.sample(m, i) is not None}
        assert found == {*drive.modalities} - {lacks.get(i)}


# --- poses ----------------------------------------------------------------------------------------------------


def test_poses_are_the_lidars_in_ros_axes(laps):
    """x forward, y left, z up; the robot drives its ring to the left, tangentially."""
    drive = kitti.read(laps, "00")
    radius = PLACES * SPACING / (2 * np.pi)
    # The LiDAR is 0.27 m behind and 0.08 m above the camera, which drives the ring itself.
    lidar_from_camera = np.linalg.inv(kitti_poses._camera_from_lidar(laps / "sequences" / "00"))
    camera = drive.poses @ lidar_from_camera @ kitti_poses.ROS_FROM_CAMERA.T
    np.testing.assert_allclose(np.linalg.norm(camera[:, :2, 3], axis=1), radius, atol=1e-9)
    np.testing.assert_allclose(drive.poses[:, 2, 3], 0.08, atol=1e-9)
    forward, up = drive.poses[:, :3, 0], drive.poses[:, :3, 2]
    np.testing.assert_allclose(up, np.tile([0, 0, 1], (PLACES, 1)), atol=1e-9)
    steps = np.diff(drive.poses[:, :3, 3], axis=0)
    along = np.einsum("ni,ni->n", forward[:-1] + forward[1:], steps)
    np.testing.assert_allclose(along / 2, np.linalg.norm(steps, axis=1), rtol=0.02)
    left = drive.poses[:, :3, 1]
    turning = np.einsum("ni,ni->n", left[:-1], forward[1:])
    assert (turning > 0).all()  # it turns left


def test_without_ground_truth_poses_are_unknown(ring):
    shutil.rmtree(ring / "poses")
    assert np.isnan(kitti.read(ring, "00").poses).all()


def test_without_calibration_only_the_axes_turn(ring):
    (ring / "sequences" / "00" / "calib.txt").unlink()
    rows = np.loadtxt(ring / "poses" / "00.txt").reshape(-1, 3, 4)
    found = kitti.read(ring, "00").poses
    # camera: x right, y down, z forward; ROS: x forward, y left, z up
    np.testing.assert_allclose(found[:, :3, 3], rows[:, [2, 0, 1], 3] * [1, -1, -1], atol=1e-9)
    np.testing.assert_allclose(found[0, :3, :3], np.eye(3), atol=1e-9)


@pytest.mark.parametrize("name", ["Tr", "Tr_velo_cam"])
def test_the_calibration_is_found_by_either_name(ring, name):
    calib = ring / "sequences" / "00" / "calib.txt"
    expected = kitti.read(ring, "00").poses
    calib.write_text("P0: 1 0 0 0 0 1 0 0 0 0 1 0\n" + calib.read_text().replace("Tr:", f"{name}:"))
    np.testing.assert_array_equal(kitti.read(ring, "00").poses, expected)


@pytest.mark.parametrize("line", ["Tr: 1 2 3", "Tr: 1 0 0 0 0 1 0 0 0 0 one 0", "Tr:"])
def test_a_damaged_calibration_is_refused(ring, line):
    (ring / "sequences" / "00" / "calib.txt").write_text(line + "\n")
    with pytest.raises(Any2AnyError, match=r"Cannot read .*calib\.txt"):
        kitti.read(ring, "00")


# --- raw layouts ----------------------------------------------------------------------------------------------


def test_reads_a_raw_drive_by_its_dates(tmp_path):
    drive = kitti.read(write_raw(tmp_path / "drive_0001_sync", [0, 3, 25]))
    assert drive.name == "drive_0001_sync" and drive.ids()[2] == "drive_0001_sync/0000000025"
    # also past midnight
    np.testing.assert_allclose((drive.stamps_ns - drive.stamps_ns[0]) / NS, [0, 0.3, 2.5], atol=1e-6)
    assert drive.sample("lidar", 2)[0, 0] == 25 and drive.sample("camera", 1)[0, 0, 0] == 3
    assert np.isnan(drive.poses).all()


def test_inertial_poses_follow_the_mercator_formula(tmp_path):
    """KITTI's devkit, convertOxtsToPose.m: scale * R * pi * lon / 180, scale * R * log(tan(pi * (90 + lat) / 360))."""
    rows = [oxts_row(49.0, 8.4, 110), oxts_row(49.001, 8.4, 112), oxts_row(49.0, 8.401, 111, yaw=np.pi / 2)]
    poses = kitti.read(write_raw(tmp_path / "drive", range(3), rows)).poses
    scale, radius = np.cos(49.0 * np.pi / 180), 6378137.0
    expected = []
    for latitude, longitude, altitude in ((row[0], row[1], row[2]) for row in rows):
        x = scale * radius * np.pi * longitude / 180
        y = scale * radius * np.log(np.tan(np.pi * (90 + latitude) / 360))
        expected.append([x, y, altitude])
    np.testing.assert_allclose(poses[:, :3, 3], np.array(expected) - expected[0], atol=1e-6)
    # A thousandth of a degree is 111 m to the north and 73 m to the east there.
    assert poses[1, 1, 3] == pytest.approx(111.2, abs=0.5) and poses[2, 0, 3] == pytest.approx(73.0, abs=0.5)
    np.testing.assert_allclose(poses[2, :3, 0], [0, 1, 0], atol=1e-12)  # yaw 90 degrees: facing north


def test_roll_pitch_and_yaw_turn_as_in_the_devkit(tmp_path):
    r, p, y = 0.1, -0.2, 0.7

    def about(axis, a):
        c, s = np.cos(a), np.sin(a)
        return {
            "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
            "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]

    pose = kitti.read(write_raw(tmp_path / "drive", [0], [oxts_row(49, 8, 0, r, p, y)])).poses[0]
    expected = np.array(about("z", y)) @ about("y", p) @ about("x", r)
    np.testing.assert_allclose(pose[:3, :3], expected, atol=1e-12)


def test_reads_the_shared_raw_frames(shared_data):
    drive = kitti.read(shared_data / "kitti_raw")
    assert len(drive) == 12 and drive.modalities == ("camera", "lidar")
    assert drive.ids()[0] == "kitti_raw/0000000000" and drive.ids()[-1] == "kitti_raw/0000000077"
    np.testing.assert_allclose(np.diff(drive.stamps_ns) / NS, 0.7, atol=1e-9)  # every 7th at 10 Hz
    for i in range(12):
        points, pixels = drive.sample("lidar", i), drive.sample("camera", i)
        assert len(points) > 50_000 and np.abs(points[:, :3]).max() < 130
        assert pixels.shape == (375, 1242, 3)
        ground = points[(np.abs(points[:, 0] - 10) < 3) & (np.abs(points[:, 1]) < 2), 2]
        assert np.median(ground) == pytest.approx(-1.73, abs=0.15)  # the height at which KITTI mounts it


# --- take -----------------------------------------------------------------------------------------------------


def test_take_keeps_everything_of_a_frame_together(laps):
    whole = kitti.read(laps, "01")
    rows = [2, 5, 11]
    part = whole.take(rows)
    assert part.ids() == tuple(whole.ids()[i] for i in rows) and len(part) == 3
    np.testing.assert_array_equal(part.poses, whole.poses[rows])
    np.testing.assert_array_equal(part.stamps_ns, whole.stamps_ns[rows])
    assert part.sample("lidar", 1) is None and part.sample("text", 2) == whole.sample("text", 11)
    np.testing.assert_array_equal(part.sample("camera", 0), whole.sample("camera", 2))


def test_take_takes_masks_and_slices_and_takes_again(laps):
    whole = kitti.read(laps, "00")
    assert whole.take(np.arange(PLACES) % 2 == 0).take([1, 2]).ids() == ("00/000002", "00/000004")
    assert len(whole.take(np.zeros(PLACES, dtype=bool))) == 0


def test_thermal_pictures_are_read_where_they_are(laps, tmp_path):
    folder = tmp_path / "ring"
    shutil.copytree(laps / "sequences" / "00", folder)
    counts = np.arange(29000, 29012, dtype=np.uint16).reshape(3, 4)
    (folder / "thermal").mkdir()
    cv2.imwrite(str(folder / "thermal" / "000002.png"), counts)
    cv2.imwrite(str(folder / "thermal" / "000003.png"), np.zeros((3, 4, 3), np.uint8))
    drive = kitti.read(folder)
    assert "thermal" in drive.modalities and drive.sample("thermal", 1) is None
    np.testing.assert_array_equal(drive.sample("thermal", 2), counts)
    with pytest.raises(Any2AnyError, match="no whole PNG of one channel"):
        drive.sample("thermal", 3)
