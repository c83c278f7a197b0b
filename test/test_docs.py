"""The pages for people: every link and every path in them leads somewhere, and the glossary is in order."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from any2any_ros import encoders, samples
from any2any_ros.errors import Any2AnyError
from any2any_ros.retrieval.map_header import EncoderRecord

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "any2any_ros"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
PYTHON_FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.py)`")
FOLDER = re.compile(r"`(any2any_ros/(?:[\w-]+/)*)`")
SCRIPT = re.compile(r"\bpython ((?:benchmarks|scripts)/\w+\.py)")
# Files that the text tells a reader to write.
EXAMPLES = {"any2any_ros/encoders/radar.py", "any2any_ros/encoders/thermal.py", "any2any_ros/nodes/x_node.py"}

everywhere = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


@everywhere
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{link}: there is no such file"
        assert not anchor or anchor in anchors(target), f"{link}: there is no such heading"


@everywhere
def test_every_python_file_and_folder_named_exists(page):
    """A path counts from the checkout's root or from the package's folder."""
    text = page.read_text()
    named = {*PYTHON_FILE.findall(text), *FOLDER.findall(text), *SCRIPT.findall(text)} - EXAMPLES
    assert not {name for name in named if not any((base / name).exists() for base in (ROOT, ROOT / "any2any_ros"))}


def members() -> dict[str, set[str]]:
    """Return the methods, fields and attributes of every class of ours, by the class's name."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for cls in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)):
            names = found.setdefault(cls.name, set())
            for node in ast.walk(cls):
                if isinstance(node, ast.FunctionDef):
                    names.add(node.name)
                elif isinstance(node, ast.AnnAssign):
                    names.add(ast.unparse(node.target).removeprefix("self."))
    return found


def test_every_member_of_a_class_named_exists():
    """`Ranking.place_set` must be a member of a class Ranking. What has an old name is listed in the glossary."""
    known = members()
    for page in PAGES:
        text = page.read_text().split("## Old names and new names")[0]
        for cls, member in re.findall(r"`([A-Z][a-z]\w*)\.([a-z_]\w*)[`(]", text):
            assert member in known.get(cls, set()), f"{page.name}: {cls}.{member}"


def glossary() -> dict[str, list[str]]:
    """Return the terms of each group of docs/glossary.md, in the order of the page."""
    sections = re.split(r"^## ", (ROOT / "docs" / "glossary.md").read_text(), flags=re.MULTILINE)[1:]
    return {section.splitlines()[0]: re.findall(r"^- \*\*(.+?)\*\*: ", section, re.MULTILINE) for section in sections}


def test_the_glossary_is_sorted_within_its_groups():
    terms = glossary()
    assert sum(len(group) for group in terms.values()) > 60
    for group, names in terms.items():
        assert names == sorted(names, key=str.lower), group


def test_the_glossary_names_each_term_once():
    names = [name for group in glossary().values() for name in group]
    assert len(names) == len(set(names))


def test_the_table_of_folders_has_their_order():
    """docs/design.md lists the folders as test_architecture.py does: each knows only those before it."""
    source = (ROOT / "test" / "test_architecture.py").read_text()
    assigned = (node for node in ast.parse(source).body if isinstance(node, ast.Assign))
    floors = next(ast.literal_eval(n.value) for n in assigned if ast.unparse(n.targets[0]) == "FLOORS")
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "design.md").read_text(), re.MULTILINE)
    assert rows == list(floors)


@pytest.fixture
def radar(tmp_path, monkeypatch):
    """README's example of a new modality, written into a package outside of ours; return its dotted name."""
    section = (ROOT / "README.md").read_text().split("## Add a modality")[1].split("\n## ")[0]
    (example,) = re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    folder = tmp_path / f"robot_of_{tmp_path.name}"  # a new name every time, for modules stay imported
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "radar.py").write_text(example)
    monkeypatch.syspath_prepend(tmp_path)
    return f"{folder.name}.radar"


def test_the_example_of_a_new_modality_works_as_printed(radar):
    encoder = encoders.build(radar, {"rings": 8})
    assert isinstance(encoder.config, encoders.ENCODERS.find(radar).Config) and encoder.dimension == 8
    assert encoder.modality == "radar" and encoder.space == "" and encoder.focal is None
    points = np.random.default_rng(0).normal(scale=20, size=(500, 4)).astype(np.float32)
    vector = encoder.encode(encoder.gather(points, 0))
    assert vector.shape == (8,) and vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1)
    assert encoder.encode(samples.example(encoder.accepts)).shape == (8,)  # what a node warms up with


def test_the_example_tells_its_settings_apart_and_can_be_written_into_a_map(radar):
    narrow, wide = encoders.build(radar), encoders.build(radar, {"reach": 200.0})
    assert narrow.fingerprint != wide.fingerprint
    record = EncoderRecord.of(wide)
    assert encoders.build(record.plug, record.settings).fingerprint == record.fingerprint == wide.fingerprint


def test_the_example_refuses_what_it_cannot_use(radar):
    with pytest.raises(Any2AnyError, match="Cannot use a radar scan: no point is within reach"):
        encoders.build(radar).encode(np.zeros((0, 4), dtype=np.float32))
    with pytest.raises(Any2AnyError, match="Setting 'rings' cannot be 0"):
        encoders.build(radar, {"rings": 0})


def test_the_new_names_of_the_glossary_exist():
    """The second column of its tables of renamed modules and Python names."""
    text = (ROOT / "docs" / "glossary.md").read_text()
    renamed = {part.split("\n")[0]: part for part in text.split("\n### ")[1:]}
    new = {title: re.findall(r"`([^`]+)`", " ".join(re.findall(r"^\|[^|]+\|(.+)\|$", part, re.MULTILINE)))
           for title, part in renamed.items()}  # fmt: skip
    for name in new["Modules"]:
        path = PACKAGE / name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").exists(), name
    known = members()
    for name in new["Python names"]:
        cls, _, member = name.partition("(")[0].partition(".")
        if cls[0].isupper() and not cls.isupper():
            assert cls in known and (not member or member in known[cls]), name


# --- from an Image to a Ranking ---------------------------------------------------------------------------------


def road() -> list[Path]:
    """Return the files that docs/design.md lists from an Image to a Ranking, in their order."""
    section = (ROOT / "docs" / "design.md").read_text().split("## From an Image to a Ranking")[1].split("\n## ")[0]
    return [ROOT / name for name in re.findall(r"^\d+\. `(.+?\.py)`: ", section, re.MULTILINE)]


@functools.cache
def imported(path: Path) -> set[Path]:
    """Return the files of ours that a file imports. Who imports a registry finds all plugs in its folder by name."""
    files: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                module = ROOT / name.replace(".", "/")
                files |= {f for f in (module.with_suffix(".py"), module / "__init__.py") if f.exists()}
    registries = {f for f in files if f.name == "__init__.py" and "Registry(" in f.read_text()}
    return files | {plug for f in registries for plug in f.parent.glob("*.py")}


@functools.cache
def reached(start: Path) -> set[Path]:
    """Return the files of ours that a file imports, directly or through others."""
    found: set[Path] = set()
    waiting = {start}
    while waiting:
        new = imported(waiting.pop()) - found
        found |= new
        waiting |= new
    return found


def test_a_picture_becomes_a_ranking_in_ten_short_files():
    files = road()
    assert 1 < len(files) <= 10 and len(set(files)) == len(files)
    lines = {path.name: len(path.read_text().splitlines()) for path in files}
    assert sum(lines.values()) <= 1500, lines


def test_each_file_of_the_road_is_imported_by_the_one_before_or_by_a_node_before():
    files = road()
    for i, path in enumerate(files[1:], start=1):
        nodes = [f for f in files[:i] if f.parent.name == "nodes"]
        starts = {files[i - 1], *nodes}
        # Between two nodes there are messages, not imports.
        assert path.name.endswith("_node.py") or any(path in reached(start) for start in starts), path


def test_the_command_of_the_page_counts_the_files_of_the_road():
    (command,) = re.findall(r"^    (wc -l .+)$", (ROOT / "docs" / "design.md").read_text(), re.MULTILINE)
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    counted = {line.split()[1]: int(line.split()[0]) for line in done.stdout.splitlines()}
    lines = [len(path.read_text().splitlines()) for path in road()]
    assert counted.pop("total") == sum(lines)
    assert list(counted.values()) == lines
