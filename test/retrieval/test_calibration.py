"""A calibration on disk: all or nothing, and bound to the encoders of its map."""

import json

import numpy as np
import pytest
from noisy_drives import NOISE, PROMISES, drive

from any2any_ros.calibration.fitting import calibrate
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.calibration import load, save
from any2any_ros.retrieval.retriever import Retriever


@pytest.fixture(scope="module")
def fitted():
    reference, task = drive(NOISE)
    return reference, task.queries, calibrate(reference, task, promises=PROMISES)


def test_ranks_the_same_after_it_was_saved(fitted, tmp_path):
    reference, queries, found = fitted
    save(found, tmp_path)
    again = load(tmp_path)
    assert again.encoders == found.encoders and again.same_place == 5.0 and again.table == found.table
    for observation in list(queries)[:10]:
        one, other = (Retriever(reference, c).rank(observation) for c in (found, again))
        assert [(m.id, m.score, m.probability) for m in one.matches] == [
            (m.id, m.score, m.probability) for m in other.matches
        ]
        assert (one.accepted, one.place_set) == (other.accepted, other.place_set)


def test_there_may_be_none(tmp_path):
    assert load(tmp_path) is None


def test_a_map_opens_with_its_calibration_and_without(fitted, tmp_path):
    reference, queries, found = fitted
    reference_map.save(reference, tmp_path)
    plain = Retriever.open(tmp_path, 7.0)
    assert plain.confidence is None and isinstance(plain.fusion, RawMean) and plain.same_place == 7.0
    assert np.isnan(plain.rank(queries.observation(0)).probability)
    save(found, tmp_path)
    retriever = Retriever.open(tmp_path, 7.0)
    assert retriever.confidence is not None and retriever.reference.name == "town" and retriever.same_place == 5.0
    assert retriever.rank(queries.observation(0)).probability > 0


@pytest.mark.parametrize("other", [{"fingerprint": "2"}, {"noise": {"good": 0.3}}], ids=["settings", "sensors"])
def test_another_maps_encoders_are_refused(fitted, other):
    reference = drive(**({"noise": NOISE} | other))[0]
    with pytest.raises(Any2AnyError, match="The calibration does not fit map 'town'") as error:
        Retriever(reference, fitted[2])
    assert "any2any calibrate" in error.value.remedy


DAMAGE = {
    "not whole": lambda f: (f / "calibration.json").unlink(),
    "cut short": lambda f: (f / "calibration.json").write_text("{"),
    "a list": lambda f: (f / "calibration.json").write_text("[]"),
    "null": lambda f: (f / "calibration.json").write_text("null"),
    "short of a value": lambda f: (f / "calibration.json").write_text('{"format": 1}'),
    "of another format": lambda f: (f / "calibration.json").write_text('{"format": 9}'),
    "without its fusion": lambda f: (f / "fusion.npz").unlink(),
    "of a damaged confidence": lambda f: (f / "confidence.npz").write_text("no"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_calibration_is_refused(fitted, tmp_path, damage):
    save(fitted[2], tmp_path)
    damage(tmp_path / "calibration")
    with pytest.raises(Any2AnyError, match=r"Cannot read the calibration in .*alibrate again"):
        load(tmp_path)


def test_the_saved_table_is_plain_json(fitted, tmp_path):
    save(fitted[2], tmp_path)
    header = json.loads((tmp_path / "calibration" / "calibration.json").read_text())
    assert header["fusion"] == fitted[2].fusion.plug and len(header["table"]) == len(FUSIONS.names())
