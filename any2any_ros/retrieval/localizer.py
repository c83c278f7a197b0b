"""A map in use: takes embeddings as they arrive, and returns rankings. The retrieval node without ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.config import AliveConfig, RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry.refiner import Registrations
from any2any_ros.observation import Embedding, Observation, ObservationSet
from any2any_ros.protocols import Encoder
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval import adopted
from any2any_ros.retrieval.assembler import Assembler
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.shortlist import NOTHING
from any2any_ros.trust.bayes_filter import BayesFilter
from any2any_ros.trust.drift import DriftTest

# Modalities -> source_timeout of each, s. The node declares a parameter for each modality that the map has.
Timeouts = Callable[[Iterable[str]], Mapping[str, float]]


class Localizer:
    """Ranks the places of a map by whatever is alive. Times are ns of the robot's clock.

    Raises Any2AnyError when no map is loaded, and for embeddings that cannot be compared with the map.
    """

    def __init__(
        self,
        alive: AliveConfig,
        ranking: RetrievalConfig,
        same_place: float,
        odometry: Callable[[int], Float64 | None] = lambda stamp_ns: None,
    ) -> None:
        """same_place: metres within which two places are one, for a map without calibration. odometry: stamp -> pose
        of the robot (4, 4) in the frame of the odometry, None where it is unknown."""
        self._alive, self._ranking, self._same_place, self._odometry = alive, ranking, same_place, odometry
        self.close()

    def close(self) -> None:
        """Unload the map, and forget everything about it."""
        self.reference: ReferenceMap | None = None
        self.retriever: Retriever | None = None
        self._adopted: dict[str, Retriever] = {}  # by adopted modality
        self.calibrated = False
        self.drift = DriftTest({})
        self.moment = Observation({})  # the last one that the assembler completed
        self._last = ""  # id of the best match of the last ranking
        self._belief: BayesFilter | None = None
        self._pose: Float64 | None = None  # by odometry, at the last ranking
        self.folder: Path | None = None
        self.assembler = Assembler(self._alive)
        self.alive: tuple[str, ...] = ()
        self._text: Encoder | None = None

    def open(self, folder: Path, timeouts: Timeouts) -> ReferenceMap:
        """Load the map in `folder`. After an error the map before it stays in use."""
        retriever = Retriever.open(folder, self._same_place, self._ranking.device, self._ranking.threads)
        self._adopted = {m: one.retriever(retriever.reference) for m, one in adopted.load(folder).items()}
        self.reference, self.retriever = retriever.reference, retriever
        self.calibrated = retriever.confidence is not None
        self.drift, self._last = DriftTest(retriever.calibration.drift), ""
        self._belief, self._pose = None, None
        if self._ranking.filter == "bayes" and self.calibrated:
            self._belief = BayesFilter(self.reference.places.poses, self.retriever.same_place)
        known = self.reference.sensors
        self.assembler = Assembler(self._alive, timeouts(known), known)
        self.folder, self._text = folder, None
        return self.reference

    # --- embeddings as they arrive ------------------------------------------------------------------------------

    def add(self, embedding: Embedding, now_ns: int) -> list[Ranking]:
        """Take one embedding; return the rankings of the moments that it completes."""
        self._map().validate(embedding)
        complete = self.assembler.add(embedding, now_ns)
        if not complete and self.retriever is not None:  # the moment waits for others: compare this vector meanwhile
            self.retriever.prefetch(embedding.modality, embedding.vector)
        return [self._rank_moment(moment) for moment in complete]

    def flush(self, now_ns: int) -> list[Ranking]:
        """Close the open moment and return its ranking; return no ranking when no moment is open."""
        moment = self.assembler.flush(now_ns)
        return [] if moment is None else [self._rank_moment(moment)]

    def watch(self, now_ns: int) -> tuple[list[str], list[str], list[Ranking]]:
        """Return the modalities that became stale and those that became alive since the last call.

        When nothing is alive any more, an empty ranking is returned with them.
        """
        before, self.alive = self.alive, self.assembler.alive(now_ns)
        stale, returned = sorted(set(before) - set(self.alive)), sorted(set(self.alive) - set(before))
        nothing_left = bool(stale) and not self.alive
        return stale, returned, [self._rank_moment(Observation({}, now_ns))] if nothing_left else []

    def forget(self) -> None:
        """Forget all embeddings and where the robot was, because the clock has jumped."""
        self.assembler.reset()
        self._pose = None
        if self._belief is not None:
            self._belief.reset()

    def _rank_moment(self, moment: Observation) -> Ranking:
        """Rank a moment with the past in mind, and update the drift test."""
        assert self.retriever is not None
        self.moment = moment
        motion = self._motion(moment.stamp_ns)
        ranking = self._rank(moment, self._ranking.k, belief=self._belief, motion=motion)
        # A robot that stands still observes one place many times. The drift test counts that as one observation.
        if ranking.matches and ranking.matches[0].id != self._last:
            self._last = ranking.matches[0].id
            self.drift.update(ranking.differences)
        return ranking

    def _motion(self, stamp_ns: int) -> Float64 | None:
        """Return the robot's motion since the last ranking (4, 4), in its own frame; None where it is unknown."""
        before, self._pose = self._pose, self._odometry(stamp_ns) if self._belief is not None else None
        return None if before is None or self._pose is None else np.asarray(np.linalg.inv(before) @ self._pose)

    # --- requests -----------------------------------------------------------------------------------------------

    def observation(self, embeddings: Iterable[Embedding], text: str, now_ns: int) -> Observation:
        """Return the observation of a request: its embeddings and its text; without any, what is alive now."""
        query = [*embeddings, *([self._encoded(text, now_ns)] if text else [])]
        for embedding in query:
            self._map().validate(embedding)
        if not query:
            return self.assembler.now(now_ns)
        return Observation({e.modality: e.vector for e in query}, max(e.stamp_ns for e in query))

    def rank(self, observation: Observation, k: int = 0, registrations: Registrations = NOTHING) -> Ranking:
        """Return the k best places; 0: as many as `RetrievalConfig.k`. registrations: of the candidates' scans, by
        id."""
        self._map()
        return self._rank(observation, k or self._ranking.k, registrations=registrations)

    def _rank(self, observation: Observation, k: int, **more: Any) -> Ranking:
        """Rank by the map's own modalities; where none is alive, by one that the map has adopted."""
        assert self.retriever is not None
        adopted_one = next((m for m in self._adopted if m in observation.embeddings), None)
        if adopted_one is None or set(self.retriever.modalities) & set(observation.embeddings):
            return self.retriever.rank(observation, k, **more)
        ranking = self._adopted[adopted_one].rank(observation, k, **more)
        return replace(ranking, missing=self.retriever.modalities)

    def add_place(self, place: ObservationSet) -> None:
        """Append a place to the map in memory. The next ranking already knows it."""
        known = place.only(self._map().encoders)  # an adopted sensor queries the map, but is no part of its places
        if not known.modalities:
            raise Any2AnyError(
                "Cannot add a place",
                f"it has none of the map's modalities ({', '.join(self._map().encoders)})",
                "Add it while a sensor is alive that the map was made with",
            )
        reference = self._map().with_places(known)
        assert self.retriever is not None
        for retriever in (self.retriever, *self._adopted.values()):
            retriever.add(known)
        self.reference = reference
        if self._belief is not None:
            self._belief.add(place.poses)

    def _map(self) -> ReferenceMap:
        if self.reference is None:
            raise Any2AnyError("Cannot rank", "no map is loaded", "Load one: parameter map, or ~/load_map")
        return self.reference

    def _encoded(self, text: str, now_ns: int) -> Embedding:
        """Encode a text with the encoder that the map's own texts were encoded with."""
        record = self._map().encoders.get("text")
        if record is None:
            raise Any2AnyError(
                "Cannot rank by a text", f"map '{self._map().name}' holds no text", "Build a map with captions"
            )
        self._text = self._text or record.build()
        return Embedding("text", self._text.encode(text), now_ns, encoder=self._text.fingerprint)
