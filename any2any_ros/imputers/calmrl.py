"""CalMRL: a linear Gaussian model of all sensors together, by which missing modalities are imputed.

Every modality m is a linear view of one latent vector, with noise of its own:

    z_m = W_m beta + mu_m + eps_m,    beta ~ N(0, I),    eps_m ~ N(0, sigma_m^2 I)

The posterior of beta, given the modalities that were observed, has a closed form. Its mean is compared like one more
modality, named LATENT; the fusion weighs it like any other. On the simulated towns this costs less recall than filling
in the vectors of the missing sensors, and more than no imputer at all (docs/calmrl.md, also for the paper).
Fitting: learning/calmrl.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, ClassVar

import numpy as np

from any2any_ros.alignments import FunctionAlignment
from any2any_ros.arrays import Array, Float64, Floats, Rows, unit
from any2any_ros.declared import POSITIVE
from any2any_ros.errors import Any2AnyError
from any2any_ros.imputers import LATENT
from any2any_ros.imputers.groups import CHUNK, Group, Pattern, patterns
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment

OFF = 0.5  # share of the sensors that are switched off in the second copy of the training queries


@dataclass(frozen=True, eq=False)
class Posterior:
    """The posterior of a group's k latent vectors, given what was observed.

    residual: the group without the model's means. mean (k, L) and covariance (L, L) of the latent vectors. misfit (k,)
    and constant: the -2 log-likelihood of the group is the sum of misfit and, for each of its `count` rows, constant.
    """

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
    """The fitted model: weights (D, L), means (D,) and noise variance of every modality it was fitted on, float64.

    Every method leaves other modalities as they are. Methods that take vectors raise Any2AnyError when these have
    another dimension than the modality had in fitting.
    """

    kind: ClassVar[str] = "imputer"
    plug: ClassVar[str] = "calmrl"
    adds: ClassVar[tuple[str, ...]] = (LATENT,)

    weights: dict[str, Float64]
    means: dict[str, Float64]
    noise: dict[str, Annotated[float, POSITIVE]]

    def __post_init__(self) -> None:
        if not self.weights or not {*self.weights} == {*self.means} == {*self.noise}:
            raise ValueError("a modality lacks its weights, its mean or its noise")
        shapes = {m: (*mean.shape, self.latent) for m, mean in self.means.items()}
        if any(len(shape) != 2 or self.weights[m].shape != shape for m, shape in shapes.items()):
            raise ValueError("its weights (D, L) and means (D,) do not fit together")

    @property
    def dimensions(self) -> dict[str, int]:
        """Return the dimension of the vectors that it takes, by modality."""
        return {m: len(mean) for m, mean in self.means.items()}

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.weights))

    @property
    def latent(self) -> int:
        """Return the number of latent dimensions, L."""
        return int(next(iter(self.weights.values())).shape[1])

    # --- an imputer (protocols.py) ---------------------------------------------------------------------------------

    def extend(self, observations: ObservationSet) -> ObservationSet:
        """Return the observations with one more modality, LATENT (N, L): the posterior mean of the latent vector.

        It is missing where none of the model's modalities was observed.
        """
        mean = np.full((len(observations), self.latent), np.nan, dtype=np.float32)
        for rows, posterior in self.posteriors(observations):
            if posterior.residual.pattern:
                mean[rows] = posterior.mean
        columns = {**observations.embeddings, LATENT: mean}
        return replace(observations, embeddings=columns)

    def training_queries(self, queries: ObservationSet, seed: int) -> ObservationSet:
        """Return the queries (N) that a fusion is fitted on, extended: (2N), with and without dead sensors.

        The second N have some sensors switched off at random, because the latent vector says less then.
        """
        off = np.random.default_rng(seed).random((len(queries), len(queries.modalities))) < OFF
        again = replace(queries.without(off), ids=tuple(f"{i} again" for i in queries.ids))
        return self.extend(ObservationSet.concatenate([queries, again]))

    # --- the model -------------------------------------------------------------------------------------------------

    def posterior(self, observations: ObservationSet) -> tuple[Float64, dict[Pattern, Float64]]:
        """Return the posterior mean (N, L) of the latent vectors, and their covariance (L, L) by availability pattern.

        A pattern is the sorted tuple of the observed modalities. Where nothing was observed, the posterior is the
        prior: mean zero, covariance the identity.
        """
        mean, covariance = np.zeros((len(observations), self.latent)), {}
        for rows, posterior in self.posteriors(observations):
            mean[rows], covariance[posterior.residual.pattern] = posterior.mean, posterior.covariance
        return mean, covariance

    def impute(self, observations: ObservationSet) -> ObservationSet:
        """Return the observations with each missing vector of the model's modalities replaced by its expectation.

        The expectation given what was observed is W_m E[beta] + mu_m; where nothing was observed, it is mu_m.
        """
        columns = dict(observations.embeddings)
        for m in self.modalities:
            present, width = observations.present(m), len(self.means[m])
            empty = np.empty((len(present), width), np.float32)
            columns[m] = observations.embeddings[m].copy() if present.any() else empty
        for rows, posterior in self.posteriors(observations):
            for m in set(self.modalities) - set(posterior.residual.pattern):
                columns[m][rows] = posterior.mean @ self.weights[m].T + self.means[m]
        kept = (observations.poses, observations.ids, observations.stamps_ns)
        return ObservationSet(columns, *kept, mountings=observations.mountings)

    def log_likelihood(self, observations: ObservationSet) -> float:
        """Return the log density of all that was observed of the model's modalities."""
        return float(sum(posterior.log_likelihood for _, posterior in self.posteriors(observations)))

    def posteriors(self, observations: ObservationSet) -> Iterator[tuple[Rows, Posterior]]:
        """Yield the posteriors of all rows, at most CHUNK rows of one availability pattern at a time."""
        for pattern, rows in patterns(observations, self.modalities):
            for m in pattern:
                self._check_width(m, observations.embeddings[m])
            for start in range(0, len(rows), CHUNK):
                portion = rows[start : start + CHUNK]
                yield portion, self.group_posterior(Group.of(observations, pattern, portion))

    def group_posterior(self, group: Group) -> Posterior:
        """Return the posterior of a group's latent vectors: covariance V = [I + sum_m W_m^T W_m / sigma_m^2]^-1, mean
        V sum_m W_m^T (z_m - mu_m) / sigma_m^2, and the group's likelihood.

        By Woodbury's identities: the (D, D) covariance of the observed vectors is never made.
        """
        residual, precision = group.minus(self.means), np.eye(self.latent)
        pull, square, constant = np.zeros((len(group.ones), self.latent)), np.zeros(len(group.ones)), 0.0
        for m, r in residual.vectors.items():
            scaled = self.weights[m] / self.noise[m]
            precision += self.weights[m].T @ scaled
            pull += r @ scaled
            square += np.einsum("nd,nd->n", r, r) / self.noise[m]
            constant += r.shape[1] * np.log(2 * np.pi * self.noise[m])
        try:
            covariance = symmetric(np.linalg.inv(precision))
        except np.linalg.LinAlgError:  # singular
            covariance = np.full_like(precision, np.nan)
        if not np.isfinite(covariance).all():
            why, remedy = "its posterior has no covariance", "Calibrate again: any2any calibrate MAP DRIVE"
            raise Any2AnyError("The imputer cannot be used", why, remedy)
        mean = pull @ covariance
        # `pull - mean precision` is zero but for rounding errors of the mean; the term keeps these from counting.
        explained = np.einsum("nl,nl->n", 2 * pull - mean @ precision, mean)
        constant += float(np.linalg.slogdet(precision)[1])
        return Posterior(residual, mean, covariance, square - explained, constant)

    # --- one modality against another ------------------------------------------------------------------------------

    def alignments(
        self, query_modalities: Iterable[str], reference_modalities: Iterable[str]
    ) -> dict[tuple[str, str], Alignment]:
        """Return an alignment of each query modality with each reference modality.

        The similarity is the cosine of the two latent vectors, each given one modality alone. A latent dimension that a
        modality hardly shows counts little, because its posterior mean stays near zero. Raises Any2AnyError for a
        modality that the model was not fitted on.
        """
        query, reference = tuple(query_modalities), tuple(reference_modalities)
        side = {m: partial(self.latent_direction, m) for m in (*query, *reference)}
        for modality in side:
            self._check_known(modality)
        return {(q, r): FunctionAlignment(side[q], side[r]) for q in query for r in reference}

    def latent_direction(self, modality: str, x: Floats) -> Array:
        """Return the posterior mean of the latent vector given one modality alone, scaled to length 1: (N, L) for
        vectors x (N, D); zero where x is the modality's mean."""
        self._check_known(modality)
        self._check_width(modality, x)
        vectors = {modality: np.asarray(x, dtype=np.float64)}
        mean = self.group_posterior(Group(vectors, np.ones(len(x)), len(x))).mean
        return unit(mean).astype(np.float32)

    def _check_known(self, modality: str) -> None:
        if modality not in self.weights:
            raise Any2AnyError(
                f"The imputer does not know '{modality}'",
                f"it has learnt {', '.join(self.modalities)}",
                "Correct its name, or fit it on data that has it",
            )

    def _check_width(self, modality: str, column: Floats) -> None:
        if column.shape[1] != len(self.means[modality]):
            raise Any2AnyError(
                f"The '{modality}' embeddings do not fit the imputer",
                f"they have {column.shape[1]} dimensions, it was fitted on {len(self.means[modality])}",
                "Use the encoder that it was fitted with, or fit it again",
            )


def symmetric(matrix: Floats) -> Float64:
    """Return the matrix (L, L) without the asymmetry that rounding leaves."""
    return np.asarray((matrix + matrix.T) / 2)
