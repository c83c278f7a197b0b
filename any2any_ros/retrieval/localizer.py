"""A map in use: embeddings in as they come, rankings out. The retrieval node without ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import encoders
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

Timeouts = Callable[[Iterable[str]], Mapping[str, float]]  # modalities -> source_timeout of each, s


class Localizer:
    """Answers from whatever is alive. Times are ns of the robot's clock. Raises Any2AnyError on unusable input."""

    def __init__(
        self,
        alive: AliveConfig,
        ranking: RetrievalConfig,
        same_place: float,
        odometry: Callable[[int], NDArray[np.float64] | None] = lambda stamp_ns: None,
    ) -> None:
        """odometry: stamp -> pose of the robot (4, 4) in its odometry's frame, None where it is not known."""
        self._alive, self._ranking, self._same_place, self._odometry = alive, ranking, same_place, odometry
        self.close()

    def close(self) -> None:
        """Be without a map."""
        self.reference: ReferenceMap | None = None
        self.retriever: Retriever | None = None
        self._adopted: dict[str, Retriever] = {}  # by the sensor that asks
        self.calibrated = False
        self.drift = DriftTest({})
        self.moment = Observation({})  # that was streamed last
        self._last = ""  # id of the best match of the last ranking
        self._belief: BayesFilter | None = None
        self._pose: NDArray[np.float64] | None = None  # by odometry, at the last ranking
        self.folder: Path | None = None
        self.assembler = Assembler(self._alive)
        self.alive: tuple[str, ...] = ()
        self._text: Encoder | None = None

    def open(self, folder: Path, timeouts: Timeouts) -> ReferenceMap:
        """Use the map in `folder` from now on; on an error the old one stays."""
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

    def add(self, embedding: Embedding, now_ns: int) -> list[Ranking]:
        """Take one embedding; return the rankings of the moments that it completes."""
        self._map().check(embedding)
        complete = self.assembler.add(embedding, now_ns)
        if not complete and self.retriever is not None:  # it waits for others: time to compare what is there
            self.retriever.prefetch(embedding.modality, embedding.vector)
        return [self._streamed(o) for o in complete]

    def flush(self, now_ns: int) -> list[Ranking]:
        """Return the ranking of the moment that still waits for somebody, if there is one."""
        observation = self.assembler.flush(now_ns)
        return [] if observation is None else [self._streamed(observation)]

    def watch(self, now_ns: int) -> tuple[list[str], list[str], list[Ranking]]:
        """Return who died and who came back since the last look, and, when the last one died, an empty ranking."""
        before, self.alive = self.alive, self.assembler.alive(now_ns)
        died, came = sorted(set(before) - set(self.alive)), sorted(set(self.alive) - set(before))
        silent = bool(died) and not self.alive
        return died, came, [self._streamed(Observation({}, now_ns))] if silent else []

    def asked(self, given: Iterable[Embedding], text: str, now_ns: int) -> Observation:
        """Return what a request names: its embeddings and its text, or else what is alive now."""
        embeddings = [*given, *([self._read(text, now_ns)] if text else [])]
        for embedding in embeddings:
            self._map().check(embedding)
        if not embeddings:
            return self.assembler.now(now_ns)
        return Observation({e.modality: e.vector for e in embeddings}, max(e.stamp_ns for e in embeddings))

    def rank(self, observation: Observation, k: int = 0, registrations: Registrations = NOTHING) -> Ranking:
        """Return the k best places, or as many as usual; registrations: of the candidates, by id."""
        self._map()
        return self._rank(observation, k or self._ranking.k, registrations=registrations)

    def _rank(self, observation: Observation, k: int, **more: Any) -> Ranking:
        """Rank by the sensors that the map has; where none of them is alive, by one that it has adopted."""
        assert self.retriever is not None
        stranger = next((m for m in self._adopted if m in observation.embeddings), None)
        if stranger is None or set(self.retriever.modalities) & set(observation.embeddings):
            return self.retriever.rank(observation, k, **more)
        ranking = self._adopted[stranger].rank(observation, k, **more)
        return replace(ranking, missing=self.retriever.modalities)

    def add_place(self, place: ObservationSet) -> None:
        """Append a place to the map in memory; it is found from the next ranking on."""
        known = place.only(self._map().encoders)  # an adopted sensor's vectors are none that a place is found by
        if not known.modalities:
            raise Any2AnyError(
                "Cannot add a place", f"nothing of it is of {', '.join(self._map().encoders)}",
                "Add it while a sensor is alive that the map was made with",
            )  # fmt: skip
        reference = self._map().with_places(known)
        assert self.retriever is not None
        for retriever in (self.retriever, *self._adopted.values()):
            retriever.add(known)
        self.reference = reference
        if self._belief is not None:
            self._belief.add(place.poses)

    def forget(self) -> None:
        """Hear every sensor afresh: the clock has jumped."""
        self.assembler.reset()
        self._pose = None
        if self._belief is not None:
            self._belief.reset()

    def _motion(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """Return how the robot has moved since the last ranking (4, 4), in its own frame; None where unknown."""
        before, self._pose = self._pose, self._odometry(stamp_ns) if self._belief is not None else None
        return None if before is None or self._pose is None else np.asarray(np.linalg.inv(before) @ self._pose)

    def _streamed(self, observation: Observation) -> Ranking:
        """Rank what the sensors say now, and note whether they still see the map as they did."""
        self.moment, motion = observation, self._motion(observation.stamp_ns)
        ranking = self._rank(observation, self._ranking.k, belief=self._belief, motion=motion)
        # A robot that stands still sees one place many times: that is one observation of it.
        if ranking.matches and ranking.matches[0].id != self._last:
            self._last = ranking.matches[0].id
            self.drift.update(ranking.differences)
        return ranking

    def _map(self) -> ReferenceMap:
        if self.reference is None:
            raise Any2AnyError("Cannot rank", "no map is loaded", "Load one: parameter map, or ~/load_map")
        return self.reference

    def _read(self, text: str, now_ns: int) -> Embedding:
        """Encode a text as the map's own text was."""
        record = self._map().encoders.get("text")
        if record is None:
            raise Any2AnyError(
                "Cannot rank by a text", f"map '{self._map().name}' holds no text", "Build a map with captions"
            )
        self._text = self._text or encoders.build(record.plug, record.settings)
        return Embedding("text", self._text.encode(text), now_ns, encoder=self._text.fingerprint)
