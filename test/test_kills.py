"""After a kill at any moment the old one or the new one is there, and the next save removes what was left.

The figures of 200 kills: python scripts/kill_writers.py --jobs 2
"""

import importlib.util
import json
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
KILLS = 20


def test_every_writer_survives_its_kills(tmp_path):
    script = [sys.executable, ROOT / "scripts" / "kill_writers.py", "--kills", str(KILLS), "--jobs", "2"]
    done = subprocess.run([*script, "--json", tmp_path / "kills.json"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = json.loads((tmp_path / "kills.json").read_text())
    assert all(outcome["kills"] == KILLS and not outcome["failures"] for outcome in outcomes)
    torch = importlib.util.find_spec("torch") is not None
    assert len(outcomes) >= (23 if torch else 20)
    found = [sum(outcome["found"][state] for outcome in outcomes) for state in ("old", "new", "nothing")]
    assert min(found) > 2 * KILLS  # the kills came early and late


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
    outcome = killing.campaign(killed, tmp_path, 40)
    assert outcome.kills == 40 and outcome.failures
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
