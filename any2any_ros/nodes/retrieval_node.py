"""The node that answers: embeddings of whatever is alive in, a ranking of the map's places out.

ros2 run any2any_ros retrieval_node --ros-args -p map:=/path/to/map
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

import any2any_ros.msg as msg
from any2any_ros.config import AliveConfig, PlaceConfig, RetrievalConfig, RetrievalNodeConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import messages, parameters, runtime
from any2any_ros.nodes.checker import Checker
from any2any_ros.nodes.map_services import MapServices
from any2any_ros.nodes.odometry import OdometryBuffer
from any2any_ros.nodes.outputs import Outputs
from any2any_ros.nodes.retrieval_health import DRIFTED, Health
from any2any_ros.observation import Ranking
from any2any_ros.retrieval.localizer import Localizer


class RetrievalNode(runtime.ManagedNode):
    """Configure loads the map, activate subscribes; every moment of the sensors alive is one ranking."""

    def __init__(self) -> None:
        super().__init__("retrieval")
        self.config = parameters.declare(self, RetrievalNodeConfig)
        self.alive = parameters.declare(self, AliveConfig)
        self.hit_radius = parameters.declare(self, PlaceConfig).hit_radius
        ranking = parameters.declare(self, RetrievalConfig)
        self._odometry = OdometryBuffer(self)
        self.localizer = Localizer(self.alive, ranking, self.hit_radius, self._odometry.pose)
        self._checker = Checker(self, self.localizer, self.hit_radius, self.alive.slop)
        self.health = Health()
        self._subscription: Any = None

    def configure(self) -> None:
        runtime.limit_threads(1)
        self._map_services = MapServices(self, self.localizer, self.use_map)
        self._outputs = Outputs(self, self.hit_radius)
        if self.config.map:
            try:
                self.use_map(Path(self.config.map))
            except Any2AnyError as error:  # the node stays up: ~/load_map can still mend it
                self._complain(error)

    def use_map(self, folder: Path) -> int:
        """Rank against another map from now on; on an error the old one stays. Return its places."""
        reference = self.localizer.open(folder, self._timeouts)
        self.health.error = ""
        self.get_logger().info(
            f"map '{reference.name}': {len(reference)} places, {', '.join(reference.sensors)}"
            + ("" if self.localizer.calibrated else "; not calibrated: no probability, nothing accepted")
        )
        self._checker.look()
        return len(reference)

    def _timeouts(self, modalities: Iterable[str]) -> dict[str, float]:
        """Return every modality's own source_timeout, a parameter as soon as the map names it."""
        names = {m: f"source_timeouts.{m}" for m in modalities}
        for name in names.values():
            if not self.has_parameter(name):
                self.declare_parameter(name, self.alive.source_timeout)
        return {m: float(self.get_parameter(name).value or 0.0) for m, name in names.items()}

    def activate(self) -> None:
        self._patience = self.create_timer(self.alive.wait, self._flush, clock=runtime.STEADY)
        self._patience.cancel()
        self._watch = self.create_timer(self.config.watch, self._look, clock=runtime.STEADY)
        self._jumps = self.get_clock().create_jump_callback(runtime.ANY_JUMP_BACK, post_callback=self._on_jump)
        self._subscription = self.create_subscription(msg.Embedding, "embeddings", self._receive, 50)
        self._odometry.open(self.config.odometry)
        self._checker.open(self.config)

    def deactivate(self) -> None:
        if self._subscription is not None:
            self._jumps.unregister()
            self.destroy_timer(self._patience)
            self.destroy_timer(self._watch)
            self.destroy_subscription(self._subscription)
            self._subscription = None
            self._odometry.close()
            self._checker.close()

    def cleanup(self) -> None:
        self._map_services.destroy()
        self._outputs.destroy()
        self.localizer.close()

    def _receive(self, message: msg.Embedding) -> None:
        try:
            rankings = self.localizer.add(messages.embedding(message), self.now_ns())
        except Any2AnyError as error:
            self.health.refused += 1
            self._complain(error)
            return
        self._publish(rankings)
        if not self.localizer.assembler.waiting:
            self._patience.cancel()
        elif rankings or self._patience.is_canceled():  # another moment has begun
            self._patience.reset()

    def _flush(self) -> None:
        """Answer a moment that somebody kept waiting."""
        self._patience.cancel()
        self._publish(self.localizer.flush(self.now_ns()))

    def _look(self) -> None:
        """Notice who died and who came back."""
        died, came, rankings = self.localizer.watch(self.now_ns())
        for modality in died:
            self.get_logger().warning(f"{modality} is stale: no embedding within its source_timeout")
        for modality in came:
            self.get_logger().info(f"{modality} is alive")
        for modality in self.health.newly_drifted(self.localizer):
            self.get_logger().warning(f"{modality} is {DRIFTED}: its part in the probabilities is not proven")
        self._publish(rankings)

    def _publish(self, rankings: list[Ranking]) -> None:
        reference = self.localizer.reference
        for ranking in rankings:
            assert reference is not None  # or there would be no ranking
            self._outputs.publish(ranking, reference)
            self.health.answers.tick(self.now_ns())
            self.health.last = ranking
            self._checker.offer(self.localizer.moment)

    def _on_jump(self, jump: Any) -> None:
        self.get_logger().info("the clock jumped: sensors are heard afresh")
        self.localizer.forget()

    def _complain(self, error: Any2AnyError) -> None:
        self.health.error = str(error)
        self.get_logger().error(self.health.error, throttle_duration_sec=5.0)

    def status(self) -> list[DiagnosticStatus]:
        lines = self.health.lines(self.get_name(), self.localizer, self.now_ns()) + self._checker.status()
        return lines if self._subscription is not None else []


def main() -> int:
    return runtime.main(RetrievalNode)


if __name__ == "__main__":
    sys.exit(main())
