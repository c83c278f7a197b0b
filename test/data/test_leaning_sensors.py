"""A bag whose LiDAR leans gives the map that a level one gives."""

import mounted_drives
import numpy as np

from any2any_ros.data.sources import open_recording
from any2any_ros.encoders import build


def observed(path, mounting, poses):
    bag = mounted_drives.bag(path, mounted_drives.HOUSES, poses, mounting)
    return open_recording(bag, pose_topic="/tf:map.base_link").observe({"lidar": build("lidar")}, 0.0)


def test_a_leaning_lidar_is_described_as_a_level_one(tmp_path):
    poses = mounted_drives.along(8)
    level = observed(tmp_path / "level", "0.3 0 1.6 0 0 0", poses)
    leaning = observed(tmp_path / "leaning", "0.3 0 2.4 3.14159265 0.2 0", poses)
    alike = leaning.embeddings["lidar"] @ level.embeddings["lidar"].T
    assert (alike.argmax(axis=1) == np.arange(8)).all() and np.diag(alike).min() > 0.97
    assert (leaning.mountings["lidar"][2, 2]) < -0.9 and level.mountings["lidar"][2, 2] == 1
