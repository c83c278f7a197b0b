"""Files stay short, nothing is pickled, and every setting is described and has one default."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path

import pytest
from source_files import FILES, FORWARDING, NAMES, PACKAGE, ROOT, imports, programs, relative, within

import any2any_ros
from any2any_ros import config


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
    assert lines <= (150 if runs_a_node(path) else 200 if PACKAGE / "nodes" in path.parents else 300)


@pytest.mark.parametrize("folder", ["test", "benchmarks", "scripts", "launch"])
def test_files_beside_the_package_stay_short(folder):
    files = programs(folder)
    assert files and not [str(path) for path in files if len(path.read_text().splitlines()) > 300]


MOST_PARAMETERS = 6  # without self and cls; a settings dataclass has no function of its own to count


def public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield public functions, and of public classes the public methods and the constructor."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ClassDef) and node.name[0] != "_":
            waiting += node.body
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            node.name[0] != "_" or node.name in ("__init__", "__call__")
        ):
            yield node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    one_by_one = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    rest = [a for a in (function.args.vararg, function.args.kwarg) if a is not None]
    return [a.arg for a in (*one_by_one, *rest) if a.arg not in ("self", "cls")]


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_public_function_has_many_parameters(path):
    counts = {f.name: len(parameters(f)) for f in public_functions(ast.parse(path.read_text()))}
    assert not {name: count for name, count in counts.items() if count > MOST_PARAMETERS}


def test_parameters_are_counted_as_a_caller_gives_them():
    tree = ast.parse("class A:\n def __init__(self, a, /, b, *c, d, **e): ...\n def _f(self, g): ...\ndef h(i): ...")
    assert sorted((f.name, len(parameters(f))) for f in public_functions(tree)) == [("__init__", 5), ("h", 1)]


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


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_cache_holds_its_owner(path):
    """An object whose own method is cached in one of its fields is a cycle, and stays in memory long after its use."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Call) and "cache" in ast.unparse(node.func.func):
            assert not any(ast.unparse(argument).startswith("self.") for argument in node.args)


def test_a_recorded_plug_is_built_by_its_record_alone():
    """Which asks whether the user allows its module: `EncoderRecord.build`, and `find_recorded` where no record is."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                named = node.args[0]
                if node.func.attr in ("build", "find") and isinstance(named, ast.Attribute) and named.attr == "plug":
                    raise AssertionError(f"{relative(path)}: {ast.unparse(node)}")


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
