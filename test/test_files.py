"""A file or a folder is replaced as a whole, and read as a whole."""

import errno
import json
import os

import numpy as np
import pytest

from any2any_ros import files
from any2any_ros.errors import Any2AnyError

# --- write_atomically -----------------------------------------------------------------------------------------


def test_writes_the_file_and_its_folder(tmp_path):
    files.write_atomically(tmp_path / "new" / "file", lambda s: s.write(b"new"))
    assert (tmp_path / "new" / "file").read_bytes() == b"new"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["file"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, ValueError])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(stream):
        stream.write(b"half of the n")
        raise error

    with pytest.raises(error):
        files.write_atomically(path, fail)
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["file"]


# --- write_json -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, float("nan"), np.float64("nan")])
def test_a_number_that_is_none_is_null(tmp_path, value):
    """NaN is no JSON: a browser, jq or another language would refuse the whole file."""
    files.write_json(tmp_path / "f.json", {"a": [1.5, value], "b": ({"c": value},), "d": "text", "e": True})
    assert "NaN" not in (tmp_path / "f.json").read_text() and "Infinity" not in (tmp_path / "f.json").read_text()
    assert json.loads((tmp_path / "f.json").read_text()) == {
        "a": [1.5, None],
        "b": [{"c": None}],
        "d": "text",
        "e": True,
    }


def test_what_json_does_not_know_leaves_the_old_file(tmp_path):
    files.write_json(tmp_path / "f.json", [1])
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "f.json", {"a": np.zeros(2)})
    assert json.loads((tmp_path / "f.json").read_text()) == [1] and list(tmp_path.iterdir()) == [tmp_path / "f.json"]


# --- folders --------------------------------------------------------------------------------------------------


def write(folder, text):
    with files.replacing(folder) as home:
        for name in ("one", "two"):
            (home / name).write_text(text)


def read(home):
    return {path.name: path.read_text() for path in home.iterdir()}


def whole(text):
    return {"one": text, "two": text}


@pytest.fixture(params=[None, errno.EINVAL, errno.EXDEV], ids=["swapped", "not swapped", "other layer"])
def swapping(request, monkeypatch):
    """On a file system that can swap folders, on one that cannot, and below a container."""
    if request.param is not None:

        def refused(one, other):
            os.stat(other)  # raises FileNotFoundError, as the system does
            raise OSError(request.param, "no")

        monkeypatch.setattr(files, "_swap", refused)


def test_a_folder_is_written_and_replaced(tmp_path, swapping):
    folder = tmp_path / "deep" / "folder"
    assert files.read_whole(folder, read) is None
    for text in ("old", "new", "newer"):
        write(folder, text)
        assert files.read_whole(folder, read) == whole(text)
        assert list(folder.parent.iterdir()) == [folder] == files.replaced(folder.parent)
    files.remove(folder)
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, ValueError])
def test_a_failed_replacement_leaves_the_old_folder_and_nothing_else(tmp_path, error):
    write(tmp_path / "folder", "old")

    def fail():
        with files.replacing(tmp_path / "folder") as home:
            (home / "one").write_text("new")
            raise error

    with pytest.raises(error):
        fail()
    assert read(tmp_path / "folder") == whole("old") and len(list(tmp_path.iterdir())) == 1


def test_a_replaced_folder_may_hold_one_that_is_replaced(tmp_path):
    for text in ("old", "new"):
        with files.replacing(tmp_path / "outer") as home:
            write(home / "inner", "never seen")
            write(home / "inner", text)
            files.write_json(home / "deep" / "file.json", text)
        assert read(tmp_path / "outer" / "inner") == whole(text)
        assert json.loads((tmp_path / "outer" / "deep" / "file.json").read_text()) == text
        assert len(list(tmp_path.rglob("*"))) == 6


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path):
    write(tmp_path / "precious", "mine")
    (tmp_path / "folder").symlink_to(tmp_path / "precious")
    write(tmp_path / "folder", "new")
    assert read(tmp_path / "precious") == whole("mine") and read(tmp_path / "folder") == whole("new")
    assert not (tmp_path / "folder").is_symlink() and len(list(tmp_path.iterdir())) == 2


def test_what_would_be_lost_is_told(tmp_path):
    write(tmp_path / "folder", "old")
    (tmp_path / "folder" / "diary.txt").write_text("mine")
    with (
        pytest.raises(Any2AnyError, match=r"Cannot replace the folder .*'diary.txt' in it would be lost. Choose"),
        files.replacing(tmp_path / "folder", ("one", "tw*")),
    ):
        pytest.fail("it is told before anything is written")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Any2AnyError, match="it is a file"), files.replacing(tmp_path / "file"):
        pytest.fail("it is told before anything is written")
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "diary.txt").read_text() == "mine"


def test_a_replacement_that_was_killed_where_folders_cannot_be_swapped_is_finished(tmp_path):
    folder, complete = tmp_path / "folder", tmp_path / ".folder.new"
    for half_removed in (False, True):
        write(folder, "old")
        write(tmp_path / "other", "new")
        if half_removed:
            (folder / "one").unlink()
        (tmp_path / "other").rename(complete)
        assert files.read_whole(folder, read) == whole("new") and files.replaced(tmp_path) == [folder]
        write(folder, "newer")
        assert read(folder) == whole("newer") and list(tmp_path.iterdir()) == [folder]


def test_the_old_folder_of_a_replacement_that_version_0_1_0_did_not_finish_is_found(tmp_path):
    write(tmp_path / "folder", "old")
    (tmp_path / "folder").rename(tmp_path / ".folder.old")
    assert files.read_whole(tmp_path / "folder", read) == whole("old")
    assert files.replaced(tmp_path) == [tmp_path / "folder"]
    write(tmp_path / "folder", "new")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"] and read(tmp_path / "folder") == whole("new")


# --- reading while somebody writes ----------------------------------------------------------------------------


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(tmp_path, swapping):
    write(tmp_path / "folder", "0")
    count = 0

    def slowly(home):
        nonlocal count
        one = (home / "one").read_text()
        if count < 3:
            count += 1
            write(tmp_path / "folder", str(count))
        return {"one": one, "two": (home / "two").read_text()}

    assert files.read_whole(tmp_path / "folder", slowly) == whole("3")


def test_an_error_of_a_reader_counts_when_nothing_was_replaced(tmp_path):
    write(tmp_path / "folder", "old")
    tries = []

    def failing(home=None):
        tries.append(home)
        raise KeyError("absent")

    for attempt in (
        lambda: files.read_whole(tmp_path / "folder", failing),
        lambda: files.read_again(tmp_path / "folder" / "one", failing),
        lambda: files.read_again(tmp_path / "absent", failing),
    ):
        with pytest.raises(KeyError):
            attempt()
    assert len(tries) == 3


def test_a_file_that_is_replaced_while_a_reader_fails_is_read_again(tmp_path):
    path = tmp_path / "file"

    def failing():
        if not path.exists() or path.read_text() < "3":
            files.write_atomically(path, lambda s: s.write(b"%d" % (int(path.read_text()) + 1 if path.exists() else 0)))
            raise KeyError("absent")
        return path.read_text()

    assert files.read_again(path, failing) == "3"


def test_a_reader_that_never_finds_rest_gives_up(tmp_path):
    write(tmp_path / "folder", "old")

    def restless(home=None):
        write(tmp_path / "folder", "new")
        raise KeyError("absent")

    for attempt in (files.read_whole, lambda folder, read: files.read_again(folder, read)):
        with pytest.raises(Any2AnyError, match="it is replaced over and over"):
            attempt(tmp_path / "folder", restless)


# --- folders of somebody else -----------------------------------------------------------------------------------


def test_a_path_inside_a_folder_leads_through_no_link(tmp_path):
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "map").symlink_to("real")  # the user's own choice
    assert files.inside(tmp_path / "map", "a", "b") == tmp_path / "map" / "a" / "b"
    (tmp_path / "real" / "a" / "b").symlink_to("/nowhere")
    for parts in (("a", "b"), ("a", "b", "c")):
        with pytest.raises(Any2AnyError, match="a/b: it is a symbolic link"):
            files.inside(tmp_path / "map", *parts)
