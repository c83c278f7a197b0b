"""What an extra of pip brings is known, and a command that lacks it says so in one line."""

import argparse
import importlib.util
import re
from pathlib import Path

import pytest

from any2any_ros import extras
from any2any_ros.errors import Any2AnyError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def without(monkeypatch):
    """Return a function that makes modules appear as not installed."""
    find = importlib.util.find_spec

    def hide(*modules):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *more: None if name in modules else find(name, *more)
        )

    return hide


def project():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements):
    return {re.match(r"[\w.-]+", text)[0].lower().replace("_", "-") for text in requirements}


@pytest.mark.parametrize("extra", ["report", "sim"])
def test_pip_installs_what_the_extra_is_known_to_bring(extra):
    optional = project()["optional-dependencies"]
    assert names(optional[extra]) == set(extras.EXTRAS[extra])


def test_the_demo_takes_the_report_and_the_simulators():
    assert project()["optional-dependencies"]["demo"] == ["any2any_ros[report,sim]"]
    assert set(extras.EXTRAS["demo"]) == {*extras.EXTRAS["report"], *extras.EXTRAS["sim"]}


def test_a_base_installation_brings_no_extra():
    assert not names(project()["dependencies"]) & set(extras.EXTRAS["demo"])


def test_constraints_pin_everything():
    described = project()
    wanted = names(
        [r for list_ in described["optional-dependencies"].values() for r in list_] + described["dependencies"]
    )
    pinned = names(re.findall(r"^[\w.-]+(?===)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert wanted - {"any2any-ros"} <= pinned


def test_what_is_missing_is_named_with_its_remedy(without):
    without("trimesh")
    assert extras.missing("sim") == ("trimesh",) and extras.missing("report") == ()
    with pytest.raises(
        Any2AnyError, match=r"Cannot draw a town: trimesh is not installed. pip install 'any2any_ros\[sim\]'"
    ):
        extras.require("sim", "draw a town")
    extras.require("report", "draw a picture")


@pytest.mark.parametrize(
    ("verb", "extra"),
    [("simulate", "sim"), ("simulate-tabletop", "sim"), ("demo", "demo"), ("demo objects", "demo")],
)
def test_a_verb_without_its_extra_says_how_to_get_it(without, refused, tmp_path, verb, extra):
    without("trimesh", "embreex", "matplotlib", "jinja2")
    folder = ["--out"] if verb.startswith("demo") else []
    assert f"pip install 'any2any_ros[{extra}]'" in refused(*verb.split(), *folder, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_learning_curve_without_matplotlib_is_skipped_in_one_line(without, tmp_path, capsys, monkeypatch):
    from any2any_ros.cli import _train_objects, train
    from any2any_ros.workflows import training

    without("matplotlib")
    curve = [(1, 0.5, 0.5)]
    monkeypatch.setattr(_train_objects, "run_heads", lambda _: training.write_curve(tmp_path, curve, 0.1, "MRR") or 0)
    assert train.run(argparse.Namespace(method="emma")) == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "any2any_ros[report]" in said and not list(tmp_path.iterdir())
