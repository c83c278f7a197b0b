"""The demo of objects: learn, lay a table, look, ask, report."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from any2any_ros import storage
from any2any_ros.cli import _ros, _train_heads
from any2any_ros.demo import objects_judge, objects_live, objects_plan, objects_report, objects_training
from any2any_ros.learning import emma_evaluation
from any2any_ros.progress import bar
from any2any_ros.sim import tabletop
from any2any_ros.sim.tabletop import Frame, TableScene, TabletopConfig, voices
from any2any_ros.sim.tabletop.catalogue import bodies

LEARNT = TabletopConfig(instances=16, views=4, utterances=0)
LAID = TabletopConfig(seed=100)  # other objects of the same classes
MADE = ("things", "model")  # what a run leaves for the next one


def run(out: Path, seed: int, fresh: bool) -> int:
    """Tell the whole story into `out`; seed: of the table and of what is asked."""
    _ros.prepare()
    if fresh:
        for part in MADE:
            shutil.rmtree(out / part, ignore_errors=True)
    model = out / "model"
    if objects_training.usable(model):
        _say("1/5, 2/5 the heads of an earlier run are there (--fresh learns anew)")
    else:
        _learn(out / "things", model)
    _say("3/5 a table with objects it has never seen")
    scene = tabletop.scene(seed, LAID)
    frames = [scene.frame(i) for i in bar(range(len(scene)), "rendering")]
    print(", ".join(t.instance.replace("_", " ") for t in scene.things))
    _say("4/5 live: the node remembers what it sees and is asked, typed and spoken, while cameras die")
    played, silent = _live(scene, frames, model, out, seed)
    _say("5/5 what came of it")
    report = _report(played, scene, model, seed, silent)
    _publish(report, played, scene, frames, out)
    return 0


def _say(step: str) -> None:
    print(f"\n== {step}", flush=True)


def _learn(things: Path, model: Path) -> None:
    objects_training.check()
    _say("1/5 simulated objects to learn from")
    tabletop.write(things, LEARNT, overwrite=True)
    _say("2/5 heads are trained and calibrated on them")
    shutil.rmtree(model, ignore_errors=True)
    objects_training.make(things, model)


def _live(
    scene: TableScene, frames: Sequence[Frame], model: Path, out: Path, seed: int
) -> tuple[list[objects_live.Played], str]:
    """Return what was played, and why nothing was spoken, "" where it was."""
    silent = _why_silent()
    runs = objects_plan.plan(scene.things, bodies(LAID), seed, not silent)
    # A domain of its own: nothing else on this machine may answer.
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.randint(1, 100)))
    hearing = "none" if silent else "sphinx"
    return objects_live.play(runs, frames, model, out, hearing, lambda line: print(line, flush=True)), silent


def _why_silent() -> str:
    """Return what is not installed that speaking to the robot takes."""
    if not voices.available():
        return f"{voices.PROGRAM} is not installed (sudo apt install {voices.PROGRAM})"
    if importlib.util.find_spec("pocketsphinx") is None:
        return "PocketSphinx is not installed (pip install 'any2any_ros[speech]')"
    return ""


def _report(
    played: Sequence[objects_live.Played], scene: TableScene, model: Path, seed: int, silent: str
) -> dict[str, Any]:
    """Return all figures. speech: why there was none, or ""."""
    training = objects_training.figures(model)
    return objects_judge.report(played, scene.things) | {
        "seed": seed,
        "speech": silent,
        "classes": LEARNT.classes,
        "alike": _train_heads.LIKE,
        "training": training,
        "ablations": {_words(name): row for name, row in training["test"].items()},
    }


def _words(ablation: str) -> str:
    said, seen = emma_evaluation.sides(ablation)
    return f"{' + '.join(said)} → {' + '.join(seen).replace('camera', 'colour')}"


def _publish(
    report: dict[str, Any],
    played: Sequence[objects_live.Played],
    scene: TableScene,
    frames: Sequence[Frame],
    out: Path,
) -> None:
    s, memory = report["summary"], report["acts"][0]["memory"]
    chance = s["one_meant"] * s["chance_first"]
    print(f"{s['right_first']} of {s['one_meant']} objects asked for come first (chance {chance:.1f})")
    print(f"{s['accepted_right']} of {s['accepted']} answers to act on are right")
    print(f"of {s['commands']} answers {s['good']} help, {s['asks']} cost a question, {s['bad']} mislead")
    print(f"{memory['remembered']} of {memory['things']} objects remembered, {memory['phantoms']} that are not there")
    storage.write_json(out / "report.json", report)
    curve = out / "model" / "curves.png"
    objects_report.write(out / "report.html", report, played, frames, scene.things, curve)
    print(f"\nSimulated objects, synthetic voices. Look at {out / 'report.html'}")
