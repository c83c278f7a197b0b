"""The demo of objects: train heads, put other objects on a table, look at them, give commands, report."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from any2any_ros import extras, storage
from any2any_ros.demo import objects_commands, objects_judge, objects_live, objects_page, objects_training
from any2any_ros.demo.objects_live import PlayedAct
from any2any_ros.learning import emma_evaluation
from any2any_ros.nodes import session
from any2any_ros.progress import progress_bar
from any2any_ros.sim import tabletop
from any2any_ros.sim.tabletop import Frame, TableScene, TabletopConfig, voices
from any2any_ros.sim.tabletop.catalogue import bodies
from any2any_ros.workflows.train_heads import LIKE

TRAINING_OBJECTS = TabletopConfig(instances=16, views=4, utterances=0)
TABLE_OBJECTS = TabletopConfig(seed=100)  # other objects of the same classes
MADE = ("things", "model")  # what a run leaves for the next one


def run(out: Path, seed: int, fresh: bool) -> int:
    """Play the whole demo into the folder `out`.

    seed: draws the table and the commands. fresh: make everything anew. Returns the exit code.
    """
    extras.require("demo", "play the demo")
    session.require_ros()
    if fresh:
        for part in MADE:
            shutil.rmtree(out / part, ignore_errors=True)
    model = out / "model"
    if objects_training.usable(model):
        _announce("1/5, 2/5 the heads of an earlier run are there (--fresh learns anew)")
    else:
        _learn(out / "things", model)
    _announce("3/5 a table with objects it has never seen")
    scene = tabletop.scene(seed, TABLE_OBJECTS)
    frames = [scene.frame(i) for i in progress_bar(range(len(scene)), "rendering")]
    print(", ".join(t.instance.replace("_", " ") for t in scene.things))
    _announce("4/5 live: the node remembers what it sees and is asked, typed and spoken, while cameras die")
    played, no_speech = _live(scene, frames, model, out, seed)
    _announce("5/5 the results")
    report = _report(played, scene, model, seed, no_speech)
    _publish(report, played, scene, frames, out)
    return 0


def _announce(step: str) -> None:
    print(f"\n== {step}", flush=True)


def _learn(things: Path, model: Path) -> None:
    objects_training.require_torch()
    _announce("1/5 simulated objects to learn from")
    tabletop.write(things, TRAINING_OBJECTS, overwrite=True)
    _announce("2/5 heads are trained and calibrated on them")
    objects_training.make(things, model)


def _live(scene: TableScene, frames: Sequence[Frame], model: Path, out: Path, seed: int) -> tuple[list[PlayedAct], str]:
    """Return what was played, and why nothing was spoken ("" when it was)."""
    no_speech = _why_no_speech()
    runs = objects_commands.plan(scene.things, bodies(TABLE_OBJECTS), seed, not no_speech)
    # A domain of its own: nothing else on this machine may answer.
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.randint(1, 100)))
    hearing = "none" if no_speech else "sphinx"
    return objects_live.play(runs, frames, model, out, hearing, lambda line: print(line, flush=True)), no_speech


def _why_no_speech() -> str:
    """Return what is missing for speaking to the robot; "" when nothing is."""
    if not voices.available():
        return f"{voices.PROGRAM} is not installed (sudo apt install {voices.PROGRAM})"
    if importlib.util.find_spec("pocketsphinx") is None:
        return "PocketSphinx is not installed (pip install 'any2any_ros[speech]')"
    return ""


def _report(played: Sequence[PlayedAct], scene: TableScene, model: Path, seed: int, no_speech: str) -> dict[str, Any]:
    """Return all figures, as report.json holds them."""
    training = objects_training.figures(model)
    return objects_judge.report(played, scene.things) | {
        "seed": seed,
        "speech": no_speech,
        "classes": TRAINING_OBJECTS.classes,
        "alike": LIKE,
        "training": training,
        "ablations": {_title(name): row for name, row in training["test"].items()},
    }


def _title(ablation: str) -> str:
    words, cameras = emma_evaluation.sides(ablation)
    return f"{' + '.join(words)} → {' + '.join(cameras).replace('camera', 'colour')}"


def _publish(
    report: dict[str, Any],
    played: Sequence[PlayedAct],
    scene: TableScene,
    frames: Sequence[Frame],
    out: Path,
) -> None:
    summary, memory = report["summary"], report["acts"][0]["memory"]
    chance = summary["one_meant"] * summary["chance_first"]
    print(f"{summary['right_first']} of {summary['one_meant']} objects asked for come first (chance {chance:.1f})")
    print(f"{summary['accepted_right']} of {summary['accepted']} answers to act on are right")
    worth = f"{summary['good']} help, {summary['asks']} cost a question, {summary['bad']} mislead"
    print(f"of {summary['commands']} answers {worth}")
    print(f"{memory['remembered']} of {memory['things']} objects remembered, {memory['phantoms']} false ones")
    storage.write_json(out / "report.json", report)
    curve = out / "model" / "curves.png"
    objects_page.write(out / "report.html", report, played, frames, scene.things, curve)
    print(f"\nSimulated objects, synthetic voices. Look at {out / 'report.html'}")
