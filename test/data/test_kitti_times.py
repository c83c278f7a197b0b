"""The times of frames, where some sensors miss some."""

import numpy as np
import pytest
from kitti_files import write_raw

from any2any_ros.data import kitti
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS


@pytest.fixture
def gappy(tmp_path):
    """A raw drive of 6 frames, of which 2 and 3 have no scan, and a blank line in the place of its time."""
    folder = write_raw(tmp_path / "drive_0009_sync", range(6))
    dates = (folder / "velodyne_points" / "timestamps.txt").read_text().split("\n")[:6]
    (folder / "image_02" / "timestamps.txt").write_text("\n".join(dates) + "\n")
    for i in (2, 3):
        (folder / "velodyne_points" / "data" / f"{i:010d}.bin").unlink()
        dates[i] = ""
    (folder / "velodyne_points" / "timestamps.txt").write_text("\n".join(dates) + "\n")
    return folder


def test_frames_without_a_scan_have_the_time_of_their_picture(gappy):
    drive = kitti.read(gappy)
    np.testing.assert_allclose((drive.stamps_ns - drive.stamps_ns[0]) / NS, 0.1 * np.arange(6), atol=1e-6)
    assert [drive.sample("lidar", i) is not None for i in range(6)] == [True, True, False, False, True, True]
    assert drive.sample("camera", 2) is not None


def test_a_frame_that_no_sensor_has_a_time_for_is_refused(gappy):
    (gappy / "image_02" / "timestamps.txt").unlink()
    with pytest.raises(Any2AnyError, match="is not whole: frame 2 and 1 others have no time"):
        kitti.read(gappy)
