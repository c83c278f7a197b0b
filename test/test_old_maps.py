"""The map that commit ce04c12 wrote opens unchanged, and ranks as it did (formats/november/README.md)."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import any2any_ros as a2a

NOVEMBER = Path(__file__).parent / "formats" / "november"
EXPECTED = json.loads((NOVEMBER / "map.rankings.json").read_text())


@pytest.fixture(scope="module")
def november():
    return a2a.open_map(NOVEMBER / "map")


def query(place_map, expected):
    """Return a place's own embeddings with noise, those of some sensors."""
    draw, embeddings = np.random.default_rng(expected["seed"]), {}
    for modality in expected["modalities"]:
        vector = place_map.reference.places.embeddings[modality][expected["row"]]
        noisy = vector + 0.5 / np.sqrt(len(vector)) * draw.normal(size=len(vector))
        embeddings[modality] = (noisy / np.linalg.norm(noisy)).astype(np.float32)
    return a2a.Observation(embeddings)


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda e: f"{'+'.join(e['modalities'])}-{e['row']}")
def test_the_map_of_november_ranks_as_it_did(november, expected):
    ranking = november.rank(query(november, expected), 5)
    assert [m.id for m in ranking.matches] == expected["ids"]
    np.testing.assert_allclose([m.probability for m in ranking.matches], expected["probabilities"], rtol=1e-9)
    assert ranking.accepted == expected["accepted"] and list(ranking.place_set) == expected["place_set"]
    assert ranking.presence == pytest.approx(expected["presence"], rel=1e-9)


def test_the_expectations_are_of_all_kinds():
    assert len(EXPECTED) == 35 and {len(e["modalities"]) for e in EXPECTED} == {1, 2, 4}
    assert 5 < sum(e["accepted"] for e in EXPECTED) < 30


def test_opening_it_changes_no_file(tmp_path):
    folder = shutil.copytree(NOVEMBER / "map", tmp_path / "map")
    before = digests(folder)
    place_map = a2a.open_map(folder)
    place_map.rank({"text": "a bakery beside a red house"})
    assert digests(folder) == before and (len(place_map), place_map.name, place_map.calibrated) == (160, "oldmap", True)


def digests(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
