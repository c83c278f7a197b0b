"""Fitted state of files that name a class, as those before December 2026 do."""

import json
import shutil
from pathlib import Path

import pytest
from fitted_states import STATES, header, rewrite, same, split

from any2any_ros import legacy, storage
from any2any_ros.alignments import CSA, Head
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.any2any import Any2Any
from any2any_ros.geometry.refiner import OverlapEvidence
from any2any_ros.imputers.calmrl import CalMRL
from any2any_ros.learning.cox_model import COX
from any2any_ros.objects.heads import EMMA
from any2any_ros.objects.object_memory import MemoryState
from any2any_ros.objects.views import ObjectViews
from any2any_ros.retrieval.similarity import SameSpace
from any2any_ros.trust.confidence import Confidence
from any2any_ros.trust.drift import Difference

OTHER_STATES = (
    CSA,
    COX,
    EMMA,
    CalMRL,
    Confidence,
    Difference,
    Head,
    MemoryState,
    ObjectViews,
    OverlapEvidence,
    SameSpace,
)
NOVEMBER = Path(__file__).parent / "formats" / "november" / "map"  # from a map of November 2026, of format 1
OLD_SAME_SPACE = "5ff0c14dfa0cdf0f"


@pytest.fixture
def saved(tmp_path):
    storage.save(STATES["any2any"], tmp_path / "state")
    return tmp_path / "state"


@pytest.mark.parametrize(
    "name", ["os:system", "methods.csa:fit", "methods.no:X", "methods", "data.bags:write", "a:b:c"]
)
def test_an_old_file_names_a_class_of_the_table(saved, name):
    rewrite(saved, format=1, **{"class": name})
    with pytest.raises(Any2AnyError, match=r"class .* is unknown"):
        storage.load(saved, FUSIONS)


def test_state_that_an_old_file_names_by_its_class_comes_back(saved):
    old = {"format": 1, "class": "methods.any2any:Any2Any", "values": header(saved)["values"]}
    split(saved)
    saved.with_suffix(".json").write_text(json.dumps(old))
    again = storage.load(saved, FUSIONS)
    assert type(again) is Any2Any and all(same(getattr(STATES["any2any"], n), v) for n, v in vars(again).items())
    with pytest.raises(Any2AnyError, match="it holds fusion 'any2any', confidence 'isotonic' is expected"):
        storage.load(saved, Confidence)


@pytest.mark.parametrize("share", [0.01, 0.25])  # 0.01 is what stands in the file
def test_a_member_of_another_name_in_an_old_file_keeps_its_value(tmp_path, share):
    """The confidence of a map of November 2026, whose `unmapped` was called `lost`."""
    for ending in ("json", "npz"):
        shutil.copy(NOVEMBER / "calibration" / f"confidence.{ending}", tmp_path)
    path = tmp_path / "confidence"
    values = header(path)["values"]
    assert values["lost"] == 0.01
    rewrite(path, values=values | {"lost": share})
    found = storage.load(path, Confidence)
    assert (found.unmapped, found.miss, found.temperature) == (share, 0.1, values["temperature"])
    assert found.accept_above["*"] == 0.46538716645823525 and len(found.weights) == 20


def test_a_new_file_is_read_by_new_names_alone(tmp_path):
    storage.save(STATES["confidence"], tmp_path / "confidence")
    values = header(tmp_path / "confidence")["values"]
    values["lost"] = values.pop("unmapped")
    rewrite(tmp_path / "confidence", values=values)
    with pytest.raises(Any2AnyError, match="'unmapped' is missing"):
        storage.load(tmp_path / "confidence", Confidence)


def test_every_class_of_the_old_table_is_found_under_its_kind_and_plug():
    """By the classes themselves: a renamed kind or plug would strand old files."""
    states = {(cls.kind, cls.plug): cls for cls in [*FUSIONS.all(), *OTHER_STATES]}
    assert set(legacy.CLASSES.values()) == set(states)
    names = {name: name.split(":")[1] for name in legacy.CLASSES} | {"retrieval.objects:Objects": "ObjectViews"}
    assert all(names[name] == states[new].__name__ for name, new in legacy.CLASSES.items())


def test_the_key_of_old_shards_is_still_known():
    """Written by commit ce04c12: the fingerprint of SameSpace(), as the key of a large map's shards had it."""
    assert storage.fingerprint(SameSpace(), legacy.class_name) == OLD_SAME_SPACE != storage.fingerprint(SameSpace())
