"""Poses of SemanticKITTI, KITTI-360 and MulRan, and poses that are the LiDAR's already."""

import shutil

import numpy as np
import pytest

from any2any_ros.data import kitti
from any2any_ros.data.kitti_poses import ROS_FROM_CAMERA
from any2any_ros.errors import Any2AnyError

STAMP = 1_561_000_444_000_000_000  # ns
TR = "Tr: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27\n"


def road(count):
    """Poses (N, 4, 4) along a bend to the left, in ROS axes: 1 m apart."""
    poses = np.tile(np.eye(4), (count, 1, 1))
    for i in range(1, count):
        c, s = np.cos(0.03 * i), np.sin(0.03 * i)
        poses[i, :2, :2] = [[c, -s], [s, c]]
        poses[i, :3, 3] = poses[i - 1, :3, 3] + poses[i - 1, :3, 0]
    return poses


def lines(poses, *first, between=" "):
    rows = [poses[i, :3].ravel().tolist() for i in range(len(poses))]
    return "".join(between.join(map(str, [*(f[i] for f in first), *row])) + "\n" for i, row in enumerate(rows))


def scans(folder, names):
    folder.mkdir(parents=True)
    for name in names:
        np.ones((3, 4), np.float32).tofile(folder / f"{name}.bin")


def test_poses_beside_the_scans_count_as_those_of_the_odometry_folder(ring):
    expected = kitti.read(ring, "00").poses
    shutil.move(ring / "poses" / "00.txt", ring / "sequences" / "00" / "poses.txt")
    np.testing.assert_array_equal(kitti.read(ring, "00").poses, expected)
    np.testing.assert_array_equal(kitti.read(ring / "sequences" / "00").poses, expected)
    (ring / "sequences" / "00" / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    with pytest.raises(Any2AnyError, match="1 poses for 24 frames"):
        kitti.read(ring, "00")


@pytest.mark.parametrize("axes", ["camera", "lidar"])
def test_poses_of_the_camera_are_told_from_those_of_the_lidar(tmp_path, axes):
    folder, poses = tmp_path / "00", road(30)
    scans(folder / "velodyne", [f"{i:06d}" for i in range(30)])
    (folder / "calib.txt").write_text(TR)
    camera_from_lidar = np.vstack([np.array(TR.split()[1:], float).reshape(3, 4), [0, 0, 0, 1]])
    camera = ROS_FROM_CAMERA.T @ poses @ np.linalg.inv(camera_from_lidar)
    (folder / "poses.txt").write_text(lines(camera if axes == "camera" else poses))
    np.testing.assert_allclose(kitti.read(folder).poses, poses, atol=1e-9)


@pytest.mark.parametrize("calibrated", [True, False])
def test_poses_of_kitti_360_name_their_frame(tmp_path, calibrated):
    name, poses, flip = "2013_05_28_drive_0000_sync", road(5), np.diag([1.0, -1.0, -1.0, 1.0])
    scans(tmp_path / "data_3d_raw" / name / "velodyne_points/data", [f"{i:010d}" for i in range(6)])
    (tmp_path / "data_poses" / name).mkdir(parents=True)
    mounted = np.eye(4)
    if calibrated:
        mounted[:3, 3] = 0.5, 0.1, 1.0  # of the LiDAR in the robot's ROS axes
        (tmp_path / "calibration").mkdir()
        unit_from_camera = flip @ mounted @ ROS_FROM_CAMERA
        (tmp_path / "calibration/calib_cam_to_pose.txt").write_text(f"image_00: {lines(unit_from_camera[None])}")
        (tmp_path / "calibration/calib_cam_to_velo.txt").write_text(lines(ROS_FROM_CAMERA[None]))
    # The unit's own axes are x forward, y right, z down; frame 0 has no pose.
    (tmp_path / "data_poses" / name / "poses.txt").write_text(lines(poses @ flip, range(1, 6)))
    found = kitti.read(tmp_path).poses
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1:], poses @ mounted, atol=1e-9)


def test_poses_of_mulran_have_times_of_their_own(tmp_path):
    poses = road(5)
    scans(tmp_path / "Ouster", [STAMP + i * 10**8 for i in range(5)])
    times = [STAMP + 50_000_000 + i * 10**8 for i in range(5)]
    (tmp_path / "global_pose.csv").write_text(lines(poses, times, between=","))
    found = kitti.read(tmp_path).poses
    assert np.isnan(found[0]).all()  # before the first pose
    np.testing.assert_allclose(found[1:, :3, 3], (poses[:-1, :3, 3] + poses[1:, :3, 3]) / 2, atol=1e-3)
    poses[2, 0, 0] = np.nan  # a row that knows no pose counts as missing
    (tmp_path / "global_pose.csv").write_text(lines(poses, times, between=","))
    assert np.isfinite(kitti.read(tmp_path).poses[1:]).all()


UNIT = ",1,0,0,0,0,1,0,0,0,0,1,0\n"


@pytest.mark.parametrize(
    "text",
    ["1,2,3\n", f"{STAMP}" + ",0" * 12 + "\n", "", "a,b\n", f"nan{UNIT}", f"inf{UNIT}", f"-5{UNIT}", f"1e30{UNIT}"],
)
def test_damaged_poses_are_refused_by_name(tmp_path, text):
    scans(tmp_path / "Ouster", [STAMP])
    (tmp_path / "global_pose.csv").write_text(text)
    with pytest.raises(Any2AnyError, match=r"Cannot read .*global_pose\.csv"):
        kitti.read(tmp_path)
