"""CalMRL: what a modality that is missing would have looked like, by those that were observed.

Every modality m is a linear view of one latent vector, with noise of its own:

    z_m = W_m beta + mu_m + eps_m,    beta ~ N(0, I),    eps_m ~ N(0, sigma_m^2 I)

EM learns it from incomplete sets, by closed forms over what was observed only. Rows that were observed in the same
modalities (a *pattern*) share one posterior covariance, and EM needs no more of them than their second moments: it
looks at the data once, and what a step costs does not depend on how many rows there are. METHODS: docs/calmrl.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Float64, Floats, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.anchors import anchor, anchor_shift
from any2any_ros.learning.calmrl_data import CHUNK, Digest, Group, Pattern, patterns
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment

__all__ = ["CalMRL", "CalMRLConfig", "anchor", "anchor_shift", "fit", "steps"]


RUNS, HELD_OUT = 20, 5  # stretches of the rows, and every how many of them one judges how many dimensions to take
SAMPLE = 5000  # rows that this takes at most
PATIENCE = 3  # sizes that are no better than the best so far, and larger ones are not tried


@dataclass(frozen=True)
class CalMRLConfig(Settings):
    """How the model is fitted."""

    latent: int = setting(0, "dimensions of the latent vector; 0 = those that held-out rows find likeliest", minimum=0)
    iterations: int = setting(100, "of EM at most", minimum=1)
    tolerance: float = setting(
        1e-6, "EM ends when the log-likelihood gains less than this for every observed number", minimum=0
    )
    seed: int = setting(0, "of the weights that EM starts from", minimum=0)


@dataclass(frozen=True, eq=False)
class Look:
    """What the model makes of a group: the residual from its means; the latent's posterior mean (k, L) and covariance
    (L, L); of -2 log-likelihood, each row's misfit (k,) and the constant that every one of its `count` rows adds."""

    residual: Group
    mean: Float64
    covariance: Float64
    misfit: Float64
    constant: float

    @property
    def log_likelihood(self) -> float:
        return -0.5 * float(self.misfit.sum() + self.residual.count * self.constant)


@dataclass(frozen=True, eq=False)
class CalMRL:
    """The fitted model: weights (D, L), means (D,) and noise variance of every modality it has learnt, float64.

    Modalities that it has not learnt are left as they are, everywhere.
    """

    kind: ClassVar[str] = "imputer"
    plug: ClassVar[str] = "calmrl"

    weights: dict[str, Float64]
    means: dict[str, Float64]
    noise: dict[str, float]

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.weights))

    @property
    def latent(self) -> int:
        return int(next(iter(self.weights.values())).shape[1])

    def posterior(self, observations: ObservationSet) -> tuple[Float64, dict[Pattern, Float64]]:
        """Return the latent's posterior mean (N, L), and its covariance (L, L) by pattern (what was observed, sorted).

        Where nothing was observed they are the prior's: zero and the identity.
        """
        mean, covariance = np.zeros((len(observations), self.latent)), {}
        for rows, look in self.looks(observations):
            mean[rows], covariance[look.residual.pattern] = look.mean, look.covariance
        return mean, covariance

    def impute(self, observations: ObservationSet) -> ObservationSet:
        """Return the set with every missing vector of a modality it has learnt replaced by its expectation, given what
        was observed: W_m E[beta] + mu_m, or mu_m where nothing was."""
        columns = dict(observations.embeddings)
        for m in self.modalities:
            seen, width = observations.present(m), len(self.means[m])
            columns[m] = observations.embeddings[m].copy() if seen.any() else np.empty((len(seen), width), np.float32)
        for rows, look in self.looks(observations):
            for m in set(self.modalities) - set(look.residual.pattern):
                columns[m][rows] = look.mean @ self.weights[m].T + self.means[m]
        return ObservationSet(columns, observations.poses, observations.ids, observations.stamps_ns)

    def log_likelihood(self, observations: ObservationSet) -> float:
        """Return the log density of everything that was observed of the modalities it has learnt."""
        return float(sum(look.log_likelihood for _, look in self.looks(observations)))

    def looks(self, observations: ObservationSet) -> Iterator[tuple[Rows, Look]]:
        """Yield all rows, some of one pattern at a time; raise Any2AnyError when a vector has another dimension."""
        for pattern, rows in patterns(observations, self.modalities):
            for m in pattern:
                self._check(m, observations.embeddings[m])
            for start in range(0, len(rows), CHUNK):
                portion = rows[start : start + CHUNK]
                yield portion, self.look(Group.of(observations, pattern, portion))

    def look(self, group: Group) -> Look:
        """Return the posterior of a group's latents, V = [I + sum_m W_m^T W_m / sigma_m^2]^-1 and their means, and how
        likely it is. Woodbury's identities: the (D, D) covariance of what was observed is never made."""
        residual, precision = group.minus(self.means), np.eye(self.latent)
        pull, square, constant = np.zeros((len(group.ones), self.latent)), np.zeros(len(group.ones)), 0.0
        for m, r in residual.vectors.items():
            scaled = self.weights[m] / self.noise[m]
            precision += self.weights[m].T @ scaled
            pull += r @ scaled
            square += np.einsum("nd,nd->n", r, r) / self.noise[m]
            constant += r.shape[1] * np.log(2 * np.pi * self.noise[m])
        covariance = _symmetric(np.linalg.inv(precision))
        mean = pull @ covariance
        # pull - mean precision is zero, but for the rounding errors of mean, which this keeps from counting.
        explained = np.einsum("nl,nl->n", 2 * pull - mean @ precision, mean)
        constant += float(np.linalg.slogdet(precision)[1])
        return Look(residual, mean, covariance, square - explained, constant)

    def alone(self, modality: str, x: Floats) -> Array:
        """Return the latent's posterior mean given this modality alone, (N, L) of length 1, for vectors x (N, D); zero
        where x is the mean."""
        self._known(modality)
        self._check(modality, x)
        vectors = {modality: np.asarray(x, dtype=np.float64)}
        mean = self.look(Group(vectors, np.ones(len(x)), len(x))).mean
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        unit = np.divide(mean, length, out=np.zeros_like(mean), where=length > 0)
        return np.asarray(unit, dtype=np.float32)

    def alignments(
        self, query_modalities: Iterable[str], reference_modalities: Iterable[str]
    ) -> dict[tuple[str, str], Alignment]:
        """Return what a Retriever compares these modalities by, each with each: the cosine of what either says of the
        latent. A direction that a modality hardly shows counts little, because its posterior mean stays near zero."""
        query, reference = tuple(query_modalities), tuple(reference_modalities)
        for modality in (*query, *reference):
            self._known(modality)
        return {(q, r): LatentPair(self, q, r) for q in query for r in reference}

    def _known(self, modality: str) -> None:
        if modality not in self.weights:
            raise Any2AnyError(
                f"The imputer does not know '{modality}'",
                f"it has learnt {', '.join(self.modalities)}",
                "Correct its name, or fit it on data that has it",
            )

    def _check(self, modality: str, column: Floats) -> None:
        if column.shape[1] != len(self.means[modality]):
            raise Any2AnyError(
                f"The '{modality}' embeddings do not fit the imputer",
                f"they have {column.shape[1]} dimensions, it was fitted on {len(self.means[modality])}",
                "Use the encoder that it was fitted with, or fit it again",
            )


@dataclass(frozen=True)
class LatentPair:
    """An Alignment (protocols.py): what one modality says of the latent, against what another one does."""

    model: CalMRL
    query_modality: str
    reference_modality: str

    def query(self, x: Array) -> Array:
        return self.model.alone(self.query_modality, x)

    def reference(self, y: Array) -> Array:
        return self.model.alone(self.reference_modality, y)


def fit(
    train: ObservationSet,
    *,
    latent: int | None = None,
    iterations: int = CalMRLConfig.iterations,
    seed: int = CalMRLConfig.seed,
    tolerance: float = CalMRLConfig.tolerance,
) -> CalMRL:
    """Fit by EM on rows of which anything may be missing; latent: None or 0 lets held-out rows choose.

    A modality that fewer than two rows have is not learnt, and nothing can be said of it. Raises Any2AnyError when none
    is left, or a setting is out of range.
    """
    config = CalMRLConfig(latent or 0, iterations, tolerance, seed)
    return _em(Digest.of(train), config.latent or _likeliest(train, config), config)


def steps(data: Digest, latent: int, seed: int = 0) -> Iterator[tuple[CalMRL, float]]:
    """Yield the model of the data without its means, before each step of EM, without end, and its log-likelihood, which
    never falls."""
    model = _start(data, latent, seed)
    while True:
        better, log_likelihood = _improved(model, data)
        yield model, log_likelihood
        model = better


def _em(data: Digest, latent: int, config: CalMRLConfig) -> CalMRL:
    before = -np.inf
    for number, (model, log_likelihood) in enumerate(steps(data, latent, config.seed)):
        if number == config.iterations or log_likelihood - before < config.tolerance * data.numbers:
            means = {m: mu + data.means[m] for m, mu in model.means.items()}
            return CalMRL(model.weights, means, model.noise)
        before = log_likelihood
    raise AssertionError("steps() does not end")


def _start(data: Digest, latent: int, seed: int) -> CalMRL:
    """Return a model of random weights, in which half of each modality's variance is noise."""
    draw = np.random.default_rng(seed)
    half = {m: variance / 2 for m, variance in data.variance.items()}
    weights = {m: np.sqrt(half[m] / latent) * draw.normal(size=(len(mu), latent)) for m, mu in data.means.items()}
    zeros = {m: np.zeros(len(mu)) for m, mu in data.means.items()}
    return CalMRL(weights, zeros, {m: max(v, data.least_noise(m)) for m, v in half.items()})


def _improved(model: CalMRL, data: Digest) -> tuple[CalMRL, float]:
    """Return the model after one step of EM, and the log-likelihood before it."""
    size, log_likelihood = model.latent + 1, 0.0
    # Sums over the rows that have the modality, of E[b b^T], of residual E[b]^T and of residual^2, where b = [beta, 1].
    second = {m: np.zeros((size, size)) for m in model.modalities}
    cross = {m: np.zeros((len(mu), size)) for m, mu in model.means.items()}
    square = dict.fromkeys(model.modalities, 0.0)
    every = np.zeros((size, size))

    # E: the latent of every row, given what was observed of it
    for look in map(model.look, data.groups):
        known = np.column_stack([look.mean, look.residual.ones])
        moment = known.T @ known
        moment[:-1, :-1] += look.residual.count * look.covariance
        every += moment
        for m, residual in look.residual.vectors.items():
            second[m] += moment
            cross[m] += residual.T @ known
            square[m] += float(np.vdot(residual, residual))
        log_likelihood += look.log_likelihood

    # M: one regression a modality for [W mu], then the noise that is left with the new ones
    shift, scale = _prior(every)
    weights, means, noise = {}, {}, {}
    for m in model.modalities:
        found = np.linalg.solve(second[m], cross[m].T).T
        left = (square[m] - np.vdot(found, cross[m])) / (data.rows[m] * len(found))
        noise[m] = max(float(left), data.least_noise(m))
        weights[m] = found[:, :-1] @ scale
        means[m] = model.means[m] + found[:, -1] + found[:, :-1] @ shift
    return CalMRL(weights, means, noise), log_likelihood


def _prior(moment: Float64) -> tuple[Float64, Float64]:
    """Return mean (L,) and a root of the covariance (L, L) that the latent vectors turned out to have.

    Folding them into W and mu makes the prior N(0, I) again: EM with parameter expansion (Liu, Rubin and Wu 1998). Its
    likelihood never falls either, and it takes many times fewer steps.
    """
    mean = moment[:-1, -1] / moment[-1, -1]
    spread = _symmetric(moment[:-1, :-1] / moment[-1, -1] - np.outer(mean, mean))
    return mean, np.asarray(np.linalg.cholesky(spread))


def _likeliest(train: ObservationSet, config: CalMRLConfig) -> int:
    """Return the latent size by which the held-out rows are likeliest, among 1, 2, 3, 4, 6, 9, 13, ...

    They are whole stretches of the rows, so that neighbouring places do not stand on both sides.
    """
    rows = np.unique(np.linspace(0, len(train) - 1, min(len(train), SAMPLE)).astype(np.intp))
    judging = np.arange(len(rows)) * RUNS // len(rows) % HELD_OUT == HELD_OUT - 1
    learning, held_out = train.take(rows[~judging]), train.take(rows[judging])
    if not any(learning.present(m).sum() >= 2 for m in train.modalities):
        return 1
    data = Digest.of(learning)
    most = min(len(learning), sum(map(len, data.means.values()))) - 1
    best, highest, since, latent = 1, -np.inf, 0, 1
    while latent <= most and since < PATIENCE:
        likelihood = _em(data, latent, config).log_likelihood(held_out)
        best, highest, since = (latent, likelihood, 0) if likelihood > highest else (best, highest, since + 1)
        latent += max(1, latent // 2)
    return best


def _symmetric(matrix: NDArray[Any]) -> Float64:
    return np.asarray((matrix + matrix.T) / 2)
