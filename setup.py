"""What pyproject.toml cannot say: compile the ROS messages, and put things where ROS tools look for them."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

PACKAGE = "any2any_ros"
SHARED = ("launch", "config", "rviz", "msg", "srv", "action")
ROOT = Path(__file__).resolve().parent
BUILD = ROOT / "build"
# The PyPI wheels turn the environment into a ROS prefix. Any other ROS builds this package with colcon.
HAS_ROS_WHEELS = (Path(sys.prefix) / "share" / "rosidl_generator_py").is_dir()
# Packages of messages of which ROS has no wheel: source folders, as in the package itself.
BORROWED = ROOT / "interfaces"
INDEX = "share/ament_index/resource_index/rosidl_interfaces"  # how ROS tools know packages of messages


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


def packages() -> dict[str, Path]:
    """Return the packages of messages that are compiled here, and the folders of their definitions."""
    site = Path(sysconfig.get_path("purelib"))
    wheels = {path.name.split("-")[0].removeprefix("ros_") for path in site.glob("ros_*.dist-info")}
    borrowed = {path.name: path for path in sorted(BORROWED.iterdir()) if path.name not in wheels}
    return {PACKAGE: ROOT, **borrowed}


def build_interfaces(package: str, source: Path) -> Path:
    """Return the folder with the compiled messages of a package."""
    output = BUILD / "interfaces" / sys.implementation.cache_tag / package
    # Without PYTHONPATH, Python leaves pip's isolated build environment for the one that has the wheels.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    script = ROOT / "scripts" / "build_interfaces.py"
    if subprocess.run([sys.executable, script, package, source, output], env=environment).returncode:
        raise SystemExit("any2any_ros: the ROS messages were not built, see above")
    return output / "prefix"


def write_index(package: str, share: Path) -> tuple[str, list[str]]:
    """Write the list of a package's messages, by which ROS tools find them. share: where their definitions lie."""
    file = BUILD / "index" / package
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(sorted(str(path.relative_to(share)) for path in share.rglob("*.idl"))))
    return INDEX, [os.path.relpath(file, ROOT)]


class BuildPy(build_py):
    def run(self) -> None:
        # Or a module that was deleted since the last build would be installed again.
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        self.distribution.data_files.extend(write_executables())
        if not HAS_ROS_WHEELS:
            print(f"{PACKAGE}: no ROS wheels in {sys.prefix}, messages left out; on a robot colcon builds them")
            return
        for package, source in packages().items():
            prefix = build_interfaces(package, source)
            shutil.copytree(prefix / "python", self.build_lib, dirs_exist_ok=True)
            for folder in ("lib", "share"):
                self.distribution.data_files.extend(data_files(prefix / folder, folder))
            self.distribution.data_files.append(write_index(package, prefix / "share" / package))
            if source != ROOT:  # setup() has the definitions of the others already
                self.distribution.data_files.extend(data_files(source, f"share/{package}"))
                Path(self.build_lib, package, "__init__.py").touch()


class PlatformDistribution(Distribution):
    """Compiled messages belong to one Python and one platform; without them the wheel is pure."""

    def has_ext_modules(self) -> bool:
        return HAS_ROS_WHEELS


setup(data_files=shared_files(), cmdclass={"build_py": BuildPy}, distclass=PlatformDistribution)
