"""What a robot need not install: its nodes and verbs import nothing of simulators, demo and learning."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from source_files import NAMES, PACKAGE, ROOT, imports, our_imports, relative, within

# What a robot does not need. Its nodes, and all that they import, know none of it, not even inside of functions.
NOT_ON_A_ROBOT = {
    "any2any_ros.sim", "any2any_ros.demo", "any2any_ros.learning", "matplotlib", "jinja2", "trimesh", "embreex",
}  # fmt: skip
PLUGS = ("encoders", "hearing", "fusion", "imputers")  # found by name: no import statement leads to them


def reached_by_nodes() -> list[Path]:
    """Return the files of the nodes and of the plugs, and all files of ours that they import, however indirectly."""
    reached: set[Path] = set()
    waiting = [path for folder in ("nodes", *PLUGS) for path in (PACKAGE / folder).rglob("*.py")]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += [NAMES[name] for name in our_imports(path)]
    return sorted(reached)


def test_a_robots_node_imports_nothing_of_simulators_demo_and_learning():
    found = {relative(path): within(imports(path, everywhere=True), NOT_ON_A_ROBOT) for path in reached_by_nodes()}
    assert not {path: names for path, names in found.items() if names}


def run_without(absent: set[str], modules: list[str]) -> None:
    """Import modules, and all that the front door offers, in a new process that lacks these packages."""
    code = f"""
import importlib, sys
import any2any_ros

class Absent:
    def find_spec(self, name, path=None, target=None):
        if any(name == package or name.startswith(package + ".") for package in {sorted(absent)!r}):
            raise ImportError("absent: " + name)

sys.meta_path.insert(0, Absent())
for module in {modules!r}:
    importlib.import_module(module)
for name in any2any_ros.__all__ if "any2any_ros" in {modules!r} else ():
    getattr(any2any_ros, name)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


# The verbs that a robot runs. The others simulate, train, or teach a sensor. Calibration fits, so it may use learning/.
ON_A_ROBOT = ("bag", "bringup", "build_map", "calibrate", "doctor", "evaluate", "export", "localize", "replay")


@pytest.mark.skipif(importlib.util.find_spec("rclpy") is None, reason="no rclpy: the nodes cannot be imported")
def test_every_node_can_be_imported_without_simulators_demo_and_learning():
    run_without(NOT_ON_A_ROBOT | {"torch"}, [name for name in NAMES if name.startswith("any2any_ros.nodes.")])


# An encoder node is started once a sensor: what it imports, a robot's memory holds five times.
NOT_IN_AN_ENCODER = {"any2any_ros.retrieval", "any2any_ros.fusion", "any2any_ros.trust", "scipy", "faiss", "sklearn"}


@pytest.mark.skipif(importlib.util.find_spec("rclpy") is None, reason="no rclpy: the nodes cannot be imported")
def test_an_encoder_node_imports_nothing_of_ranking():
    run_without(NOT_IN_AN_ENCODER, ["any2any_ros.nodes.encoder_node"])


def test_the_front_door_and_a_robots_verbs_can_be_imported_without_simulators_and_demo():
    verbs = [f"any2any_ros.cli.{verb}" for verb in ON_A_ROBOT]
    absent = NOT_ON_A_ROBOT - {"any2any_ros.learning"} | {"torch"}
    run_without(absent, ["any2any_ros", "any2any_ros.cli.main", *verbs])


def test_every_verb_can_be_imported_without_the_extras():
    """So that each says itself, in one line, what is missing."""
    from any2any_ros.cli.main import VERBS

    verbs = [f"any2any_ros.cli.{verb.replace('-', '_')}" for verb in VERBS]
    run_without({"matplotlib", "jinja2", "trimesh", "embreex", "torch"}, ["any2any_ros.cli.main", *verbs])
