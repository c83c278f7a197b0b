"""A disk that is full in the middle of a save leaves the old one, and is told in one line."""

import os
import subprocess
import sys
from pathlib import Path

import killing
import pytest
import writers

HELPERS = Path(__file__).parent / "helpers"
NAMES = [w.name for w in writers.WRITERS if not w.name.startswith(("simulate", "bag", "shards", "build-map"))]
WRITING = """
import resource, sys
from pathlib import Path
import writers
from any2any_ros.errors import Any2AnyError
known = {w.name: w for w in writers.WRITERS}
for name in sys.argv[2:]:
    known[name].prepare()
resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))  # the largest file, in bytes
for name in sys.argv[2:]:
    try:
        known[name].write(Path(sys.argv[1], name), 1)
        print("written")
    except (OSError, Any2AnyError) as error:
        print(error)
"""


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Return by writer what was there before, what is there after the disk was full, and what was told."""
    home, before, after = tmp_path_factory.mktemp("full"), {}, {}
    chosen = [w for w in writers.WRITERS if w.name in NAMES]
    for writer in chosen:
        (home / writer.name).mkdir()
        writer.prepare()
        writer.around(home / writer.name)
        writer.write(home / writer.name, 0)
        before[writer.name] = writer.read(home / writer.name), killing.names(home / writer.name)
    ours = {**os.environ, "PYTHONPATH": f"{HELPERS}:{HELPERS.parents[1]}"}
    command = [sys.executable, "-c", WRITING, str(home), *NAMES]
    done = subprocess.run(command, env=ours, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == ""
    for writer in chosen:
        after[writer.name] = writer.read(home / writer.name), killing.names(home / writer.name)
    lines = done.stdout.splitlines()
    assert len(lines) == len(NAMES)
    return {name: (before[name], after[name], line) for name, line in zip(NAMES, lines, strict=True)}


@pytest.mark.parametrize("name", NAMES)
def test_the_old_one_stays_and_one_line_says_why(full, name):
    before, after, line = full[name]
    assert before == after and "File too large" in line and "/" in line
