"""A map in use: takes embeddings as they arrive, and returns rankings. The retrieval node without ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.config import AliveConfig, RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry.refiner import Registrations
from any2any_ros.observation import Embedding, Observation, ObservationSet
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval.assembler import Assembler
from any2any_ros.retrieval.large.shard_cache import Prepare, do_nothing
from any2any_ros.retrieval.opened_map import OpenedMap, open_map
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.shortlist import NOTHING
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
        self.map: OpenedMap | None = None
        self.calibrated = False
        self.drift = DriftTest({})
        self.moment = Observation({})  # the last one that the assembler completed
        self._last = ""  # id of the best match of the last ranking
        self._pose: Float64 | None = None  # by odometry, at the last ranking
        self.assembler = Assembler(self._alive)
        self.alive: tuple[str, ...] = ()

    @property
    def reference(self) -> ReferenceMap | None:
        return None if self.map is None else self.map.reference

    @property
    def retriever(self) -> Retriever | None:
        return None if self.map is None else self.map.retriever

    def open(self, folder: Path, timeouts: Timeouts) -> ReferenceMap:
        """Load the map in `folder`. After an error the map before it stays in use."""
        return self.use(self.opened(folder), timeouts)

    def opened(self, folder: Path, prepare: Prepare = do_nothing) -> OpenedMap:
        """Open the map in `folder`, as `open_map`, without using it. May run in another thread while this one ranks."""
        return open_map(folder, self._ranking, self._same_place, prepare)

    def use(self, opened: OpenedMap, timeouts: Timeouts) -> ReferenceMap:
        """Rank the places of an opened map from now on. Takes milliseconds. After an error the map before it stays.

        What was received stays, where both maps have the same encoder. So an open moment is ranked by the new map.
        """
        known, retriever = opened.reference.sensors, opened.retriever
        seconds, before = timeouts(known), {} if self.map is None else self.map.reference.sensors
        kept = [m for m in self.assembler.streams if m in known and known[m].fingerprint == before[m].fingerprint]
        if kept:
            self.assembler.go_on(seconds, known, kept)
        else:
            self.assembler = Assembler(self._alive, seconds, known)
        self.alive = tuple(m for m in self.alive if m in kept)
        self.drift, self._last, self._pose = DriftTest(retriever.calibration.drift), "", None
        self.map, self.calibrated = opened, retriever.confidence is not None
        return opened.reference

    def change(self, ranking: RetrievalConfig) -> None:
        """Take other settings (k and filter) from now on. Raises Any2AnyError where a filter would have no effect."""
        if self.map is not None and ranking.filter != self._ranking.filter and not self.map.use_filter(ranking.filter):
            raise Any2AnyError(
                f"There is no filter '{ranking.filter}' for this map",
                "it is not calibrated, so its rankings have no probabilities",
                "Calibrate it: any2any calibrate",
            )
        self._ranking = ranking

    # --- embeddings as they arrive ------------------------------------------------------------------------------

    def add(self, embedding: Embedding, now_ns: int) -> list[Ranking]:
        """Take one embedding; return the rankings of the moments that it completes."""
        complete = self.receive(embedding, now_ns)
        if not complete:
            self.prefetch(embedding)
        return [self.answer(moment) for moment in complete]

    def receive(self, embedding: Embedding, now_ns: int) -> list[Observation]:
        """Take one embedding; return the moments that it completes, for `answer`."""
        self._map().reference.validate(embedding, demand_fingerprint=True)
        restarts = self.assembler.restarts
        complete = self.assembler.add(embedding, now_ns)
        if self.assembler.restarts != restarts:
            self._forget_way()
        return complete

    def prefetch(self, embedding: Embedding) -> None:
        """Compare a vector with the map already now, while its moment waits for others."""
        self._map().retriever.prefetch(embedding.modality, embedding.vector)

    def flush(self, now_ns: int) -> list[Ranking]:
        """Close the open moment and return its ranking; return no ranking when no moment is open."""
        moment = self.assembler.flush(now_ns)
        return [] if moment is None else [self.answer(moment)]

    def watch(self, now_ns: int) -> tuple[list[str], list[str], list[Ranking]]:
        """Return the modalities that became stale and those that became alive since the last call.

        When nothing is alive any more, an empty ranking is returned with them.
        """
        before, self.alive = self.alive, self.assembler.alive(now_ns)
        stale, returned = sorted(set(before) - set(self.alive)), sorted(set(self.alive) - set(before))
        nothing_left = bool(stale) and not self.alive
        return stale, returned, [self.answer(Observation({}, now_ns))] if nothing_left else []

    def forget(self) -> None:
        """Forget all embeddings and where the robot was, because the clock has jumped."""
        self.assembler.reset()
        self._forget_way()

    def _forget_way(self) -> None:
        self._pose = None
        if self.map is not None and self.map.belief is not None:
            self.map.belief.reset()

    def answer(self, moment: Observation) -> Ranking:
        """Rank a moment with the past in mind, and update the drift test."""
        self.moment, opened = moment, self._map()
        motion = self._motion(opened, moment.stamp_ns)
        ranking = opened.rank(moment, self._ranking.k, belief=opened.belief, motion=motion)
        # A robot that stands still observes one place many times. The drift test counts that as one observation.
        if ranking.matches and ranking.matches[0].id != self._last:
            self._last = ranking.matches[0].id
            self.drift.update(ranking.differences)
        return ranking

    def _motion(self, opened: OpenedMap, stamp_ns: int) -> Float64 | None:
        """Return the robot's motion since the last ranking (4, 4), in its own frame; None where it is unknown."""
        before, self._pose = self._pose, self._odometry(stamp_ns) if opened.belief is not None else None
        return None if before is None or self._pose is None else np.asarray(np.linalg.inv(before) @ self._pose)

    # --- requests -----------------------------------------------------------------------------------------------

    def observation(self, embeddings: Iterable[Embedding], now_ns: int) -> Observation:
        """Return the observation of a request: its embeddings; without any, what is alive now."""
        query = list(embeddings)
        for embedding in query:
            self._map().reference.validate(embedding)
        if not query:
            return self.assembler.now(now_ns)
        return Observation.of(query, max(e.stamp_ns for e in query))

    def rank(self, observation: Observation, k: int = 0, registrations: Registrations = NOTHING) -> Ranking:
        """Return the k best places; 0: as many as `RetrievalConfig.k`. registrations: of the candidates' scans, by
        id."""
        return self._map().rank(observation, k or self._ranking.k, registrations=registrations)

    def add_place(self, place: ObservationSet) -> None:
        """Append a place to the map in memory. The next ranking already knows it."""
        self._map().add_place(place)

    def _map(self) -> OpenedMap:
        if self.map is None:
            raise Any2AnyError("Cannot rank", "no map is loaded", "Load one: parameter map, or ~/load_map")
        return self.map
