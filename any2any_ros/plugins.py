"""Plugs: classes that are chosen by name. Each is one file.

Every kind of plug has a folder, a protocol (protocols.py), and a `Registry` in the folder's `__init__.py`. For example,
`encoders/thermal.py` has a class whose `plug` is "thermal": the encoder "thermal". A name with a dot, such as
"my_robot.thermal", is a module on the Python path, outside this package. Importing a module runs its code, so such a
name counts only if the user gives it. A file may repeat it, but names no module that the user has not allowed.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Generic, TypeVar

from any2any_ros.errors import Any2AnyError

T = TypeVar("T")
METHODS = (FunctionType, property, classmethod, staticmethod)
_allowed: set[str] = set()  # modules that the user has named or allowed, in this process


def allow_module(name: str) -> None:
    """Allow maps and other files to name the plug in a module outside this package, such as "my_robot.thermal".

    The module is imported when a file that names it is used. Raises Any2AnyError when the name has no dot.
    """
    if not isinstance(name, str) or "." not in name or not all(part.isidentifier() for part in name.split(".")):
        raise Any2AnyError(
            f"Module {name!r} cannot be allowed", "it is not written package.module", "Write e.g. my_robot.thermal"
        )
    _allowed.add(name)


def allowed_modules() -> tuple[str, ...]:
    """Return the modules that the user has named or allowed, sorted."""
    return tuple(sorted(_allowed))


@dataclass(frozen=True)
class Registry(Generic[T]):
    """Finds the plugs of one kind.

    kind: its name, e.g. "fusion". package: the folder of the plugs. protocol: the members that a class must have.
    defaults: values of the members that a class may lack.
    """

    kind: str
    package: str
    protocol: Any  # Any, because mypy accepts no protocol for type[T]
    defaults: tuple[tuple[str, Any], ...] = ()

    def find(self, name: str) -> type[T]:
        """Return the class of the plug `name`, which the user gives: a module of that name is allowed from now on.

        Raises Any2AnyError when there is none, or one of another kind.
        """
        cls = _find(self, name)
        if "." in name:
            allow_module(name)
        return cls

    def find_recorded(self, name: str) -> type[T]:
        """Return the class of the plug `name`, which a file gives.

        Raises Any2AnyError as `find` does, and when it is a module that the user has not allowed.
        """
        if not isinstance(name, str):
            raise Any2AnyError(f"There is no {self.kind} {name!r}", "a name is a text", "Make the file again")
        if "." in name and name not in _allowed:
            raise Any2AnyError(
                f"The {self.kind} '{name}' is not used",
                "a file names this module, and importing it would run its code",
                f"If you trust it, allow it: --allow-module {name}, the node parameter allow_modules, or "
                "any2any_ros.allow_module",
            )
        return _find(self, name)

    def name_of(self, plug: T) -> str:
        """Return the name by which `find` finds the class of a plug: with a dot for one of another package."""
        cls: Any = type(plug)
        return str(cls.plug if cls.__module__.startswith(f"{self.package}.") else cls.__module__)

    def names(self) -> tuple[str, ...]:
        """Return the names of all plugs, sorted. Imports every file of the folder."""
        return tuple(sorted(vars(cls)["plug"] for stem in self._stems() for cls in self._classes(stem)))

    def all(self) -> tuple[type[T], ...]:
        """Return the classes of all plugs, sorted by name."""
        return tuple(self.find(name) for name in self.names())

    def _stems(self) -> list[str]:
        path = importlib.import_module(self.package).__path__
        return [name for _, name, is_folder in pkgutil.iter_modules(path) if not (name.startswith("_") or is_folder)]

    def _classes(self, stem: str) -> Iterator[type[Any]]:
        return _classes(f"{self.package}.{stem}")

    def _built_in(self, name: str) -> type[Any]:
        """Return the class of a plug of this package."""
        # The file of that name comes first, because going on would import every file of the folder.
        for stem in sorted(self._stems(), key=lambda stem: stem != name):
            for cls in self._classes(stem):
                if vars(cls)["plug"] == name:
                    return cls
        folder = self.package.replace(".", "/")
        raise Any2AnyError(
            f"There is no {self.kind} '{name}'",
            f"the plugs are {', '.join(self.names())}",
            f"Choose one of them, or add {folder}/{name}.py",
        )

    def _complete(self, cls: type[Any]) -> type[T]:
        """Add the defaults of members that the class lacks. Raises Any2AnyError for a member without default."""
        defaults = dict(self.defaults)
        absent = [member for member in _members(self.protocol) if not hasattr(cls, member)]
        if missing := [member for member in absent if member not in defaults]:
            raise Any2AnyError(
                f"'{cls.plug}' is no {self.kind}",
                f"{cls.__module__}.{cls.__qualname__} has no {', '.join(missing)}",
                f"Give it the members of any2any_ros.protocols.{self.protocol.__name__}",
            )
        for member in absent:
            setattr(cls, member, defaults[member])
        return cls


@functools.cache
def _find(registry: Registry[T], name: str) -> type[T]:
    return registry._complete(_external(name) if "." in name else registry._built_in(name))


def _external(name: str) -> type[Any]:
    """Return the only plug of a module outside this package."""
    try:
        candidates = list(_classes(name))
    except (ImportError, TypeError) as error:  # TypeError: a leading dot
        raise Any2AnyError(
            f"'{name}' is no plug",
            str(error),
            "Give a module on the Python path, and install what it imports",
        ) from error
    if len(candidates) != 1:
        raise Any2AnyError(
            f"'{name}' is no plug", f"it has {len(candidates)} classes with a 'plug'", "Give it exactly one"
        )
    return candidates[0]


def _classes(module_name: str) -> Iterator[type[Any]]:
    module = importlib.import_module(module_name)
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module_name and "plug" in vars(value):
            yield value


@functools.cache
def _members(protocol: Any) -> tuple[str, ...]:
    """Return the names of the members that a class must have; those that only instances have are left out."""
    of_class = (name for name, kind in vars(protocol).get("__annotations__", {}).items() if "ClassVar" in str(kind))
    methods = (name for name, value in vars(protocol).items() if isinstance(value, METHODS) and name[0] != "_")
    return (*of_class, *methods)
