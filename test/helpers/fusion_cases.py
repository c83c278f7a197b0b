"""Random similarities for the tests of the fusions, and a plain loop to compare them with."""

import math

import numpy as np

SHAPE = (2, 3)


def random_case(seed, queries=4, references=9, missing=0.3):
    """Return similarities (Q, R, 2, 3) with gaps, also of whole queries and references, and labels (Q, R)."""
    draw = np.random.default_rng(seed)
    positive = draw.random((queries, references)) < 0.25
    similarity = draw.normal(size=(queries, references, *SHAPE)) * [1, 5, 0.2] + positive[..., None, None]
    similarity[draw.random(similarity.shape) < missing] = np.nan
    if missing:
        similarity[draw.integers(queries)] = np.nan
        similarity[:, draw.integers(references)] = np.nan
        similarity[:, :, 1, draw.integers(3)] = np.nan
    return similarity, positive


def fitted(cls, seed=0):
    return cls.fit(*random_case(seed, queries=40, references=30, missing=0.2))


def loop(similarity, score_pair, combine):
    """Score every pair of every reference from all that the pair says to this query, then combine what is there."""
    out = np.full(similarity.shape[:2], np.nan)
    for q, r in np.ndindex(*out.shape):
        said = []
        for pair in np.ndindex(*SHAPE):
            column = similarity[q, :, pair[0], pair[1]].tolist()
            if not math.isnan(column[r]):
                said.append(score_pair(column[r], [v for v in column if not math.isnan(v)], pair))
        if said:
            out[q, r] = combine(said)
    return out
