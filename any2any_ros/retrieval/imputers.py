"""What is added to observations before they are compared: what all of their sensors say together.

A model of how sensors hang together (learning/calmrl.py) makes one vector of whatever was observed. It is compared as
if it were one sensor more, which the fusion weighs like any other; to everybody else it is none, and never counts as
seen.
On the towns this costs less than filling in the missing sensors' vectors, and more than neither (docs/calmrl.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from any2any_ros import storage
from any2any_ros.learning import calmrl
from any2any_ros.learning.calmrl import CalMRL
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment
from any2any_ros.retrieval.similarity import Pair, same_modality

LATENT = "~latent"  # sorts after every sensor's name, so that theirs are the first columns with it or without
DEAD = 0.5  # share of the sensors that are taken away when a fusion learns what LATENT means


class NoImputer:
    """Adds nothing."""

    plug: ClassVar[str] = "none"
    alignments: ClassVar[Mapping[Pair, Alignment]] = {}

    def impute(self, observations: ObservationSet) -> ObservationSet:
        return observations

    def lessons(self, queries: ObservationSet, seed: int) -> ObservationSet:
        return queries

    def save(self, path: Path) -> None:
        return


NO_IMPUTER = NoImputer()


@dataclass(frozen=True, eq=False)
class JointLatent:
    """Adds the posterior mean of the latent vector, given all that was observed, as modality LATENT."""

    model: CalMRL

    alignments: ClassVar[Mapping[Pair, Alignment]] = same_modality((LATENT,))

    @property
    def plug(self) -> str:
        return self.model.plug

    def impute(self, observations: ObservationSet) -> ObservationSet:
        """Return the set with LATENT (N, L) beside its modalities; missing where nothing the model knows was seen."""
        mean = np.full((len(observations), self.model.latent), np.nan, dtype=np.float32)
        for rows, look in self.model.looks(observations):
            if look.residual.pattern:
                mean[rows] = look.mean
        columns = {**observations.embeddings, LATENT: mean}
        return ObservationSet(columns, observations.poses, observations.ids, observations.stamps_ns)

    def lessons(self, queries: ObservationSet, seed: int) -> ObservationSet:
        """Return the queries (N) as a fusion is to learn from them, (2N) with LATENT: as they are, and once more with
        some of the sensors dead at random, because LATENT means less then."""
        off = np.random.default_rng(seed).random((len(queries), len(queries.modalities))) < DEAD
        again = replace(queries.without(off), ids=tuple(f"{i} again" for i in queries.ids))
        return self.impute(ObservationSet.concatenate([queries, again]))

    def save(self, path: Path) -> None:
        """Write what it has learnt beside the rest of a calibration."""
        storage.save(self.model, path)


JointImputer = NoImputer | JointLatent
IMPUTERS = (NO_IMPUTER.plug, CalMRL.plug)


def fitted(plug: str, places: ObservationSet) -> JointImputer:
    """Return the imputer `plug`, one of IMPUTERS, as a map's places teach it; they may be incomplete."""
    if plug == NO_IMPUTER.plug:
        return NO_IMPUTER
    return JointLatent(calmrl.fit(places))


def load(plug: str, path: Path) -> JointImputer:
    """Return what a calibration has saved at `path`; raise Any2AnyError when it is missing or damaged."""
    return NO_IMPUTER if plug == NO_IMPUTER.plug else JointLatent(storage.load(path, CalMRL))


def sensors(modalities: Iterable[str]) -> tuple[str, ...]:
    """Return the modalities that somebody could have observed."""
    return tuple(m for m in modalities if m != LATENT)
