"""Arrays of an .npz file are memory-mapped, and damage that is quickly seen is an error."""

import mmap
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.large import npz

ARRAYS = {
    "ids": np.array(["straße/1", "b"]),
    "poses": np.arange(32.0).reshape(2, 4, 4),
    "embedding/lidar": np.array([[1, np.nan, 3]] * 2, dtype=np.float32),
    "long": np.arange(100_000, dtype=np.int64),
    "none": np.empty((0, 4)),
    "column": np.asfortranarray(np.arange(3.0)),  # of one dimension, where both orders are one
}


@pytest.fixture
def file(tmp_path):
    np.savez(tmp_path / "arrays.npz", **ARRAYS)
    return tmp_path / "arrays.npz"


def on_disk(array):
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def test_every_array_is_what_was_saved_and_stays_on_disk(file):
    found = npz.mapped(file, ARRAYS)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype and type(found[name]) is np.ndarray
        assert on_disk(found[name]) == (array.size > 0)
    with pytest.raises(ValueError, match="read-only"):
        found["long"][0] = 1


def test_names_and_extra_fields_of_any_length_are_passed(tmp_path):
    """The directory's may be shorter than those before the member itself."""
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as archive:
        for i in range(4):
            info = zipfile.ZipInfo(f"{'n' * (i + 1)}.npy")
            info.extra = struct.pack("<HH", 0xCAFE, i) + bytes(i)
            with archive.open(info, "w", force_zip64=i % 2 == 0) as member:
                np.lib.format.write_array(member, np.arange(i + 3))
    for i in range(4):
        assert npz.mapped(tmp_path / "odd.npz", ["n" * (i + 1)])["n" * (i + 1)].tolist() == list(range(i + 3))


def in_memory(file):
    """Return how many bytes of the file this process has mapped and looked at."""
    smaps = Path("/proc/self/smaps").read_text()
    return 1024 * sum(int(size) for size in re.findall(rf"{re.escape(str(file))}\n.*?\nRss: +(\d+)", smaps, re.S))


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the kernel tells what is in memory on Linux alone")
@pytest.mark.parametrize("grown", [False, True])
def test_what_was_let_go_of_is_not_in_memory_and_read_again(tmp_path, grown):
    file, n = tmp_path / "arrays.npz", 10_000
    vectors = np.random.default_rng(0).normal(size=(n, 16)).astype(np.float32)
    np.savez(file, poses=np.full((n, 4, 4), 2.0), vectors=vectors)
    found = npz.mapped(file, ["poses", "vectors"])
    places = ObservationSet.verified({"m": found["vectors"]}, found["poses"], tuple(map(str, range(n))))
    if grown:
        places = places.appended(ObservationSet({"m": vectors[:1]}, np.tile(np.eye(4), (1, 1, 1)), ("new",)))
    assert in_memory(file) == 0
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(places.embeddings["m"])[:n], vectors)
        assert np.asarray(places.poses)[:n].min() == 2
        assert in_memory(file) >= vectors.nbytes
        npz.release(places)
        assert in_memory(file) == 0
    npz.release(places.take([1, 2]))  # which are in memory as they are


def patched(file, old, new):
    content = file.read_bytes()
    assert old in content and len(old) == len(new)
    file.write_bytes(content.replace(old, new))


def cut(file):
    file.write_bytes(file.read_bytes()[:-1000])


def cut_in_the_middle(file):
    content = file.read_bytes()
    file.write_bytes(content[:2000] + content[400_000:])


def behind_the_end(file):
    """Let the name of a member's local header be followed by more than the file has."""
    np.savez(file, long=np.arange(5))
    content = bytearray(file.read_bytes())
    content[28:30] = b"\xff\xff"  # bytes of the extra field of the first member
    file.write_bytes(content)


DAMAGED = (zipfile.BadZipFile, ValueError, OSError)
DAMAGE = {
    "cut short": (cut, zipfile.BadZipFile, "not a zip"),
    "cut in the middle": (cut_in_the_middle, DAMAGED, None),
    "empty": (lambda f: f.write_bytes(b""), zipfile.BadZipFile, None),
    "absent": (lambda f: f.unlink(), FileNotFoundError, None),
    "more rows than there are": (lambda f: patched(f, b"(100000,)", b"(900000,)"), ValueError, "not \\(900000,\\)"),
    "fewer rows than there are": (lambda f: patched(f, b"(100000,)", b"(100,)   "), ValueError, "not \\(100,\\)"),
    "another type": (lambda f: patched(f, b"'<i8'", b"'<i4'"), ValueError, "not \\(100000,\\)"),
    "no type": (lambda f: patched(f, b"'<i8'", b"'<?8'"), ValueError, "<[?]8"),
    "no header": (lambda f: patched(f, b"\x93NUMPY", b"\x93NUMPX"), ValueError, "magic"),
    "a later header": (lambda f: patched(f, b"\x93NUMPY\x01", b"\x93NUMPY\x09"), DAMAGED, None),
    "columns first": (lambda f: np.savez(f, long=np.asfortranarray(np.zeros((2, 3)))), ValueError, "order"),
    "objects": (lambda f: np.savez(f, long=np.array([{"x": 1}])), ValueError, "object"),
    "compressed": (lambda f: np.savez_compressed(f, **ARRAYS), ValueError, "'long.npy' is compressed"),
    "of a later version": (
        lambda f: patched(f, b"PK\x01\x02-\x03-\x00", b"PK\x01\x02-\x03\xff\x00"),
        ValueError,
        "zip file version 25.5",
    ),
    "behind the end": (behind_the_end, ValueError, "behind the end"),
    "of other arrays": (lambda f: np.savez(f, other=np.zeros(3)), KeyError, "long"),
}


@pytest.mark.parametrize(("damage", "kind", "why"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_told(file, damage, kind, why):
    damage(file)
    with pytest.raises(kind, match=why):
        npz.mapped(file, ["long"])
