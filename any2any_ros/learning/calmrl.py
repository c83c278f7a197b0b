"""Fits CalMRL (imputers/calmrl.py) by EM, on observations of which any modality may be missing.

The steps are closed forms over what was observed. Rows of one availability pattern share one posterior covariance, and
their sufficient statistics take their place (learning/calmrl_data.py). Equations and paper: docs/calmrl.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.config import Settings, setting
from any2any_ros.imputers.calmrl import CalMRL, symmetric
from any2any_ros.learning.anchors import anchor, anchor_shift
from any2any_ros.learning.calmrl_data import SufficientStatistics
from any2any_ros.observation import ObservationSet

__all__ = ["CalMRL", "CalMRLConfig", "anchor", "anchor_shift", "fit", "steps"]

STRETCHES, HELD_OUT = 20, 5  # the rows are cut into STRETCHES; every HELD_OUT-th judges the number of dimensions
SAMPLE = 5000  # rows that this comparison takes, at most
PATIENCE = 3  # sizes without improvement after which larger ones are not tried


@dataclass(frozen=True)
class CalMRLConfig(Settings):
    """How the model is fitted."""

    latent: int = setting(
        0, "dimensions of the latent vector; 0 = those for which held-out rows are most likely", minimum=0
    )
    iterations: int = setting(100, "EM steps, at most", minimum=1)
    tolerance: float = setting(
        1e-6, "EM ends when a step raises the log-likelihood by less than this per observed number", minimum=0
    )
    seed: int = setting(0, "of the weights that EM starts from", minimum=0)


def fit(
    train: ObservationSet,
    *,
    latent: int | None = None,
    iterations: int = CalMRLConfig.iterations,
    seed: int = CalMRLConfig.seed,
    tolerance: float = CalMRLConfig.tolerance,
) -> CalMRL:
    """Fit by EM on observations (N) in which NaN rows are missing.

    latent: dimensions of the latent vector; None or 0: those for which held-out rows are most likely. A modality that
    fewer than two observations have is left out of the model. Raises Any2AnyError when no modality is left, or a
    setting is out of range.
    """
    config = CalMRLConfig(latent or 0, iterations, tolerance, seed)
    return _em(SufficientStatistics.of(train), config.latent or _likeliest_size(train, config), config)


def steps(data: SufficientStatistics, latent: int, seed: int = 0) -> Iterator[tuple[CalMRL, float]]:
    """Yield, without end, the model before each EM step, for data without its means, and its log-likelihood.

    The log-likelihood never falls.
    """
    model = _start(data, latent, seed)
    while True:
        better, log_likelihood = _improved(model, data)
        yield model, log_likelihood
        model = better


def _em(data: SufficientStatistics, latent: int, config: CalMRLConfig) -> CalMRL:
    before = -np.inf
    for number, (model, log_likelihood) in enumerate(steps(data, latent, config.seed)):
        if number == config.iterations or log_likelihood - before < config.tolerance * data.numbers:
            means = {m: mu + data.means[m] for m, mu in model.means.items()}
            return CalMRL(model.weights, means, model.noise)
        before = log_likelihood
    raise AssertionError("steps() does not end")


def _start(data: SufficientStatistics, latent: int, seed: int) -> CalMRL:
    """Return a model of random weights in which half of each modality's variance is noise."""
    draw = np.random.default_rng(seed)
    half = {m: variance / 2 for m, variance in data.variance.items()}
    weights = {m: np.sqrt(half[m] / latent) * draw.normal(size=(len(mu), latent)) for m, mu in data.means.items()}
    zeros = {m: np.zeros(len(mu)) for m, mu in data.means.items()}
    return CalMRL(weights, zeros, {m: max(v, data.least_noise(m)) for m, v in half.items()})


def _improved(model: CalMRL, data: SufficientStatistics) -> tuple[CalMRL, float]:
    """Return the model after one EM step, and the log-likelihood before it."""
    size, log_likelihood = model.latent + 1, 0.0
    # Sums over the rows that have the modality, with b = [beta, 1]: E[b b^T], residual E[b]^T, residual^2.
    second = {m: np.zeros((size, size)) for m in model.modalities}
    cross = {m: np.zeros((len(mu), size)) for m, mu in model.means.items()}
    square = dict.fromkeys(model.modalities, 0.0)
    total = np.zeros((size, size))

    # E step: the latent vector of every row, given what was observed.
    for posterior in map(model.group_posterior, data.groups):
        latent = np.column_stack([posterior.mean, posterior.residual.ones])
        moment = latent.T @ latent
        moment[:-1, :-1] += posterior.residual.count * posterior.covariance
        total += moment
        for m, residual in posterior.residual.vectors.items():
            second[m] += moment
            cross[m] += residual.T @ latent
            square[m] += float(np.vdot(residual, residual))
        log_likelihood += posterior.log_likelihood

    # M step: one regression per modality for [W mu], then the noise that remains.
    shift, scale = _latent_distribution(total)
    weights, means, noise = {}, {}, {}
    for m in model.modalities:
        solution = np.linalg.solve(second[m], cross[m].T).T
        remaining = (square[m] - np.vdot(solution, cross[m])) / (data.rows[m] * len(solution))
        noise[m] = max(float(remaining), data.least_noise(m))
        weights[m] = solution[:, :-1] @ scale
        means[m] = model.means[m] + solution[:, -1] + solution[:, :-1] @ shift
    return CalMRL(weights, means, noise), log_likelihood


def _latent_distribution(moment: Float64) -> tuple[Float64, Float64]:
    """Return the mean (L,) of the latent vectors and a root (L, L) of their covariance, from E[b b^T] summed.

    Folding both into W and mu makes the prior N(0, I) again: EM with parameter expansion (Liu, Rubin and Wu 1998). Its
    likelihood never falls either, and it takes many times fewer steps.
    """
    mean = moment[:-1, -1] / moment[-1, -1]
    covariance = symmetric(moment[:-1, :-1] / moment[-1, -1] - np.outer(mean, mean))
    return mean, np.asarray(np.linalg.cholesky(covariance))


def _likeliest_size(train: ObservationSet, config: CalMRLConfig) -> int:
    """Return the latent size, of 1, 2, 3, 4, 6, 9, 13, ..., for which the held-out rows are most likely.

    The held-out rows are whole stretches, so that neighbouring places do not stand on both sides.
    """
    rows = np.unique(np.linspace(0, len(train) - 1, min(len(train), SAMPLE)).astype(np.intp))
    judging = np.arange(len(rows)) * STRETCHES // len(rows) % HELD_OUT == HELD_OUT - 1
    learning, held_out = train.take(rows[~judging]), train.take(rows[judging])
    if not any(learning.present(m).sum() >= 2 for m in train.modalities):
        return 1
    data = SufficientStatistics.of(learning)
    most = min(len(learning), sum(map(len, data.means.values()))) - 1
    best, highest, since, latent = 1, -np.inf, 0, 1
    while latent <= most and since < PATIENCE:
        likelihood = _em(data, latent, config).log_likelihood(held_out)
        best, highest, since = (latent, likelihood, 0) if likelihood > highest else (best, highest, since + 1)
        latent += max(1, latent // 2)
    return best
