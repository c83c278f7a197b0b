"""The geometric check beside the stream: the newest moment's scan is laid over its candidates, in a thread of its own.

A ranking never waits for it. What takes long (laying, some 0.15 s a candidate) is done in the thread; ranking and
publishing stay with the executor, so that the map is only ever touched there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2

import any2any_ros.msg as msg
from any2any_ros import cdr, samples
from any2any_ros.config import RetrievalNodeConfig
from any2any_ros.errors import told
from any2any_ros.geometry import clouds
from any2any_ros.geometry.clouds import LIDAR
from any2any_ros.geometry.refiner import Registrations, obstacle
from any2any_ros.nodes import messages, outputs, runtime
from any2any_ros.nodes.inbox import Inbox
from any2any_ros.observation import Observation
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.samples import NS

KEPT = 10  # clouds that wait for their moment: a second at 10 Hz, some 2 MB each


@dataclass(frozen=True, eq=False)
class Job:
    """A moment, the cloud of that moment as it came, and the candidates to lay it over, of the map in use then."""

    moment: Observation
    raw: bytes
    retriever: Retriever
    ids: Sequence[str]


class Checker:
    """Publishes `checked_matches`, and `checked_place` (accepted and refined answers only)."""

    def __init__(self, node: runtime.ManagedNode, localizer: Localizer, hit_radius: float, slop: float) -> None:
        """slop: seconds between a moment's LiDAR stamp and its cloud's, at most."""
        self._node, self._localizer, self._hit_radius, self._slop = node, localizer, hit_radius, int(slop * NS)
        self._subscription: Any = None
        self.checks, self._error, self._obstacle, self._seconds = 0, "", "", 0.0

    def open(self, config: RetrievalNodeConfig) -> None:
        """Listen to the LiDAR, if there is a topic for that; raises Any2AnyError when its mounting is none."""
        if not config.cloud_topic:
            return
        self._mounting, self._period = clouds.mounting(config.cloud_mounting), config.cloud_period
        self._moment: Observation | None = None
        self._clouds: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._done: deque[tuple[Job, Registrations]] = deque()
        self._busy, self._begun = False, float("-inf")
        self._matches = self._node.create_lifecycle_publisher(msg.Ranking, "checked_matches", 10)
        self._place = self._node.create_lifecycle_publisher(PoseWithCovarianceStamped, "checked_place", 10)
        self._inbox = Inbox(1, self._lay)
        self._finished = self._node.create_guard_condition(self._answer)
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscription = self._node.create_subscription(
            PointCloud2, config.cloud_topic, self._receive, qos, raw=True
        )
        self.look()

    def close(self) -> None:
        """Stop listening, and return when the check at hand is done."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self._inbox.close()
            self._node.destroy_guard_condition(self._finished)
            for publisher in (self._matches, self._place):
                self._node.destroy_lifecycle_publisher(publisher)

    def look(self) -> None:
        """See what stands in the way of a check that was asked for, and warn of it: at the start, and of a new map."""
        folder, retriever = self._localizer.folder, self._localizer.retriever
        if self._subscription is not None and folder is not None and retriever is not None:
            self._obstacle = obstacle(folder, retriever.refiner)
            if self._obstacle:
                self._node.get_logger().warning(f"no geometric check, rankings go on without: {self._obstacle}")

    def offer(self, moment: Observation) -> None:
        """Take the newest moment that was ranked."""
        if self._subscription is not None and moment.embeddings:
            self._moment = moment
            self._begin()

    def _receive(self, raw: bytes) -> None:
        self._clouds.append((messages.raw_stamp_ns(raw) or self._node.now_ns(), raw))
        self._begin()

    def _begin(self) -> None:
        """Hand the newest moment to the thread, when that is free and the moment's cloud is here."""
        if self._moment is None or self._busy or time.monotonic() < self._begun + self._period:
            return
        stamp = self._moment.stamps_ns.get(LIDAR, self._moment.stamp_ns)
        taken, raw = min(self._clouds, key=lambda cloud: abs(cloud[0] - stamp), default=(0, b""))
        retriever = self._localizer.retriever
        if abs(taken - stamp) > self._slop or retriever is None or self._obstacle:
            return
        ids = [match.id for match in self._localizer.rank(self._moment, retriever.refiner.candidates).matches]
        self._busy, self._begun = True, time.monotonic()
        self._inbox.put(Job(self._moment, raw, retriever, ids))
        self._moment = None

    def _lay(self, jobs: list[Job]) -> None:
        """In the thread: lay, and wake the executor."""
        job, began = jobs[-1], time.perf_counter()
        registrations: Registrations = {}
        try:
            points = samples.cloud(cdr.read(job.raw, "sensor_msgs/msg/PointCloud2"))
            refiner = replace(job.retriever.refiner, complain=self._complain)
            registrations = refiner.register(clouds.moved(points, self._mounting), job.ids)
        except Exception as error:  # one bad cloud must not end the checks
            self._complain(told(error))
        self._seconds = time.perf_counter() - began
        self._done.append((job, registrations))
        self._finished.trigger()

    def _answer(self) -> None:
        """In the executor: rank again by what was seen."""
        while self._done:
            job, registrations = self._done.popleft()
            self._busy, reference = False, self._localizer.reference
            if reference is None or self._localizer.retriever is not job.retriever:
                continue  # another map has been loaded meanwhile
            if all(np.isnan(found.overlap) for found in registrations.values()):
                continue
            ranking = self._localizer.rank(job.moment, registrations=registrations)
            latency = max(0.0, (self._node.now_ns() - ranking.stamp_ns) / NS)
            self._matches.publish(messages.ranking_message(ranking, reference.frame_id, latency))
            if ranking.accepted and ranking.matches[0].refined:
                self._place.publish(outputs.place(ranking, reference.frame_id, self._hit_radius))
            self.checks += 1
        self._begin()

    def _complain(self, text: str) -> None:
        self._error = text
        self._node.get_logger().warning(text, throttle_duration_sec=5.0)

    def status(self) -> list[DiagnosticStatus]:
        """Return a line for the check, where one was asked for."""
        if self._subscription is None:
            return []
        why = self._obstacle or ("" if self._clouds else "no cloud has come")
        level, text = (DiagnosticStatus.WARN, why) if why else (DiagnosticStatus.OK, "checking")
        name, topic = f"{self._node.get_name()}: geometric check", self._subscription.topic_name
        return [
            runtime.status(level, name, text, topic, checks=self.checks, seconds=self._seconds, last_error=self._error)
        ]
