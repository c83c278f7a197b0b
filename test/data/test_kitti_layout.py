"""Drives are found in KITTI's layouts, and in others whose folders look like them."""

import cv2
import numpy as np
import pytest
from kitti_files import write_raw

from any2any_ros.data import kitti, kitti_layout
from any2any_ros.errors import Any2AnyError

STAMP = 1_561_000_444_390_857_630  # ns


def put(file, value=1.0, floats=4):
    """Write a scan or a picture that holds this value."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".bin":
        np.full((3, floats), value, np.float32).tofile(file)
    else:
        cv2.imwrite(str(file), np.full((4, 4, 3), value, np.uint8))
    return file


@pytest.mark.parametrize("name", [name for name in kitti_layout.PICTURES if name != "image_02"])
def test_one_camera_is_enough(tmp_path, name):
    put(tmp_path / name / "0000000007.png", 7)
    drive = kitti.read(tmp_path)
    assert drive.modalities == ("camera",) and drive.sample("camera", 0)[0, 0, 0] == 7


def test_the_folder_of_a_date_holds_its_drives(tmp_path):
    date, names = tmp_path / "2011_09_26", ("2011_09_26_drive_0001_sync", "2011_09_26_drive_0002_sync")
    write_raw(date / names[0], range(3))
    (date / "calib_cam_to_cam.txt").write_text("calib_time: 1\n")
    assert kitti.read(date).ids()[0] == f"{names[0]}/0000000000"  # it is the only one
    write_raw(date / names[1], range(4))
    with pytest.raises(Any2AnyError, match=f"Choose a sequence: {', '.join(names)}"):
        kitti.read(date)
    assert len(kitti.read(date, names[1])) == 4


@pytest.mark.parametrize("of", ["", "data_3d_raw", "data_2d_raw"])
def test_kitti_360_has_scans_and_pictures_in_two_folders(tmp_path, of):
    name = "2013_05_28_drive_0000_sync"
    for i in (0, 1):
        put(tmp_path / "data_3d_raw" / name / "velodyne_points/data" / f"{i:010d}.bin", i)
        put(tmp_path / "data_2d_raw" / name / "image_00/data_rect" / f"{i:010d}.png", i)
    drive = kitti.read(tmp_path / of / name if of else tmp_path)
    assert drive.modalities == ("camera", "lidar") and drive.ids() == (f"{name}/0000000000", f"{name}/0000000001")
    assert drive.sample("lidar", 1)[0, 0] == drive.sample("camera", 1)[0, 0, 0] == 1


@pytest.mark.parametrize("name", ["../up", "07", "", "/tmp"])
def test_a_sequence_that_is_not_there_is_refused(tmp_path, name):
    put(tmp_path / "up" / "velodyne" / "000000.bin")
    put(tmp_path / "kitti" / "sequences" / "00" / "velodyne" / "000000.bin")
    with pytest.raises(Any2AnyError, match=r"is no KITTI drive.*Choose a sequence: 00"):
        kitti.read(tmp_path / "kitti", name)


def test_a_folder_that_holds_no_drive_is_described(tmp_path):
    for i in range(12):
        (tmp_path / f"photo{i:02d}.tif").touch()
    with pytest.raises(Any2AnyError, match=r"no velodyne/\*\.bin .* has photo00\.tif, .*photo09\.tif, \.\.\."):
        kitti.read(tmp_path)


# --- files that are named by their time ---------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["velodyne", "Ouster", "sensor_data/Ouster"])
@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000])
def test_a_name_of_many_digits_is_the_time(tmp_path, folder, unit):
    stamps = [STAMP // unit + i * 100_000_000 // unit for i in range(3)]
    for i, stamp in enumerate(stamps):
        put(tmp_path / folder / f"{stamp}.bin", i)
    drive = kitti.read(tmp_path)
    assert drive.stamps_ns.tolist() == [stamp * unit for stamp in stamps]
    assert drive.ids()[0] == f"{tmp_path.name}/{stamps[0]}" and drive.sample("lidar", 2)[0, 0] == 2


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_another_sensor_joins_the_scan_that_is_near(tmp_path, count):
    for i in range(4):
        put(tmp_path / "velodyne" / f"{STAMP + i * 10**9}.bin", i)
    for i in range(count):  # 20 ms late, but the fourth half a second
        late = 20_000_000 if i != 3 else 500_000_000
        put(tmp_path / "cam0" / "data" / f"{STAMP + i * 10**9 + late}.png", i)
    drive = kitti.read(tmp_path)
    seen = {i: drive.sample("camera", i)[0, 0, 0] for i in range(4) if drive.sample("camera", i) is not None}
    assert len(drive) == 4 and seen == {i: i for i in range(min(count, 3))}


def test_a_name_that_is_no_time_of_ros_is_refused(tmp_path):
    put(tmp_path / "velodyne" / f"{'9' * 19}.bin")
    with pytest.raises(Any2AnyError, match="a file is named by the time"):
        kitti.read(tmp_path)


# --- points -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [(3, 4), (4,), (4, 8)])
def test_points_of_five_floats_are_told_from_those_of_four(tmp_path, counts):
    scans = []
    for i, count in enumerate(counts):  # 4 points of 5 floats are as long as 5 points of 4
        scan = np.random.default_rng(i).normal(0, 9, (count, 5)).astype(np.float32)
        scan[:, 4] = np.arange(count) + i
        file = put(tmp_path / "velodyne" / f"{i:06d}.bin")
        scan.tofile(file)
        scans.append(scan)
    drive = kitti.read(tmp_path)
    for i, scan in enumerate(scans):
        np.testing.assert_array_equal(drive.sample("lidar", i), scan[:, :4])


def test_points_of_four_floats_stay_whatever_their_number_is(tmp_path):
    scans = np.random.default_rng(0).normal(0, 9, (6, 10, 4)).astype(np.float32)
    for i, scan in enumerate(scans):
        scan.tofile(put(tmp_path / "velodyne" / f"{i:06d}.bin"))
    np.testing.assert_array_equal(kitti.read(tmp_path).sample("lidar", 3), scans[3])


def test_oxfords_scans_have_all_x_first(tmp_path):
    scan = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.ascontiguousarray(scan.T).tofile(put(tmp_path / "velodyne_left" / f"{STAMP // 1000}.bin"))
    np.testing.assert_array_equal(kitti.read(tmp_path).sample("lidar", 0), scan)
