"""The machine that throws inputs: what it calls a failure, that it keeps failures, and how a campaign is divided."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fuzzing import campaign, failures
from fuzzing.boundary import Boundary, attempt, input_of
from fuzzing.choices import Choices
from fuzzing.work import data_of

from any2any_ros.errors import Any2AnyError

ROOT = Path(__file__).parents[2]
DATA = bytes(range(32))


def boundary(cross, **more):
    return Boundary("one", lambda choices: choices.randint(0, 10**6), cross, **more)


def refuse(given):
    raise Any2AnyError("Cannot use it", "it is no good", "Give another")


def silent(given):
    raise Any2AnyError("", "", "")


def slow(given):
    ends = time.process_time() + 0.1
    while time.process_time() < ends:
        pass


def endless(given):
    while True:
        pass


@pytest.mark.parametrize(
    ("cross", "more", "kind"),
    [
        (lambda given: given, {}, "answered"),
        (refuse, {}, "refused"),
        (lambda given: [][given], {}, "exception"),
        (lambda given: [][given], {"allowed": (IndexError,)}, "refused"),
        (silent, {}, "unreadable error"),
        (lambda given: given, {"wrong": lambda given, result: "no answer"}, "wrong answer"),
        (slow, {"seconds": 0.05}, "time"),
        (endless, {"seconds": 0.05}, "time"),
        (lambda given: bytearray(40 << 20), {"megabytes": 20.0}, "memory"),
        (lambda given: len(bytearray(40 << 20)), {"megabytes": 20.0}, "memory"),  # freed again
        (lambda given: bytearray(40 << 20), {}, "answered"),
    ],
)  # fmt: skip
def test_what_came_of_an_input_is_known(cross, more, kind):
    outcome = attempt(boundary(cross, **more), DATA)
    assert outcome.kind == kind and outcome.failed == (kind not in ("answered", "refused"))


def test_the_same_bytes_make_the_same_input():
    one = boundary(None)
    assert input_of(one, DATA) == input_of(one, DATA)
    assert len({repr(input_of(one, data_of("0", "one", i))) for i in range(50)}) > 40


def test_a_byte_in_the_middle_changes_one_choice():
    def draws(data):
        choices = Choices(data)
        return [choices.getrandbits(8) for _ in range(40)]

    before, after = draws(DATA), draws(DATA[:12] + b"\xff" + DATA[13:])
    assert [i for i in range(40) if before[i] != after[i]] == [4]


def test_a_failure_is_saved_and_thrown_again(tmp_path):
    fails = boundary(lambda given: 1 // 0)
    path = failures.save(tmp_path, "one", DATA, attempt(fails, DATA))
    assert "ZeroDivisionError" in json.loads(path.read_text())["what"]
    assert failures.replayed(path, {"one": fails})[1].kind == "exception"
    assert failures.replayed(path, {"one": boundary(lambda given: given)})[1].kind == "answered"


def test_few_failures_that_look_alike_are_saved(tmp_path):
    for i in range(20):
        failures.save(tmp_path, "one", bytes([i]), attempt(boundary(lambda given: 1 // 0), DATA))
        failures.save(tmp_path, "one", bytes([i]), attempt(boundary(lambda given: [][0]), DATA))
    assert len(list(tmp_path.iterdir())) == 2 * failures.ALIKE


KNOWN = {
    "cheap": Boundary("cheap", None, None, milliseconds=0.1, least=50),
    "slow": Boundary("slow", None, None, milliseconds=20, least=10),
}


@pytest.mark.parametrize("inputs", [6, 60, 1000, 123_457])
def test_every_input_is_thrown_once(inputs):
    counts = campaign.shares(KNOWN, inputs)
    assert sum(counts.values()) == inputs
    if inputs >= 60:
        assert counts["slow"] >= 10 and counts["cheap"] >= 50
    portions = campaign.portions(KNOWN, counts)
    thrown = [(name, i) for portion in portions for name, first, count in portion for i in range(first, first + count)]
    assert len(set(thrown)) == len(thrown) == inputs
    work = [sum(KNOWN[name].milliseconds * count for name, _, count in portion) for portion in portions]
    assert max(work) <= 1000 * campaign.PORTION + 20


def test_a_campaign_counts_what_it_throws(tmp_path):
    command = [
        sys.executable,
        str(ROOT / "scripts" / "fuzz.py"),
        "--inputs",
        "200",
        "--only",
        "names",
        "--workers",
        "1",
    ]
    done = subprocess.run([*command, "--save", str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "No input failed." in done.stdout and not list(tmp_path.iterdir())
    name, inputs, answered, refused, failed, *_ = done.stdout.splitlines()[2].split()
    assert (name, inputs, failed) == ("names", "200", "0") and int(answered) + int(refused) == 200


WORKER = """
import json, os, sys
tasks = json.loads(sys.argv[sys.argv.index("--work") + 1])
current = sys.argv[sys.argv.index("--current") + 1]
for name, first, count in tasks:
    for i in range(first, first + count):
        open(current, "w").write(f"{name}\\n{i}\\n{i:02x}\\n")
        if name == "cheap" and i == 3:
            os.abort()
    line = {"boundary": name, "kinds": {"answered": count}, "seconds": 0.1, "worst": 0.1, "grown": 1}
    print(json.dumps(line), flush=True)
"""


def test_a_process_that_dies_is_a_failure_and_the_rest_is_thrown(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    run = campaign.Campaign([sys.executable, str(tmp_path / "worker.py")], tmp_path / "failed", tell=lambda line: None)
    run.run([[("cheap", 0, 9), ("slow", 0, 5)]], 1, "0")
    assert run.tallies["cheap"].kinds == {"dead": 1, "answered": 5} and run.tallies["slow"].kinds == {"answered": 5}
    (file,) = (tmp_path / "failed").iterdir()
    saved = json.loads(file.read_text())
    assert (saved["boundary"], saved["choices"], saved["kind"]) == ("cheap", "03", "dead")
    assert os.path.basename(file).startswith("cheap-")
