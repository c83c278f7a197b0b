"""Place recognition as a node: embeddings of the sensors that are alive in, rankings of the map's places out.

ros2 run any2any_ros retrieval_node --ros-args -p map:=/path/to/map
"""

from __future__ import annotations

import sys
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus

from any2any_ros.config import AliveConfig, PlaceConfig, RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.node_config import RetrievalNodeConfig
from any2any_ros.nodes import endpoints, parameters, runtime, sensor_health
from any2any_ros.nodes.arrivals import Arrivals
from any2any_ros.nodes.lifecycle import ANY_JUMP_BACK, STEADY, ManagedNode
from any2any_ros.nodes.live_settings import LiveSettings
from any2any_ros.nodes.localize import Localize
from any2any_ros.nodes.map_services import MapServices
from any2any_ros.nodes.mountings import Mountings
from any2any_ros.nodes.odometry import OdometryBuffer
from any2any_ros.nodes.outputs import Outputs
from any2any_ros.nodes.retrieval_health import Health
from any2any_ros.nodes.scan_refinement import ScanRefinement
from any2any_ros.observation import Observation
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
        self._live = LiveSettings(self, self.localizer, ranking, self.alive.source_timeout)
        self._refinement = ScanRefinement(self, self.localizer, self.hit_radius, self.alive.slop)
        self.health = Health()
        self._mountings = Mountings(self, self.localizer)
        self._arrivals = Arrivals(self, self.localizer, self.health, self._answer, self._mountings.of)

    def configure(self) -> None:
        runtime.limit_threads(1)
        self.map_services = MapServices(self, self.localizer, self._use_map)
        self._outputs = Outputs(self, self.hit_radius)
        self._localize = Localize(self, self.localizer, self._odometry.pose, self.hit_radius)
        if self.config.map:
            try:
                self.map_services.loading.load_now(Path(self.config.map))
            except Any2AnyError as error:  # the node stays up: ~/load_map can still load a good map
                self.health.fail(error, self.now_ns())
                self.get_logger().error(str(error), throttle_duration_sec=5.0)

    def _use_map(self, opened: OpenedMap) -> None:
        """Rank the places of another map from now on."""
        reference = self.localizer.use(opened, self._live.timeouts)
        self._arrivals.keep(self.localizer.assembler.streams)
        self.health.error = ""
        self.get_logger().info(
            f"map '{reference.name}': {len(reference)} places, {', '.join(reference.sensors)}"
            + ("" if self.localizer.calibrated else "; not calibrated: no probabilities, no answer is accepted")
        )
        self._refinement.find_obstacle()

    def activate(self) -> None:
        self._watch = self.create_timer(self.config.watch, self._watch_sensors, clock=STEADY)
        self._jumps = self.get_clock().create_jump_callback(ANY_JUMP_BACK, post_callback=self._on_jump)
        self._mountings.open(self.config.base_frame)
        self._arrivals.open(self.alive.wait, self.alive.source_timeout / 2)
        self._odometry.open(self.config.odometry)
        self._refinement.open(self.config)
        self._localize.open(self.config)

    def deactivate(self) -> None:
        if self._arrivals.topic:
            self._jumps.unregister()
            self.destroy_timer(self._watch)
            parts = self._arrivals, self._mountings, self._odometry, self._refinement, self._localize
            for close in [part.close for part in parts]:
                close()

    def cleanup(self) -> None:
        self._localize.destroy()
        self.map_services.destroy()
        self._outputs.destroy()
        self.localizer.close()

    def _answer(self, moment: Observation) -> None:
        self._publish([self.localizer.answer(moment)])

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
            self._localize.offer(self.localizer.moment, ranking)

    def _on_jump(self, jump: object) -> None:
        self.get_logger().info("the clock jumped: all received embeddings are forgotten")
        self.localizer.forget()
        self._arrivals.forget()

    def status(self) -> list[DiagnosticStatus]:
        if not self._arrivals.topic:
            return []
        self.health.mismatch = endpoints.own_mismatch(self, self._arrivals.topic)
        answers, *sensors = self.health.lines(self.label, self.localizer, self.now_ns())
        more = [*self._mountings.status(self.label), *self._refinement.status()]
        return [answers, self.map_services.status(), *sensors, *more]


def main() -> int:
    return runtime.main(RetrievalNode)


if __name__ == "__main__":
    sys.exit(main())
