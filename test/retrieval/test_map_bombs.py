"""A small map that promises more than a robot has memory for is refused, and takes no memory."""

from __future__ import annotations

import json
import re
import zipfile

import numpy as np
import pytest
from bombs import npy, npz, outcome

from any2any_ros import open_map
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.geometry.registration import PreparedScan
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.large import shards
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap

ZEROS = npy((1 << 23,), "<f8", bytes(1 << 26))  # 64 MB; of two such arrays one file is too many


@pytest.fixture
def folder(tmp_path):
    places = ObservationSet({"text": np.ones((2, 16))}, np.tile(np.eye(4), (2, 1, 1)), ("a", "b"))
    reference_map.save(ReferenceMap(places, {"text": EncoderRecord("text", "text-1", 16)}), tmp_path / "map")
    calibration.save(calibration.uncalibrated(reference_map.load(tmp_path / "map")), tmp_path / "map")
    return tmp_path / "map"


def places_file(folder):
    return folder / json.loads((folder / "map.json").read_text())["places"]


def packed(path):
    npz(path, zipfile.ZIP_DEFLATED, a=ZEROS, ids=ZEROS)


def hollow(path):
    """Write vectors of 8 GB that are a hole."""
    npz(path, ids=npy((0,), "<U1"))
    with open(path, "r+b") as stream:
        tail = stream.read()
        stream.seek(1 << 33)
        stream.write(tail)


def wide(path):
    path.write_bytes(b'{"format": 1, "x": [' + b"[]," * 4_000_000 + b"[]]}")


BOMBS = {
    "packed places": (lambda f: packed(places_file(f)), "bytes when it is unpacked"),
    "places in a hole": (lambda f: hollow(places_file(f)), "hole"),
    "ids without end": (lambda f: npz(places_file(f), ids=npy((10**12,), "<U0")), "takes no bytes"),
    "rows of ids without end": (lambda f: npz(places_file(f), ids=npy((10**12, 0), "<U1")), "takes no bytes"),
    "map.json": (lambda f: wide(f / "map.json"), "12,000,024 bytes, and at most 8,388,608"),
    "a deep map.json": (lambda f: (f / "map.json").write_text("[" * 10**6), "nested too deeply"),
    "calibration.json": (lambda f: wide(f / "calibration" / calibration.HEADER), "12,000,024 bytes"),
    "a packed fusion": (lambda f: packed(f / "calibration" / "fusion.npz"), "bytes when it is unpacked"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_map_that_would_burst_is_refused(folder, name):
    spoil, why = BOMBS[name]
    spoil(folder)
    said, grown = outcome(lambda: open_map(folder))
    assert said.startswith("Cannot read the") and why in said and grown < 200


def test_a_large_map_in_a_hole_is_refused(folder, monkeypatch):
    monkeypatch.setattr(reference_map, "LARGE", 1)
    hollow(places_file(folder))
    said, grown = outcome(lambda: open_map(folder))
    assert "a hole that no disk holds" in said and grown < 200


@pytest.mark.parametrize("change", [{"columns": {}}, {"shard_rows": 1 << 40}, {"shard_rows": 0}], ids=str)
def test_shards_of_any_number_of_rows_are_refused(tmp_path, change):
    store = shards.Shards({"a": 4})
    store.add({"a": np.ones((3, 4))})
    store.save(tmp_path)
    header = json.loads((tmp_path / shards.INDEX).read_text()) | change
    header["shards"][0]["rows"] = 1 << 40 if "columns" in change else 3
    (tmp_path / shards.INDEX).write_text(json.dumps(header))
    said, grown = outcome(lambda: shards.load(tmp_path))
    assert re.search("they have [01] columns|'shard_rows' is 0, and must be", said) and grown < 20


# --- scans ------------------------------------------------------------------------------------------------------


def test_a_scan_that_would_burst_is_refused(folder):
    clouds = Clouds(folder)
    before = {*clouds.folder.glob("*")}
    clouds.add("a", np.ones((3, 3)))
    (file,) = {*clouds.folder.iterdir()} - before
    packed(file)
    said, grown = outcome(lambda: Clouds(folder).scan("a"))
    assert "bytes when it is unpacked" in said and grown < 20


def test_a_scan_of_too_many_points_is_refused(folder):
    many = np.random.default_rng(0).uniform(-40, 40, (200_000, 3)).astype(np.float32)
    for use in (PreparedScan.of, lambda points: Clouds(folder).add("a", points)):
        said, grown = outcome(lambda use=use: use(many))
        assert "points after thinning, and at most 131,072 are read" in said and grown < 100


def test_a_scan_of_the_most_points_is_compared_in_little_memory():
    """All turned points at once would take 500 MB."""
    many = np.random.default_rng(0).uniform(-40, 40, (125_000, 3))
    said, grown = outcome(lambda: PreparedScan.of(many).spectra)
    assert said == "" and grown < 200
