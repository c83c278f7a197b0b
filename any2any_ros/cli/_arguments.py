"""What the verbs share: flags made from settings, and how a source of observations is named."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from any2any_ros import config, encoders
from any2any_ros.encoders import ENCODERS
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Encoder
from any2any_ros.workflows.inputs import refuse_kind, refuse_unknown

T = TypeVar("T")


def add_settings(parser: argparse.ArgumentParser, cls: type[Any], **defaults: Any) -> None:
    """Add a flag for every setting of `cls`; defaults: where this verb's differs from the dataclass's."""
    group = parser.add_argument_group((cls.__doc__ or cls.__name__).split("\n")[0].rstrip("."))
    for f in config.fields(cls):
        flag, default = f"--{f.name.replace('_', '-')}", defaults.get(f.name, f.default)
        text = config.describe(f).replace("%", "%%")
        if isinstance(f.default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=text)
        else:
            shown = "" if default is None else f" (default {default})"
            group.add_argument(
                flag, type=type(f.default), default=default, help=text + shown, metavar=type(f.default).__name__.upper()
            )


def settings(arguments: argparse.Namespace, cls: type[T]) -> T:
    """Return the settings `cls` as given on the command line."""
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    return config.build(cls, {n: getattr(arguments, n) for n in names if hasattr(arguments, n)})


def pairs(given: list[str], flag: str) -> dict[str, str]:
    """Read NAME=VALUE arguments."""
    wrong = [text for text in given if "=" not in text]
    if wrong:
        raise Any2AnyError(f"Cannot understand '{flag} {wrong[0]}'", "it has no '='", "Write NAME=VALUE")
    return dict(text.split("=", 1) for text in given)


def add_encoder_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--modality", action="append", default=[], metavar="NAME", help="use this sensor only; repeat for several"
    )
    parser.add_argument(
        "--encoder", action="append", default=[], metavar="NAME=PLUG",
        help="another encoder for a modality, e.g. text=sentence; repeat",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME.SETTING=VALUE", dest="encoder_settings",
        help="an encoder's setting, e.g. lidar.rings=40; repeat for several",
    )  # fmt: skip


def build_encoders(
    arguments: argparse.Namespace, modalities: Iterable[str], usual: Mapping[str, str] | None = None
) -> dict[str, Encoder]:
    """Build the chosen modalities' encoders with the settings given by --set; usual: plugs where they are
    not the modality's own."""
    available = tuple(modalities)
    others, settings_given = pairs(arguments.encoder, "--encoder"), pairs(arguments.encoder_settings, "--set")
    named = {*arguments.modality, *others, *(key.split(".")[0] for key in settings_given)}
    refuse_unknown(named, available, "Correct --modality, --encoder or --set")
    wanted = [m for m in available if not arguments.modality or m in arguments.modality]
    plugs = {m: (usual or {}).get(m, m) for m in wanted} | others
    values: dict[str, dict[str, Any]] = {m: {} for m in wanted}
    for key, text in settings_given.items():
        modality, _, name = key.partition(".")
        if modality in values:
            values[modality][name] = typed(plugs[modality], name, text)
    for m in wanted:
        refuse_kind(m, ENCODERS.find(plugs[m]))
    return {m: encoders.build(plugs[m], chosen) for m, chosen in values.items()}


def typed(plug: str, name: str, text: str) -> Any:
    """Turn a setting's text into the type of its default."""

    known: Mapping[str, Any] = {f.name: f.default for f in config.fields(ENCODERS.find(plug).Config)}
    if name not in known:
        raise Any2AnyError(f"Encoder '{plug}' has no setting '{name}'", f"it has {', '.join(known)}", "Correct --set")
    kind = type(known[name])
    try:
        return kind(text) if kind is not bool else {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError):
        raise Any2AnyError(f"Cannot set {plug}.{name} to '{text}'", f"it is a {kind.__name__}", "Correct it") from None


def existing(text: str) -> Path:
    """Read a path that must be there."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"there is no {path}: check its spelling")
    return path


def add_profile_argument(parser: argparse.ArgumentParser) -> None:
    """Add the flag that all verbs share that speak ROS."""
    parser.add_argument(
        "--dds-profile", default="", metavar="PROFILE",
        help="Fast DDS transport: robot (16 MB shared memory), loopback (nothing leaves this machine), a file; "
        "default: as the environment says",
    )  # fmt: skip
