"""The CARMEN reader against logs written here, damaged ones, and the real ones."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.data import carmen
from any2any_ros.data.drive import Drive, keyframes
from any2any_ros.errors import Any2AnyError

HEADER = "# message formats defined: PARAM SYNC ODOM FLASER\nPARAM robot_frontlaser_offset 0.0 nohost 0\n"


def line(ranges=(1.0, 2.0, 3.0, 4.0), pose=(0.0, 0.0, 0.0), stamp=1.0):
    numbers = " ".join(str(r) for r in ranges)
    x, y, theta = pose
    return f"FLASER {len(ranges)} {numbers} {x} {y} {theta} 9 9 9 {stamp} host {stamp}\n"


@pytest.fixture
def log(tmp_path):
    def write(text, name="house.log"):
        path = tmp_path / name
        data = text.encode("latin-1")
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


@pytest.mark.parametrize("name", ["house.log", "house.log.gz"])
def test_reads_ranges_poses_and_times(log, name):
    text = HEADER + line(pose=(1, 2, np.pi / 2), stamp=0.25) + "ODOM 1 2 3 0 0 0 1 h 1\n" + line(stamp=1.5)
    drive = carmen.read(log(text, name))
    assert isinstance(drive, carmen.CarmenDrive)
    assert (drive.name, len(drive), drive.modalities) == ("house", 2, ("laser_scan",))
    assert drive.ids() == ("house/000000", "house/000001")
    assert drive.stamps_ns.tolist() == [250_000_000, 1_500_000_000] and drive.stamps_ns.dtype == np.int64
    expected = [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(drive.poses[0], expected, atol=1e-12)
    scan = drive.sample("laser_scan", 1)
    np.testing.assert_array_equal(scan.ranges, np.array([1, 2, 3, 4], dtype=np.float32))
    assert scan.ranges.dtype == np.float32
    assert drive.sample("lidar", 1) is None


def test_is_a_drive(log):
    drive: Drive = carmen.read(log(line()))  # mypy holds the protocol
    assert drive.poses.shape == (1, 4, 4) and drive.poses.dtype == np.float64


@pytest.mark.parametrize(
    ("beams", "step", "last"), [(180, 1.0, 89.0), (181, 1.0, 90.0), (360, 0.5, 89.5), (361, 0.5, 90.0)]
)
def test_beams_cover_half_a_turn_from_the_right(log, beams, step, last):
    scan = carmen.read(log(line(ranges=[1.0] * beams))).sample("laser_scan", 0)
    assert np.degrees(scan.angle_min) == pytest.approx(-90)
    assert np.degrees(scan.angle_increment) == pytest.approx(step)
    assert np.degrees(scan.angle_min + (beams - 1) * scan.angle_increment) == pytest.approx(last)


def test_codes_for_no_return_become_infinite(log):
    ranges = [49.9, 50.0, 51.05, 80.0, 81.83, 81.91, 0.0, -1.0, "nan", "inf"]
    scan = carmen.read(log(line(ranges=ranges))).sample("laser_scan", 0)
    assert scan.ranges[0] == np.float32(49.9) and np.isposinf(scan.ranges[1:]).all()
    assert scan.range_max == carmen.NO_RETURN


@given(st.lists(st.floats(0, 1e9, allow_nan=False), min_size=1, max_size=20))
def test_times_become_strictly_increasing_and_good_ones_stay(seconds):
    stamps = np.round(np.array(seconds) * 1e9).astype(np.int64)
    repaired = carmen._increasing(stamps)
    assert (np.diff(repaired) > 0).all() and (repaired >= stamps).all()
    assert repaired.max() <= stamps.max() + len(stamps)
    np.testing.assert_array_equal(carmen._increasing(repaired), repaired)


def test_a_step_back_in_time_is_moved_after_its_predecessor(log):
    drive = carmen.read(log(line(stamp=5) + line(stamp=4.5) + line(stamp=5) + line(stamp=6)))
    assert (drive.stamps_ns - 5_000_000_000).tolist() == [0, 1, 2, 1_000_000_000]


def test_take_keeps_ids_and_keyframes_count_driving(log):
    drive = carmen.read(log("".join(line(pose=(0.2 * i, 0, 0), stamp=i) for i in range(11))))
    kept = drive.take(keyframes(drive.poses, 0.5))
    assert kept.ids() == ("house/000000", "house/000003", "house/000006", "house/000009")
    np.testing.assert_allclose(kept.poses[:, 0, 3], [0, 0.6, 1.2, 1.8])
    assert kept.sample("laser_scan", 3).ranges.shape == (4,) and kept.stamps_ns[3] == 9_000_000_000
    assert drive.take(np.arange(11) > 8).ids() == ("house/000009", "house/000010")


DAMAGE = {
    "truncated": line()[:30] + "\n",
    "too few words": line().replace("FLASER 4", "FLASER 5"),
    "too many words": line().replace("FLASER 4", "FLASER 3"),
    "a letter among the ranges": line().replace("2.0", "2.o"),
    "a count that is no number": line().replace("FLASER 4", "FLASER four"),
    "no count": "FLASER\n",
    "a negative count": line().replace("FLASER 4", "FLASER -4"),
    "one beam": line(ranges=[1.0]),
    "a pose that is not finite": line(pose=("nan", 0, 0)),
    "a time past all clocks": line(stamp="1e300"),
    "a time past the clocks of ROS": line(stamp="3e9"),
    "a time before 1970": line(stamp="-5"),
    "a pose beyond the stars": line(pose=("1e300", 0, 0)),
    "a count of too many digits": line().replace("FLASER 4", f"FLASER {'4' * 5000}"),
    "another laser": line(ranges=[1.0] * 6),
    "binary": line().replace("3.0", "\x00\xff"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_line_is_named(log, damage):
    with pytest.raises(Any2AnyError, match=r"Line 4 of .*house\.log is damaged") as error:
        carmen.read(log(HEADER + line() + damage + line(stamp=3)))
    assert error.value.why and error.value.remedy


@given(st.integers(1, len(line()) - 2))
def test_a_last_line_cut_short_is_left_out(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("cut") / "cut.log"
    path.write_text(HEADER + line() + line(stamp=2)[:length])
    drive = carmen.read(path)
    assert len(drive) in (1, 2)
    # Nothing but the last word, which is not read, may be missing from what is kept.
    assert len(drive) == 1 or drive.stamps_ns.tolist() == [1_000_000_000, 2_000_000_000]


def test_a_whole_last_line_needs_no_newline(log):
    assert len(carmen.read(log(line() + line(stamp=2).rstrip("\n")))) == 2


@pytest.mark.parametrize("text", ["", HEADER, "x,y\n1,2\n", line()[:30]])
def test_a_file_without_scans_is_no_laser_log(log, text):
    with pytest.raises(Any2AnyError, match="no CARMEN laser log"):
        carmen.read(log(text))


def test_a_cut_archive_and_a_missing_file_are_errors(log, tmp_path):
    whole = log(line() * 100, "house.log.gz")
    whole.write_bytes(whole.read_bytes()[:-20])
    for path in (whole, tmp_path / "absent.log", tmp_path):
        with pytest.raises(Any2AnyError, match="Cannot read the laser log"):
            carmen.read(path)


@pytest.mark.parametrize(
    ("name", "scans", "keyed", "beams"),
    [("intel", 910, 486, 180), ("fhw", 488, 384, 180), ("freiburg-079", 4791, 682, 360)],
)
def test_reads_the_real_logs_whole(shared_data, name, scans, keyed, beams):
    drive = carmen.read(shared_data / "laser2d" / f"{name}-corrected.log.gz")
    assert drive.ranges.shape == (scans, beams) and (np.diff(drive.stamps_ns) > 0).all()
    assert len(keyframes(drive.poses, 0.5)) == keyed
    assert drive.ranges[np.isfinite(drive.ranges)].max() < 45  # no code for "no return" is left
