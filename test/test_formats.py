"""Everything that this version and those before it stored opens unchanged, and answers as it did (test/formats)."""

import ast
import importlib.util
import json
import re
import shutil
from pathlib import Path

import fitted_states
import format_answers
import numpy as np
import pytest

from any2any_ros import legacy, storage
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.large.searcher import LargeMapSearcher

ROOT = Path(__file__).parents[1]
FORMATS = ROOT / "test" / "formats"
FOLDERS = sorted(path.name for path in FORMATS.iterdir() if path.is_dir())
SUFFIX = ".answers.json"
SAMPLES = sorted(str(p.relative_to(FORMATS)).removesuffix(SUFFIX) for p in FORMATS.rglob(f"*{SUFFIX}"))
NEVER_WRITTEN = {("imputer", "none")}  # it has no state


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """A copy of all samples, so that nothing can change those of the repository."""
    return Path(shutil.copytree(FORMATS, tmp_path_factory.mktemp("formats") / "formats"))


def contents(folder):
    """Return every file and folder with its content and the time of its last change."""
    entries = sorted(folder.rglob("*"))
    return {p: (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"") for p in entries}


def expect(result, expected):
    """Compare nested values; numbers up to rounding, which differs from one processor to another."""
    if isinstance(expected, dict):
        assert result.keys() >= expected.keys()
        for key, value in expected.items():
            expect(result[key], value)
    elif isinstance(expected, list):
        assert len(result) == len(expected)
        for one, other in zip(result, expected, strict=True):
            expect(one, other)
    elif isinstance(expected, float):
        assert result == pytest.approx(expected, rel=1e-5, abs=1e-6)
    else:
        assert result == expected


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_answers_as_it_did_and_no_file_changes(sample, copies, monkeypatch):
    monkeypatch.setattr(
        LargeMapSearcher, "_new_shards", lambda self, reference: pytest.fail("the shards are made again")
    )
    questions, expected = format_answers.read(copies / sample)
    before = contents(copies)
    result = format_answers.answers(copies / sample, questions)
    expect(result, expected)
    assert contents(copies) == before


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_answers_are_of_all_kinds(folder):
    """Otherwise a sample that says the same of everything would show nothing."""
    answers = {name: format_answers.read(FORMATS / folder / name)[1] for name in ("refined", "imputed", "adopted")}
    plain, refined = np.array_split(np.array([r["probabilities"] for r in answers["refined"]["rankings"]]), 2)
    assert (plain != refined).any(axis=1).all()
    whole, by_shards = (answers["adopted"][size] for size in ("whole", "by shards"))
    assert {r["accepted"] for r in whole["known"]} == {True, False}
    assert whole["known"][0]["scores"] != by_shards["known"][0]["scores"]  # half precision
    for rankings in (answers["refined"]["rankings"], answers["imputed"]["rankings"], whole["own"]):
        assert len({r["ids"][0] for r in rankings}) > 1 and len({len(r["place_set"]) for r in rankings}) > 1


# --- nothing is left out ----------------------------------------------------------------------------------------------


def headers(folder):
    """Yield the header of every fitted state below a folder."""
    for path in folder.rglob("*.npz"):
        if path.with_suffix(".json").exists() or storage.HEADER in fitted_states.members(path):
            yield fitted_states.header(path)


def state_classes():
    """Yield kind and plug of every class of the package that names both."""
    for path in (ROOT / "any2any_ros").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                values = {ast.unparse(a.target): a.value for a in node.body if isinstance(a, ast.AnnAssign)}
                kind, plug = values.get("kind"), values.get("plug")
                if isinstance(kind, ast.Constant) and isinstance(plug, ast.Constant):
                    yield kind.value, plug.value


def test_every_state_of_the_package_has_a_sample():
    classes = set(state_classes())
    assert len(classes) >= 19
    assert {(h["kind"], h["plug"]) for h in headers(FORMATS / "today")} == classes - NEVER_WRITTEN


def test_every_class_that_old_files_name_has_a_sample():
    assert {h["class"] for h in headers(FORMATS / "november")} == set(legacy.CLASSES)
    assert set(legacy.CLASSES.values()) <= set(state_classes())


def formats(folders, name):
    return {json.loads(path.read_text())["format"] for f in folders for path in (FORMATS / f).rglob(name)}


def test_every_format_that_is_read_has_a_sample():
    old = [folder for folder in FOLDERS if folder != "today"]
    assert formats(old, "calibration.json") == {*legacy.CALIBRATION_FORMATS, calibration.FORMAT}
    assert formats(["today"], "calibration.json") == {calibration.FORMAT}
    assert {h["format"] for folder in old for h in headers(FORMATS / folder)} == set(storage.OLDER)
    assert {h["format"] for h in headers(FORMATS / "today")} == {storage.FORMAT}
    assert formats(["today"], "map.json") == {reference_map.FORMAT}


def test_old_shards_have_a_key_with_the_name_of_a_module():
    """Today's key is another one, so opening them shows that the old key is known."""
    keys = {
        folder: {p.parent.name for p in (FORMATS / folder / "adopted").rglob("shards.json")}
        for folder in ("november", "today")
    }
    home = reference_map.load(FORMATS / "november" / "adopted").shard_cache
    columns = {f"{m} for {m}": format_answers.SameSpace() for m in ("camera", "lidar")}
    assert home._key(columns) not in keys["november"] and home._key(columns, legacy.class_name) in keys["november"]
    assert len(keys["november"]) == len(keys["today"]) == 2


def test_an_old_calibration_without_a_confidence_opens(copies, tmp_path):
    shutil.copytree(copies / "november" / "refined" / "calibration", tmp_path / "calibration")
    for file in (tmp_path / "calibration").glob("confidence.*"):
        file.unlink()
    assert calibration.load(tmp_path).confidence is None


# --- today's samples are what today's code writes ---------------------------------------------------------------------


def outline(path):
    """Return what a file consists of, without its numbers: keys, types, names of arrays."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if name != storage.HEADER}
            kept = shape(json.loads(stored[storage.HEADER])) if storage.HEADER in stored.files else None
            return {name: (array.dtype.kind, array.ndim) for name, array in arrays.items()}, kept
    if path.suffix == ".npy":
        stored = np.load(path, allow_pickle=False)
        return stored.dtype.str, stored.ndim
    return shape(json.loads(path.read_text()))


def shape(value):
    if isinstance(value, dict):
        return {key: value[key] if key in ("format", "kind", "plug") else shape(value[key]) for key in value}
    if isinstance(value, list):
        return [shape(v) for v in value[:1]]
    return type(value).__name__


def outlines(folder):
    """Return the outline of every file; digests in names become #."""
    return {re.sub(r"[0-9a-f]{16,}", "#", str(p.relative_to(folder))): outline(p) for p in files(folder)}


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_todays_samples_are_of_todays_formats(tmp_path):
    """A change of a format fails here until the samples before it have a folder of their own (CONTRIBUTING.md)."""
    script = ROOT / "scripts" / "write_format_samples.py"
    spec = importlib.util.spec_from_file_location("write_format_samples", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write_all(tmp_path / "today")
    assert outlines(tmp_path / "today") == outlines(FORMATS / "today")


def test_the_samples_are_small():
    for folder in FOLDERS:
        sizes = [p.stat().st_size for p in files(FORMATS / folder) if "map" not in p.relative_to(FORMATS).parts]
        assert sum(sizes) < 1_500_000
