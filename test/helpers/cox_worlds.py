"""Worlds that several sensors see, for the tests of learning/cox.py."""

import numpy as np

from any2any_ros.observation import ObservationSet

WIDTHS = {"camera": 9, "depth": 5, "lidar": 7}
NEW = 8


def world(seed, new=150, known=120, classes=4, modalities=tuple(WIDTHS), noise=0.4):
    """Return new features and classes, known observations and classes: each sensor sees the class in its own way."""
    law, draw = np.random.default_rng(0), np.random.default_rng(seed)
    kinds = 2.5 * law.normal(size=(classes, 4))
    mirrors = {m: law.normal(size=(4, w)) for m, w in {"new": NEW, **WIDTHS}.items()}

    def seen(m, label):
        what = kinds[label] + 0.5 * draw.normal(size=(len(label), 4))
        return what @ mirrors[m] + noise * draw.normal(size=(len(label), mirrors[m].shape[1]))

    there, here = np.arange(known) % classes, np.arange(new) % classes
    columns = {m: seen(m, there) for m in modalities}
    poses = np.full((known, 4, 4), np.nan)
    return seen("new", here), here, ObservationSet(columns, poses, tuple(f"{i}" for i in range(known))), there


def some_pairs(here, there, per_class=1, classes=None):
    """Return (P, 2): `per_class` new samples of each class with a known one of it."""
    wanted = np.unique(here) if classes is None else classes
    rows = [(i, j) for c in wanted for i, j in zip(np.flatnonzero(here == c)[:per_class],
                                                  np.flatnonzero(there == c)[:per_class], strict=True)]  # fmt: skip
    return np.array(rows)


def right(model, seed=99, **kwargs):
    """Return how often new samples that it was not fitted on are of the class it says."""
    x, label, _, _ = world(seed, **kwargs)
    return float((model.classify(x) == label).mean())


def aligned_world(seed, **kwargs):
    """Return a world whose new sensor has the camera's features, with an offset and a unit of its own."""
    _, here, known, there = world(seed, **kwargs)
    law = np.random.default_rng(0)
    kinds, _, mirror = 2.5 * law.normal(size=(4, 4)), law.normal(size=(4, NEW)), law.normal(size=(4, WIDTHS["camera"]))
    draw = np.random.default_rng((seed, 1))
    seen = (kinds[here] + 0.5 * draw.normal(size=(len(here), 4))) @ mirror
    return 3 * seen + 7, here, known, there
