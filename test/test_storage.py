"""Fitted state comes back as it was saved, or is refused with a reason."""

import json
from dataclasses import dataclass, field, fields

import numpy as np
import pytest
from fitted_states import STATES, fitted_states, header, rewrite, same, split, write_header

from any2any_ros import storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.any2any import Any2Any
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_fitted_state_comes_back_bit_by_bit(tmp_path, state):
    storage.save(state, tmp_path / "state")
    again = storage.load(tmp_path / "state", type(state))
    assert type(again) is type(state)
    for f in fields(state):
        assert same(getattr(state, f.name), getattr(again, f.name)), f.name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.npz"]


def test_saving_again_replaces(tmp_path):
    for seed in (0, 1):
        g = np.random.default_rng(seed)
        state = LikelihoodRatio(g.normal(size=(2, 2)), g.normal(size=(2, 2)))
        storage.save(state, tmp_path / "state")
    assert same(storage.load(tmp_path / "state", LikelihoodRatio).slope, state.slope)


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_state_of_the_format_before_comes_back_and_its_two_files_become_one(tmp_path, state):
    path = tmp_path / "state"
    storage.save(state, path)
    split(path)
    again = storage.load(path, type(state))
    assert all(same(getattr(state, f.name), getattr(again, f.name)) for f in fields(state))
    assert {p.name for p in tmp_path.iterdir()} == {"state.npz", "state.json"}
    storage.save(state, path)
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


def test_a_file_that_is_no_header_stays(tmp_path):
    (tmp_path / "state.json").write_text('{"format": 5}')
    storage.save(STATES["csa"], tmp_path / "state")
    assert {p.name for p in tmp_path.iterdir()} == {"state.npz", "state.json"}


@pytest.fixture
def saved(tmp_path):
    storage.save(STATES["any2any"], tmp_path / "state")
    return tmp_path / "state"


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {
    "no npz": lambda p: p.with_suffix(".npz").unlink(),
    "no header": lambda p: write_header(p, None),
    "header cut short": lambda p: write_header(p, json.dumps(header(p))[:-9]),
    "npz cut short": lambda p: cut(p.with_suffix(".npz")),
    "npz empty": lambda p: p.with_suffix(".npz").write_bytes(b""),
    "npz is a text": lambda p: p.with_suffix(".npz").write_text("hello"),
    "header is a list": lambda p: write_header(p, "[]"),
    "header is null": lambda p: write_header(p, "null"),
    "header without values": lambda p: rewrite(p, values=None),
    "header is no text": lambda p: write_header(p, b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_state_is_refused(saved, damage):
    damage(saved)
    with pytest.raises(Any2AnyError, match="Cannot read the fitted state") as error:
        storage.load(saved, FUSIONS)
    assert "Fit it again" in error.value.remedy


def test_a_flipped_byte_among_the_numbers_is_noticed(saved):
    data = bytearray(saved.with_suffix(".npz").read_bytes())
    data[-2000] ^= 0xFF  # inside the last arrays
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


def test_another_format_is_refused_with_both_numbers(saved):
    rewrite(saved, format=99)
    with pytest.raises(Any2AnyError, match="its format is 99, this program reads 3, 2, 1"):
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


@pytest.mark.parametrize("slope", [np.full((1, 1), np.nan), np.ones((1, 1), np.float32)], ids=["nan", "float32"])
def test_values_that_could_not_be_read_back_leave_the_old_state(tmp_path, slope):
    storage.save(STATES["likelihood_ratio"], tmp_path / "state")
    with pytest.raises(ValueError, match="'slope'"):
        storage.save(LikelihoodRatio(slope, np.zeros((1, 1))), tmp_path / "state")
    assert same(storage.load(tmp_path / "state", FUSIONS).slope, STATES["likelihood_ratio"].slope)
    assert len(list(tmp_path.iterdir())) == 1
