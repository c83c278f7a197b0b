"""Arguments that several verbs share: settings as flags, encoders, paths."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from any2any_ros import config, encoders, names, plugins
from any2any_ros.encoders import ENCODERS
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Encoder
from any2any_ros.workflows.inputs import refuse_kind, refuse_unknown

T = TypeVar("T")
# Old names of flags, by settings class and setting. They work for one more release, and help does not show them.
OLD_FLAGS = {
    ("ConfidenceConfig", "unmapped"): "--lost",
    ("ConfidenceConfig", "accepted_unmapped"): "--outside",
    ("RefinerConfig", "refined_queries"): "--checked-queries",
    ("VariationConfig", "dropout"): "--lost",
}


def add_settings(parser: argparse.ArgumentParser, cls: type[Any], **defaults: Any) -> None:
    """Add a flag for every setting of `cls`. defaults: of this verb, where they differ from those of the class."""
    group = parser.add_argument_group((cls.__doc__ or cls.__name__).split("\n")[0].rstrip("."))
    for f in config.fields(cls):
        flag, default = f"--{f.name.replace('_', '-')}", defaults.get(f.name, f.default)
        text = config.describe(f).replace("%", "%%")
        if isinstance(f.default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=text)
        else:
            shown, kind = "" if default is None else f" (default {default})", type(f.default)
            group.add_argument(flag, type=kind, default=default, help=text + shown, metavar=kind.__name__.upper())
            add_old_flag(group, OLD_FLAGS.get((cls.__name__, f.name)), f.name, type=kind)


def add_old_flag(group: argparse._ActionsContainer, flag: str | None, dest: str, **how: Any) -> None:
    """Add the old name of a flag, if it had one, without showing it in the help."""
    if flag:
        group.add_argument(flag, dest=dest, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **how)


def settings(arguments: argparse.Namespace, cls: type[T]) -> T:
    """Return the settings `cls` that the command line gives. Raises Any2AnyError when a value is out of range."""
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    return config.build(cls, {n: getattr(arguments, n) for n in names if hasattr(arguments, n)})


def of_modalities(texts: list[str], flag: str) -> dict[str, str]:
    """Return the values of MODALITY=VALUE arguments by modality."""
    return {names.modality(name): value for name, value in pairs(texts, flag).items()}


def pairs(texts: list[str], flag: str) -> dict[str, str]:
    """Return the values of NAME=VALUE arguments by name. Raises Any2AnyError when a name is given twice."""
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise Any2AnyError(f"Cannot understand '{flag} {wrong[0]}'", "it has no '='", "Write NAME=VALUE")
    named = [text.split("=", 1)[0] for text in texts]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise Any2AnyError(f"{flag} names {twice} twice", " and ".join(t for t in texts if t.startswith(f"{twice}=")),
                           "Keep one of them")  # fmt: skip
    return dict(text.split("=", 1) for text in texts)


def add_encoder_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `build_encoders` reads."""
    parser.add_argument(
        "--modality", action="append", default=[], metavar="NAME", help="use this modality only; repeat for several"
    )
    parser.add_argument(
        "--encoder", action="append", default=[], metavar="NAME=ENCODER",
        help="use another encoder for a modality, e.g. text=sentence; repeat for several",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME.SETTING=VALUE", dest="encoder_settings",
        help="change a setting of a modality's encoder, e.g. lidar.rings=40; repeat for several",
    )  # fmt: skip


def build_encoders(
    arguments: argparse.Namespace, modalities: Iterable[str], defaults: Mapping[str, str] | None = None
) -> dict[str, Encoder]:
    """Return the encoder of each modality that --modality names, or of all.

    defaults: names of encoders by modality, where they are not the usual ones (encoders.default). Raises
    Any2AnyError when a flag names an unknown modality, encoder or setting.
    """
    available = tuple(map(names.modality, modalities))
    plugs, texts = of_modalities(arguments.encoder, "--encoder"), pairs(arguments.encoder_settings, "--set")
    named = {*arguments.modality, *plugs, *(key.split(".")[0] for key in texts)}
    refuse_unknown(named, available, "Correct --modality, --encoder or --set")
    wanted = [m for m in available if not arguments.modality or m in arguments.modality]
    plugs = {m: (defaults or {}).get(m, encoders.default(m)) for m in wanted} | plugs
    values: dict[str, dict[str, Any]] = {m: {} for m in wanted}
    for key, text in texts.items():
        modality, _, name = key.partition(".")
        if modality in values:
            values[modality][name] = typed(plugs[modality], name, text)
    for m in wanted:
        refuse_kind(m, ENCODERS.find(plugs[m]))
    return {m: encoders.build(plugs[m], chosen) for m, chosen in values.items()}


def typed(plug: str, name: str, text: str) -> Any:
    """Return the value of an encoder's setting, in the type of its default. Raises Any2AnyError when it has another."""
    known: Mapping[str, Any] = {f.name: f.default for f in config.fields(ENCODERS.find(plug).Config)}
    if name not in known:
        raise Any2AnyError(
            f"Encoder '{plug}' has no setting '{name}'", f"it has {', '.join(known)}", "Correct the name in --set"
        )
    kind = type(known[name])
    try:
        return kind(text) if kind is not bool else {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError):
        raise Any2AnyError(
            f"Cannot set {plug}.{name} to '{text}'", f"its type is {kind.__name__}", "Correct the value in --set"
        ) from None


def existing(text: str) -> Path:
    """Return a path that exists."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"there is no {path}: check its spelling")
    return path


def add_allow_argument(parser: argparse.ArgumentParser) -> None:
    """Add the flag that all verbs share that open a map."""
    parser.add_argument(
        "--allow-module", action=_AllowModule, metavar="MODULE",
        help="a module outside this package, such as my_robot.thermal, that the map may name as an encoder: its code "
        "will run; repeat for several",
    )  # fmt: skip


class _AllowModule(argparse.Action):
    """Allows a module."""

    def __call__(self, parser: argparse.ArgumentParser, space: Any, value: Any, flag: str | None = None) -> None:
        plugins.allow_module(value)


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], Any]:
    """Return a function that reads a number from `low` to `high`."""

    def read(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:  # True for NaN
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
        return value

    read.__name__ = kind.__name__  # argparse names it where the text is no number
    return read


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add the number of processes of a simulator."""
    parser.add_argument(
        "--workers", type=number(int, 1, 256), default=2, metavar="N",
        help="number of processes that simulate (default %(default)s)",
    )  # fmt: skip


def add_profile_argument(parser: argparse.ArgumentParser) -> None:
    """Add the flag that all verbs share that speak ROS."""
    parser.add_argument(
        "--dds-profile", default="", metavar="PROFILE",
        help="transport settings of Fast DDS: robot (shared memory of 16 MB), loopback (nothing leaves this machine), "
        "or a file (default: what the environment says)",
    )  # fmt: skip
