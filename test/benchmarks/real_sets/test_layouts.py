"""Logs, pictures, films, rooms and sounds: what is a query, what is right, and what a wrong folder is told."""

import numpy as np
import pytest
import tiny_real_sets
from real_sets import iasm_audio, laser2d, nordland, pictures, sevenscenes
from real_sets.real_set import Options

from any2any_ros.data.drive import keyframes
from any2any_ros.errors import Any2AnyError

WRITERS = {
    iasm_audio: tiny_real_sets.iasm_audio, nordland: tiny_real_sets.nordland, pictures: tiny_real_sets.picture_pairs,
    sevenscenes: tiny_real_sets.sevenscenes,
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITERS, ids=lambda kind: kind.KIND)
def test_a_set_is_found_and_each_query_has_an_allowed_right_reference(tmp_path, kind):
    home = WRITERS[kind](tmp_path)
    assert kind.find(home) == [home] and kind.find(tmp_path) == []
    real = kind.read(home, Options())
    assert real.kind == kind.KIND and real.name == kind.name(home)
    assert len(real.queries) and real.right.shape == real.allowed.shape == (len(real.queries), len(real.references))
    assert real.right.any(axis=1).all() and not (real.right & ~real.allowed).any()
    ids = real.recording.drive.ids()
    assert len(set(ids)) == len(ids) == len(real.recording.drive)
    for modality in real.modalities:
        assert real.recording.drive.sample(modality, int(real.queries[-1])) is not None
    assert real.recording.drive.sample("smell", 0) is None


def test_a_log_is_driven_against_its_own_past(tmp_path):
    path = tiny_real_sets.laser_log(tmp_path, tiny_real_sets.ring(400))
    assert laser2d.find(tmp_path) == [path]
    real = laser2d.read(path)
    poses = real.recording.drive.poses[keyframes(real.recording.drive.poses, 0.5)]
    assert real.name == "ring" and len(real.references) == len(poses) > 300
    for query, right, allowed in zip(real.queries.tolist(), real.right, real.allowed, strict=True):
        away = np.hypot(*(poses[:, :2, 3] - poses[query, :2, 3]).T)
        assert not allowed[query - 30 :].any()  # 15 m of driving, and the future
        assert (away[right] < 2.0).all() and not ((away < 2.0) & allowed & ~right).any()
    assert len(real.queries) > 100


def test_pictures_are_in_the_order_of_their_numbers(tmp_path):
    real = pictures.read(tiny_real_sets.picture_pairs(tmp_path, 12))
    shown = real.recording.drive.sample("camera", 10)[..., ::-1]
    np.testing.assert_array_equal(shown, tiny_real_sets.scene(10, 0))
    np.testing.assert_array_equal(real.right, np.eye(12, dtype=bool))


def test_neighbours_are_right_where_the_set_or_the_user_says_so(tmp_path):
    number = np.arange(12)
    home = tiny_real_sets.picture_pairs(tmp_path, 12, "gardens_point")
    apart = np.abs(number[:, None] - number)
    np.testing.assert_array_equal(pictures.read(home).right, apart <= 2)
    np.testing.assert_array_equal(pictures.read(home, Options(tolerance=4)).right, apart <= 4)
    np.testing.assert_array_equal(nordland.read(tiny_real_sets.nordland(tmp_path)).right, apart <= 1)


def test_a_list_of_right_pictures_counts_and_may_leave_queries_out(tmp_path):
    home = tiny_real_sets.picture_pairs(tmp_path, 6)
    (home / "ref" / "5.png").unlink()
    with pytest.raises(Any2AnyError, match=r"6 pictures, ref/ 5, and there is no ground_truth\.csv"):
        pictures.read(home)
    (home / "ground_truth.csv").write_text("query,right\n0.png,0.png,1.png\n4.png,2.png\n")
    real = pictures.read(home)
    assert real.queries.tolist() == [0, 4] and [np.flatnonzero(r).tolist() for r in real.right] == [[0, 1], [2]]
    assert "ground_truth.csv" in real.protocol


def test_frames_of_a_room_are_right_by_position_and_direction(tmp_path):
    home = tiny_real_sets.sevenscenes(tmp_path)
    turned = np.eye(4)
    turned[[0, 0, 2, 2], [0, 2, 0, 2]] = np.cos(1), np.sin(1), -np.sin(1), np.cos(1)
    np.savetxt(home / "frames" / "frame-000003.pose.txt", turned)  # 57 degrees
    real = sevenscenes.read(home, Options())
    right = dict(zip(real.queries.tolist(), real.right, strict=True))
    assert np.flatnonzero(right[18]).tolist() == [0, 1, 2, 4, 5]  # 0.3 m and the frame 12 before are outside
    np.testing.assert_allclose(real.recording.drive.poses[1, :3, 3], [0, -0.05, 0])  # to the right of the camera
    np.testing.assert_allclose(real.recording.drive.poses[1, :3, :3], np.eye(3))


def test_depth_becomes_points_ahead():
    depth = np.zeros((48, 64), np.float32)
    depth[24, 32], depth[8, 4] = 2.0, 3.0
    points = sevenscenes.points(depth, np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]))
    np.testing.assert_allclose(points[points[:, 0] == 2.0], [[2.0, 0, 0, 0]])
    np.testing.assert_allclose(points[points[:, 0] == 3.0], [[3.0, 28 / 20, 16 / 20, 0]], rtol=1e-6)


def test_stops_are_right_by_position_and_not_beside_each_other(tmp_path):
    real = iasm_audio.read(tiny_real_sets.iasm_audio(tmp_path), Options())
    np.testing.assert_array_equal(real.queries, np.arange(24))
    assert [np.flatnonzero(r).tolist() for r in real.right] == [[(i + 12) % 24] for i in range(24)]


def removed(home, name):
    (home / name).unlink()


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        (nordland, "winter.npz", "no winter.npz"),
        (sevenscenes, "camera-intrinsics.txt", "no camera-intrinsics.txt"),
        (iasm_audio, "audio/sub07.wav", "no sub07.wav"),
    ],
)
def test_a_missing_file_is_named_beside_the_layout(tmp_path, kind, name, why):
    home = WRITERS[kind](tmp_path)
    removed(home, name)
    with pytest.raises(Any2AnyError) as raised:
        kind.read(home, Options())
    assert why in str(raised.value) and kind.LAYOUT.replace("\n", " ") in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (sevenscenes, "frames/frame-000004.pose.txt", "1 2 3"),
        (sevenscenes, "camera-intrinsics.txt", "1 0 nan 0 1 0 0 0 1"),
        (iasm_audio, "poses.csv", "file,x\nsub00.wav,1\n"),
        (iasm_audio, "poses.csv", "file,x_m,y_m,theta_deg\nsub00.wav,1,east,0\n"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, kind, name, text):
    home = WRITERS[kind](tmp_path)
    (home / name).write_text(text)
    with pytest.raises(Any2AnyError, match=name.rpartition("/")[2]):
        kind.read(home, Options())


def test_films_of_two_lengths_and_pictures_without_a_partner_are_refused(tmp_path):
    home = tiny_real_sets.nordland(tmp_path)
    np.savez(home / "winter.npz", bgr=np.zeros((3, 8, 8, 3), np.uint8))
    with pytest.raises(Any2AnyError, match="winter has 3 frames, summer 12"):
        nordland.read(home)
    np.savez(home / "winter.npz", bgr=np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(Any2AnyError, match="not \\(N, H, W, 3\\) uint8"):
        nordland.read(home)
    (tmp_path / "half" / "query").mkdir(parents=True)
    assert pictures.find(tmp_path / "half") == [tmp_path / "half"]
    with pytest.raises(Any2AnyError, match="query/ has no picture"):
        pictures.read(tmp_path / "half")
    (tmp_path / "half" / "query" / "0.png").touch()
    with pytest.raises(Any2AnyError, match="no ref/"):
        pictures.read(tmp_path / "half")
