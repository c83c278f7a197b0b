"""What pyproject.toml cannot say: compile the ROS messages, and put things where ROS tools look for them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

PACKAGE = "any2any_ros"
SHARED = ("launch", "config", "rviz", "msg", "srv", "action")
ROOT = Path(__file__).resolve().parent
BUILD = ROOT / "build"
# The PyPI wheels turn the environment into a ROS prefix. Any other ROS builds this package with colcon.
HAS_ROS_WHEELS = (Path(sys.prefix) / "share" / "rosidl_generator_py").is_dir()


def data_files(source: Path, target: str) -> list[tuple[str, list[str]]]:
    """Return the files below `source` as setuptools wants them, to be installed below <prefix>/target."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    return [(str(Path(target, path.relative_to(source).parent)), [os.path.relpath(path, ROOT)]) for path in files]


def shared_files() -> list[tuple[str, list[str]]]:
    share = f"share/{PACKAGE}"
    folders = [entry for name in SHARED for entry in data_files(ROOT / name, f"{share}/{name}")]
    index = [("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"])]
    return [*index, (share, ["package.xml"]), *folders]


def write_executables() -> list[tuple[str, list[str]]]:
    """Write one program for every node: `ros2 run` and `ros2 launch` look in lib/<package>."""
    template = (ROOT / "scripts" / "executable.in").read_text()
    folder = BUILD / "executables"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for node in (ROOT / PACKAGE / "nodes").glob("*_node.py"):
        program = folder / node.stem
        program.write_text(template.replace("@MODULE@", f"{PACKAGE}.nodes.{node.stem}"))
        program.chmod(0o755)
    return data_files(folder, f"lib/{PACKAGE}")


def build_interfaces() -> Path:
    """Return the folder with the compiled messages."""
    output = BUILD / "interfaces" / sys.implementation.cache_tag
    # Without PYTHONPATH, Python leaves pip's isolated build environment for the one that has the wheels.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    script = ROOT / "scripts" / "build_interfaces.py"
    if subprocess.run([sys.executable, script, PACKAGE, ROOT, output], env=environment).returncode:
        raise SystemExit("any2any_ros: the ROS messages were not built, see above")
    return output / "prefix"


class BuildPy(build_py):
    def run(self) -> None:
        # Or a module that was deleted since the last build would be installed again.
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        self.distribution.data_files.extend(write_executables())
        if not HAS_ROS_WHEELS:
            print(f"{PACKAGE}: no ROS wheels in {sys.prefix}, messages left out; on a robot colcon builds them")
            return
        prefix = build_interfaces()
        shutil.copytree(prefix / "python", self.build_lib, dirs_exist_ok=True)
        for folder in ("lib", "share"):
            self.distribution.data_files.extend(data_files(prefix / folder, folder))


class PlatformDistribution(Distribution):
    """Compiled messages belong to one Python and one platform; without them the wheel is pure."""

    def has_ext_modules(self) -> bool:
        return HAS_ROS_WHEELS


setup(data_files=shared_files(), cmdclass={"build_py": BuildPy}, distclass=PlatformDistribution)
