"""Compile the .msg, .srv and .action files against the ROS wheels from PyPI, without CMake.

    python build_interfaces.py PACKAGE SOURCE OUTPUT

runs in the environment that holds the wheels and fills OUTPUT/prefix: `python/PACKAGE` (message classes),
`lib` (type support libraries) and `share/PACKAGE` (definitions with their type hashes). It does for Python
what `rosidl_generate_interfaces` does under colcon, and does it again only when one of its inputs changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PREFIX = Path(sys.prefix)
KINDS = ("msg", "srv", "action")
CC = shlex.split(os.environ.get("CC", "gcc"))
CXX = shlex.split(os.environ.get("CXX", "g++"))
FAILED = "Cannot compile the ROS messages"

# Each has a folder of its own: generator_c and introspection_c write files of the same names.
C_GENERATORS = ("generator_c", "typesupport_fastrtps_c", "typesupport_introspection_c", "typesupport_c")
# Offered to every link; --as-needed keeps what is used, so no list of message packages is needed here.
RUNTIME = ("*rosidl_*_c", "*rosidl_generator_py", "rosidl_*_fastrtps_cpp", "fastcdr", "rcutils")


def definitions(source: Path) -> list[Path]:
    """Return the interface files, relative to `source`."""
    return [path.relative_to(source) for kind in KINDS for path in sorted((source / kind).glob(f"*.{kind}"))]


def fingerprint(source: Path) -> str:
    """Return a hash of all inputs: definitions, this file, ROS wheels, NumPy, Python and compilers."""
    wheels = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    used = sorted(item for item in wheels.items() if item[0].startswith(("ros-", "numpy")))
    digest = hashlib.sha256(repr((sys.version, sys.prefix, CC, CXX, used)).encode())
    for path in (*definitions(source), Path(__file__)):
        digest.update(str(path).encode() + (source / path).read_bytes())
    return digest.hexdigest()


def check_tools() -> None:
    missing = [tool for tool in (CC[0], CXX[0]) if not shutil.which(tool)]
    if missing:
        sys.exit(f"{FAILED}: no {' and no '.join(missing)}. apt install build-essential")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        sys.exit(f"{FAILED}: no Python.h. apt install python3-dev")


def translate(package: str, source: Path, output: Path) -> list[str]:
    """Write the definitions as IDL; return the files as rosidl names them, "folder:path"."""
    from rosidl_adapter.action import convert_action_to_idl
    from rosidl_adapter.msg import convert_msg_to_idl
    from rosidl_adapter.srv import convert_srv_to_idl

    convert = dict(zip(KINDS, (convert_msg_to_idl, convert_srv_to_idl, convert_action_to_idl), strict=True))
    for path in definitions(source):
        convert[path.parent.name](source, package, path, output / path.parent)
    return [f"{output}:{path.with_suffix('.idl')}" for path in definitions(source)]


def generate(package: str, source: Path, output: Path) -> None:
    """Write IDL, type hashes, C, C++ and Python into output/<generator>/<package>.

    The generators' classes are called: `rosidl generate` trips over the wheels' duplicate entry points.
    """
    from rosidl_generator_c.cli import GenerateC
    from rosidl_generator_py.cli import GeneratePython
    from rosidl_generator_type_description.cli import HashTypeDescription
    from rosidl_typesupport_c.cli import GenerateCTypesupport
    from rosidl_typesupport_fastrtps_c.cli import GenerateFastRTPSCTypesupport
    from rosidl_typesupport_introspection_c.cli import GenerateIntrospectionCTypesupport

    include = [str(PREFIX / "share")]
    idl = translate(package, source, output / "share" / package)
    hashes = HashTypeDescription("").generate_type_hashes(package, idl, include, output / "share" / package)
    c = GenerateC("")
    c.generate(package, idl, include, output / "generator_c" / package, [str(path) for path in hashes])
    for folder, generator in (
        ("typesupport_fastrtps_c", GenerateFastRTPSCTypesupport("")),
        ("typesupport_introspection_c", GenerateIntrospectionCTypesupport("")),
        ("typesupport_c", GenerateCTypesupport("")),
        ("python", GeneratePython("", typesupport_implementations=["rosidl_typesupport_c"])),
    ):
        generator.generate(package, idl, include, output / folder / package)


def include_flags(generated: Path) -> list[str]:
    import numpy

    ours = [generated / folder for folder in C_GENERATORS]
    ros = [PREFIX / "include", *(path for path in (PREFIX / "include").iterdir() if path.is_dir())]
    return [f"-I{path}" for path in (*ours, *ros, sysconfig.get_path("include"), numpy.get_include())]


def compile_objects(sources: Iterable[Path], flags: list[str]) -> list[Path]:
    def compile_one(source: Path) -> Path:
        target = source.with_suffix(".o")
        compiler = [*CXX, "-std=c++17"] if source.suffix == ".cpp" else [*CC, "-std=gnu11"]
        subprocess.run([*compiler, "-O2", "-fPIC", "-c", source, "-o", target, *flags], check=True)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, sources))


def link(objects: Iterable[Path], target: Path, libraries: Iterable[Path]) -> None:
    flags = ["-shared", "-s", f"-Wl,-soname,{target.name}", "-Wl,--as-needed"]
    subprocess.run([*CXX, "-o", target, *objects, *flags, *libraries], check=True)


def compile_all(package: str, generated: Path, prefix: Path) -> None:
    """Compile into prefix/lib, and the extension module beside the message classes."""
    flags = include_flags(generated)
    found = {path for name in RUNTIME for path in (PREFIX / "lib").glob(f"lib{name}.so")}
    # Those of an older version of this package, installed here, must not be taken for the new ones.
    libraries = sorted(path for path in found if not path.name.startswith(f"lib{package}__"))
    (prefix / "lib").mkdir()
    for folder in C_GENERATORS:
        objects = compile_objects(sorted((generated / folder).rglob("*.c*")), flags)
        library = prefix / "lib" / f"lib{package}__rosidl_{folder}.so"
        link(objects, library, libraries)
        libraries.append(library)
    module = prefix / "python" / package
    objects = compile_objects(sorted(module.rglob("*.c")), flags)
    link(objects, module / f"{package}_s__rosidl_typesupport_c.so", libraries)


def main(package: str, source: Path, output: Path) -> None:
    key, done = fingerprint(source), output / "fingerprint"
    with contextlib.suppress(FileNotFoundError):
        if done.read_text() == key:
            return
    check_tools()
    shutil.rmtree(output, ignore_errors=True)
    os.environ["AMENT_PREFIX_PATH"] = str(PREFIX)  # where the generators look for their templates
    generated, prefix = output / "generated", output / "prefix"
    generate(package, source, generated)
    shutil.copytree(generated / "share", prefix / "share")
    shutil.copytree(generated / "python", prefix / "python")
    compile_all(package, generated, prefix)
    for path in (prefix / "python").rglob("*.[co]"):
        path.unlink()
    done.write_text(key)


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{FAILED}: {error.cmd[0]} reports an error, see above")
