"""Place recognition as a node: embeddings of the sensors that are alive in, rankings of the map's places out.

ros2 run any2any_ros retrieval_node --ros-args -p map:=/path/to/map
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

import any2any_ros.msg as msg
from any2any_ros.config import AliveConfig, PlaceConfig, RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.node_config import RetrievalNodeConfig
from any2any_ros.nodes import endpoints, messages, parameters, runtime, sensor_health
from any2any_ros.nodes.lifecycle import ANY_JUMP_BACK, STEADY, ManagedNode
from any2any_ros.nodes.map_services import MapServices
from any2any_ros.nodes.odometry import OdometryBuffer
from any2any_ros.nodes.outputs import Outputs
from any2any_ros.nodes.retrieval_health import Health
from any2any_ros.nodes.scan_refinement import ScanRefinement
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.opened_map import OpenedMap


class RetrievalNode(ManagedNode):
    """Loads the map when configured, and subscribes when activated; publishes one ranking for each observation."""

    def __init__(self) -> None:
        super().__init__("retrieval")
        self.config = parameters.declare(self, RetrievalNodeConfig)
        self.alive = parameters.declare(self, AliveConfig)
        self.hit_radius = parameters.declare(self, PlaceConfig).hit_radius
        ranking = parameters.declare(self, RetrievalConfig)
        self._odometry = OdometryBuffer(self)
        self.localizer = Localizer(self.alive, ranking, self.hit_radius, self._odometry.pose)
        self._refinement = ScanRefinement(self, self.localizer, self.hit_radius, self.alive.slop)
        self.health = Health()
        self._subscription: Any = None

    def configure(self) -> None:
        runtime.limit_threads(1)
        self.map_services = MapServices(self, self.localizer, self._use_map)
        self._outputs = Outputs(self, self.hit_radius)
        if self.config.map:
            try:
                self.map_services.loading.load_now(Path(self.config.map))
            except Any2AnyError as error:  # the node stays up: ~/load_map can still load a good map
                self._report(error)

    def _use_map(self, opened: OpenedMap) -> None:
        """Rank the places of another map from now on."""
        reference = self.localizer.use(opened, partial(parameters.source_timeouts, self, self.alive.source_timeout))
        self.health.error = ""
        self.get_logger().info(
            f"map '{reference.name}': {len(reference)} places, {', '.join(reference.sensors)}"
            + ("" if self.localizer.calibrated else "; not calibrated: no probabilities, no answer is accepted")
        )
        self._refinement.find_obstacle()

    def activate(self) -> None:
        self._wait = self.create_timer(self.alive.wait, self._flush, clock=STEADY)
        self._wait.cancel()
        self._watch = self.create_timer(self.config.watch, self._watch_sensors, clock=STEADY)
        self._jumps = self.get_clock().create_jump_callback(ANY_JUMP_BACK, post_callback=self._on_jump)
        self._subscription = self.create_subscription(msg.Embedding, "embeddings", self._receive, 50)
        self._odometry.open(self.config.odometry)
        self._refinement.open(self.config)

    def deactivate(self) -> None:
        if self._subscription is not None:
            self._jumps.unregister()
            self.destroy_timer(self._wait)
            self.destroy_timer(self._watch)
            self.destroy_subscription(self._subscription)
            self._subscription = None
            self._odometry.close()
            self._refinement.close()

    def cleanup(self) -> None:
        self.map_services.destroy()
        self._outputs.destroy()
        self.localizer.close()

    def _receive(self, message: msg.Embedding) -> None:
        now = self.now_ns()
        try:
            rankings = self.localizer.add(messages.embedding(message), now)
        except Any2AnyError as error:
            self.health.refuse(message.modality, self.localizer, error, now)
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        self._publish(rankings)
        if not self.localizer.assembler.waiting:
            self._wait.cancel()
        elif rankings or self._wait.is_canceled():  # the next moment has begun
            self._wait.reset()

    def _flush(self) -> None:
        """Answer the moment that has waited long enough for a sensor."""
        self._wait.cancel()
        self._publish(self.localizer.flush(self.now_ns()))

    def _watch_sensors(self) -> None:
        """Log which sensors became stale, came back, or no longer fit their calibration."""
        stale, back, rankings = self.localizer.watch(self.now_ns())
        sensor_health.tell(self.get_logger(), stale, back, self.health.newly_drifted(self.localizer))
        self._publish(rankings)

    def _publish(self, rankings: list[Ranking]) -> None:
        reference = self.localizer.reference
        for ranking in rankings:
            assert reference is not None  # without a map there is no ranking
            self._outputs.publish(ranking, reference)
            self.health.answers.tick(self.now_ns())
            self.health.last = ranking
            self._refinement.offer(self.localizer.moment)

    def _on_jump(self, jump: Any) -> None:
        self.get_logger().info("the clock jumped: all received embeddings are forgotten")
        self.localizer.forget()

    def _report(self, error: Any2AnyError) -> None:
        self.health.fail(error, self.now_ns())
        self.get_logger().error(str(error), throttle_duration_sec=5.0)

    def status(self) -> list[DiagnosticStatus]:
        if self._subscription is None:
            return []
        self.health.mismatch = endpoints.own_mismatch(self, self._subscription.topic_name)
        answers, *sensors = self.health.lines(self.get_name(), self.localizer, self.now_ns())
        return [answers, self.map_services.status(), *sensors, *self._refinement.status()]


def main() -> int:
    return runtime.main(RetrievalNode)


if __name__ == "__main__":
    sys.exit(main())
