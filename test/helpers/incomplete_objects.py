"""Objects of which modalities are missing, and heads that were not trained, for the tests of EMMA."""

import numpy as np

from any2any_ros.objects.heads import EMMA
from any2any_ros.observation import ObservationSet

WIDTH = {"text": 8, "speech": 5, "camera": 12, "depth": 6}


def objects(seed, n=120, classes=6, missing=0.2, noise=0.3):
    """Return n objects of some classes: every modality sees the class and the object through a mirror of its own."""
    world, draw = np.random.default_rng(0), np.random.default_rng(seed)
    kinds, labels = world.normal(size=(classes, 4)), draw.integers(0, classes, n)
    what = kinds[labels] + 0.3 * draw.normal(size=(n, 4))
    columns = {}
    for m, width in WIDTH.items():
        columns[m] = np.tanh(what @ world.normal(size=(4, width))) + noise * draw.normal(size=(n, width))
        columns[m][draw.random(n) < missing] = np.nan
    return ObservationSet(columns, np.tile(np.eye(4), (n, 1, 1)), tuple(f"{seed}/{i}" for i in range(n))), labels


def random_heads(seed=0, modalities=tuple(WIDTH), dims=7, hidden=9):
    """Return heads that nobody trained."""
    draw = np.random.default_rng(seed)
    sizes = {m: [WIDTH[m], hidden, hidden, dims] for m in modalities}
    shapes = {f"{m}/{i}": (s[i], s[i + 1]) for m, s in sizes.items() for i in range(3)}
    return EMMA(
        {m: draw.normal(size=WIDTH[m]).astype(np.float32) for m in modalities},
        {m: draw.uniform(0.5, 2, WIDTH[m]).astype(np.float32) for m in modalities},
        {key: draw.normal(size=shape).astype(np.float32) for key, shape in shapes.items()},
        {key: draw.normal(size=shape[1]).astype(np.float32) for key, shape in shapes.items()},
    )
