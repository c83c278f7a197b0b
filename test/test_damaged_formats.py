"""Whatever is changed in a stored file: it is refused when it is opened, with a reason, or it answers every question.

Each sample of test/formats/today is changed in hundreds of ways (helpers/mutations.py). What contradicts the format, or
another part of the sample, must be refused or change no answer. What is another whole state may answer otherwise.
"""

import json
import os
import re
import shutil
import warnings
import zlib
from functools import partial
from pathlib import Path

import format_answers
import mutations
import numpy as np
import pytest

from any2any_ros import storage
from any2any_ros.errors import Any2AnyError

TODAY = Path(__file__).parent / "formats" / "today"
STATES = sorted(path.stem for path in (TODAY / "states").glob("*.npz"))
QUESTIONS = 2  # of each list; more would take minutes
# Arrays whose length no other part of their state tells.
ANY_LENGTH = {
    "gamma", "stage2_gamma", "lo_hi", "nonconformity", "steps", "levels", "weights", "slope", "quality", "offset",
    "intercept", "trust", "made_by", "ids", "classes", "instances",
}  # fmt: skip
UNBOUNDED = {"offset", "nonconformity"}
# What decides no answer, and numbers that may be infinite.
LEFT_OUT = re.compile(
    r"(drop )?(report|refiner|table)|(drop )?alignment/(queries|rankings|chance|recall|refined)|.*/settings|"
    r".*/encoders/\w+ has one|drop .*/space|values/(limit|accept_).*'inf'"
)
FOLDERS = {
    "refined": ["map.json", "places-*.npz", "calibration/calibration.json", "calibration/*.npz"],
    "aligned": ["map.json", "places-*.npz", "calibration/calibration.json", "calibration/alignment-*.npz"],
    "imputed": ["calibration/calibration.json", "calibration/imputer.npz", "calibration/fusion.npz"],
    "adopted": ["adopted/thermal/adopted.json", "adopted/thermal/head-0.npz", "calibration/drift-0.npz"],
    "model": ["model.json", "heads.npz", "calibration/calibration.json"],
    "objects": ["objects*.npz"],
}
VARIANTS = int(os.environ.get("VARIANTS", 160))  # of a sample, at most; drawn at random


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    return Path(shutil.copytree(TODAY, tmp_path_factory.mktemp("formats") / "today"))


def variants(path, draw):
    """Yield name, kind and a function that makes the bytes of each variant of a file."""
    data = path.read_bytes()
    for name, kind, changed in mutations.of_bytes(data, draw):
        yield name, kind, partial(bytes, changed)
    if path.suffix == ".json":
        for name, kind, content in mutations.of_json(json.loads(data)):
            if not LEFT_OUT.match(name):
                yield name, kind, partial(mutations.dumped, content)
        return
    members = mutations.unpacked(data)
    header = {name: member for name, member in members.items() if isinstance(member, bytes)}
    arrays = {name: member for name, member in members.items() if name not in header}
    for name, kind, others in mutations.of_arrays(arrays, ANY_LENGTH, UNBOUNDED):
        yield name, kind, partial(mutations.packed, others | header)
    for name, kind, content in mutations.of_json(json.loads(header[storage.HEADER])) if header else ():
        if not LEFT_OUT.match(name):
            yield name, kind, partial(mutations.packed_with, arrays, storage.HEADER, content)


def shortened(questions):
    """Return the questions without most of their rankings."""
    if isinstance(questions, dict):
        lists = ("rankings", "known", "own", "scans")
        return {k: v[-QUESTIONS:] if k in lists and isinstance(v, list) else shortened(v) for k, v in questions.items()}
    return questions


class Sample:
    """A sample, and what it answers while it is unchanged."""

    def __init__(self, path):
        self.path, (questions, _) = path, format_answers.read(path)
        self.questions = shortened(questions)
        self.expected = format_answers.answers(path, self.questions)

    def try_variant(self, file, name, kind, make):
        """Return whether the variant was refused. Fails the test when it was neither refused nor answers."""
        before = file.read_bytes()
        file.write_bytes(make())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                result = format_answers.answers(self.path, self.questions)
        except Any2AnyError as error:
            return bool(error.what and error.why and error.remedy)
        except Exception as error:
            raise AssertionError(f"{file.name}, {name}: opened, and then {error!r}") from error
        finally:
            file.write_bytes(before)
        if kind == mutations.WRONG:
            assert same(result, self.expected), f"{file.name}, {name}: opened, and answers otherwise"
        assert whole(result, self.expected), f"{file.name}, {name}: opened, and answers in part only"
        return False


def same(result, expected):
    if isinstance(expected, dict):
        return expected.keys() == result.keys() and all(same(result[k], v) for k, v in expected.items())
    if isinstance(expected, list):
        return len(expected) == len(result) and all(map(same, result, expected))
    return result == expected or (isinstance(expected, float) and result == pytest.approx(expected, rel=1e-6))


def whole(result, expected):
    """Whether what was known before is known."""
    if isinstance(expected, dict):
        return expected.keys() == result.keys() and all(whole(result[k], v) for k, v in expected.items())
    return (result is None) <= (expected is None)


def tried(sample, files):
    """Try variants of the files; return how many there were, and which share of them was refused."""
    draw = np.random.default_rng(zlib.crc32(sample.path.name.encode()))
    every = [(file, *variant) for file in files for variant in variants(file, draw)]
    chosen = [every[i] for i in draw.permutation(len(every))[:VARIANTS]]
    return len(chosen), np.mean([sample.try_variant(*variant) for variant in chosen])


@pytest.mark.parametrize("state", STATES)
def test_of_a_fitted_state(copies, state):
    sample = Sample(copies / "states" / state)
    count, refused = tried(sample, [sample.path.with_suffix(".npz")])
    assert count > 60 and refused > 0.4


@pytest.mark.parametrize("folder", FOLDERS)
def test_of_a_folder(copies, folder):
    sample = Sample(copies / folder)
    files = [file for pattern in FOLDERS[folder] for file in sorted(sample.path.glob(pattern))]
    assert len(files) >= len(FOLDERS[folder])
    count, refused = tried(sample, files)
    assert count > 60 and refused > 0.4
