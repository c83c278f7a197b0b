"""The command line, run in this process."""

from collections import namedtuple

import pytest

from any2any_ros.tools.main import main

Done = namedtuple("Done", "code out err")


@pytest.fixture
def any2any(capsys):
    """Return a function that runs a verb and returns its exit code and what it said."""

    def run(*arguments):
        capsys.readouterr()
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as ended:  # argparse's own way
            code = ended.code
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(any2any):
    """Return a function that runs a verb which must fail with 2 and one line, and returns the line."""

    def run(*arguments):
        done = any2any(*arguments)
        assert done.code == 2 and "Traceback" not in done.err
        assert len(done.err.strip().split("\n")) == 1 and done.err.startswith(f"any2any {arguments[0]}: ")
        return done.err

    return run


@pytest.fixture(scope="session")
def town_map(laps, tmp_path_factory):
    """A map of lap 00 of the ring, calibrated on lap 01."""
    folder = tmp_path_factory.mktemp("map") / "ring"
    assert main(["build-map", str(laps), str(folder), "--sequence", "00"]) == 0
    assert main(["calibrate", str(folder), str(laps), "--sequence", "01"]) == 0
    return folder
