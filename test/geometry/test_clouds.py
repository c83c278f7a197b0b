"""The scans of a map: reading gives what was written, scans belong to one map only, and damage is an error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from streets import street

from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry import clouds as module
from any2any_ros.geometry.clouds import Clouds, mounting, mounting_text, moved
from any2any_ros.geometry.registration import RegistrationConfig, thinned


@pytest.fixture
def clouds(tmp_path):
    found = Clouds(tmp_path)
    for i in range(3):
        found.add(f"straße/{i:06d}", street(i))
    return found


def test_a_scan_comes_back_to_the_centimetre(clouds, tmp_path):
    config = RegistrationConfig()
    kept = thinned(street(1), config.voxel, config.reach)
    again = Clouds(tmp_path).scan("straße/000001")
    # Rounding may carry a mean into the next cube: every point is near one that went in.
    nearest, _ = cKDTree(kept).query(again.points)
    assert len(again.points) > 0.95 * len(kept) and nearest.max() < config.voxel and np.median(nearest) < 0.0087
    assert "straße/000001" in clouds and "elsewhere" not in clouds and clouds.scan("elsewhere") is None


def test_a_scan_is_read_once_and_anew_when_it_changes(clouds):
    first = clouds.scan("straße/000000")
    assert clouds.scan("straße/000000") is first
    clouds.add("straße/000000", street(9))
    assert clouds.scan("straße/000000").points.shape != first.points.shape
    clouds.add("new", street(3))
    assert clouds.scan("new") is not None


def test_an_empty_scan_is_kept_too(clouds):
    clouds.add("dark", np.empty((0, 3)))
    assert not clouds.scan("dark").usable


def test_a_killed_write_leaves_the_old_scan(clouds, monkeypatch):
    def broken(*_):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(Any2AnyError, match="no space left"):
        clouds.add("straße/000000", street(9))
    assert clouds.scan("straße/000000").usable
    assert len(list(clouds.folder.iterdir())) == 3


def spoil(how, clouds):
    file = clouds._file("straße/000000")
    if how == "cut short":
        file.write_bytes(file.read_bytes()[:-100])
    elif how == "no archive":
        file.write_bytes(b"hello")
    elif how == "another place's":
        file.write_bytes(clouds._file("straße/000001").read_bytes())
    else:
        np.savez(file, id=np.array("straße/000000"), points=np.zeros((4, 2), dtype=np.int16))


@pytest.mark.parametrize("how", ["cut short", "no archive", "another place's", "wrong shape"])
def test_a_damaged_scan_is_told(clouds, how):
    spoil(how, clouds)
    with pytest.raises(Any2AnyError, match="straße/000000"):
        clouds.scan("straße/000000")


def test_a_map_without_scans_is_no_error(tmp_path):
    for none in (Clouds(tmp_path / "absent"), Clouds(None)):
        assert not none and none.scan("anywhere") is None and "anywhere" not in none and len(none) == 0
    Clouds(tmp_path / "absent").add("here", street(0))
    assert Clouds(tmp_path / "absent")


def test_scans_are_written_together(tmp_path):
    assert module.write(tmp_path / "scans", [("b", street(1)), ("c", street(2))]) == 2
    found = Clouds(tmp_path / "scans")
    assert "b" in found and "a" not in found and len(found) == 2


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Any2AnyError, match="Cannot write a scan"):
        Clouds(tmp_path / "file").add("a", street(0))


@given(st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_a_mounting_is_read_as_static_transforms_are(numbers):
    pose = mounting(" ".join(map(str, numbers)))
    np.testing.assert_allclose(pose[:3, 3], numbers[:3])
    roll, pitch, yaw = (Rotation.from_euler(axis, angle) for axis, angle in zip("xyz", numbers[3:], strict=True))
    np.testing.assert_allclose(pose[:3, :3], (yaw * pitch * roll).as_matrix(), atol=1e-12)
    np.testing.assert_array_equal(pose[3], [0, 0, 0, 1])
    np.testing.assert_allclose(mounting(mounting_text(pose)), pose, atol=2e-4)


def test_a_sensor_that_is_turned_sees_the_same_point():
    """A LiDAR 2 m up that faces left sees what is 3 m to the robot's left straight ahead."""
    left = mounting(f"0 0 2 0 0 {np.pi / 2}")
    np.testing.assert_allclose(moved(np.array([[3.0, 0, 0, 0.5]]), left), [[0, 3, 2]], atol=1e-12)


@pytest.mark.parametrize("text", ["", "1 2 3", "1 2 3 4 5 x", "1 2 3 4 5 nan", "1 2 3 4 5 6 7"])
def test_what_is_no_mounting_is_refused(text):
    with pytest.raises(Any2AnyError, match="is no mounting"):
        mounting(text)
