"""The command as a whole: every verb explains itself, and what goes wrong is one line and an exit code."""

import argparse
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import any2any_ros as a2a
from any2any_ros.cli import main as main_module
from any2any_ros.cli.main import VERBS
from any2any_ros.errors import Any2AnyError


def module_of(verb):
    return importlib.import_module(f"any2any_ros.cli.{verb.replace('-', '_')}")


def test_the_overview_names_every_verb_and_every_verb_is_a_file(any2any):
    done = any2any("--help")
    assert done.code == 0
    folder = Path(main_module.__file__).parent
    files = {p.stem.replace("_", "-") for p in folder.glob("[!_]*.py")} - {"main"}
    assert set(VERBS) == files
    for verb, what in VERBS.items():
        assert f"{verb} {what}" in " ".join(done.out.split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_all_its_arguments(any2any, verb):
    done = any2any(verb, "--help")
    said = " ".join(done.out.split())
    assert done.code == 0 and f"usage: any2any {verb} " in said
    assert " ".join(module_of(verb).__doc__.split()) in said
    parser = argparse.ArgumentParser()
    module_of(verb).add_arguments(parser)
    explains_all(parser, said)
    for kind in (action for action in parser._actions if isinstance(action, argparse._SubParsersAction)):
        for name, part in kind.choices.items():
            explains_all(part, " ".join(any2any(verb, name, "--help").out.split()))


def explains_all(parser, said):
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:  # the old name of a flag
            continue
        for name in action.option_strings or [action.metavar]:
            assert name in said
        assert action.help, f"{action.dest} has no help"
    assert "%(" not in said


def test_help_needs_no_ros():
    """Nor does importing a verb: a laptop without ROS can still make and judge maps."""
    code = f"""
import sys
sys.modules["rclpy"] = None
from any2any_ros.cli.main import main
for verb in {list(VERBS)}:
    try:
        main([verb, "--help"])
    except SystemExit as ended:
        assert ended.code == 0, verb
"""
    environment = {**os.environ, "PYTHONPATH": "."}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0 and done.stdout.count("usage: ") == len(VERBS), done.stderr


def test_the_version_is_that_of_the_package(any2any):
    text = (Path(__file__).parents[2] / "package.xml").read_text()
    done = any2any("--version")
    assert done.code == 0 and done.out == f"any2any_ros {a2a.__version__}\n" and a2a.__version__ in text
    assert "--version" in any2any("--help").out


@pytest.mark.parametrize("arguments", [(), ("fly",), ("evaluate",), ("evaluate", "x", "--fusion", "best")])
def test_a_command_that_is_not_understood_is_refused(any2any, arguments):
    done = any2any(*arguments)
    assert done.code == 2 and "error:" in done.err and "Traceback" not in done.err


@pytest.fixture
def verb_that(monkeypatch):
    """Make `any2any doctor` do something else."""

    def does(action):
        module = module_of("doctor")
        monkeypatch.setattr(module, "run", lambda arguments: action())

    return does


def raise_(error):
    raise error


def test_an_error_for_the_user_is_one_line_and_2(verb_that, refused):
    verb_that(lambda: raise_(Any2AnyError("It is broken", "somebody sat on it", "Buy another")))
    assert refused("doctor") == "any2any doctor: It is broken: somebody sat on it. Buy another\n"


def test_a_full_disk_is_one_line_and_2(verb_that, refused):
    verb_that(lambda: raise_(OSError(28, "No space left on device", "out/map.json")))
    assert "No space left on device: 'out/map.json'" in refused("doctor")


def test_control_c_is_130(verb_that, any2any):
    verb_that(lambda: raise_(KeyboardInterrupt))
    done = any2any("doctor")
    assert (done.code, done.err) == (130, "any2any doctor: stopped\n")


def test_a_mistake_of_ours_keeps_its_traceback(verb_that, any2any):
    verb_that(lambda: {}["x"])
    with pytest.raises(KeyError):
        any2any("doctor")


def test_the_exit_code_reaches_the_shell():
    command = [sys.executable, "-m", "any2any_ros.cli.main", "evaluate", "/nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."})
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "any2any evaluate: There is no /nowhere: the path does not exist. Check its spelling\n"


WRONG_NUMBERS = {
    "no worker": ("simulate", "new", "--workers", "0"),
    "fewer than no worker": ("simulate-tabletop", "new", "--workers", "-1"),
    "no time": ("doctor", "--seconds", "nan"),
    "for ever": ("doctor", "--seconds", "1e300"),
    "backwards": ("doctor", "--seconds=-5"),
    "no distance": ("bag", "drive", "new", "--keyframe", "nan"),
    "less than no description": ("train", "emma", "gold", "new", "--most", "-1"),
}


@pytest.mark.parametrize("words", WRONG_NUMBERS.values(), ids=WRONG_NUMBERS)
def test_a_number_out_of_range_is_a_wrong_argument(any2any, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    done = any2any(*words)
    assert done.code == 2 and "is not from" in done.err and not list(tmp_path.iterdir())


def test_the_name_of_a_file_may_hold_bytes_that_are_no_text(laps, tmp_path):
    """Python holds them as lone surrogates, which a terminal cannot show."""
    words = ["bag", str(laps), os.fsdecode(os.fsencode(tmp_path) + b"/bag\xff"), "--sequence", "00"]
    command = [sys.executable, "-m", "any2any_ros.cli.main", *words]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}  # as in most locales
    done = subprocess.run(command, capture_output=True, timeout=60, env=strict)
    assert done.returncode == 0 and b"\\udcff: 24 frames" in done.stdout, done.stderr
