"""Texts that people write: commands, names, arguments, settings; and the files that the program writes for others."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import math
import os
from typing import Any

from any2any_ros import config, names, node_config, plugins, storage
from any2any_ros.calibration.adoption import AdoptionConfig
from any2any_ros.calibration.fitting import CalibrationConfig
from any2any_ros.cli import _arguments
from any2any_ros.cli.main import main
from any2any_ros.encoders import ENCODERS
from any2any_ros.geometry import clouds
from any2any_ros.hearing import grammar
from any2any_ros.trust.confidence import ConfidenceConfig

from . import folders
from .boundary import Boundary
from .choices import Choices
from .mutation import WORDS, mutated, text
from .samples_in import CLASSICAL

# --- commands and names -----------------------------------------------------------------------------------------------


def _phrases(choices: Choices) -> tuple[str, ...]:
    return grammar.OPENINGS, grammar.ADJECTIVES, grammar.OBJECTS


def _one_phrase(choices: Choices, given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text(choices, part) if choices.often(0.5) else part for part in given)


def _grammar(given: tuple[str, ...]) -> Any:
    return grammar.commands(*given, known=lambda word: len(word) < 12), [grammar.meaning(part) for part in given]


def _wrong_grammar(given: Any, result: Any) -> str:
    rules = result[0].jsgf.splitlines()
    good = len(rules) == 7 and all(rule.endswith(";") and rule.isprintable() for rule in rules)
    return "" if good else f"a grammar of {rules}"


NAMES = {
    "modality": names.modality, "topic": names.topic, "message type": names.message_type,
    "mounting": clouds.mounting, "encoder": ENCODERS.find, "module": plugins.allow_module,
}  # fmt: skip
TEXTS = ("mounting", "encoder", "module")  # the other names may be of any type: they come from files
GOOD = {
    "modality": "camera_front", "topic": "/front/image_raw", "message type": "sensor_msgs/msg/Image",
    "mounting": "0.1 0 1.7 0 0 1.57", "encoder": "camera", "module": "my_robot.thermal",
}  # fmt: skip


def _named(choices: Choices) -> tuple[str, Any]:
    kind = choices.choice(sorted(NAMES))
    return kind, GOOD[kind]


def _renamed(choices: Choices, given: tuple[str, Any]) -> tuple[str, Any]:
    kind, name = given
    return kind, text(choices, name) if kind in TEXTS else mutated(choices, name)


# --- settings ---------------------------------------------------------------------------------------------------------

SETTINGS = (
    config.AliveConfig, config.RetrievalConfig, config.PlaceConfig, CalibrationConfig, ConfidenceConfig, AdoptionConfig,
    node_config.EncoderNodeConfig, node_config.RetrievalNodeConfig, node_config.GroundingNodeConfig,
    *(ENCODERS.find(plug).Config for plug in CLASSICAL),
)  # fmt: skip


def _settings(choices: Choices) -> tuple[Any, dict[str, Any]]:
    cls = choices.choice(SETTINGS)
    return cls, {f.name: f.default for f in config.fields(cls)}


def _wrong_settings(given: Any, built: Any) -> str:
    values = [getattr(built, f.name) for f in config.fields(built)]
    return "" if all(math.isfinite(v) for v in values if isinstance(v, float)) else f"{built} is not finite"


# --- the command ------------------------------------------------------------------------------------------------------

# Verbs that read a recording first. There is none, so they go no further than that.
LINES = {
    "adopt": ["absent", "absent", "--modality", "thermal", "--set", "thermal.across=0.8", "--hit-radius", "5"],
    "bag": ["absent", "new", "--sequence", "00", "--storage", "sqlite3", "--keyframe", "1.5"],
    "build-map": ["absent", "new", "--topic", "camera=/front/image", "--keyframe", "1", "--mounting", "0 0 0 0 0 0"],
    "calibrate": ["absent", "absent", "--sequence", "01", "--hit-radius", "5", "--fusion", "mixture"],
    "evaluate": ["absent", "--map", "absent", "--missing", "0", "0.5", "--path-gap", "20", "--modality", "camera"],
    "export": ["nothing", "new", "--set", "model=absent", "--int8", "--judge", "absent", "absent"],
}
PARSED = ("bringup", "demo", "doctor", "replay", "simulate", "simulate-tabletop", "train")  # their arguments only
FLAGS = {
    "bringup": ["absent", "--modality", "camera", "--image-transport", "raw", "--dds-profile", "loopback"],
    "demo": ["--seed", "3", "--places", "60"],
    "doctor": ["--seconds", "5"],
    "replay": ["absent", "--rate", "2", "--start", "1", "--kill", "camera@20s-40s", "--loop"],
    "simulate": ["new", "--seed", "3", "--places", "60", "--workers", "2"],
    "simulate-tabletop": ["new", "--seed", "3", "--instances", "6", "--workers", "2"],
    "train": ["emma", "absent", "new", "--modality", "text", "--most", "5", "--steps", "10"],
}


def _line(choices: Choices) -> list[str]:
    verb = choices.choice(sorted({**LINES, **FLAGS}))
    return [verb, *({**LINES, **FLAGS}[verb])]


def _changed_line(choices: Choices, words: list[str]) -> list[str]:
    """Change one word; none becomes a path that is outside of the folder of this process."""
    words, at, how = list(words), choices.randrange(len(words)), choices.random()
    if how < 0.5:
        words[at] = text(choices, words[at])
    elif how < 0.65:
        words.insert(at, choices.one(*WORDS, *(flag for line in FLAGS.values() for flag in line)))
    elif how < 0.8:
        del words[at]
    else:
        words[at] = choices.one(*WORDS)
    # What the system passes on holds no zero byte, and what is no UTF-8 as lone surrogates.
    return [w.replace("\x00", "").replace("\ud800", "\udcff").replace("/", "_") for w in words] or ["bag"]


def _command(words: list[str]) -> Any:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _elsewhere():
        try:
            code = _arguments_only(words) if words[0] in PARSED else main(words)
        except SystemExit as ended:  # argparse's own way
            code = ended.code
    return code, out.getvalue(), err.getvalue()


def _arguments_only(words: list[str]) -> int:
    """Parse the arguments of a verb, and build the settings that they give."""
    module = importlib.import_module(f"any2any_ros.cli.{words[0].replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=f"any2any {words[0]}")
    module.add_arguments(parser)
    arguments = parser.parse_args(words[1:])
    for cls in SETTINGS:
        if all(hasattr(arguments, f.name) for f in config.fields(cls)):
            _arguments.settings(arguments, cls)
    if hasattr(arguments, "kill"):
        replay = importlib.import_module("any2any_ros.nodes.replay")
        for outage in map(replay.Outage.parse, arguments.kill):
            assert outage.start < outage.end and outage.topic is not None
    return 0


@contextlib.contextmanager
def _elsewhere() -> Any:
    before, empty = os.getcwd(), folders.scratch() / "empty"
    empty.mkdir(exist_ok=True)
    os.chdir(empty)
    try:
        yield
    finally:
        os.chdir(before)


def _wrong_command(given: Any, result: Any) -> str:
    code, _, err = result
    if code not in (0, 2):
        return f"it ended with {code}"
    if "Traceback" in err:
        return err
    lines = err.strip().splitlines()
    own = [line for line in lines if line.startswith("any2any ") and not line.startswith("any2any: ")]
    return f"{len(lines)} lines: {err}" if code == 2 and "usage:" not in err and len(own) != 1 and lines else ""


# --- what is written for others ---------------------------------------------------------------------------------------


def _report(choices: Choices) -> Any:
    row = {"pattern": "camera", "queries": 3, "recall@1": 0.5, "chance@1": None}
    return {"rows": [row], "name": "map", "flags": [True]}


def _plain(value: Any) -> bool:
    """Return whether JSON holds a value: Python's own types, and texts as keys."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _plain(v) for key, v in value.items())
    if isinstance(value, list):
        return all(map(_plain, value))
    return value is None or isinstance(value, str | int | float | bool)


def _write_and_read(value: Any) -> Any:
    if not _plain(value):
        return value, value
    path = folders.scratch() / "report.json"
    storage.write_json(path, value)
    return value, json.loads(path.read_bytes(), parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _wrong_report(given: Any, result: Any) -> str:
    wrote, read = result
    return "" if _nulls(wrote) == _nulls(read) else f"{read} is read"


def _nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nulls(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_nulls(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


BOUNDARIES = (
    Boundary("grammar", _phrases, _grammar, _wrong_grammar, _one_phrase),
    Boundary("names", _named, lambda given: NAMES[given[0]](given[1]), mutate=_renamed),
    Boundary(
        "settings", _settings, lambda given: config.build(*given) if isinstance(given[1], dict) else None,
        lambda given, built: "" if built is None else _wrong_settings(given, built),
        lambda choices, given: (given[0], mutated(choices, given[1])),
    ),
    Boundary("command line", _line, _command, _wrong_command, _changed_line, milliseconds=4, seconds=3.0),
    Boundary("reports as JSON", _report, _write_and_read, _wrong_report),
)  # fmt: skip
