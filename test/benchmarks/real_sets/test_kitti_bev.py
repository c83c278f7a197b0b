"""Bird's-eye images: the counts and the points of a cell, BEVPlace's split, and what a wrong folder is told."""

import numpy as np
import pytest
import tiny_real_sets
from hypothesis import given
from hypothesis import strategies as st
from real_sets import kitti_bev

from any2any_ros import encoders
from any2any_ros.birds_eye import image as birds_eye
from any2any_ros.errors import Any2AnyError


@given(st.sampled_from([10, 9, 8]), st.integers(0, 2**32 - 1))
def test_counts_come_back_from_pixels_whatever_makes_a_cell_white(cap, seed):
    counted = np.random.default_rng(seed).integers(0, 15, (21, 21)) % (cap + 3)
    counted[counted == 1] = 0
    counted.flat[: cap + 1] = np.arange(cap + 1)  # so that the image shows what its cap is
    pixels = (255 * np.minimum(counted, cap) / cap).astype(np.uint8)
    np.testing.assert_array_equal(kitti_bev.counts(pixels), np.minimum(counted, cap))


def test_an_empty_image_has_no_points():
    assert kitti_bev.cloud(np.zeros((5, 5), np.uint8)).shape == (0, 4)


def test_points_lie_forward_and_left_as_many_as_were_counted():
    image = np.zeros((151, 151), np.uint8)
    image[74, 75], image[75, 70] = 76, 255  # a row up, three points; five columns to the left, ten points
    points = kitti_bev.cloud(image)
    assert points.dtype == np.float32 and len(points) == 13
    np.testing.assert_allclose(np.unique(points, axis=0), [[0, 2.2, 0, 0], [0.6, 0, 0, 0]], atol=1e-6)
    assert (points[:, 0] > 0).sum() == 3


def test_the_split_is_the_published_one(tmp_path, monkeypatch):
    monkeypatch.setitem(kitti_bev.PUBLISHED_SPLIT, "05", (20, 26, 40))
    poses = tiny_real_sets.ring(40)
    real = kitti_bev.read(tiny_real_sets.kitti_bev(tmp_path, poses, "05"))
    frames = np.concatenate([np.arange(20), np.arange(26, 40)])
    np.testing.assert_array_equal(real.recording.drive.rows, frames)
    np.testing.assert_array_equal(real.references, np.arange(20))
    for query, right in zip(real.queries, real.right, strict=True):
        away = [np.hypot(*(poses[frames[query], :2, 3] - poses[r, :2, 3])) for r in range(20)]
        np.testing.assert_array_equal(right, np.array(away) < 5.0)
    assert len(real.queries) == 14 and real.allowed.all() and "frames 26 to 39" in real.protocol


def test_the_published_splits_are_those_of_the_paper():
    database = {"00": 3000, "02": 3400, "05": 1000, "06": 600}
    queries = {"00": (3200, 4540), "02": (3600, 4660), "05": (1200, 2750), "06": (800, 1100)}
    assert {s: (database[s], queries[s][0], queries[s][1] + 1) for s in database} == kitti_bev.PUBLISHED_SPLIT


def test_queries_without_a_right_frame_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setitem(kitti_bev.PUBLISHED_SPLIT, "06", (10, 20, 40))  # the map is half a lap
    real = kitti_bev.read(tiny_real_sets.kitti_bev(tmp_path, tiny_real_sets.ring(40), "06"))
    assert 0 < len(real.queries) < 20 and real.right.any(axis=1).all()


def test_another_sequence_has_revisits_of_keyframes(tmp_path):
    poses = tiny_real_sets.ring(100)
    real = kitti_bev.read(tiny_real_sets.kitti_bev(tmp_path, poses, "ours"))
    assert "BEVPlace does not list" in real.protocol
    places = real.recording.drive.poses[:, :2, 3]
    assert np.hypot(*np.diff(places, axis=0).T).min() >= 3.0
    assert not np.triu(real.allowed[:, : len(places)], -1)[np.arange(len(real.queries)), real.queries].any()


def damage(home, how):
    if how == "no poses":
        (home / "pose.txt").unlink()
    elif how == "short line":
        (home / "pose.txt").write_text("1 2 3\n")
    elif how == "fewer poses":
        lines = (home / "pose.txt").read_text().splitlines()
        (home / "pose.txt").write_text("\n".join(lines[:-1]))
    elif how == "another array":
        np.savez(home / "bev.npz", images=np.zeros((3, 5, 5), np.uint8))
    elif how == "even side":
        np.savez(home / "bev.npz", bev=np.zeros((3, 6, 6), np.uint8))
    elif how == "no archive":
        (home / "bev.npz").write_bytes(b"nothing")


DAMAGES = {
    "no poses": "no pose.txt", "short line": "line 1 has 3 numbers", "fewer poses": "40 images and 39 poses",
    "another array": "not 'bev'", "even side": "odd", "no archive": "bev.npz",
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
def test_a_wrong_folder_is_an_error_that_says_why_and_shows_the_layout(tmp_path, how):
    home = tiny_real_sets.kitti_bev(tmp_path, tiny_real_sets.ring(40))
    damage(home, how)
    with pytest.raises(Any2AnyError) as raised:
        kitti_bev.read(home)
    assert DAMAGES[how] in str(raised.value) and "a folder SEQUENCE with bev.npz" in str(raised.value)


def test_a_published_sequence_of_another_length_is_refused(tmp_path):
    home = tiny_real_sets.kitti_bev(tmp_path, tiny_real_sets.ring(40), "00")
    with pytest.raises(Any2AnyError, match="sequence 00 has 4541 frames, this folder 40"):
        kitti_bev.read(home)


def test_a_drive_that_comes_back_to_nothing_is_refused(tmp_path):
    poses = np.tile(np.eye(4), (40, 1, 1))
    poses[:, 0, 3] = 6.0 * np.arange(40)
    with pytest.raises(Any2AnyError, match="no query lies within 5 m"):
        kitti_bev.read(tiny_real_sets.kitti_bev(tmp_path, poses))


def test_images_were_made_as_the_file_says(shared_data):
    """Three real scans of sequence 00, cut to 60 degrees, give the pixels of its images."""
    scans, images = shared_data / "real/odd_sensors/kitti00_revisit_triple", shared_data / "real/kitti_bev/00/bev.npz"
    if not scans.is_dir() or not images.is_file():
        pytest.skip("no scans and images of KITTI 00 in the shared data")
    bev = np.load(images)["bev"]
    row, column = np.mgrid[75:-76:-1, 75:-76:-1]
    seen = (np.abs(np.arctan2(column, row)) < np.radians(28)) & (np.hypot(row, column) < 61) & (row > 8)
    for number in (0, 1, 60):
        points = np.fromfile(scans / f"{number:06d}.bin", "<f4").reshape(-1, 4)
        np.testing.assert_array_equal(kitti_bev.counts(bev[number])[seen], kitti_bev.image_counts(points)[seen])


def test_images_reach_an_encoder_of_images_cell_by_cell():
    """The row of its image counts to the left, the column forward; KITTI's rows count backward, its columns right."""
    image = np.zeros((151, 151), np.uint8)
    image[75 - 12, 75 - 30], image[75 + 40, 75], image[75, 75 + 20] = 255 * 5 // 10, 255, 26
    encoder = encoders.build("birds_eye")
    adapted = kitti_bev.OfImages.adapt(encoder)
    seen = adapted.see(kitti_bev.cloud(image))
    levels = birds_eye.unpack(seen.birds_eye)
    assert {(r, c): levels[r, c] for r, c in np.argwhere(levels)} == {(92, 74): 2, (62, 22): 3, (42, 62): 1}
    assert adapted.cell == encoder.cell and len(seen.vector) == encoder.dimension
    assert kitti_bev.OfImages.adapt(lidar := encoders.build("lidar")) is lidar
