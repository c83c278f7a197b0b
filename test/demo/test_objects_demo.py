"""The demo of objects without its slow parts: what is asked, what answers are worth, and the page of a small story."""

import argparse
import importlib.util
import inspect
import json
import re
import shutil
import types
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.cli import demo
from any2any_ros.demo import objects_commands, objects_demo, objects_judge, objects_page, objects_training
from any2any_ros.demo.objects_commands import Act, Command
from any2any_ros.demo.objects_live import SPEAKERS, Exchange, PlayedAct
from any2any_ros.demo.objects_training import CONFIG
from any2any_ros.ranking import Match, Ranking
from any2any_ros.sim.tabletop import CameraConfig, SceneConfig, TabletopConfig, scene, voices
from any2any_ros.sim.tabletop.catalogue import bodies
from any2any_ros.workflows.train_heads import train_heads

TABLE_OBJECTS = TabletopConfig(seed=100)
TABLE = scene(0, TABLE_OBJECTS, SceneConfig(frames=3, sweep=20), CameraConfig(width=160, height=120, focal=131))
NAMES = [t.instance for t in TABLE.things]
SHIFT = 0.02  # m, by which every remembered box of the recorded story is off


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


# --- what answers are worth -----------------------------------------------------------------------------------------


def box(thing, shift=0.0):
    return thing.low + [shift, 0, 0], thing.high + [shift, 0, 0]


def test_a_box_is_of_the_thing_it_is_around():
    boxes = {f"object-{i}": box(t, 0.03) for i, t in enumerate(TABLE.things)}
    boxes["object-99"] = (np.array([9.0, 9.0, 0.0]), np.array([9.1, 9.1, 0.1]))
    assert objects_judge.instances_of(boxes, TABLE.things) == {f"object-{i}": n for i, n in enumerate(NAMES)}
    assert objects_judge.instances_of({}, TABLE.things) == {}


@given(st.lists(st.tuples(st.integers(0, len(NAMES) - 1), st.floats(0, 0.2)), max_size=6))
def test_a_thing_has_one_box_at_most_and_no_box_a_thing_far_away(drawn):
    boxes = {f"object-{i}": box(TABLE.things[row], off) for i, (row, off) in enumerate(drawn)}
    found = objects_judge.instances_of(boxes, TABLE.things)
    assert len(set(found.values())) == len(found)
    things = dict(zip(NAMES, TABLE.things, strict=True))
    for i, name in found.items():
        middle = sum(boxes[i]) / 2
        assert np.linalg.norm((middle - (things[name].low + things[name].high) / 2)[:2]) <= objects_judge.NEAR + 1e-9
    near = {row for row, off in drawn if off < 1e-3}
    assert {NAMES[row] for row in near} <= set(found.values())


ONE, SEVERAL, NONE = (Command("x", False, meant) for meant in (("a",), ("a", "b"), ()))


@pytest.mark.parametrize(
    ("command", "code", "first", "worth"),
    [
        (ONE, "OK", "a", "good"), (ONE, "OK", "b", "bad"), (ONE, "OK", None, "bad"), (ONE, "NOT_FOUND", "a", "bad"),
        (ONE, "AMBIGUOUS", "a", "asks"), (ONE, "AMBIGUOUS", "b", "asks"), (ONE, "NOT_UNDERSTOOD", None, "asks"),
        (SEVERAL, "AMBIGUOUS", "b", "good"), (SEVERAL, "OK", "b", "good"), (SEVERAL, "OK", "c", "bad"),
        (SEVERAL, "NOT_FOUND", "a", "bad"), (NONE, "NOT_FOUND", "a", "good"), (NONE, "OK", "a", "bad"),
        (NONE, "AMBIGUOUS", "a", "asks"), (NONE, "NO_OBJECTS", None, "asks"),
    ],
)  # fmt: skip
def test_what_an_answer_is_worth(command, code, first, worth):
    assert objects_judge.outcome(command, code, first)[0] == worth


# --- a recorded story -----------------------------------------------------------------------------------------------


def ranking(*probabilities, first=0):
    """Rank things from `first` on, where the boxes of the story say that they are."""
    matches = []
    for i, p in enumerate(probabilities):
        thing, pose = TABLE.things[(first + i) % len(NAMES)], np.eye(4)
        pose[:3, 3] = (thing.low + thing.high) / 2 + [SHIFT, 0, 0]
        matches.append(Match(f"object-{(first + i) % len(NAMES)}", p, 0.0, pose, np.zeros((0, 0), np.float32)))
    return Ranking(tuple(matches), (), (), False, (), 1, False, (), ())


@pytest.fixture
def story(tmp_path):
    wav = tmp_path / "0.wav"
    wav.write_bytes(b"RIFF")
    boxes = {f"object-{i}": box(t, SHIFT) for i, t in enumerate(TABLE.things[:-1])}
    boxes["object-50"] = (np.array([2.0, 1.0, 1.2]), np.array([2.1, 1.1, 1.3]))
    said = (
        Exchange(
            Command("the <b>first</b>", False, (NAMES[0],)), "OK", "It is that", "the first", ranking(0.9, 0.1), 0.5
        ),
        Exchange(Command("the second", True, (NAMES[1],)), "OK", "It is this", "the sec", ranking(0.8, 0.2), 2.0, wav),
        Exchange(Command("no such", False, ()), "NOT_FOUND", "I see none", "no such", ranking(np.nan, np.nan), 0.7),
        Exchange(Command("mumble", True, (NAMES[2],)), "NOT_UNDERSTOOD", "What?", "", ranking(), 3.0, wav),
    )
    one = PlayedAct(Act("Both", ("camera", "depth"), ()), 0, said, boxes, (0.1, 0.3), 0.4)
    two = PlayedAct(Act("Blind", ("depth",), ()), 1, said[:1], {}, (), 1.0)
    return [one, two]


def test_the_figures_of_a_story(story):
    report = objects_judge.report(story, TABLE.things)
    memory = report["acts"][0]["memory"]
    assert (memory["things"], memory["remembered"], memory["phantoms"]) == (8, 7, 1)
    assert memory["missing"] == [NAMES[-1]]
    assert memory["error_mean"] == pytest.approx(SHIFT) and memory["error_max"] == pytest.approx(SHIFT)
    empty = report["acts"][1]["memory"]
    assert (empty["remembered"], empty["phantoms"], empty["error_mean"], empty["error_max"]) == (0, 0, None, None)
    s = report["summary"]
    assert (s["commands"], s["one_meant"], s["right_first"]) == (5, 4, 2)
    assert (s["accepted"], s["accepted_right"]) == (3, 2)
    assert (s["good"], s["asks"], s["bad"]) == (3, 1, 1)
    assert (s["spoken"], s["words_understood"]) == (2, 0)
    assert s["typed_seconds_p50"] == 0.5 and s["spoken_seconds_p50"] == 2.5
    assert report["acts"][0]["look_seconds_p50"] == 0.2 and report["acts"][1]["look_seconds_p50"] is None
    assert report["acts"][0]["commands"][1]["matches"][1] == {
        "id": "object-1", "is": NAMES[1], "probability": 0.2, "right": True,
    }  # fmt: skip


@pytest.fixture
def page(story, tmp_path):
    curve = tmp_path / "curves.png"
    curve.write_bytes(b"PNG")
    row = {"queries": 4, "mrr": 0.9, "accuracy": 0.8}
    trust = {"queries": 9, "recall@1": 0.7, "accepted": 0.1, "accepted_precision": 0.9, "absent": 0.05}
    training = {
        "views": {"train": 3, "held out": 2, "test": 1}, "chance": {"mrr": 0.457, "accuracy": 0.2}, "trust": [trust],
    }  # fmt: skip
    report = objects_judge.report(story, TABLE.things) | {
        "seed": 0, "speech": "", "classes": 20, "alike": 20, "training": training, "ablations": {"text → colour": row},
    }  # fmt: skip
    out = tmp_path / "report.html"
    objects_page.write(out, report, story, list(TABLE), TABLE.things, curve)
    return out.read_text("utf-8")


def test_the_page_stands_alone_and_shows_every_command(page, story):
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and "http" not in page
    for exchange in story[0].exchanges[1:]:
        assert page.count(f"<q>{exchange.command.text}</q>") == 1
    assert "the &lt;b&gt;first&lt;/b&gt;" in page and "<b>first" not in page
    assert page.count('src="data:audio/wav') == 2 and page.count('src="data:image/png') == 1


def test_the_page_frames_the_true_one_green_and_a_wrong_first_answer_red(page):
    part = {q: p for q, p in re.findall(r"<q>(.*?)</q>(.*?)(?=<q>|<section)", page, re.DOTALL)}  # noqa: C416
    frames = {q: re.findall(r'<div class="view (\w*)">', p) for q, p in part.items()}
    assert frames["the second"] == ["wrong", "right"]
    assert frames["no such"] == ["", ""] and frames["mumble"] == []
    assert "Nothing was ranked" in part["mumble"] and "no words" in part["mumble"]


def test_the_page_says_what_is_simulated_and_when_nothing_was_spoken(page, story, tmp_path):
    assert "Simulated:" in page and "Speech is synthetic" in page
    text = objects_page.TEMPLATE.read_text("utf-8")
    assert "Nothing was spoken: {{ report.speech }}" in text


def test_remembered_boxes_are_drawn_where_the_things_are(page):
    (drawn,) = re.findall(r"<svg(.*?)</svg>", page, re.DOTALL)[:1]
    assert 1 <= drawn.count("<rect") <= 8
    x, y, width, height = (int(v) for v in re.search(r'viewBox="(\d+) (\d+) (\d+) (\d+)"', drawn).groups())
    assert 0 < width <= 160 and 0 < height <= 120
    held = []
    for rect in re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', drawn):
        left, top, w, h = map(int, rect)
        assert x <= left and y <= top and left + w <= x + width and top + h <= y + height
        held.append(any((f.thing[top : top + h, left : left + w] >= 0).any() for f in TABLE))
    assert len(held) - sum(held) <= 1  # the phantom's, in the air


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
