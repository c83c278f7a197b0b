"""KITTI's layouts, read as they are published and as they are found: with gaps, cut short, or damaged."""

from __future__ import annotations

import shutil
import wave

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.data import kitti
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS

PLACES, SPACING, PERIOD = 24, 6.0, 0.5  # of the fixture `laps`


@pytest.fixture
def ring(laps, tmp_path):
    """A copy of the laps, to be spoilt."""
    return shutil.copytree(laps, tmp_path / "ring")


def test_reads_an_odometry_sequence(laps):
    drive = kitti.read(laps, "00")
    assert drive.modalities == ("audio", "camera", "lidar", "text") and len(drive) == PLACES
    assert drive.ids()[:2] == ("00/000000", "00/000001")
    np.testing.assert_array_equal(np.diff(drive.stamps_ns), int(PERIOD * NS))
    assert drive.stamps_ns.dtype == np.int64 and drive.stamps_ns[0] > 0  # a stamp of 0 is none
    assert kitti.sequences(laps) == ("00", "01", "02")


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
    camera = drive.poses @ np.linalg.inv(kitti._camera_from_lidar(laps / "sequences" / "00")) @ kitti.ROS_FROM_CAMERA.T
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


def write_raw(folder, frames, oxts=None):
    for name in ("velodyne_points", "image_02", "oxts"):
        (folder / name / "data").mkdir(parents=True)
    for frame in frames:
        np.full((30, 4), frame, np.float32).tofile(folder / "velodyne_points" / "data" / f"{frame:010d}.bin")
        cv2.imwrite(str(folder / "image_02" / "data" / f"{frame:010d}.png"), np.full((8, 8, 3), frame, np.uint8))
    for i, row in enumerate(oxts if oxts is not None else ()):
        (folder / "oxts" / "data" / f"{i:010d}.txt").write_text(" ".join(map(str, row)))
    dates = [
        f"2011-09-26 23:59:{58 + 0.1 * i:012.9f}" if i < 20 else f"2011-09-27 00:00:{0.1 * (i - 20):012.9f}"
        for i in range(40)
    ]
    (folder / "velodyne_points" / "timestamps.txt").write_text("\n".join(dates) + "\n")
    return folder


def oxts_row(latitude, longitude, altitude, roll=0.0, pitch=0.0, yaw=0.0):
    return [latitude, longitude, altitude, roll, pitch, yaw, *[0.0] * 24]


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


# --- damage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 15, 1001])
def test_a_scan_cut_short_is_refused(ring, size):
    file = ring / "sequences" / "00" / "velodyne" / "000002.bin"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(Any2AnyError, match=rf"000002\.bin: its {size} bytes are not whole points"):
        kitti.read(ring, "00").sample("lidar", 2)


@pytest.mark.parametrize("end", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_picture_cut_short_is_refused(tmp_path, end, share, capfd):
    file = tmp_path / f"000000{end}"
    cv2.imwrite(str(file), np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8))
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(Any2AnyError, match="it is no whole PNG or JPEG"):
        kitti.picture(file)


SPOIL = {
    "fewer times": ("sequences/00/times.txt", lambda t: t[:91], r"7 times for 24 frames"),
    "times that stand still": ("sequences/00/times.txt", lambda t: t.replace("5.000000e-01", "0e+00"), "not increase"),
    "a time that is none": ("sequences/00/times.txt", lambda t: t.replace("5.000000e-01", "half"), r"times\.txt"),
    "fewer poses": ("poses/00.txt", lambda t: "\n".join(t.split("\n")[:20]), "20 poses for 24 frames"),
    "short poses": ("poses/00.txt", lambda t: "1 0 0 0\n" * 24, "4 numbers a line, not 12"),
    "a pose cut short": ("poses/00.txt", lambda t: t[:-40], r"poses.00\.txt"),
    "fewer captions": ("sequences/00/captions.txt", lambda t: "a\n" * 23, "23 captions for 24 frames"),
    "no captions": ("sequences/00/captions.txt", lambda t: "", "captions for 24 frames"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "spoil", "why"), SPOIL.values(), ids=SPOIL.keys())
def test_a_folder_that_is_not_whole_is_refused(ring, name, spoil, why):
    file = ring / name
    file.write_text(spoil(file.read_text()))
    with pytest.raises(Any2AnyError, match=why):
        kitti.read(ring, "00")


@pytest.mark.parametrize("text", ["yesterday\n" * 40, "", "2011-09-26 25:61:00.000000000\n" * 40])
def test_damaged_dates_are_refused(tmp_path, text):
    folder = write_raw(tmp_path / "drive", range(3))
    (folder / "velodyne_points" / "timestamps.txt").write_text(text)
    with pytest.raises(Any2AnyError, match=r"timestamps\.txt|0 times for 3 frames"):
        kitti.read(folder)


def test_fewer_inertial_rows_than_frames_are_refused(tmp_path):
    with pytest.raises(Any2AnyError, match="2 poses for 5 frames"):
        kitti.read(write_raw(tmp_path / "drive", [0, 4], [oxts_row(49, 8, 0)] * 2))


@pytest.mark.parametrize(
    ("sequence", "remedy"), [(None, "Choose a sequence: 00, 01, 02"), ("07", "Choose a sequence: 00, 01, 02")]
)
def test_a_folder_without_frames_names_the_sequences_there_are(laps, sequence, remedy):
    with pytest.raises(Any2AnyError, match="is no KITTI drive") as error:
        kitti.read(laps, sequence)
    assert error.value.remedy == remedy


def test_an_empty_folder_is_no_drive(tmp_path):
    with pytest.raises(Any2AnyError, match=r"no velodyne/\*\.bin nor image_2/\*\.png"):
        kitti.read(tmp_path)


def test_other_files_in_the_folders_are_left_alone(ring):
    for name in ("velodyne/readme.bin", "velodyne/000001.txt", "image_2/thumbs.png", "velodyne/.hidden.bin"):
        (ring / "sequences" / "00" / name).write_bytes(b"x")
    assert len(kitti.read(ring, "00")) == PLACES


def test_a_caption_may_hold_what_unicode_calls_a_line_end(ring):
    file = ring / "sequences" / "00" / "captions.txt"
    lines = file.read_text().split("\n")
    lines[2] = "a sign: open\u2028daily\x85from\x0c8"
    file.write_text("\n".join(lines), "utf-8")
    drive = kitti.read(ring, "00")
    assert drive.sample("text", 2) == lines[2] and drive.sample("text", 20) == lines[20]


def test_a_drive_named_by_a_dot_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(write_raw(tmp_path / "drive_7", [0]))
    assert kitti.read(kitti.Path()).ids() == ("drive_7/0000000000",)


# --- sound ----------------------------------------------------------------------------------------------------


def recorded(path):
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768, file.getframerate()


def heard(drive):
    chunks = [drive.sample("audio", i) for i in range(len(drive))]
    return [np.empty(0, np.float32) if c is None else c.samples for c in chunks]


def test_the_chunks_tile_the_recording_exactly(laps):
    drive = kitti.read(laps, "00")
    whole, rate = recorded(laps / "sequences" / "00" / "audio.wav")
    chunks = heard(drive)
    assert drive.sample("audio", 0) is None and {len(c) for c in chunks[1:]} == {int(PERIOD * rate)}
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 90_000_000), min_size=2, max_size=12), st.sampled_from([7919, 8000, 44100]), st.data())
def test_any_frames_of_any_times_tile_the_recording(tmp_path_factory, steps, rate, data):
    folder = tmp_path_factory.mktemp("drive")
    stamps = np.cumsum(steps)
    (folder / "velodyne").mkdir()
    for i in range(len(steps)):
        np.ones((1, 4), np.float32).tofile(folder / "velodyne" / f"{i:06d}.bin")
    np.savetxt(folder / "times.txt", stamps / NS, fmt="%.9f")
    frames = int(np.ceil(stamps[-1] * rate / NS)) + 5
    with wave.open(str(folder / "audio.wav"), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(np.arange(frames).astype("<i2").tobytes())
    drive = kitti.read(folder)
    kept = sorted(data.draw(st.sets(st.integers(0, len(steps) - 1), min_size=1)))
    for part, first in ((drive, 0), (drive.take(kept), round((stamps[kept[0] - 1] if kept[0] else 0) * rate / NS))):
        joined = np.concatenate(heard(part)) * 32768
        last = part.stamps_ns[-1] - drive.stamps_ns[0] + stamps[0]
        np.testing.assert_array_equal(joined, np.arange(first, round(last * rate / NS)).astype("<i2"))


def test_sound_that_ends_early_is_heard_as_far_as_it_goes(ring):
    file = ring / "sequences" / "00" / "audio.wav"
    whole, rate = recorded(file)
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes((whole[: 5 * rate] * 32768).astype("<i2").tobytes())
    drive = kitti.read(ring, "00")
    np.testing.assert_array_equal(np.concatenate(heard(drive)), whole[: 5 * rate])
    assert drive.sample("audio", PLACES - 1) is None


def test_two_channels_are_averaged(ring):
    file = ring / "sequences" / "00" / "audio.wav"
    whole, rate = recorded(file)
    mono = (whole * 32768).astype("<i2")
    with wave.open(str(file), "wb") as out:
        out.setparams((2, 2, rate, 0, "NONE", ""))
        out.writeframes(np.column_stack([mono, np.zeros_like(mono)]).tobytes())
    np.testing.assert_allclose(np.concatenate(heard(kitti.read(ring, "00"))), whole / 2, atol=1e-7)


@pytest.mark.parametrize("damage", ["empty", "no wave", "8 bits"])
def test_sound_that_cannot_be_read_is_refused(ring, damage):
    file = ring / "sequences" / "00" / "audio.wav"
    if damage == "8 bits":
        with wave.open(str(file), "wb") as out:
            out.setparams((1, 1, 8000, 0, "NONE", ""))
            out.writeframes(bytes(100_000))
    else:
        file.write_bytes(b"" if damage == "empty" else b"RIFF and then something else")
    with pytest.raises(Any2AnyError, match=r"Cannot read the sound .*audio\.wav"):
        kitti.read(ring, "00").sample("audio", 3)


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
