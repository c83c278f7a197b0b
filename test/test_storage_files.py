"""A file is replaced as a whole."""

import json

import numpy as np
import pytest
from fitted_states import STATES

from any2any_ros import storage
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.any2any import Any2Any
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio

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
