"""A linear Gaussian world, and models of it, for the tests of CalMRL and of its fit."""

import numpy as np

from any2any_ros.imputers.calmrl import CalMRL
from any2any_ros.observation import ObservationSet

NAMES = "abcdef"


def as_set(columns):
    n = len(next(iter(columns.values())))
    return ObservationSet(columns, np.full((n, 4, 4), np.nan), tuple(map(str, range(n))))


def made(seed, n=200, widths=(5, 7, 4), latent=3, missing=0.5, noise=0.3, empty=True):
    """Return what the model says the world is like, some of it missing, and the same whole."""
    draw = np.random.default_rng(seed)
    beta = draw.normal(size=(n, latent))
    whole = {}
    for m, width in zip(NAMES, widths, strict=False):
        z = beta @ draw.normal(size=(latent, width)) + draw.normal(size=width)
        whole[m] = (z + noise * draw.normal(size=z.shape)).astype(np.float32)
    off = draw.random((n, len(widths))) < missing
    if not empty:
        off[off.all(axis=1), 0] = False
    return as_set({m: np.where(off[:, [i]], np.nan, z) for i, (m, z) in enumerate(whole.items())}), as_set(whole)


def random_model(seed=0, widths=(5, 7, 4), latent=3):
    draw = np.random.default_rng(seed)
    return CalMRL(
        {m: draw.normal(size=(d, latent)) for m, d in zip(NAMES, widths, strict=False)},
        {m: draw.normal(size=d) for m, d in zip(NAMES, widths, strict=False)},
        {m: float(draw.uniform(0.1, 2)) for m, d in zip(NAMES, widths, strict=False)},
    )


def dense(model, observation):
    """Return E[beta], Cov[beta], E[z] of every modality, and the log density, by the joint Gaussian of all of it."""
    order = model.modalities
    w = np.concatenate([model.weights[m] for m in order])
    mu = np.concatenate([model.means[m] for m in order])
    noise = np.concatenate([np.full(len(model.means[m]), model.noise[m]) for m in order])
    seen = np.concatenate([np.full(len(model.means[m]), m in observation.embeddings) for m in order])
    joint = w @ w.T + np.diag(noise)
    z = np.concatenate([observation.embeddings[m] for m in order if m in observation.embeddings] or [np.empty(0)])
    inverse, centred = np.linalg.inv(joint[np.ix_(seen, seen)]), z.astype(np.float64) - mu[seen]
    beta = w[seen].T @ inverse @ centred
    covariance = np.eye(w.shape[1]) - w[seen].T @ inverse @ w[seen]
    signal = joint - np.diag(noise)
    expected = mu + signal[:, seen] @ inverse @ centred
    log_det = np.linalg.slogdet(2 * np.pi * joint[np.ix_(seen, seen)])[1]
    ends = np.cumsum([len(model.means[m]) for m in order])[:-1]
    return (
        beta, covariance, dict(zip(order, np.split(expected, ends), strict=True)),
        -0.5 * (centred @ inverse @ centred + log_det),
    )  # fmt: skip
