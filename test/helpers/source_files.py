"""The files of the package, and what each of them imports."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "any2any_ros"
FILES = sorted(PACKAGE.rglob("*.py"))


def programs(folder: str) -> list[Path]:
    """Return the files of a folder beside the package."""
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


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


def our_imports(path: Path) -> set[str]:
    """Return which of our modules a file imports, also inside of functions."""
    found = {n for n in imports(path, everywhere=True) if n in NAMES}
    # `from any2any_ros.data import kitti` is about kitti, not about the (empty) package.
    return {n for n in found if not any(other.startswith(f"{n}.") for other in found)} - {name_of(path)}


# Names of the release before, for one release. Each file forwards to the module that took its place, wherever that is.
FORWARDING = {
    PACKAGE / f"{name}.py"
    for name in (
        "methods/any2any", "methods/csa", "methods/emma", "methods/calmrl", "methods/cox", "retrieval/metrics",
    )
}  # fmt: skip
