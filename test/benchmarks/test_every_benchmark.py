"""Every benchmark can be started and is found from their README; mypy (make lint) holds its calls to the code."""

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
FILES = sorted(path.name for path in FOLDER.glob("*.py"))
HELPERS = {
    "calmrl_rivals.py", "calmrl_worlds.py", "cases.py", "cox_digits.py", "cox_rivals.py", "emma_tasks.py",
    "hearing_endpoints.py", "hearing_sounds.py", "kidnapped_cuts.py", "kidnapped_logs.py", "printing.py",
    "sequence_world.py",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_it_can_be_imported(name, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])  # as `python benchmarks/NAME` has it
    made = runpy.run_path(str(FOLDER / name), run_name="a_benchmark")
    assert name in HELPERS or callable(made["main"])


@pytest.mark.parametrize("name", sorted(set(FILES) - HELPERS))
def test_it_says_how_it_is_run_and_is_in_the_list(name):
    said = (FOLDER / name).read_text().split('"""')[1]
    assert f"python benchmarks/{name}" in said or "python -m benchmarks." in said
    assert f"`{name}`" in (FOLDER / "README.md").read_text()
