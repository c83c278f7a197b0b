"""The walls of docs/design.md, held by a look at the source: who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from source_files import (
    FILES,
    FORWARDING,
    NAMES,
    PACKAGE,
    ROOT,
    imports,
    name_of,
    our_imports,
    programs,
    relative,
    within,
)

# ROS itself, and every package of messages or services.
ROS = {
    "rclpy", "rcl_interfaces", "ament_index_python", "builtin_interfaces", "std_msgs", "std_srvs", "sensor_msgs",
    "sensor_msgs_py",
    "geometry_msgs", "nav_msgs", "tf2_msgs", "visualization_msgs", "diagnostic_msgs", "lifecycle_msgs", "rosgraph_msgs",
    "any2any_ros.msg", "any2any_ros.srv", "any2any_ros.action", "launch", "launch_ros",
}  # fmt: skip
CORE = [path for path in FILES if PACKAGE / "nodes" not in path.parents]


@pytest.mark.parametrize("path", CORE, ids=relative)
def test_nothing_outside_nodes_imports_ros(path):
    assert not within(imports(path, everywhere=True), ROS)


def test_the_list_of_ros_packages_is_whole():
    """Whatever the nodes import from elsewhere is either ROS or an ordinary library."""
    from any2any_ros.workflows.installation import PACKAGES

    libraries = {module for module, *_ in PACKAGES} - {"any2any_ros.msg", "rclpy"}
    libraries |= {"numpy", "scipy", "tqdm", "threadpoolctl", "yaml", "rosidl_runtime_py", "any2any_ros"}
    used = {n.split(".")[0] for path in (PACKAGE / "nodes").glob("*.py") for n in imports(path, everywhere=True)}
    assert used - sys.stdlib_module_names - libraries <= ROS


TRAINS_OR_RUNS_NETWORKS = {PACKAGE / "learning", PACKAGE / "encoders" / "networks"}


@pytest.mark.parametrize("path", [p for p in FILES if not TRAINS_OR_RUNS_NETWORKS & set(p.parents)], ids=relative)
def test_what_answers_imports_no_torch_at_module_level(path):
    assert not within(imports(path, everywhere=False), {"torch", "transformers", "onnxruntime"})


def test_the_core_runs_without_torch_and_without_ros():
    """And does not load the heavy libraries before they are needed."""
    code = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "rclpy", "sensor_msgs"):
            raise ImportError(name)

sys.meta_path.insert(0, Absent())
import any2any_ros.retrieval.calibration, any2any_ros.data.sources, any2any_ros.cli.main
heavy = {"sklearn", "scipy.stats", "matplotlib", "trimesh", "jinja2", "cv2"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_no_import_goes_round_in_a_circle():
    """Not even one that a function hides."""
    graph = {name: sorted(our_imports(path)) for name, path in NAMES.items()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for other in graph[name]:
                visit(other, (*way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


# From the ground up: a folder imports only what stands before it here. Files beside the folders are the ground floor,
# except the front door for Python users, which stands just below the workflows.
FLOORS = (
    "encoders", "hearing", "fusion", "trust", "imputers", "geometry", "localization", "retrieval", "objects", "data",
    "learning", "calibration", "workflows", "sim", "nodes", "demo", "cli",
)  # fmt: skip


def test_old_names_forward_and_do_nothing_else():
    """And nothing of ours still uses them."""
    old = {name_of(path) for path in FORWARDING} | {"any2any_ros.methods"}
    assert {path for path in FILES if path.parent.name == "methods"} - {
        PACKAGE / "methods" / "__init__.py"
    } < FORWARDING
    for path in FORWARDING:
        body = ast.parse(path.read_text()).body
        assert [type(node).__name__ for node in body] == ["Expr", "Import", "ImportFrom", "Expr"], path
    assert not [path for path in FILES if path not in FORWARDING and within(our_imports(path), old)]


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name != "methods"], ids=relative)
def test_no_import_runs_upward(path):
    part = path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else ""
    floor = FLOORS.index(part) if part in FLOORS else -1
    floor = FLOORS.index("workflows") - 1 if path == PACKAGE / "place_map.py" else floor
    above = {f"any2any_ros.{other}" for other in FLOORS[floor + 1 :]}
    assert not within(our_imports(path), above)


OUTSIDE_OF_THE_COMMAND = [
    path for path in [*FILES, *programs("benchmarks"), *programs("scripts"), *programs("launch")]
    if PACKAGE / "cli" not in path.parents
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE_OF_THE_COMMAND, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_verb_does_can_be_had_without_the_command(path):
    """Only cli/ parses arguments; nothing else imports from there. A program of benchmarks/ parses its own."""
    found = imports(path, everywhere=True)
    assert not within(found, {"any2any_ros.cli"})
    assert PACKAGE not in path.parents or "argparse" not in found
