"""pip and colcon install the same package, whole, where Python and ROS tools look for it."""

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from any2any_ros import cdr

ROOT = Path(__file__).parents[1]
PIP = Path(sys.prefix)
COLCON = ROOT / "build/colcon/install/any2any_ros"
SITE = Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)


@pytest.fixture(params=[PIP, COLCON], ids=["pip", "colcon"])
def prefix(request: pytest.FixtureRequest) -> Path:
    prefix: Path = request.param
    if not (prefix / "share/any2any_ros/package.xml").exists():
        pytest.skip(f"not installed in {prefix}: run `make {'test' if prefix == PIP else 'colcon'}`")
    return prefix


def files(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in found if "__pycache__" not in path.parts}


def test_every_module_is_installed(prefix: Path) -> None:
    assert files(ROOT / "any2any_ros") <= files(prefix / SITE / "any2any_ros")


def test_the_front_door_stands_beside_the_generated_messages(prefix: Path, tmp_path: Path) -> None:
    """rosidl installs an __init__.py of its own into a package of this name: ours must win, and find the messages."""
    code = "import any2any_ros as a2a; from any2any_ros import msg; print(a2a.PlaceConfig().hit_radius, msg.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(prefix / SITE)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)
    assert done.stdout == f"5.0 {prefix / SITE / 'any2any_ros/msg/__init__.py'}\n", done.stderr


@pytest.mark.parametrize("folder", ["launch", "config", "rviz", "msg", "srv", "action"])
def test_shared_files_are_installed(prefix: Path, folder: str) -> None:
    assert files(ROOT / folder) <= files(prefix / "share/any2any_ros" / folder)


def test_every_node_is_an_executable(prefix: Path) -> None:
    nodes = {path.stem for path in ROOT.glob("any2any_ros/nodes/*_node.py")}
    programs = [prefix / "lib/any2any_ros" / node for node in nodes]
    assert all(os.access(program, os.X_OK) for program in programs)
    # Not the Python that built it: an environment activated later must win.
    assert {program.read_text().splitlines()[0] for program in programs} <= {"#!/usr/bin/env python3"}


def test_ament_index_knows_the_package(prefix: Path) -> None:
    assert (prefix / "share/ament_index/resource_index/packages/any2any_ros").exists()


def test_messages_without_a_wheel_are_built_as_ros_has_them() -> None:
    """ROS finds tf2_msgs, and gives its message the hash that ROS 2 gives it: our /tf is the /tf of other programs."""
    if not (PIP / "share/tf2_msgs").exists():
        pytest.skip("not installed: run `make test`")
    assert (PIP / "share/ament_index/resource_index/rosidl_interfaces/tf2_msgs").read_text() == "msg/TFMessage.idl"
    described = json.loads((PIP / "share/tf2_msgs/msg/TFMessage.json").read_text())
    hashes = {found["type_name"]: found["hash_string"] for found in described["type_hashes"]}
    assert hashes["tf2_msgs/msg/TFMessage"] == cdr.typestore().hash_rihs01("tf2_msgs/msg/TFMessage")
    module = importlib.import_module("tf2_msgs.msg")
    transform = importlib.import_module("geometry_msgs.msg").TransformStamped(child_frame_id="base_link")
    raw = importlib.import_module("rclpy.serialization").serialize_message(module.TFMessage(transforms=[transform]))
    assert cdr.read(raw, "tf2_msgs/msg/TFMessage").transforms[0].child_frame_id == "base_link"


def test_version_is_the_same_everywhere() -> None:
    sources = {
        "pyproject.toml": r'^version = "(.+)"$',
        "package.xml": r"<version>(.+)</version>",
        "CHANGELOG.rst": r"^(\d+\.\d+\.\d+)",
    }
    found = {name: re.search(pattern, (ROOT / name).read_text(), re.MULTILINE) for name, pattern in sources.items()}
    assert len({match and match[1] for match in found.values()}) == 1, found


def test_message_packages_are_declared() -> None:
    definitions = [path.read_text() for kind in ("msg", "srv", "action") for path in ROOT.glob(f"{kind}/*")]
    used = set(re.findall(r"^(\w+)/\w+", "\n".join(definitions), re.MULTILINE))
    cmake = re.search(r"set\(MESSAGE_PACKAGES (.+)\)", (ROOT / "CMakeLists.txt").read_text())
    assert cmake
    depends = re.findall(r"<depend>(\w+)</depend>", (ROOT / "package.xml").read_text())
    assert used <= set(cmake[1].split()) == set(depends)


def test_ros_packages_that_are_imported_are_declared() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "any2any_ros").rglob("*.py"))
    imported = set(
        re.findall(r"^\s*(?:from|import) (\w+_(?:msgs|interfaces|srvs|msgs_py)|rclpy|launch\w*)\b", code, re.M)
    )
    named = set(re.findall(r'"(\w+_msgs)/msg/', code)) - {"audio_common_msgs", "audio_msgs"}  # read from bags only
    declared = set(re.findall(r"<(?:exec_)?depend>(\w+)</", (ROOT / "package.xml").read_text()))
    assert {"sensor_msgs_py", "vision_msgs", "rosgraph_msgs"} <= imported | named <= declared


def test_the_parameter_tables_are_up_to_date():
    spec = importlib.util.spec_from_file_location("parameter_tables", ROOT / "scripts" / "parameter_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text("utf-8") == module.tables(), "run: make docs"
