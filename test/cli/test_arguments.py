"""Flags made from settings, and how sensors are named on the command line."""

import argparse
import importlib
import re
from dataclasses import dataclass

import pytest

from any2any_ros.cli import _arguments
from any2any_ros.config import PlaceConfig, Settings, fields, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.plugins import Registry
from any2any_ros.trust.confidence import ConfidenceConfig


@dataclass(frozen=True)
class Example(Settings):
    """Settings of an example. Nothing else."""

    size: int = setting(3, "how large, in 100 % of cases", unit="m", minimum=1, maximum=9)
    long_name: float = setting(0.5, "how much", minimum=0)
    kind: str = setting("a", "which", choices=("a", "b"))
    loop: bool = setting(False, "again and again")


def parser_of(cls, **defaults):
    parser = argparse.ArgumentParser()
    _arguments.add_settings(parser, cls, **defaults)
    return parser


def parse(text, **defaults):
    return _arguments.settings(parser_of(Example, **defaults).parse_args(text.split()), Example)


def test_every_setting_is_a_flag_with_its_default():
    assert parse("") == Example()
    assert parse("--size 4 --long-name 2 --kind b --loop") == Example(4, 2.0, "b", True)
    assert parse("--no-loop") == Example()


def test_a_verb_may_have_defaults_of_its_own():
    assert parse("", size=7) == Example(7) and parse("--size 2", size=7) == Example(2)


def test_help_shows_description_range_and_default():
    said = " ".join(parser_of(Example).format_help().split())
    assert "how large, in 100 % of cases [1 to 9 m] (default 3)" in said and "Settings of an example" in said


def test_a_value_out_of_range_is_refused():
    with pytest.raises(Any2AnyError, match="Setting 'size' cannot be 10"):
        parse("--size 10")


@pytest.mark.parametrize("cls", [PlaceConfig, ConfidenceConfig])
def test_real_settings_come_through(cls):
    flags = [part for f in fields(cls) for part in (f"--{f.name.replace('_', '-')}", str(f.default))]
    assert _arguments.settings(parser_of(cls).parse_args(flags), cls) == cls()


def test_names_and_values_are_split_at_the_first_equals_sign():
    assert _arguments.pairs(["a=1", "b=/x=y", "c="], "--topic") == {"a": "1", "b": "/x=y", "c": ""}
    assert _arguments.pairs([], "--topic") == {}


def test_a_name_that_is_given_twice_is_refused():
    with pytest.raises(Any2AnyError, match="--topic names lidar twice: lidar=/front and lidar=/rear"):
        _arguments.pairs(["lidar=/front", "camera=/image", "lidar=/rear"], "--topic")


def test_a_pair_without_an_equals_sign_is_refused():
    with pytest.raises(Any2AnyError, match="Cannot understand '--topic camera': it has no '='"):
        _arguments.pairs(["a=b", "camera"], "--topic")


def flags_of(verb):
    """Return the parser of a verb, with the settings' flags."""
    parser = argparse.ArgumentParser()
    importlib.import_module(f"any2any_ros.cli.{verb}").add_arguments(parser)
    return parser


@pytest.mark.parametrize(
    ("verb", "line", "setting", "value"),
    [
        ("calibrate", "map drive --lost 0.02", "unmapped", 0.02),
        ("calibrate", "map drive --outside 0.2", "accepted_unmapped", 0.2),
        ("calibrate", "map drive --checked-queries 7", "refined_queries", 7),
        ("adopt", "map drive --modality thermal --lost 0.02", "unmapped", 0.02),
        ("train", "liploc drive weights --lost 0.1", "dropout", 0.1),
        ("evaluate", "drive --check", "refine", True),
    ],
)
def test_a_flag_still_has_its_old_name_and_help_does_not_show_it(verb, line, setting, value):
    parser = flags_of(verb)
    found = vars(parser.parse_args(line.split()))
    assert found[setting] == value and type(found[setting]) is type(value)
    flag = re.search(r"--[\w-]+(?= [\d.]+$|$)", line)[0]
    assert not re.search(rf"{flag}\b", parser.format_help())


def test_without_the_old_name_the_default_stays():
    found = flags_of("calibrate").parse_args(["map", "drive"])
    assert _arguments.settings(found, ConfidenceConfig) == ConfidenceConfig()
    assert not flags_of("evaluate").parse_args(["drive"]).refine


# --- encoders -------------------------------------------------------------------------------------------------


def build(text, modalities=("camera", "lidar", "text")):
    parser = argparse.ArgumentParser()
    _arguments.add_encoder_arguments(parser)
    return _arguments.build_encoders(parser.parse_args(text.split()), iter(modalities))


def test_without_flags_every_sensor_has_its_default_encoder():
    assert {m: e.plug for m, e in build("").items()} == {"camera": "camera", "lidar": "birds_eye", "text": "text"}


def test_a_verb_may_have_other_usual_encoders_and_a_flag_still_wins():
    parser = argparse.ArgumentParser()
    _arguments.add_encoder_arguments(parser)
    for flags, plug in (("", "crop"), ("--encoder camera=camera", "camera"), ("--set camera.size=64", "crop")):
        made = _arguments.build_encoders(parser.parse_args(flags.split()), ("camera", "text"), {"camera": "crop"})
        assert {m: e.plug for m, e in made.items()} == {"camera": plug, "text": "text"}
    assert made["camera"].config.size == 64


def test_some_sensors_alone_are_encoded():
    assert set(build("--modality text --modality lidar")) == {"text", "lidar"}


@pytest.mark.parametrize(
    ("flag", "name", "value"),
    [
        ("lidar.rings=40", "rings", 40),
        ("lidar.max_range=25", "max_range", 25.0),
        ("lidar.descriptor=bev", "descriptor", "bev"),
    ],
)
def test_a_setting_takes_the_type_of_its_default(flag, name, value):
    found = getattr(build(f"--encoder lidar=lidar --set {flag}")["lidar"].config, name)
    assert found == value and type(found) is type(value)


def test_settings_add_up_and_the_others_stay():
    lidar = build("--encoder lidar=lidar --set lidar.rings=4 --set text.bins=64 --set lidar.sectors=30")["lidar"]
    assert (lidar.config.rings, lidar.config.sectors, lidar.config.harmonics) == (4, 30, 16)


def test_another_plug_for_a_sensor_takes_its_settings(monkeypatch):
    class Twin:
        plug, modality, accepts = "twin", "lidar", "cloud"
        Config = Example

        def __init__(self, config):
            self.config = config

    monkeypatch.setattr(Registry, "find", lambda registry, name: Twin)
    assert build("--encoder lidar=twin --set lidar.size=5 --set lidar.loop=true")["lidar"].config == Example(
        5, loop=True
    )


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (
            "--encoder lidar=lidar --set lidar.ring=4",
            r"Encoder 'lidar' has no setting 'ring': it has desc",
        ),
        ("--set lidar=4", "Encoder 'birds_eye' has no setting ''"),
        ("--encoder lidar=lidar --set lidar.rings=many", r"Cannot set lidar\.rings to 'many': its type is int"),
        ("--encoder lidar=lidar --set lidar.rings=4.5", "its type is int"),
        ("--encoder lidar=lidar --set lidar.rings=500", "Setting 'rings' cannot be 500"),
        ("--set lidar.rings", "it has no '='"),
        ("--set lidr.rings=4", r"There is no sensor 'lidr': there are camera, lidar, text"),
        ("--modality thermal", "There is no sensor 'thermal'"),
        ("--encoder thermal=lidar", "There is no sensor 'thermal'"),
        ("--encoder lidar=radar", "There is no encoder 'radar'"),
        ("--encoder text=camera", r"Encoder 'camera' cannot encode text: it takes image, not text"),
        ("--encoder text=no_such.module", "'no_such.module' is no plug"),
    ],
)
def test_what_cannot_be_meant_is_refused(flags, why):
    with pytest.raises(Any2AnyError, match=why):
        build(flags)


def test_a_path_that_must_be_there(tmp_path):
    assert _arguments.existing(str(tmp_path)) == tmp_path
    with pytest.raises(argparse.ArgumentTypeError, match="there is no"):
        _arguments.existing(str(tmp_path / "absent"))
