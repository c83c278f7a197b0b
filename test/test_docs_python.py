"""docs/python.md and the README's section on Python: every example runs, in the order of the page."""

import re
from pathlib import Path

import pytest

from any2any_ros.data import kitti

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(text):
    return BLOCK.findall(text)


@pytest.fixture
def folder(laps, tmp_path, monkeypatch):
    """A working directory with the recording that the pages name."""
    (tmp_path / "drives").mkdir()
    (tmp_path / "drives" / "ring").symlink_to(laps)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(examples, name, names=None):
    names = names or {}
    for number, example in enumerate(examples, 1):
        exec(compile(example, f"{name}, example {number}", "exec"), names)
    return names


def promised(example):
    """Return the comments behind calls of print, each of which is what is printed."""
    return [said.strip() for said in re.findall(r"print\(.*\)  # (.+)", example)]


def test_the_tour_runs_and_prints_what_it_says(folder, capsys):
    examples = blocks((ROOT / "docs/python.md").read_text())
    assert len(examples) >= 8
    names = run(examples, "docs/python.md")
    lines = capsys.readouterr().out.splitlines()
    shown = [text for example in examples for text in promised(example) if re.match(r"[('<\d]|shop$|The |its ", text)]
    assert len(shown) >= 7 and not [text for text in shown if text not in lines]
    assert names["ranking"].matches[0].id == "00/000009" and names["ranking"].accepted in (True, False)
    assert names["report"].groups and names["name"] == "shop"


def test_the_readme_runs(folder, capsys):
    section = re.search(r"^## From Python\n(.*?)^## ", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    (example,) = blocks(section[1])
    assert len(example.strip().splitlines()) <= 10
    drive = kitti.read(folder / "drives" / "ring", "01")
    names = run([example], "README.md", {"image": drive.sample("camera", 9), "points": drive.sample("lidar", 9)})
    assert names["ranking"].matches[0].id == "00/000009" and "chance@1" in capsys.readouterr().out
