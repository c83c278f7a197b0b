"""Processes that open a large map at once, or are killed while they prepare it."""

import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from large_maps import in_memory, never_made, opened, queries, same_answers, shard_folders

pytestmark = pytest.mark.usefixtures("small_maps_are_large")


OPENING = """
import logging, os, signal, sys
from any2any_ros import files
from any2any_ros.retrieval import reference_map, retriever
from any2any_ros.retrieval.large import shards
logging.basicConfig(stream=sys.stdout, format="%(message)s")
logging.getLogger("any2any_ros").setLevel(logging.INFO)
retriever.LARGE = reference_map.LARGE = 100
from pathlib import Path
folder, killed = Path(sys.argv[1]), int(sys.argv[2])
real, count = files.write_atomically, 0

def write(path, content):
    global count
    count += 1
    if count == killed:
        def half(stream):
            stream.write(b"half of it"); stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        real(path, half)
    real(path, content)

shards.write_atomically = files.write_atomically = write
if killed == 0:  # start together
    print("ready", flush=True)
    sys.stdin.readline()
found = retriever.Retriever.open(folder, 5.0, "cpu")
query = found.places.observation(5)
print("answer", [(m.id, m.score) for m in found.rank(query, 5).matches], flush=True)
"""


def start(folder, killed):
    command = [sys.executable, "-c", OPENING, str(folder), str(killed)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize("killed", [1, 3, 5])  # in the first file, amid them, in the index
def test_a_kill_amid_the_writing_is_as_if_nothing_had_been_written(one, killed):
    process = start(one, killed)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not list((one / "shards").glob("*/shards.json"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = opened(one)
    same_answers(found, in_memory(found))
    (home,) = shard_folders(one)
    assert not [p for p in home.iterdir() if p.name.startswith(".")], "a half-written file is left"


def test_two_that_open_it_at_once_make_it_once_and_answer_alike(one):
    processes = [start(one, 0) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=60) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    lines = [line for out, _ in outputs for line in out.splitlines()]
    assert len([line for line in lines if "opened for the first time" in line]) == 1
    answers = {line for line in lines if line.startswith("answer")}
    query = opened(one).places.observation(5)
    assert answers == {f"answer {[(m.id, m.score) for m in opened(one).rank(query, 5).matches]}"}


def test_what_one_process_has_made_another_opens(one, monkeypatch):
    process = start(one, -1)
    process.communicate(timeout=60)
    assert process.returncode == 0
    never_made(monkeypatch)
    assert opened(one).rank(queries()[0]).matches
