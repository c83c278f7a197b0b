"""Refines rankings beside the stream: the robot's newest scan is registered onto the scans of its candidates.

A ranking on `matches` never waits for a registration, which takes about 0.15 s for each candidate. Scans are registered
in a separate thread. Ranking and publishing stay in the executor's thread, so that only one thread uses the map.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2

from any2any_ros import cdr, samples
from any2any_ros.arrays import Float64, Floats
from any2any_ros.errors import error_text
from any2any_ros.geometry import clouds
from any2any_ros.geometry.clouds import LIDAR
from any2any_ros.geometry.refiner import Registrations, obstacle
from any2any_ros.node_config import RetrievalNodeConfig
from any2any_ros.nodes import messages
from any2any_ros.nodes.inbox import Inbox, Newest
from any2any_ros.nodes.lifecycle import ManagedNode, diagnostic
from any2any_ros.nodes.outputs import RefinedOutputs
from any2any_ros.observation import Observation
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.map_folder import SCANS
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.samples import NS

WAITING_CLOUDS = 10  # clouds that wait for the ranking of their moment: 1 s at 10 Hz, about 2 MB each


@dataclass(frozen=True, eq=False)
class Job:
    """What the thread needs: an observation, its serialised PointCloud2, the candidates' ids, and the map's retriever
    at that time."""

    observation: Observation
    raw: bytes
    retriever: Retriever
    ids: Sequence[str]


class ScanRefinement:
    """Registers the newest cloud onto its candidates and publishes the refined ranking."""

    def __init__(self, node: ManagedNode, localizer: Localizer, hit_radius: float, slop: float) -> None:
        """hit_radius: metres. slop: largest difference between the stamps of an observation and its cloud, s."""
        self._node, self._localizer, self._hit_radius, self._slop = node, localizer, hit_radius, int(slop * NS)
        self._subscription: Any = None
        self.count, self._error, self._obstacle, self._seconds = 0, "", "", 0.0
        self._skipped = 0  # rankings that a newer one has replaced before their refinement began

    def open(self, config: RetrievalNodeConfig) -> None:
        """Subscribe to `config.cloud_topic`; do nothing when it is empty.

        Raises Any2AnyError when `config.cloud_mounting` is not a mounting.
        """
        if not config.cloud_topic:
            return
        if config.cloud_mounting:
            clouds.mounting(config.cloud_mounting)
        self._mounting, self._period = config.cloud_mounting, config.cloud_period
        self._observation: Observation | None = None
        self._clouds: Newest[tuple[int, bytes]] = Newest(WAITING_CLOUDS)
        self._done: deque[tuple[Job, Registrations, Floats]] = deque()
        self._busy, self._started = False, float("-inf")
        self._outputs = RefinedOutputs(self._node, self._hit_radius)
        self._inbox = Inbox(1, self._register)
        self._finished = self._node.create_guard_condition(self._publish)
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscription = self._node.create_subscription(
            PointCloud2, config.cloud_topic, self._receive, qos, raw=True
        )
        self.find_obstacle()

    def close(self) -> None:
        """Unsubscribe, and return when the registration in progress has ended."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self._inbox.close()
            self._node.destroy_guard_condition(self._finished)
            self._outputs.destroy()

    def find_obstacle(self) -> None:
        """Find out why the map cannot be used to refine, and log a warning. Called at the start and for a new map."""
        opened = self._localizer.map
        if self._subscription is not None and opened is not None:
            scans = opened.retriever.reference.part(SCANS, opened.folder)
            self._obstacle = obstacle(scans, opened.retriever.refiner)
            if self._obstacle:
                self._node.get_logger().warning(f"rankings are not refined by scans: {self._obstacle}")

    def offer(self, observation: Observation) -> None:
        """Take the newest observation that was ranked."""
        if self._subscription is not None and observation.embeddings:
            self._skipped += self._observation is not None
            self._observation = observation
            self._start()

    def _receive(self, raw: bytes) -> None:
        self._clouds.put((messages.raw_stamp_ns(raw) or self._node.now_ns(), raw), len(raw))
        self._start()

    def _start(self) -> None:
        """Give the newest observation to the thread, if the thread is free and the observation's cloud has arrived."""
        if self._observation is None or self._busy or time.monotonic() < self._started + self._period:
            return
        stamp = self._observation.stamps_ns.get(LIDAR, self._observation.stamp_ns)
        nearest, raw = min(self._clouds, key=lambda cloud: abs(cloud[0] - stamp), default=(0, b""))
        retriever = self._localizer.retriever
        if abs(nearest - stamp) > self._slop or retriever is None or self._obstacle:
            return
        candidates = self._localizer.rank(self._observation, k=retriever.refiner.candidates).matches
        self._busy, self._started = True, time.monotonic()
        self._inbox.put(Job(self._observation, raw, retriever, [match.id for match in candidates]))
        self._observation = None

    def _register(self, jobs: list[Job]) -> None:
        """Register the cloud onto the candidates' scans, then wake the executor. Runs in the inbox's thread."""
        job, began = jobs[-1], time.perf_counter()
        registrations: Registrations = {}
        points = np.empty((0, 3))
        try:
            points = self._in_robot(samples.cloud(cdr.read(job.raw, "sensor_msgs/msg/PointCloud2")), job)
            refiner = replace(job.retriever.refiner, complain=self._warn)
            registrations = refiner.register(points, job.ids)
        except Exception as error:  # one unusable cloud must not end the thread
            self._warn(error_text(error))
        self._seconds = time.perf_counter() - began
        self._done.append((job, registrations, points))
        self._finished.trigger()

    def _in_robot(self, points: Floats, job: Job) -> Float64:
        """Return points (N, 3 or more) of the LiDAR in the robot's frame."""
        known = {**job.retriever.reference.places.mountings, **job.observation.mountings}
        mounting = clouds.mounting(self._mounting) if self._mounting else known.get(LIDAR, np.eye(4))
        return clouds.moved(points, mounting)

    def _publish(self) -> None:
        """Rank the observation again with its registrations, and publish the result. Runs in the executor's thread."""
        while self._done:
            job, registrations, points = self._done.popleft()
            self._busy, reference = False, self._localizer.reference
            if reference is None or self._localizer.retriever is not job.retriever:
                continue  # another map has been loaded meanwhile
            if all(np.isnan(registration.overlap) for registration in registrations.values()):
                continue
            ranking = self._localizer.rank(job.observation, registrations=registrations)
            self._outputs.publish(ranking, reference, points)
            self.count += 1
        self._start()

    def _warn(self, text: str) -> None:
        self._error = text
        self._node.get_logger().warning(text, throttle_duration_sec=5.0)

    def status(self) -> list[DiagnosticStatus]:
        """Return one diagnostic line; none when there is no `cloud_topic`."""
        if self._subscription is None:
            return []
        why = self._obstacle or ("" if self._clouds else "no point cloud has arrived")
        level, text = (DiagnosticStatus.WARN, why) if why else (DiagnosticStatus.OK, "refining")
        name, topic = f"{self._node.label}: scan refinement", self._subscription.topic_name
        return [
            diagnostic(
                level, name, text, topic, refined=self.count, skipped=self._skipped, seconds=self._seconds,
                last_error=self._error,
            )
        ]  # fmt: skip
