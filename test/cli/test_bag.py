"""`any2any bag`: a drive becomes a bag."""

import pytest

from any2any_ros.data.sources import open_recording


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_writes_a_bag_that_can_be_opened(any2any, laps, tmp_path, storage):
    done = any2any("bag", laps, tmp_path / "bag", "--sequence", "00", "--storage", storage)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{tmp_path / 'bag'}: 24 frames of audio, camera, lidar, text\n\nsensor ")
    assert open_recording(tmp_path / "bag").modalities == ("audio", "camera", "lidar", "text")
    data = {"mcap": "bag.mcap", "sqlite3": "bag.db3"}[storage]
    assert (tmp_path / "bag" / data).exists()


def test_keyframes_thin_the_drive_out(any2any, laps, tmp_path):
    assert " 12 frames" in any2any("bag", laps, tmp_path / "bag", "--sequence", "00", "--keyframe", 11).out


def test_a_laser_log_becomes_a_bag(any2any, tmp_path):
    log = tmp_path / "house.log"
    log.write_text("".join(f"FLASER 4 1 2 3 4 {i} 0 0 0 0 0 {i + 1} host {i}\n" for i in range(5)))
    assert any2any("bag", log, tmp_path / "bag").out.startswith(f"{tmp_path / 'bag'}: 5 frames of laser_scan\n")


def test_bad_inputs_are_refused_in_one_line(refused, any2any, laps, tmp_path):
    any2any("bag", laps, tmp_path / "bag", "--sequence", "00")
    assert "it exists" in refused("bag", laps, tmp_path / "bag", "--sequence", "00")
    assert "it is a bag already" in refused("bag", tmp_path / "bag", tmp_path / "other")
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    assert f"rosbags-convert --src {tmp_path / 'old.bag'}" in refused("bag", tmp_path / "old.bag", tmp_path / "other")
    (tmp_path / "old.bag").unlink()
    assert "There is no" in refused("bag", tmp_path / "absent", tmp_path / "other")
    assert "Choose a sequence: 00, 01, 02" in refused("bag", laps, tmp_path / "other")
    (tmp_path / "file").touch()
    assert "file" in refused("bag", laps, tmp_path / "file" / "bag", "--sequence", "00")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bag", "file"]
