"""Plugs are found by name, and fitted state comes back as it was saved, or is refused with a reason."""

import json
import sys
from dataclasses import dataclass, field, fields

import numpy as np
import pytest

from any2any_ros import plugins
from any2any_ros.errors import Any2AnyError
from any2any_ros.methods import confidence, csa
from any2any_ros.methods.any2any import Any2Any
from any2any_ros.methods.confidence import Candidates, Confidence, Event
from any2any_ros.methods.fusion import LikelihoodRatio

# --- find -----------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a module into a folder on the Python path; its name is new every time, for modules stay imported."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(text, name="thermal"):
        folder = tmp_path / f"robot_{tmp_path.name}"
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
        (folder / f"{name}.py").write_text(text)
        return f"{folder.name}.{name}"

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("robot_"):
            del sys.modules[name]


PLUG = "class Thermal:\n    plug = 'thermal'\n"


@pytest.mark.parametrize("kind", ["encoders", "methods"])
def test_every_plug_is_found_by_the_name_it_gives_itself(kind):
    names = plugins.names(kind)
    assert len(names) == len(set(names)) > 4 and list(names) == sorted(names)
    for name in names:
        assert plugins.find(kind, name).plug == name


def test_the_default_encoder_of_a_modality_is_the_plug_of_that_name():
    for name in plugins.names("encoders"):
        modality = plugins.find("encoders", name).modality
        assert plugins.find("encoders", modality).modality == modality


def test_a_module_of_somebody_else_is_found_by_its_dotted_name(package):
    assert plugins.find("encoders", package(PLUG)).plug == "thermal"


def test_classes_that_a_module_only_imports_are_none_of_its_plugs(package):
    dotted = package(f"from any2any_ros.encoders.lidar import LidarEncoder\n{PLUG}class Helper:\n    pass\n")
    assert plugins.find("encoders", dotted).__name__ == "Thermal"


@pytest.mark.parametrize(
    ("text", "why"), [("x = 1\n", "has 0 classes"), (PLUG + PLUG.replace("Thermal", "Other"), "has 2 classes")]
)
def test_a_module_with_no_plug_or_several_is_refused(package, text, why):
    with pytest.raises(Any2AnyError, match=why):
        plugins.find("encoders", package(text))


@pytest.mark.parametrize("name", ["no_such_robot.thermal", "any2any_ros.no_such", ".", "..up", "a..b", "any2any_ros."])
def test_a_module_that_is_not_there_is_refused(name):
    with pytest.raises(Any2AnyError, match="is no plug"):
        plugins.find("encoders", name)


def test_an_import_that_fails_inside_a_module_is_told(package):
    with pytest.raises(Any2AnyError, match="no_such_library"):
        plugins.find("encoders", package("import no_such_library\n" + PLUG))


def test_an_unknown_plug_is_refused_with_those_there_are():
    with pytest.raises(Any2AnyError, match=r"no 'radar' among the encoders: .*audio, camera, .*laser_scan, lidar") as e:
        plugins.find("encoders", "radar")
    assert "add any2any_ros/encoders/radar.py" in e.value.remedy


# --- save and load --------------------------------------------------------------------------------------------


def fitted_states():
    g = np.random.default_rng(0)
    similarity, positive = g.normal(size=(20, 30, 2, 3)), g.random((20, 30)) < 0.1
    similarity += positive[..., None, None]
    for name in plugins.names("methods"):
        cls = plugins.find("methods", name)
        if hasattr(cls, "score"):
            yield name, cls.fit(similarity, positive)
    yield "csa", csa.fit(g.normal(size=(50, 4)), g.normal(size=(50, 3)))
    yield "confidence", confidence.fit([event(g, i) for i in range(60)], confidence.ConfidenceConfig(min_queries=20))
    empty = Confidence(1.0, {"*": np.zeros((2, 2, 2))}, {"*": np.zeros((2, 1))}, {"*": np.inf}, {"*": np.zeros(0)}, {})
    yield "confidence that accepts nothing", empty


def event(g, i):
    scores = np.sort(g.normal(size=10))[::-1]
    right = np.zeros(10, dtype=bool)
    right[g.integers(0, 3)] = True
    return Event("ab"[i % 2], Candidates(scores, np.eye(1, 10, dtype=bool)), right)


STATES = dict(fitted_states())


def same(one, other):
    if isinstance(one, dict):
        return set(one) == set(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)
    return one == other or (list(one) == list(other) if isinstance(one, tuple) else False)


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_fitted_state_comes_back_bit_by_bit(tmp_path, state):
    plugins.save(state, tmp_path / "state")
    again = plugins.load(tmp_path / "state")
    assert type(again) is type(state)
    for f in fields(state):
        assert same(getattr(state, f.name), getattr(again, f.name)), f.name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.json", "state.npz"]


def test_saving_again_replaces(tmp_path):
    for seed in (0, 1):
        g = np.random.default_rng(seed)
        state = LikelihoodRatio(g.normal(size=(2, 2)), g.normal(size=(2, 2)))
        plugins.save(state, tmp_path / "state")
    assert same(plugins.load(tmp_path / "state").slope, state.slope)


@pytest.fixture
def saved(tmp_path):
    plugins.save(STATES["any2any"], tmp_path / "state")
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
    "json of other values": lambda p: p.with_suffix(".json").write_text('{"format": 1, "class": "methods.csa:CSA"}'),
    "json is no text": lambda p: p.with_suffix(".json").write_bytes(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_state_is_refused(saved, damage):
    damage(saved)
    with pytest.raises(Any2AnyError, match="Cannot read the fitted state") as error:
        plugins.load(saved)
    assert "Fit it again" in error.value.remedy


def test_a_flipped_byte_among_the_numbers_is_noticed(saved):
    data = bytearray(saved.with_suffix(".npz").read_bytes())
    data[300] ^= 0xFF  # inside the first array
    saved.with_suffix(".npz").write_bytes(bytes(data))
    with pytest.raises(Any2AnyError, match="Cannot read the fitted state"):
        plugins.load(saved)


def test_a_fingerprint_tells_state_by_its_content_alone():
    seen = {plugins.fingerprint(state) for state in STATES.values()}
    assert len(seen) == len(STATES) > 3
    assert {plugins.fingerprint(state) for _, state in fitted_states()} == seen


@dataclass(frozen=True)
class Held:
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
    assert plugins.fingerprint(Held(one)) != plugins.fingerprint(Held(other))
    assert plugins.fingerprint(Held(one)) == plugins.fingerprint(Held(one))


def test_what_is_no_state_has_no_fingerprint():
    with pytest.raises(TypeError, match="object is no fitted state"):
        plugins.fingerprint(Held(object()))


def rewrite(path, **changes):
    header = json.loads(path.with_suffix(".json").read_text()) | changes
    path.with_suffix(".json").write_text(json.dumps(header))


def test_another_format_is_refused_with_both_numbers(saved):
    rewrite(saved, format=99)
    with pytest.raises(Any2AnyError, match="its format is 99, this program reads 1"):
        plugins.load(saved)


def test_a_file_does_not_choose_what_is_imported(saved, package):
    dotted = package("raise SystemExit('imported!')\n", "evil")
    for name in (f"{dotted}:X", "os:system", "tools.main:VERBS", "subprocess:Popen", "data.bags:write"):
        rewrite(saved, **{"class": name})
        with pytest.raises(Any2AnyError, match="is not ours"):
            plugins.load(saved)
    assert dotted not in sys.modules


@pytest.mark.parametrize(
    "name", ["methods.csa:fit", "methods.csa:NoSuch", "methods.none:X", "methods", "methods.x:y:z"]
)
def test_a_class_that_holds_no_state_is_refused(saved, name):
    rewrite(saved, **{"class": name})
    with pytest.raises(Any2AnyError, match="Cannot read the fitted state"):
        plugins.load(saved)


def test_an_array_of_objects_is_never_unpickled(saved):
    np.savez(saved.with_suffix(".npz"), x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(Any2AnyError, match="allow_pickle"):
        plugins.load(saved)


def test_what_could_not_be_read_back_is_not_saved(tmp_path):
    @dataclass(frozen=True)
    class Foreign:
        plug = "foreign"
        slope: np.ndarray = field(default_factory=lambda: np.ones(2))

    with pytest.raises(Any2AnyError, match="Cannot save"):
        plugins.save(Foreign(), tmp_path / "state")
    assert list(tmp_path.iterdir()) == []


# --- write_atomically -----------------------------------------------------------------------------------------


def test_writes_the_file_and_its_folder(tmp_path):
    plugins.write_atomically(tmp_path / "new" / "file", lambda s: s.write(b"new"))
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
        plugins.write_atomically(path, fail)
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_state_that_json_cannot_hold_leaves_the_old_state(tmp_path):
    plugins.save(STATES["likelihood_ratio"], tmp_path / "state")
    broken = Any2Any((1, 1), {}, {}, {}, {}, combine=object())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        plugins.save(broken, tmp_path / "state")
    assert isinstance(plugins.load(tmp_path / "state"), LikelihoodRatio)
    assert len(list(tmp_path.iterdir())) == 2


# --- write_json -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, float("nan"), np.float64("nan")])
def test_a_number_that_is_none_is_null(tmp_path, value):
    """NaN is no JSON: a browser, jq or another language would refuse the whole file."""
    plugins.write_json(tmp_path / "f.json", {"a": [1.5, value], "b": ({"c": value},), "d": "text", "e": True})
    assert "NaN" not in (tmp_path / "f.json").read_text() and "Infinity" not in (tmp_path / "f.json").read_text()
    assert json.loads((tmp_path / "f.json").read_text()) == {
        "a": [1.5, None],
        "b": [{"c": None}],
        "d": "text",
        "e": True,
    }


def test_what_json_does_not_know_leaves_the_old_file(tmp_path):
    plugins.write_json(tmp_path / "f.json", [1])
    with pytest.raises(TypeError):
        plugins.write_json(tmp_path / "f.json", {"a": np.zeros(2)})
    assert json.loads((tmp_path / "f.json").read_text()) == [1] and list(tmp_path.iterdir()) == [tmp_path / "f.json"]
