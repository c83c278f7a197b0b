"""A map that was opened: it ranks observations and takes new places. It does not know when a sensor measured what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.config import RetrievalConfig
from any2any_ros.errors import Any2AnyError, error_text
from any2any_ros.observation import Embedding, Observation, ObservationSet
from any2any_ros.protocols import Encoder
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval import adopted
from any2any_ros.retrieval.large.shard_cache import Prepare, do_nothing
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.bayes_filter import BayesFilter


@dataclass(eq=False)
class OpenedMap:
    """A map and what ranks its places.

    adopted: the retrievers of the adopted sensors, by modality. belief: where the robot is by earlier rankings; None
    without a filter or a calibration.
    """

    folder: Path
    reference: ReferenceMap
    retriever: Retriever
    adopted: Mapping[str, Retriever]
    belief: BayesFilter | None = None
    _text: Encoder | None = None

    def rank(self, observation: Observation, k: int, **more: Any) -> Ranking:
        """Rank by the map's own modalities; where none is alive, by one that the map has adopted. Arguments as in
        `Retriever.rank`."""
        adopted_one = next((m for m in self.adopted if m in observation.embeddings), None)
        if adopted_one is None or set(self.retriever.modalities) & set(observation.embeddings):
            return self.retriever.rank(observation, k, **more)
        ranking = self.adopted[adopted_one].rank(observation, k, **more)
        return replace(ranking, missing=self.retriever.modalities)

    def warm_up(self) -> None:
        """Rank once by every sensor, so that the first answer takes no longer than the others.

        This reads the vectors of a large map from the disk, and imports what the search needs. Raises Any2AnyError
        when the map cannot be ranked at all.
        """
        sizes = {m: record.dimension for m, record in self.reference.sensors.items()}
        try:
            for retriever in (self.retriever, *self.adopted.values()):
                ones = {m: np.ones(sizes[m], dtype=np.float32) for m in retriever.modalities if sizes.get(m)}
                retriever.rank(Observation(ones))
        except Exception as error:  # the user does the same about any damage
            what, remedy = f"The map {self.folder} cannot be ranked", "Calibrate it again, or build it again"
            raise Any2AnyError(what, error_text(error), remedy) from error

    def use_filter(self, name: str) -> bool:
        """Let earlier rankings count from now on as `RetrievalConfig.filter` says; return whether they do.

        Without a calibration there is no filter, because a ranking has no probabilities.
        """
        self.belief = None
        if name == "bayes" and self.retriever.confidence is not None:
            self.belief = BayesFilter(self.reference.places.poses, self.retriever.same_place)
        return name == "none" or self.belief is not None

    def add_place(self, place: ObservationSet) -> None:
        """Append a place to the map in memory. The next ranking already knows it."""
        known = place.only(self.reference.encoders)  # an adopted sensor queries the map, but is no part of its places
        images = {m: v for m, v in known.birds_eye.items() if m in known.modalities and self.reference.encoders[m].cell}
        known = replace(known, birds_eye=images)
        if not known.modalities:
            raise Any2AnyError(
                "Cannot add a place",
                f"it has none of the map's modalities ({', '.join(self.reference.encoders)})",
                "Add it while a sensor is alive that the map was made with",
            )
        reference = self.reference.with_places(known)
        for retriever in (self.retriever, *self.adopted.values()):
            retriever.add(known)
        self.reference = reference
        if self.belief is not None:
            self.belief.add(place.poses)

    def encode(self, text: str, stamp_ns: int) -> Embedding:
        """Encode a text with the encoder that the map's own texts were encoded with. The first call builds it."""
        record = self.reference.encoders.get("text")
        if record is None:
            raise Any2AnyError(
                "Cannot rank by a text", f"map '{self.reference.name}' holds no text", "Build a map with captions"
            )
        self._text = self._text or record.build()
        return Embedding("text", self._text.encode(text), stamp_ns, encoder=self._text.fingerprint)


def open_map(folder: Path, ranking: RetrievalConfig, same_place: float, prepare: Prepare = do_nothing) -> OpenedMap:
    """Open the map in `folder`. same_place, prepare: as in `Retriever.open`.

    Raises Any2AnyError when the map is missing, or when it, its calibration or an adopted sensor is damaged.
    """
    retriever = Retriever.open(folder, same_place, ranking.device, ranking.threads, prepare)
    retrievers = {m: one.retriever(retriever.reference) for m, one in adopted.load(folder).items()}
    opened = OpenedMap(folder, retriever.reference, retriever, retrievers)
    opened.use_filter(ranking.filter)
    return opened
