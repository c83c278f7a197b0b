"""The command: sections run apart, one that fails stops no other, and nothing that was started is left."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from benchmarks import bench
from benchmarks.speed._rows import Row

ROOT = bench.ROOT
WORKS = """
from benchmarks.speed._rows import Row
from benchmarks.speed._section import main
main(lambda quick: [Row("quick" if quick else "whole", 1.0, "ms", bar="≤ 2")], __file__)
"""
FAILS = """
from benchmarks.speed._rows import Row
from benchmarks.speed._section import main
def rows(quick):
    yield Row("first", 1.0, "ms")
    raise RuntimeError("the second is broken")
main(rows, __file__)
"""
# A child with a session of its own, as the nodes have, that minds no SIGINT.
LINGERS = """
import subprocess, sys, time
from pathlib import Path
from benchmarks.speed._rows import Row
from benchmarks.speed._section import main
def rows(quick):
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    yield Row("child", float(child.pid), "")
    time.sleep(600)
main(rows, __file__)
"""


@pytest.fixture
def sections(tmp_path, monkeypatch):
    """Let the command run sections of this test instead of the real ones."""
    folder = tmp_path / "root"
    (folder / "benchmarks/speed").mkdir(parents=True)
    for name, text in {"works": WORKS, "fails": FAILS, "lingers": LINGERS}.items():
        (folder / f"benchmarks/speed/{name}.py").write_text(text)
    # Namespace packages: the rest of `benchmarks` is the real one.
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}")
    monkeypatch.setattr(bench, "ROOT", folder)
    monkeypatch.setattr(bench, "SECTIONS", ("works", "fails", "lingers"))
    return tmp_path / "out"


def gone(process):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
            with open(f"/proc/{process}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":  # ended, and nobody of ours has asked
                    return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_a_section_gives_its_rows(sections):
    assert list(bench.run("works", True, sections)) == [Row("quick", 1.0, "ms", bar="≤ 2", section="works")]
    assert list(bench.run("works", False, sections)) == [Row("whole", 1.0, "ms", bar="≤ 2", section="works")]


def test_one_that_fails_is_a_row_that_says_why_and_the_others_go_on(sections):
    found = bench.measure(["fails", "works"], True, sections)
    rows = [Row.read(plain) for plain in found["rows"]]
    assert [(row.section, row.what) for row in rows] == [("fails", "first"), ("fails", "failed"), ("works", "quick")]
    assert "RuntimeError: the second is broken" in rows[1].note
    assert found["machine"]["load_before"] >= 0 and found["machine"]["cores"] >= 1


def test_the_exit_code_and_the_files(sections, monkeypatch, capsys):
    monkeypatch.setattr(bench, "OUT", sections)
    monkeypatch.setattr(bench, "interruptible", lambda: None)
    monkeypatch.setattr(bench.measure, "__defaults__", (sections,))
    file = sections / "r.json"
    assert bench.main(["--only", "works", "--quick", "--json", str(file)]) == 0
    assert json.loads(file.read_text())["rows"][0]["met"] is True
    assert "| quick | 1 ms | ≤ 2 ms | yes |" in (sections / "benchmarks.md").read_text()
    assert (sections / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
    assert bench.main(["--only", "fails", "--only", "works", "--json", str(file)]) == 1
    assert "the second is broken" in (sections / "benchmarks.md").read_text()
    assert not (bench.ROOT / "docs").exists()  # only a whole run writes there


def test_an_unknown_section_is_refused_with_the_names_of_all(capsys):
    with pytest.raises(SystemExit) as raised:
        bench.main(["--only", "everything"])
    assert raised.value.code == 2
    said = capsys.readouterr().err
    assert "everything" in said and all(name in said for name in bench.SECTIONS)


def test_one_that_takes_too_long_is_ended_and_said_to_have_failed(sections, monkeypatch):
    monkeypatch.setattr(bench, "LIMIT", 0.5)
    began = time.monotonic()
    assert list(bench.run("lingers", True, sections))[-1].what == "failed"
    assert time.monotonic() - began < 20


def test_one_that_is_left_early_leaves_nothing(sections):
    rows = bench.run("lingers", True, sections)
    child = int(next(rows).value)
    rows.close()
    assert gone(child)


def test_interrupting_ends_what_a_section_started(sections):
    code = f"""
import sys
from pathlib import Path
from benchmarks import bench
bench.ROOT = Path({str(bench.ROOT)!r})
bench.interruptible()
for row in bench.run("lingers", True, Path({str(sections)!r})):
    print(int(row.value), flush=True)
"""
    asked = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        child = int(asked.stdout.readline())
        asked.send_signal(signal.SIGINT)
        asked.wait(20)
    finally:
        asked.kill()
        asked.wait()
        asked.stdout.close()
    assert gone(child)
