"""What lies beside a large map never makes it answer otherwise: what is stale, damaged or cannot be written."""

import json
import os
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from large_maps import in_memory, never_made, opened, same_answers, shard_folders, write

from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import csa
from any2any_ros.retrieval.large import shard_cache, shards
from any2any_ros.retrieval.large.shard_cache import IN_MEMORY, ShardFolder
from any2any_ros.retrieval.large.shards import Shards
from any2any_ros.retrieval.similarity import SameSpace

pytestmark = pytest.mark.usefixtures("small_maps_are_large")


def test_a_lock_that_is_a_link_leaves_the_file_behind_it_alone(one, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (one / shard_cache.FOLDER).mkdir(exist_ok=True)
    (one / shard_cache.FOLDER / shard_cache.LOCK).symlink_to(precious)
    with pytest.warns(UserWarning, match="cannot be written"):
        found = opened(one)
    same_answers(found, in_memory(found))
    assert precious.read_text() == "precious" and not shard_folders(one)


# --- what is stale ----------------------------------------------------------------------------------------------


@pytest.fixture
def precious(tmp_path):
    (tmp_path / "home" / "documents").mkdir(parents=True)
    (tmp_path / "home" / "documents" / "thesis.txt").touch()
    yield tmp_path / "home"
    assert [path.name for path in (tmp_path / "home").rglob("*")] == ["documents", "thesis.txt"]


def test_shards_that_are_a_link_leave_the_folder_behind_it_alone(one, precious):
    """New shards replace all other folders beside them."""
    (one / shard_cache.FOLDER).symlink_to(precious)
    with pytest.warns(UserWarning, match="it is a symbolic link"):
        found = opened(one)
    same_answers(found, in_memory(found))


@pytest.mark.parametrize("link", ["adopted", "adopted/thermal", "adopted/thermal/shards", "adopted/thermal/shards/KEY"])
def test_nor_is_there_any_other_way_out_of_the_folder(one, precious, link):
    cache, columns, made = ShardFolder(one, "places.npz").of("adopted/thermal"), {"a": SameSpace()}, object()
    place = one / link.replace("KEY", cache._home(columns).name)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(precious)
    with pytest.warns(UserWarning, match="it is a symbolic link"):
        assert cache.shards(columns, lambda: made, lambda found: True) is made


def test_another_map_in_the_same_folder_has_shards_of_its_own_and_the_old_ones_go(one):
    opened(one)
    before = shard_folders(one)
    write(one, seed=7)
    found = opened(one)
    assert found.places.ids[0] == "7/0"
    same_answers(found, in_memory(found))
    assert len(shard_folders(one)) == 1 and shard_folders(one) != before


@pytest.mark.parametrize("what", ["source", "ALIGNED", "FORMAT", "alignment", "columns"])
def test_whatever_makes_other_vectors_makes_another_key(tmp_path, what, monkeypatch):
    fitted = csa.fit(*np.random.default_rng(0).normal(size=(2, 50, 4)))
    columns, source = {"lidar for camera": fitted, "camera for camera": SameSpace()}, "places-1.npz"
    before = ShardFolder(tmp_path, source)._key(columns)
    assert ShardFolder(tmp_path / "moved", source)._key(columns) == before
    if what == "source":
        source = "places-2.npz"
    elif what == "alignment":
        columns["lidar for camera"] = csa.fit(*np.random.default_rng(1).normal(size=(2, 50, 4)))
    elif what == "columns":
        columns = dict(reversed(columns.items()))
    else:
        monkeypatch.setattr(shards if what == "FORMAT" else shard_cache, what, 77)
    assert ShardFolder(tmp_path, source)._key(columns) != before


def test_an_adopted_sensors_are_its_own(one):
    (one / "adopted" / "thermal").mkdir(parents=True)
    made = Shards({"a": 2})
    made.add({"a": np.ones((4, 2))})
    folder = ShardFolder(one, "places-1.npz").of("adopted/thermal")
    assert len(folder.shards({"a": SameSpace()}, lambda: made, lambda found: True)) == 4
    assert len(list((one / "adopted" / "thermal" / "shards").glob("*/shards.json"))) == 1
    assert not (one / "shards").exists()
    assert IN_MEMORY.of("adopted/thermal").shards({}, lambda: made, lambda found: True) is made


# --- what is damaged --------------------------------------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def index(home, turned=False, rows=None, files="", **changes):
    """Change shards.json. turned: reverse the columns. rows: share of the rows that stay. files: before their names."""
    header = json.loads((home / "shards.json").read_text())
    if turned:
        header["columns"] = dict(reversed(header["columns"].items()))
    for shard in header["shards"]:
        for name, value in shard.items():
            shard[name] = files + value if isinstance(value, str) else int(value * (rows or 1))
            if rows and isinstance(value, str):
                stored = np.load(home / value)
                shard[name] = value.replace("-0", "-1")
                np.save(home / shard[name], stored[: int(len(stored) * rows)])
    (home / "shards.json").write_text(json.dumps(header | changes))


DAMAGE = {
    "an index cut short": lambda home: cut(home / "shards.json"),
    "an index of another format": lambda home: (home / "shards.json").write_text('{"format": 0}'),
    "an index without shards": lambda home: index(home, shards=[]),
    "an index of other columns": lambda home: index(home, columns={"a": 3, "b": 4}),
    "an index of columns in another order": lambda home: index(home, turned=True),
    "an index of half of the rows": lambda home: index(home, rows=0.5),
    "an index of files elsewhere": lambda home: index(home, files="../"),
    "an index with a negative norm": lambda home: index(home, longest=[-1.0, 1.0]),
    "an index with no norm": lambda home: index(home, longest=[]),
    "vectors cut short": lambda home: cut(next(home.glob("0-*.npy"))),
    "vectors of another shape": lambda home: np.save(next(home.glob("1-*.npy")), np.zeros((3, 4), np.float16)),
    "patterns that are gone": lambda home: next(home.glob("present-*.npy")).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_shards_are_made_again_with_one_warning(one, damage):
    opened(one)
    (home,) = shard_folders(one)
    damage(home)
    with pytest.warns(UserWarning, match="made again") as warned:
        found = opened(one)
    assert len(warned) == 1
    same_answers(found, in_memory(found))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same_answers(opened(one), found)


# --- what cannot be written -------------------------------------------------------------------------------------


def held_with_one_warning(folder):
    with pytest.warns(UserWarning, match="vectors of a large map cannot be written") as warned:
        found = opened(folder)
    assert len(warned) == 1
    assert found.searcher.shards._shards[0][0].flags.writeable
    return found


def test_a_file_in_the_way_leaves_the_map_in_memory(one):
    (one / "shards").write_text("not a folder")
    found = held_with_one_warning(one)
    same_answers(found, in_memory(found))


@contextmanager
def nothing_may_be_written(folder):
    """Take away the right to write: as a user who is not root, if need be."""
    paths = [folder.parent, folder, *(p for p in folder.rglob("*") if p.is_dir())]
    for path in paths:
        path.chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        yield
    finally:
        if root:
            os.seteuid(0)
        for path in paths:
            path.chmod(0o755)


@pytest.fixture
def public():
    """A map where another user, too, can read it."""
    with tempfile.TemporaryDirectory() as home:
        write(Path(home) / "map")
        yield Path(home) / "map"


def test_a_folder_that_cannot_be_written_leaves_the_map_in_memory(public):
    with nothing_may_be_written(public):
        found = held_with_one_warning(public)
    assert not (public / "shards").exists()
    same_answers(found, in_memory(found))


def test_shards_that_are_there_are_opened_from_a_folder_that_cannot_be_written(public, monkeypatch):
    from_memory = in_memory(opened(public))
    never_made(monkeypatch)
    with nothing_may_be_written(public):
        found = opened(public)
    same_answers(found, from_memory)


def test_a_full_disk_leaves_the_map_in_memory_and_nothing_behind(one, monkeypatch):
    real, count = shards.write_atomically, 0

    def full(path, write):
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(28, "No space left on device")
        real(path, write)

    monkeypatch.setattr(shards, "write_atomically", full)
    found = held_with_one_warning(one)
    assert shard_folders(one) == []
    same_answers(found, in_memory(found))


def test_poses_that_are_none_are_refused_although_the_shards_are_whole(one):
    opened(one)
    (file,) = one.glob("places-*.npz")
    with np.load(file) as stored:
        arrays = dict(stored)
    arrays["poses"][7] = np.pi
    np.savez(file, **arrays)
    with pytest.raises(Any2AnyError, match=r"Pose 7 of \d+ cannot be used"):
        opened(one)
