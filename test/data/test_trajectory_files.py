"""Trajectories that SLAM wrote: TUM and KITTI files, and what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from any2any_ros.data.trajectory_files import read
from any2any_ros.errors import Any2AnyError

DRAW = np.random.default_rng(0)
POSITIONS, TURNS = DRAW.normal(0, 9, (5, 3)), Rotation.random(5, DRAW)
SECONDS = 1_700_000_000 + np.arange(5) * 0.1


def tum():
    rows = np.column_stack([POSITIONS, TURNS.as_quat()])
    return "# time x y z qx qy qz qw\n" + "".join(
        f"{t:.9f} {' '.join(map(repr, row))}\n" for t, row in zip(SECONDS, rows.tolist(), strict=True)
    )


def kitti():
    rows = np.concatenate([TURNS.as_matrix(), POSITIONS[:, :, None]], axis=2).reshape(5, 12)
    return "".join(" ".join(map(repr, row)) + "\n" for row in rows.tolist())


@pytest.mark.parametrize("times", ["", "times.txt", "slam_times.txt"])
def test_tum_and_kitti_say_the_same(tmp_path, times):
    file = tmp_path / "slam.txt"
    file.write_text(kitti() if times else tum())
    if times:
        (tmp_path / times).write_text("".join(f"{t:.9f}\n" for t in SECONDS))
    found = read(file)
    assert found.source == "slam.txt"
    np.testing.assert_allclose(found.stamps_ns / 1e9, SECONDS, atol=1e-6)
    np.testing.assert_allclose(found.poses[:, :3, 3], POSITIONS)
    np.testing.assert_allclose(found.poses[:, :3, :3], TURNS.as_matrix(), atol=1e-9)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda: kitti(), "have no times: there is no slam_times.txt and no times.txt beside it"),
        (lambda: "1 2 3\n", "is no trajectory: it has 3 numbers a line"),
        (lambda: tum() + "9 0 0 0 0 0 0 0\n", "pose 6 is no pose"),
        (lambda: tum() + "9 nan 0 0 0 0 0 1\n", "pose 6 is no pose"),
        (lambda: "1700000000000000000 0 0 0 0 0 0 1\n", "1.7e.18 is no time in seconds"),
        (lambda: "nan 0 0 0 0 0 0 1\n", "nan is no time in seconds"),
        (lambda: "0,0,0,0,0,0,0,1\n", "Cannot read"),
        (lambda: "", "0 numbers a line|is no trajectory"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path, content, why):
    file = tmp_path / "slam.txt"
    file.write_text(content())
    with pytest.raises(Any2AnyError, match=why):
        read(file)


def test_times_and_poses_must_be_as_many(tmp_path):
    file = tmp_path / "slam.txt"
    file.write_text(kitti())
    (tmp_path / "times.txt").write_text("0\n1\n")
    with pytest.raises(Any2AnyError, match=r"it has 5 poses, times.txt 2 times"):
        read(file)
