"""`import any2any_ros as a2a`: quick, lazy, and enough to open a map and rank with the base dependencies alone."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import any2any_ros as a2a

ROOT = Path(__file__).parents[1]
NOVEMBER = ROOT / "test/formats/november/map"
IMPORT = 0.3  # s
OPTIONAL = (
    "torch", "transformers", "onnx", "open3d", "pocketsphinx", "rclpy", "sensor_msgs", "matplotlib", "jinja2",
    "trimesh", "embreex",
)  # fmt: skip
WITHOUT = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {OPTIONAL!r}:
            raise ImportError(name + " is not installed")

sys.meta_path.insert(0, Absent())
"""


def alone(code, *arguments):
    """Run code in a fresh interpreter that has only the base dependencies; return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WITHOUT + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


RANK = """
import numpy as np, any2any_ros as a2a
town = a2a.open_map(sys.argv[1])
ranking = town.rank({"camera": np.load(sys.argv[2]), "lidar": np.load(sys.argv[3])}, k=3)
print([(match.id, match.probability) for match in ranking.matches])
"""


@pytest.fixture
def samples(tmp_path):
    """Files of a picture and of a point cloud."""
    draw = np.random.default_rng(0)
    np.save(tmp_path / "camera.npy", draw.integers(0, 255, (96, 192, 3), dtype=np.uint8))
    np.save(tmp_path / "lidar.npy", draw.uniform(-20, 20, (2000, 3)))
    return tmp_path / "camera.npy", tmp_path / "lidar.npy"


def test_a_picture_and_a_cloud_are_ranked_in_five_lines(samples):
    assert len(RANK.strip().split("\n")) <= 5
    matches = ast.literal_eval(alone(RANK, NOVEMBER, *samples))
    assert len(matches) == 3 and all(name.startswith("00/") and 0 < p < 1 for name, p in matches)
    here = a2a.open_map(NOVEMBER).rank({"camera": np.load(samples[0]), "lidar": np.load(samples[1])}, k=3)
    assert [name for name, _ in matches] == [m.id for m in here.matches]


def test_importing_is_quick_and_loads_nothing_heavy():
    code = """
from time import perf_counter
before, start = set(sys.modules), perf_counter()
import any2any_ros as a2a
print(perf_counter() - start)
print(sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""
    seconds, loaded = zip(*(alone(code).strip().split("\n") for _ in range(3)), strict=True)
    assert min(map(float, seconds)) <= IMPORT
    assert set(ast.literal_eval(loaded[0])) - sys.stdlib_module_names == {"any2any_ros"}


def test_every_name_is_there_and_is_imported_when_it_is_used():
    assert set(dir(a2a)) == set(a2a.__all__) == set(a2a._MODULE_OF)
    for name in a2a.__all__:
        value = getattr(a2a, name)
        assert value is not None and name in vars(a2a)
        assert getattr(value, "__doc__", None), f"{name} has no docstring"
    with pytest.raises(AttributeError, match="has no attribute 'open_mop'"):
        a2a.open_mop  # noqa: B018


def test_type_checkers_see_the_same_names():
    """What stands under TYPE_CHECKING is what __getattr__ gives."""
    tree = ast.parse((ROOT / "any2any_ros/__init__.py").read_text())
    guarded = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    seen = {
        alias.name: str(node.module) for guard in guarded for node in ast.walk(guard)
        if isinstance(node, ast.ImportFrom) for alias in node.names
    }  # fmt: skip
    assert seen == {name: f"any2any_ros.{module}" for name, module in a2a._MODULE_OF.items()}


def test_public_functions_have_at_most_six_parameters():
    for name in a2a.__all__:
        value = getattr(a2a, name)
        if callable(value) and not isinstance(value, type):
            assert value.__code__.co_argcount + value.__code__.co_kwonlyargcount <= 6, name


@pytest.mark.parametrize("split", [False, True], ids=["merged", "in two places"])
def test_generated_messages_live_beside_it(tmp_path, split):
    """What rosidl generates is a package of this name: merged into ours (pip, colcon), or elsewhere on the path."""
    generated = tmp_path / ("other" if split else "site") / "any2any_ros"
    for kind in ("msg", "srv", "action"):
        (generated / kind).mkdir(parents=True)
        (generated / kind / "__init__.py").write_text(f"KIND = '{kind}'\n")
    site = tmp_path / "site" / "any2any_ros"
    site.mkdir(parents=True, exist_ok=True)
    if split:
        (generated / "__init__.py").touch()  # as rosidl installs one
    for path in (ROOT / "any2any_ros").iterdir():
        if path.suffix == ".py" or path.name not in ("__pycache__", "msg", "srv", "action"):
            (site / path.name).symlink_to(path)
    code = """
import any2any_ros as a2a
from any2any_ros import msg, srv
import any2any_ros.action
print(msg.KIND, srv.KIND, any2any_ros.action.KIND, a2a.PlaceConfig().hit_radius)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(p.parent) for p in dict.fromkeys([site, generated]))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)
    assert done.stdout == "msg srv action 5.0\n", done.stderr
