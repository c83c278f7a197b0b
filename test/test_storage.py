"""Fitted state comes back as it was saved, or is refused with a reason; a file is replaced as a whole."""

import json
import shutil
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import pytest

from any2any_ros import legacy, storage
from any2any_ros.alignments import CSA, Head
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.any2any import Any2Any
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.geometry.refiner import OverlapEvidence
from any2any_ros.imputers.calmrl import CalMRL
from any2any_ros.learning import csa
from any2any_ros.learning.cox_model import COX
from any2any_ros.objects.heads import EMMA
from any2any_ros.objects.object_memory import MemoryState
from any2any_ros.objects.views import ObjectViews
from any2any_ros.retrieval.similarity import SameSpace
from any2any_ros.trust import confidence_fitting
from any2any_ros.trust.confidence import Candidates, Confidence, ConfidenceConfig, Event
from any2any_ros.trust.drift import Difference

# --- save and load --------------------------------------------------------------------------------------------


def fitted_states():
    g = np.random.default_rng(0)
    similarity, positive = g.normal(size=(20, 30, 2, 3)), g.random((20, 30)) < 0.1
    similarity += positive[..., None, None]
    for cls in FUSIONS.all():
        yield cls.plug, cls.fit(similarity, positive)
    yield "csa", csa.fit(g.normal(size=(50, 4)), g.normal(size=(50, 3)))
    yield "confidence", confidence_fitting.fit([event(g, i) for i in range(60)], ConfidenceConfig(min_queries=20))
    empty = Confidence(1.0, {"*": np.zeros((2, 2, 2))}, {"*": np.zeros((2, 1))}, {"*": np.inf}, {"*": np.zeros(0)}, {})
    yield "confidence that accepts nothing", empty


def event(g, i):
    scores = np.sort(g.normal(size=10))[::-1]
    right = np.zeros(10, dtype=bool)
    right[g.integers(0, 3)] = True
    return Event("ab"[i % 2], Candidates(scores, np.eye(1, 10, dtype=bool)), right)


STATES = dict(fitted_states())
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


def same(one, other):
    if isinstance(one, dict):
        return set(one) == set(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)
    return one == other or (list(one) == list(other) if isinstance(one, tuple) else False)


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_fitted_state_comes_back_bit_by_bit(tmp_path, state):
    storage.save(state, tmp_path / "state")
    again = storage.load(tmp_path / "state", type(state))
    assert type(again) is type(state)
    for f in fields(state):
        assert same(getattr(state, f.name), getattr(again, f.name)), f.name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.json", "state.npz"]


def test_saving_again_replaces(tmp_path):
    for seed in (0, 1):
        g = np.random.default_rng(seed)
        state = LikelihoodRatio(g.normal(size=(2, 2)), g.normal(size=(2, 2)))
        storage.save(state, tmp_path / "state")
    assert same(storage.load(tmp_path / "state", LikelihoodRatio).slope, state.slope)


@pytest.fixture
def saved(tmp_path):
    storage.save(STATES["any2any"], tmp_path / "state")
    return tmp_path / "state"


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {
    "no json": lambda p: p.with_suffix(".json").unlink(),
    "no npz": lambda p: p.with_suffix(".npz").unlink(),
    "json cut short": lambda p: cut(p.with_suffix(".json")),
    "npz cut short": lambda p: cut(p.with_suffix(".npz")),
    "npz empty": lambda p: p.with_suffix(".npz").write_bytes(b""),
    "npz is a text": lambda p: p.with_suffix(".npz").write_text("hello"),
    "json is a list": lambda p: p.with_suffix(".json").write_text("[]"),
    "json is null": lambda p: p.with_suffix(".json").write_text("null"),
    "json without values": lambda p: rewrite(p, values=None),
    "json is no text": lambda p: p.with_suffix(".json").write_bytes(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_state_is_refused(saved, damage):
    damage(saved)
    with pytest.raises(Any2AnyError, match="Cannot read the fitted state") as error:
        storage.load(saved, FUSIONS)
    assert "Fit it again" in error.value.remedy


def test_a_flipped_byte_among_the_numbers_is_noticed(saved):
    data = bytearray(saved.with_suffix(".npz").read_bytes())
    data[300] ^= 0xFF  # inside the first array
    saved.with_suffix(".npz").write_bytes(bytes(data))
    with pytest.raises(Any2AnyError, match="Cannot read the fitted state"):
        storage.load(saved, FUSIONS)


def test_a_fingerprint_tells_state_by_its_content_alone():
    seen = {storage.fingerprint(state) for state in STATES.values()}
    assert len(seen) == len(STATES) > 3
    assert {storage.fingerprint(state) for _, state in fitted_states()} == seen


@dataclass(frozen=True)
class Held:
    kind = "test"
    plug = "held"

    value: object


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2), np.array([0.0, 1e-300])),
        ({"a": np.zeros(2)}, {"b": np.zeros(2)}),
        (("a", "bc"), ("ab", "c")),
        (1, 1.0),
        ("1", 1),
        (None, "None"),
        (Held(1), 1),
        ([[], 1], [[1]]),
    ],
)
def test_other_state_has_another_fingerprint(one, other):
    assert storage.fingerprint(Held(one)) != storage.fingerprint(Held(other))
    assert storage.fingerprint(Held(one)) == storage.fingerprint(Held(one))


def test_what_is_no_state_has_no_fingerprint():
    with pytest.raises(TypeError, match="object is no fitted state"):
        storage.fingerprint(Held(object()))


def rewrite(path, **changes):
    header = json.loads(path.with_suffix(".json").read_text()) | changes
    path.with_suffix(".json").write_text(json.dumps(header))


def test_another_format_is_refused_with_both_numbers(saved):
    rewrite(saved, format=99)
    with pytest.raises(Any2AnyError, match="its format is 99, this program reads 2 and 1"):
        storage.load(saved, FUSIONS)


@pytest.mark.parametrize("plug", ["my_robot.evil", "os", "", "..up", "emma", 7, None, ["any2any"]])
def test_a_file_names_a_plug_of_the_expected_kind(saved, plug):
    rewrite(saved, plug=plug)
    with pytest.raises(Any2AnyError):
        storage.load(saved, FUSIONS)


@pytest.mark.parametrize(("kind", "plug"), [("alignment", "csa"), ("confidence", "isotonic"), (None, "any2any")])
def test_other_state_than_expected_is_refused(saved, kind, plug):
    rewrite(saved, kind=kind, plug=plug)
    with pytest.raises(Any2AnyError, match="is expected"):
        storage.load(saved, FUSIONS)
    with pytest.raises(Any2AnyError, match="is expected"):
        storage.load(saved, Any2Any)


@pytest.mark.parametrize(
    "name", ["os:system", "methods.csa:fit", "methods.no:X", "methods", "data.bags:write", "a:b:c"]
)
def test_an_old_file_names_a_class_of_the_table(saved, name):
    rewrite(saved, format=1, **{"class": name})
    with pytest.raises(Any2AnyError, match=r"class .* is unknown"):
        storage.load(saved, FUSIONS)


def test_state_that_an_old_file_names_by_its_class_comes_back(saved):
    header = json.loads(saved.with_suffix(".json").read_text())
    old = {"format": 1, "class": "methods.any2any:Any2Any", "values": header["values"]}
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
    values = json.loads(path.with_suffix(".json").read_text())["values"]
    assert values["lost"] == 0.01
    rewrite(path, values=values | {"lost": share})
    found = storage.load(path, Confidence)
    assert (found.unmapped, found.miss, found.temperature) == (share, 0.1, values["temperature"])
    assert found.accept_above["*"] == 0.46538716645823525 and len(found.weights) == 20


def test_a_new_file_is_read_by_new_names_alone(tmp_path):
    storage.save(STATES["confidence"], tmp_path / "confidence")
    values = json.loads((tmp_path / "confidence.json").read_text())["values"]
    values["lost"] = values.pop("unmapped")
    rewrite(tmp_path / "confidence", values=values)
    with pytest.raises(Any2AnyError, match="lost"):
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


def test_an_array_of_objects_is_never_unpickled(saved):
    np.savez(saved.with_suffix(".npz"), x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(Any2AnyError, match="allow_pickle"):
        storage.load(saved, FUSIONS)


def test_what_could_not_be_read_back_is_not_saved(tmp_path):
    @dataclass(frozen=True)
    class Foreign:
        kind = "fusion"
        plug = "foreign"
        slope: np.ndarray = field(default_factory=lambda: np.ones(2))

    with pytest.raises(Any2AnyError, match="Cannot save"):
        storage.save(Foreign(), tmp_path / "state")
    assert list(tmp_path.iterdir()) == []


# --- write_atomically -----------------------------------------------------------------------------------------


def test_writes_the_file_and_its_folder(tmp_path):
    storage.write_atomically(tmp_path / "new" / "file", lambda s: s.write(b"new"))
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
        storage.write_atomically(path, fail)
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_state_that_json_cannot_hold_leaves_the_old_state(tmp_path):
    storage.save(STATES["likelihood_ratio"], tmp_path / "state")
    broken = Any2Any((1, 1), {}, {}, {}, {}, combine=object())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        storage.save(broken, tmp_path / "state")
    assert isinstance(storage.load(tmp_path / "state", FUSIONS), LikelihoodRatio)
    assert len(list(tmp_path.iterdir())) == 2


# --- write_json -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, float("nan"), np.float64("nan")])
def test_a_number_that_is_none_is_null(tmp_path, value):
    """NaN is no JSON: a browser, jq or another language would refuse the whole file."""
    storage.write_json(tmp_path / "f.json", {"a": [1.5, value], "b": ({"c": value},), "d": "text", "e": True})
    assert "NaN" not in (tmp_path / "f.json").read_text() and "Infinity" not in (tmp_path / "f.json").read_text()
    assert json.loads((tmp_path / "f.json").read_text()) == {
        "a": [1.5, None],
        "b": [{"c": None}],
        "d": "text",
        "e": True,
    }


def test_what_json_does_not_know_leaves_the_old_file(tmp_path):
    storage.write_json(tmp_path / "f.json", [1])
    with pytest.raises(TypeError):
        storage.write_json(tmp_path / "f.json", {"a": np.zeros(2)})
    assert json.loads((tmp_path / "f.json").read_text()) == [1] and list(tmp_path.iterdir()) == [tmp_path / "f.json"]
