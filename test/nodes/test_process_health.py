"""What a node says about its own process: failures of callbacks, and waiting for a processor."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from any2any_ros.config import RESTARTS
from any2any_ros.nodes.process_health import ERROR, OK, RECENT, WARN, ProcessHealth, Times, own_times

PINNED = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
BURN = PINNED + "print('ready', flush=True)\nwhile True: pass"
LOOK = (
    PINNED
    + """
from any2any_ros.nodes.process_health import ProcessHealth
health = ProcessHealth()
sum(i * i for i in range(4_000_000))
level, text, values = health.state()
print(level[0], values["waiting"] > values["running"])
"""
)


def health(*looks):
    """Return the health of a process that was running and waiting so long (s) in each second."""
    at = running = waiting = 0.0
    times = [Times(at)]
    for ran, waited in looks:
        at, running, waiting = at + 1.0, running + ran, waiting + waited
        times.append(Times(at, running, waiting))
    remaining = iter(times)
    return ProcessHealth(lambda: next(remaining))


def state(found):
    level, text, _ = found.state()
    return level, text


def test_a_process_that_runs_when_it_can_is_well():
    assert state(health((0.3, 0.2))) == (OK, "running")


def test_one_that_waits_longer_than_it_computes_says_so():
    level, text = state(health((0.2, 0.3)))
    assert level == WARN and "waits for a processor longer than it computes: 0.3 s of the last 1 s" in text


def test_one_that_hardly_runs_is_not_said_to_wait():
    assert state(health((0.001, 0.015))) == (OK, "running")


def test_only_the_last_seconds_count():
    found = health((0.1, 0.8), *[(0.3, 0.0)] * 3)
    assert [state(found)[0] for _ in range(4)] == [WARN, WARN, WARN, OK]


def test_a_thread_that_ends_takes_its_times_with_it():
    level, _, values = health((-5.0, -9.0)).state()
    assert level == OK and values["running"] == values["waiting"] == 0


def test_a_failure_is_an_error_for_a_while_and_is_counted_for_ever():
    clock = [0.0]
    found = ProcessHealth(lambda: Times(clock[0]))
    found.failed("ValueError: no")
    for clock[0], level in ((RECENT, ERROR), (RECENT + 0.1, OK)):
        said, text, values = found.state()
        assert said == level and ("ValueError: no" in text) is (level == ERROR)
        assert (values["failures"], values["last_failure"]) == (1, "ValueError: no")


def test_a_process_that_was_started_again_says_so_for_a_while(monkeypatch):
    monkeypatch.setenv(RESTARTS, "2")
    level, text = state(again := health(*[(0.3, 0.0)] * 8))
    assert level == WARN and text == "started again, 2 times by now, because it had ended"
    for _ in range(int(RECENT)):
        last = state(again)
    assert last == (OK, "running") and again.state()[2]["restarts"] == 2


@pytest.mark.parametrize("text", ["0", "", "-1", "no number"])
def test_the_first_start_is_not_named(monkeypatch, text):
    monkeypatch.setenv(RESTARTS, text)
    assert state(health((0.3, 0.0))) == (OK, "running")


def test_both_causes_are_named():
    clock = [Times(0.0)]
    found = ProcessHealth(lambda: clock[0])
    clock[0] = Times(1.0, 0.1, 0.5)
    found.failed("ValueError: no")
    level, text = state(found)
    assert level == ERROR and "waits for a processor" in text and "a callback failed: ValueError: no" in text


@pytest.fixture
def counted():
    before = own_times()
    sum(i * i for i in range(500_000))
    if own_times().running <= before.running:
        pytest.skip("this system does not count how long threads wait for a processor")


@contextmanager
def burning(count):
    """Run processes that compute for nothing, all on one processor."""
    made = [subprocess.Popen([sys.executable, "-S", "-c", BURN], stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for process in made:
            assert process.stdout.readline()
        yield
    finally:
        for process in made:
            process.kill()
            process.wait()
            process.stdout.close()


def test_a_real_process_on_a_crowded_processor_says_that_it_waits(counted):
    with burning(3):
        done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.split() == ["1", "True"]
