"""One fitted state of every kind, for the tests of storage.py."""

import json
import zipfile

import numpy as np

from any2any_ros.fusion import FUSIONS
from any2any_ros.learning import csa
from any2any_ros.storage import HEADER
from any2any_ros.trust import confidence_fitting
from any2any_ros.trust.confidence import Candidates, Confidence, ConfidenceConfig, Event


def fitted_states():
    g = np.random.default_rng(0)
    similarity, positive = g.normal(size=(20, 30, 2, 3)), g.random((20, 30)) < 0.1
    similarity += positive[..., None, None]
    for cls in FUSIONS.all():
        yield cls.plug, cls.fit(similarity, positive)
    yield "csa", csa.fit(g.normal(size=(50, 4)), g.normal(size=(50, 3)))
    yield "confidence", confidence_fitting.fit([event(g, i) for i in range(60)], ConfidenceConfig(min_queries=20))
    nothing = {"*/0": np.full(1, np.inf)}
    parts = {"*": np.zeros((2, 2, 2))}, {"*": np.zeros((2, 1))}, {"*": np.inf}, {"*": np.zeros(0)}, nothing
    yield "confidence that accepts nothing", Confidence(1.0, *parts)


def event(g, i):
    scores = np.sort(g.normal(size=10))[::-1]
    right = np.zeros(10, dtype=bool)
    right[g.integers(0, 3)] = True
    return Event("ab"[i % 2], Candidates(scores, np.eye(1, 10, dtype=bool)), right)


STATES = dict(fitted_states())


def same(one, other):
    if isinstance(one, dict):
        return set(one) == set(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)
    return one == other or (list(one) == list(other) if isinstance(one, tuple) else False)


def members(path):
    """Return the files in the .npz file of a fitted state, by name."""
    with zipfile.ZipFile(path.with_suffix(".npz")) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def header(path):
    """Return the header of a fitted state, of any format."""
    inside = members(path)
    return json.loads(inside[HEADER] if HEADER in inside else path.with_suffix(".json").read_text())


def write_header(path, text):
    """Replace the header of a fitted state by a text; None: by nothing."""
    inside = members(path)
    with zipfile.ZipFile(path.with_suffix(".npz"), "w") as archive:
        for name, content in inside.items():
            if name != HEADER:
                archive.writestr(zipfile.ZipInfo(name), content)
        if text is not None:
            archive.writestr(zipfile.ZipInfo(HEADER), text)


def rewrite(path, **changes):
    write_header(path, json.dumps(header(path) | changes))


def split(path):
    """Write a fitted state as format 2 has it: the header in a file of its own."""
    old = header(path) | {"format": 2}
    write_header(path, None)
    path.with_suffix(".json").write_text(json.dumps(old))
