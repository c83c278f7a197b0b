"""What a dead process has left is removed by the next writer; what a living one writes stays."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from any2any_ros import files, temporary_files

WRITER = """
import sys, time
from pathlib import Path
from any2any_ros import files
def wait(stream=None):
    print("ready", flush=True)
    time.sleep(100)
if sys.argv[1] == "file":
    files.write_atomically(Path(sys.argv[2]), wait)
else:
    with files.replacing(Path(sys.argv[2])) as home:
        (home / "half").write_text("half")
        wait()
"""


@contextmanager
def writer(kind, path):
    """Run a process that has begun to write a file or a folder, and yield it."""
    with subprocess.Popen([sys.executable, "-c", WRITER, kind, str(path)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_only_the_litter_of_dead_processes_is_removed(tmp_path, kind):
    with writer(kind, tmp_path / "a") as process, writer(kind, tmp_path / "b") as other:
        names = entries(tmp_path)
        assert sorted(temporary_files.NAME.fullmatch(name)[0].split("-")[-2] for name in names) == sorted(
            (str(process.pid), str(other.pid))
        )
        files.write_json(tmp_path / "c.json", 1)
        assert entries(tmp_path) == sorted([*names, "c.json"])
        process.kill()
        process.wait()
        files.write_json(tmp_path / "c.json", 2)
        assert entries(tmp_path) == sorted([next(n for n in names if f"-{other.pid}-" in n), "c.json"])
    files.write_json(tmp_path / "c.json", 3)
    assert entries(tmp_path) == ["c.json"]


def leave(folder, host, age=0.0, content=False):
    """Leave what a process of this host left `age` seconds ago."""
    path = folder / f".map.json.{host}-{os.getpid()}-0123abcd.unfinished"
    if content:
        path.mkdir()
        (path / "file").touch()
    else:
        path.touch()
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.parametrize("content", [False, True], ids=["file", "folder"])
def test_what_another_host_has_left_is_removed_after_a_day(tmp_path, content):
    """Its locks may not be seen here. A number of a process says nothing: other processes get it again."""
    young = leave(tmp_path, "otherhost", temporary_files.FORGOTTEN - 60, content)
    old = leave(tmp_path, "thirdhost", temporary_files.FORGOTTEN + 60, content)
    own = leave(tmp_path, temporary_files.HOST, 0.0, content)
    temporary_files.remove_litter(tmp_path)
    assert young.exists() and not old.exists() and not own.exists()


def test_what_another_host_still_locks_stays(tmp_path):
    with files.locked(leave(tmp_path, "otherhost", 1e6, content=True)):
        temporary_files.remove_litter(tmp_path)
        assert len(entries(tmp_path)) == 1
    temporary_files.remove_litter(tmp_path)
    assert entries(tmp_path) == []


def test_nothing_else_is_removed(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "precious").touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in (
        ".hidden",
        ".map.json.robot-7-0123abcd.unfinishe",
        "map.json.robot-7-0123abcd.unfinished",
        ".x.unfinished",
    ):
        (folder / name).touch()
    (folder / f".link.{temporary_files.HOST}-7-0123abcd.unfinished").symlink_to(target)
    os.mkfifo(folder / f".fifo.{temporary_files.HOST}-7-0123abcd.unfinished")
    before = set(entries(folder))
    temporary_files.remove_litter(folder)
    temporary_files.remove_litter(tmp_path / "absent")
    assert before - set(entries(folder)) <= {f".fifo.{temporary_files.HOST}-7-0123abcd.unfinished"}
    assert entries(target) == ["precious"]


def test_two_threads_of_a_process_write_the_same_file(tmp_path):
    path = tmp_path / "file"

    def nested(stream):
        files.write_atomically(path, lambda s: s.write(b"inner"))
        stream.write(b"outer")

    files.write_atomically(path, nested)
    assert path.read_bytes() == b"outer" and entries(tmp_path) == ["file"]


def test_a_long_name_can_be_written(tmp_path):
    name = "ü" * 120  # 240 bytes; a name may have 255
    files.write_atomically(tmp_path / name, lambda s: s.write(b"x"))
    with files.replacing(tmp_path / f"{name}2"):
        pass
    assert entries(tmp_path) == [name, f"{name}2"]


def test_a_writer_begins_again_when_its_file_was_taken_for_litter(tmp_path, monkeypatch):
    """Between making a file and locking it, another process may see a file that nobody locks."""
    real, made = temporary_files._new_file, []

    def robbed(path):
        descriptor = real(path)
        made.append(path)
        if len(made) < 3:
            Path(path).unlink()
        return descriptor

    monkeypatch.setattr(temporary_files, "_new_file", robbed)
    files.write_atomically(tmp_path / "file", lambda s: s.write(b"x"))
    assert len(set(made)) == 3 and entries(tmp_path) == ["file"]
