"""KITTI's layouts as they are found: with gaps, cut short, or damaged."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from kitti_files import PLACES, oxts_row, write_raw

from any2any_ros.data import kitti
from any2any_ros.errors import Any2AnyError


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
    "a time of NaN": ("sequences/00/times.txt", lambda t: t.replace("5.000000e-01", "nan"), r"times\.txt.*nan"),
    "a time too late": ("sequences/00/times.txt", lambda t: t.replace("1.150000e+01", "1e300"), r"times\.txt.*1e\+300"),
    "a time before 1970": ("sequences/00/times.txt", lambda t: t.replace("0.000000e+00", "-1e2"), r"times\.txt.*-100"),
    "poses of zeros": ("poses/00.txt", lambda t: "0 " * 12 + "\n" + t, r"00\.txt: line 1 .*no pose"),
    "a mirrored pose": ("poses/00.txt", lambda t: t + "-1 0 0 0 0 1 0 0 0 0 1 0\n", r"00\.txt: line 25 .*no pose"),
    "a pose beyond the stars": ("poses/00.txt", lambda t: t + "1 0 0 1e30 0 1 0 0 0 0 1 0\n", r"line 25 .*no pose"),
    "a calibration of zeros": ("sequences/00/calib.txt", lambda t: "Tr: " + "0 " * 12, r"calib\.txt: .*no pose"),
    "a calibration of half a line": ("sequences/00/calib.txt", lambda t: "Tr: 1 0 0", r"calib\.txt: "),
}  # fmt: skip


@pytest.mark.parametrize(("name", "spoil", "why"), SPOIL.values(), ids=SPOIL.keys())
def test_a_folder_that_is_not_whole_is_refused(ring, name, spoil, why):
    file = ring / name
    file.write_text(spoil(file.read_text()))
    with pytest.raises(Any2AnyError, match=why):
        kitti.read(ring, "00")


@pytest.mark.parametrize("name", ["poses/00.txt", "sequences/00/times.txt", "sequences/00/calib.txt"])
def test_bytes_that_are_no_text_are_refused_by_name(ring, name):
    (ring / name).write_bytes(b"Tr: \xff\xfe\x00 0 0\n" * 24)
    with pytest.raises(Any2AnyError, match=name.split("/")[-1]):
        kitti.read(ring, "00")


@pytest.mark.parametrize("name", ["poses/00.txt", "sequences/00/times.txt", "sequences/00/captions.txt"])
def test_a_folder_in_place_of_a_file_is_refused_by_name(ring, name):
    (ring / name).unlink()
    (ring / name).mkdir()
    with pytest.raises(Any2AnyError, match=name.split("/")[-1]):
        kitti.read(ring, "00")


@pytest.mark.parametrize(("modality", "name"), [("lidar", "velodyne/000002.bin"), ("camera", "image_2/000002.png")])
def test_a_folder_in_place_of_a_sample_is_refused_by_name(ring, modality, name):
    file = ring / "sequences" / "00" / name
    file.unlink()
    file.mkdir()
    with pytest.raises(Any2AnyError, match=file.name):
        kitti.read(ring, "00").sample(modality, 2)


def test_a_frame_without_a_pose_is_kept(ring):
    file = ring / "poses" / "00.txt"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(["nan " * 12, *lines[1:]]))
    drive = kitti.read(ring, "00")
    assert np.isnan(drive.poses[0]).all() and np.isfinite(drive.poses[1:]).all()


DATES = {
    "no dates": "yesterday\n" * 40,
    "none": "",
    "no such time": "2011-09-26 25:61:00.000000000\n" * 40,
    "time zones here and there": "2011-09-26 13:00:00\n2011-09-26 13:00:01+02:00\n" * 20,
}


@pytest.mark.parametrize("text", DATES.values(), ids=DATES)
def test_damaged_dates_are_refused(tmp_path, text):
    folder = write_raw(tmp_path / "drive", range(3))
    (folder / "velodyne_points" / "timestamps.txt").write_text(text)
    with pytest.raises(Any2AnyError, match=r"timestamps\.txt|0 times for 3 frames"):
        kitti.read(folder)


@pytest.mark.parametrize("row", [(95, 8, 0), (49, np.nan, 0), (49, 8, 0, np.inf, 0, 0), (49, 8, 1e300)], ids=str)
def test_an_inertial_row_that_is_no_pose_is_refused(tmp_path, row):
    rows = [oxts_row(49, 8, 0), oxts_row(*row), oxts_row(49, 8, 0)]
    with pytest.raises(Any2AnyError, match=r"oxts.*0000000001\.txt.*no pose"):
        kitti.read(write_raw(tmp_path / "drive", [0, 1, 2], rows))


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
    others = ("velodyne/readme.bin", "velodyne/000001.txt", "image_2/thumbs.png", "velodyne/.hidden.bin")
    # Digits of other alphabets, which Python takes for numbers, and a number that is none of a frame.
    for name in (*others, "velodyne/\u00b2.bin", "image_2/\u0663\u0664.png", f"velodyne/{'9' * 40}.bin"):
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
