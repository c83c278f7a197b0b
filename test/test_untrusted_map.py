"""A map that came from somebody else does not choose which modules are imported; its user may."""

import json
import shutil
import sys

import numpy as np
import pytest

import any2any_ros as a2a
from any2any_ros import plugins
from any2any_ros.config import AliveConfig, RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import topology
from any2any_ros.objects import grounding_model
from any2any_ros.retrieval.localizer import Localizer

MODULE = """from any2any_ros.encoders.text import TextEncoder

open({mark!r}, "w").close()


class Words(TextEncoder):
    plug = "text"
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module on the Python path that leaves a file when it is imported."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / f"robot_{tmp_path.name}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "words.py").write_text(MODULE.format(mark=str(tmp_path / "imported")))
    yield f"{folder.name}.words"
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


@pytest.fixture
def imported(tmp_path):
    return (tmp_path / "imported").exists


def naming(folder, module, file="map.json"):
    """Let the file name the module as the encoder of text."""
    header = json.loads((folder / file).read_text())
    header["encoders"]["text"]["plug"] = module
    (folder / file).write_text(json.dumps(header))
    return folder


@pytest.fixture
def hostile(town_map, module, tmp_path):
    return naming(shutil.copytree(town_map, tmp_path / "map"), module)


def test_python_opens_it_and_ranks_by_every_other_sensor(hostile, module, imported):
    town = a2a.open_map(hostile)
    picture = np.random.default_rng(0).integers(0, 255, (40, 96, 3), dtype=np.uint8)
    assert town.rank({"camera": picture}).matches
    for samples in ({"text": "houses 1, 2 and 3"}, {"camera": picture, "text": "houses 1, 2 and 3"}):
        with pytest.raises(Any2AnyError, match=f"--allow-module {module}"):
            town.rank(samples)
    assert not imported()
    a2a.allow_module(module)
    assert town.rank({"text": "houses 1, 2 and 3"}).matches and imported()


def test_nor_does_the_node_s_answer_to_a_text(hostile, module, imported):
    localizer = Localizer(AliveConfig(), RetrievalConfig(), same_place=5.0)
    localizer.open(hostile, lambda modalities: {})
    with pytest.raises(Any2AnyError, match=f"--allow-module {module}"):
        localizer.map.encode("houses 1, 2 and 3", 0)
    assert not imported()


VERBS = [
    ("evaluate", "{laps}", "--sequence", "01", "--map", "{map}"),
    ("calibrate", "{map}", "{laps}", "--sequence", "01"),
    ("bringup", "{map}"),
    ("adopt", "{map}", "{laps}", "--sequence", "01", "--modality", "thermal"),
]


@pytest.mark.parametrize("line", VERBS, ids=lambda line: line[0])
def test_no_verb_imports_it(refused, laps, hostile, imported, line, monkeypatch):
    if line[0] == "adopt":  # the map's own encoders are built before the drive is asked for the new sensor
        monkeypatch.setattr("any2any_ros.data.sources.DriveSource.modalities", ("camera", "lidar", "text", "thermal"))
    before = {path: path.read_bytes() for path in hostile.rglob("*") if path.is_file()}
    said = refused(*(part.format(laps=laps, map=hostile) for part in line))
    assert "importing it would run its code" in said and "allow it: --allow-module" in said
    assert not imported() and before == {path: path.read_bytes() for path in hostile.rglob("*") if path.is_file()}


def test_its_user_allows_it_by_a_flag(any2any, laps, hostile, module, imported):
    line = ("evaluate", laps, "--sequence", "01", "--map", hostile, "--modality", "text", "--allow-module", module)
    done = any2any(*line)
    assert done.code == 0 and imported(), done.err


def test_naming_an_encoder_allows_it_and_later_commands_are_told_again(any2any, refused, laps, module, tmp_path):
    flags = ("--modality", "text", "--sequence")
    assert any2any("build-map", laps, tmp_path / "own", *flags, "00", "--encoder", f"text={module}").code == 0
    assert a2a.open_map(tmp_path / "own").rank({"text": "houses 1, 2 and 3"}).matches
    plugins._allowed.clear()  # as in another process
    evaluate = ("evaluate", laps, *flags, "01", "--map", tmp_path / "own")
    assert f"--allow-module {module}" in refused(*evaluate)
    assert any2any(*evaluate, "--allow-module", module).code == 0


def test_a_flag_that_cannot_be_meant(refused, laps):
    assert "cannot be allowed" in refused("evaluate", laps, "--sequence", "00", "--allow-module", "thermal")


def test_bringup_passes_on_what_is_allowed(hostile, module, imported):
    assert all("allow_modules" not in p.parameters for p in topology.place_recognition("", ["camera"]))
    plugins.allow_module(module)
    processes = {p.name: p for p in topology.place_recognition(str(hostile))}
    assert processes["retrieval"].parameters["allow_modules"] == [module]
    assert processes["text_encoder"].parameters["encoder"] == module and imported()


def test_nor_does_a_model_of_grounding(untrained_model, module, imported, tmp_path):
    folder = naming(shutil.copytree(untrained_model, tmp_path / "model"), module, "model.json")
    model = grounding_model.load(folder)
    with pytest.raises(Any2AnyError, match=f"--allow-module {module}"):
        model.encoder("text")
    assert not imported()
    plugins.allow_module(module)
    assert model.encoder("text").encode("a mug").size == 8
