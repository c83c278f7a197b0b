"""The walls of docs/design.md, held by a look at the source."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path

import pytest

import any2any_ros
from any2any_ros import config

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "any2any_ros"
FILES = sorted(PACKAGE.rglob("*.py"))
# ROS itself, and every package of messages or services.
ROS = {
    "rclpy", "rcl_interfaces", "ament_index_python", "builtin_interfaces", "std_msgs", "std_srvs", "sensor_msgs",
    "geometry_msgs", "nav_msgs", "visualization_msgs", "diagnostic_msgs", "lifecycle_msgs", "rosgraph_msgs",
    "any2any_ros.msg", "any2any_ros.srv", "any2any_ros.action",
}  # fmt: skip


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in FILES}


def imports(path: Path, everywhere: bool) -> set[str]:
    """Return the dotted names a file imports: at module level, or everywhere; not what only type checkers see."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports here are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif everywhere or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


def within(names: set[str], packages: set[str]) -> set[str]:
    return {n for n in names if any(n == p or n.startswith(f"{p}.") for p in packages)}


def relative(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


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


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in CORE
        if p.parent.name in ("fusion", "trust", "imputers", "geometry", "retrieval", "large", "objects", "calibration")
    ],
    ids=relative,
)
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


def our_imports(path: Path) -> set[str]:
    """Return which of our modules a file imports, also inside of functions."""
    found = {n for n in imports(path, everywhere=True) if n in NAMES}
    # `from any2any_ros.data import kitti` is about kitti, not about the (empty) package.
    return {n for n in found if not any(other.startswith(f"{n}.") for other in found)} - {name_of(path)}


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
    "encoders", "hearing", "fusion", "trust", "imputers", "geometry", "retrieval", "objects", "data", "learning",
    "calibration", "workflows", "sim", "nodes", "demo", "cli",
)  # fmt: skip


# Names of the release before, for one release. Each file forwards to the module that took its place, wherever that is.
FORWARDING = {
    PACKAGE / f"{name}.py"
    for name in (
        "methods/any2any", "methods/csa", "methods/emma", "methods/calmrl", "methods/cox", "retrieval/metrics",
    )
}  # fmt: skip


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
ON_A_ROBOT = ("bag", "bringup", "build_map", "calibrate", "doctor", "evaluate", "export", "replay")


@pytest.mark.skipif(importlib.util.find_spec("rclpy") is None, reason="no rclpy: the nodes cannot be imported")
def test_every_node_can_be_imported_without_simulators_demo_and_learning():
    run_without(NOT_ON_A_ROBOT | {"torch"}, [name for name in NAMES if name.startswith("any2any_ros.nodes.")])


def test_the_front_door_and_a_robots_verbs_can_be_imported_without_simulators_and_demo():
    verbs = [f"any2any_ros.cli.{verb}" for verb in ON_A_ROBOT]
    absent = NOT_ON_A_ROBOT - {"any2any_ros.learning"} | {"torch"}
    run_without(absent, ["any2any_ros", "any2any_ros.cli.main", *verbs])


def test_every_verb_can_be_imported_without_the_extras():
    """So that each says itself, in one line, what is missing."""
    from any2any_ros.cli.main import VERBS

    verbs = [f"any2any_ros.cli.{verb.replace('-', '_')}" for verb in VERBS]
    run_without({"matplotlib", "jinja2", "trimesh", "embreex", "torch"}, ["any2any_ros.cli.main", *verbs])


def programs(folder):
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


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


def runs_a_node(path: Path) -> bool:
    """Return whether a file of nodes/ defines a node, makes one, or spins one."""
    if PACKAGE / "nodes" not in path.parents:
        return False
    parsed = list(ast.walk(ast.parse(path.read_text())))
    bases = {ast.unparse(base) for node in parsed if isinstance(node, ast.ClassDef) for base in node.bases}
    calls = {ast.unparse(node.func).split(".")[-1] for node in parsed if isinstance(node, ast.Call)}
    return any(base.endswith("Node") for base in bases) or bool(calls & {"create_node", "spin", "spin_once"})


def test_which_files_run_a_node():
    names = {path.stem for path in FILES if runs_a_node(path)}
    assert {"encoder_node", "grounding_node", "retrieval_node", "lifecycle", "runtime", "peer", "inspection"} <= names
    assert not names & {"messages", "outputs", "topology", "retriever"}


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_stay_short(path):
    lines = len(path.read_text().splitlines())
    assert lines <= (150 if runs_a_node(path) else 200 if PACKAGE / "nodes" in path.parents else 350)


def test_mypy_looks_at_all_our_code():
    assert "ignore_errors" not in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_nothing_is_pickled(path):
    assert not within(imports(path, everywhere=True), {"pickle", "dill", "joblib", "shelve", "marshal"})
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            pickled = [k for k in node.keywords if k.arg == "allow_pickle" and ast.unparse(k.value) != "False"]
            assert not pickled
            if ast.unparse(node.func) in ("np.load", "numpy.load"):
                assert any(k.arg == "allow_pickle" for k in node.keywords)


def all_settings():
    """Return every settings dataclass outside of nodes/."""
    found = set()
    for module in pkgutil.walk_packages(any2any_ros.__path__, "any2any_ros."):
        ours = NAMES.get(module.name)
        if ours and ours not in FORWARDING and not module.name.startswith("any2any_ros.nodes"):
            for value in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(value) and issubclass(value, config.Settings) and value is not config.Settings:
                    found.add(value)
    return sorted(found, key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", all_settings(), ids=lambda cls: cls.__name__)
def test_every_setting_is_described_and_its_default_is_allowed(cls):
    assert is_dataclass(cls) and cls.__dataclass_params__.frozen and cls.__doc__
    cls()  # checks itself
    assert len(config.fields(cls)) == len(cls.__dataclass_fields__), "a field that is no setting()"
    for f in config.fields(cls):
        m = f.metadata
        assert len(m["description"]) >= 5 and not m["description"].endswith(".")
        assert not m["choices"] or f.default in m["choices"]
        if isinstance(f.default, int | float) and not isinstance(f.default, bool):
            assert m["minimum"] is not None, f"{f.name} has no lower end"


def test_there_are_settings():
    assert {"AliveConfig", "LidarConfig", "TownConfig", "ConfidenceConfig"} <= {cls.__name__ for cls in all_settings()}


def test_a_default_is_written_once():
    """No file outside the settings gives an argument of the command line a number of its own, unless it is a choice."""
    allowed = {"--workers", "--seconds", "--keyframe"}
    for path in (PACKAGE / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("add_argument"):
                defaults = [k.value for k in node.keywords if k.arg == "default"]
                numbers = [d for d in defaults if isinstance(d, ast.Constant) and type(d.value) in (int, float)]
                if numbers:
                    assert ast.literal_eval(node.args[0]) in allowed, f"{path.name}: {ast.unparse(node)}"
