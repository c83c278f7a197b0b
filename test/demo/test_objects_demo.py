"""The demo of objects: what is asked, and the command that runs it."""

import argparse
import importlib.util
import inspect
import json
import re
import shutil
import types
from dataclasses import asdict, replace

import pytest
from objects_story import TABLE, TABLE_OBJECTS

from any2any_ros.cli import demo
from any2any_ros.demo import objects_commands, objects_demo, objects_training
from any2any_ros.demo.objects_live import SPEAKERS
from any2any_ros.demo.objects_training import CONFIG
from any2any_ros.sim.tabletop import SceneConfig, scene, voices
from any2any_ros.sim.tabletop.catalogue import bodies
from any2any_ros.workflows.train_heads import train_heads


def planned(seed, can_speak=True):
    things = scene(seed, TABLE_OBJECTS, SceneConfig(frames=1)).things
    return things, [
        c
        for run in objects_commands.plan(things, bodies(TABLE_OBJECTS), seed, can_speak)
        for a in run
        for c in a.commands
    ]


# --- what is asked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_every_thing_is_asked_for_once_and_there_are_two_special_commands(seed):
    things, commands = planned(seed)
    assert sorted(c.meant[0] for c in commands if len(c.meant) == 1) == sorted(t.instance for t in things)
    assert sum(c.spoken for c in commands) == 4
    label = {t.instance: t.label for t in things}
    (alike,) = (c for c in commands if len(c.meant) > 1)
    meant = {label[i] for i in alike.meant}
    assert len(meant) == 1 and len(alike.meant) == sum(t.label in meant for t in things)
    (absent,) = (c for c in commands if not c.meant)
    assert not any(t.label in absent.text for t in things)


@pytest.mark.parametrize("seed", range(3))
def test_what_cannot_be_spoken_is_typed(seed):
    assert not any(c.spoken for c in planned(seed, can_speak=False)[1])
    assert planned(seed)[1] == planned(seed)[1]


def test_what_is_spoken_can_be_heard():
    grammar = pytest.importorskip("any2any_ros.hearing.grammar")
    words = {
        w for text in (grammar.OPENINGS, grammar.ADJECTIVES, grammar.OBJECTS) for w in re.findall(r"[a-z']+", text)
    }
    said = {w for seed in range(12) for c in planned(seed)[1] if c.spoken for w in c.text.split()}
    assert said <= words | set(grammar.ARTICLES)


def test_who_speaks_is_american():
    assert {voices.ACCENTS[s % len(voices.ACCENTS)] for s in SPEAKERS} == {"en-us"}


def test_who_hears_is_asked_once_with_each_kind_of_camera():
    runs = objects_commands.plan(TABLE.things, bodies(TABLE_OBJECTS), 0, True)
    assert [[a.alive for a in run] for run in runs] == [[("camera", "depth"), ("camera",)], [("depth",)]]
    assert all(a.commands for run in runs for a in run)


# --- the command ------------------------------------------------------------------------------------------------------


def arguments(*given):
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return parser.parse_args(given)


def test_places_are_the_default_and_nothing_else_is_known(any2any):
    assert arguments().what == "places" and arguments("objects").what == "objects"
    assert any2any("demo", "sounds").code == 2


def test_out_fresh_and_seed_reach_the_objects(monkeypatch, tmp_path):
    called = []
    monkeypatch.setattr(objects_demo, "run", lambda *given: called.append(given) or 0)
    assert demo.run(arguments("objects", "--out", str(tmp_path), "--seed", "3", "--fresh")) == 0
    assert demo.run(arguments("objects", "--out", str(tmp_path))) == 0
    assert called == [(tmp_path / "objects", 3, True), (tmp_path / "objects", 0, False)]


def test_a_towns_setting_is_refused(refused, tmp_path):
    assert "no town" in refused("demo", "objects", "--squares", "4", "--out", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_torch_one_line_says_what_to_install(monkeypatch, refused, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest))
    monkeypatch.setattr(objects_demo.session, "require_ros", lambda: None)
    assert "pip install" in refused("demo", "objects", "--out", tmp_path)
    assert not (tmp_path / "objects" / "things").exists()


def test_without_a_voice_or_ears_it_says_so(monkeypatch):
    monkeypatch.setattr(objects_demo.voices, "available", lambda: False)
    assert "espeak-ng" in objects_demo._why_no_speech()
    monkeypatch.setattr(objects_demo.voices, "available", lambda: True)
    fake = types.SimpleNamespace(find_spec=lambda name: None)
    monkeypatch.setattr(objects_demo.importlib, "util", fake)
    assert "PocketSphinx" in objects_demo._why_no_speech()


def test_a_model_is_used_again_where_this_demo_made_it_to_the_end(tmp_path, untrained_model):
    assert not objects_training.usable(tmp_path / "none")
    shutil.copytree(untrained_model, tmp_path, dirs_exist_ok=True)
    assert not objects_training.usable(tmp_path)
    (tmp_path / "curves.png").write_bytes(b"PNG")
    story = {"config": asdict(CONFIG), "curve": [{"step": CONFIG.steps, "loss": 1.0, "validation": 0.5}]}
    (tmp_path / "training.json").write_text(json.dumps(story))
    assert objects_training.usable(tmp_path)
    for other in ({"config": asdict(replace(CONFIG, seed=1))}, {"curve": [story["curve"][0] | {"step": 1}]}):
        (tmp_path / "training.json").write_text(json.dumps(story | other))
        assert not objects_training.usable(tmp_path)


def test_a_model_of_other_encoders_is_not_used(tmp_path, untrained_model):
    shutil.copytree(untrained_model, tmp_path, dirs_exist_ok=True)
    story = {"config": asdict(CONFIG), "curve": [{"step": CONFIG.steps, "loss": 1.0, "validation": 0.5}]}
    (tmp_path / "training.json").write_text(json.dumps(story))
    (tmp_path / "curves.png").write_bytes(b"PNG")
    header = json.loads((tmp_path / "model.json").read_text())
    header["encoders"]["text"]["fingerprint"] = "text-0-old"
    (tmp_path / "model.json").write_text(json.dumps(header))
    assert not objects_training.usable(tmp_path)


@pytest.fixture
def training(monkeypatch):
    """What the demo trains, and with what, instead of training it."""
    asked = []
    monkeypatch.setattr(objects_training.gold, "read", lambda folder: folder)
    monkeypatch.setattr(objects_training.described_objects, "encode", lambda folder, progress: ("encoded", folder))
    monkeypatch.setattr(objects_training, "train_heads", lambda *args, **kwargs: asked.append((args, kwargs)))
    return asked


def test_it_trains_as_the_verb_does_with_its_own_settings(tmp_path, training):
    (tmp_path / "training.json").write_text(json.dumps({"curve": [{"step": CONFIG.steps, "validation": 0.5}]}))
    objects_training.make(tmp_path / "things", tmp_path)
    ((args, kwargs),) = training
    assert args == (("encoded", tmp_path / "things"), tmp_path) and kwargs["config"] == CONFIG
    usual = inspect.signature(train_heads).parameters
    assert (usual["method"].default, usual["label"].default) == ("emma", "instance")
    assert set(kwargs) == {"config", "progress"}


def test_training_that_was_interrupted_ends_the_demo(tmp_path, training):
    curve = [{"step": 100, "loss": 1.0, "validation": 0.5}]
    story = {"config": asdict(CONFIG), "curve": curve}
    (tmp_path / "training.json").write_text(json.dumps(story))
    with pytest.raises(KeyboardInterrupt):
        objects_training.make(tmp_path / "things", tmp_path)
    later = [{"step": 200 + i, "loss": 1.0, "validation": 0.4} for i in range(CONFIG.patience)]
    (tmp_path / "training.json").write_text(json.dumps(story | {"curve": curve + later}))
    objects_training.make(tmp_path / "things", tmp_path)  # no better look for long enough: it ended by itself
