"""After a kill at any moment the old one or the new one is there, and the next save removes what was left.

All writers of the package: make kills, which CI runs too. Here are those that do it wrong.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import killing
import pytest
from killing import Writer

from any2any_ros import files

ROOT = Path(__file__).parents[1]
KILLS = 24


# --- writers that do it wrong are found out -----------------------------------------------------------------------


def write_two_files(home, number):
    for name in ("one", "two"):
        files.write_atomically(home / name, lambda stream: stream.write(str(number).encode()))


def read_two_files(home):
    return [(home / name).read_text() for name in ("one", "two")]


def write_directly(home, number):
    with open(home / "one", "w") as stream:
        stream.write("x" * 100)
        stream.flush()
        (home / "two").touch()  # a step amid the writing
        stream.write("x" * 100 * number)


def leave_something(home, number):
    files.write_atomically(home / "one", lambda stream: stream.write(str(number).encode()))
    if not (home / "left").exists():
        (home / "left").touch()
        files.write_atomically(home / "one", lambda stream: stream.write(str(number).encode()))
        (home / "left").unlink()


WRONG = {
    "two files": (Writer("", write_two_files, read_two_files), "among"),
    "no temporary file": (Writer("", write_directly, lambda home: (home / "one").read_text()), "among"),
    "litter": (Writer("", leave_something, lambda home: (home / "one").read_text()), "the next save left {'left'}"),
}


@pytest.mark.parametrize("writer", WRONG)
def test_a_writer_that_does_not_survive_is_found_out(tmp_path, writer):
    killed, told = WRONG[writer]
    outcome = killing.campaign(killed, tmp_path, KILLS)
    assert outcome.kills == KILLS and outcome.failures
    assert any(told in failure for failure in outcome.failures)


# --- processes that a simulation has started ----------------------------------------------------------------------

SIMULATION = """
import os, sys, time
from any2any_ros.sim.simulated import mapper
def job(number):
    print(os.getpid(), flush=True)
    time.sleep(0.2)
if __name__ == "__main__":
    with mapper(2) as do:
        list(do(job, range(1000), chunksize=1))
"""


def test_the_workers_of_a_killed_simulation_end(tmp_path):
    (tmp_path / "simulation.py").write_text(SIMULATION)
    command = [sys.executable, tmp_path / "simulation.py"]
    ours = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=ours) as process:
        worker = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        try:
            process.communicate(timeout=20)  # returns when no worker has the pipe open any more
        except subprocess.TimeoutExpired:
            os.kill(worker, signal.SIGKILL)
            raise
    assert process.returncode == -signal.SIGKILL
