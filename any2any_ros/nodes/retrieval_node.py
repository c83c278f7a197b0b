"""The node that answers: embeddings of whatever is alive in, a ranking of the map's places out.

ros2 run any2any_ros retrieval_node --ros-args -p map:=/path/to/map
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration

from any2any_ros import msg
from any2any_ros.config import AliveConfig, PlaceConfig, RetrievalConfig, RetrievalNodeConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import messages, parameters, retrieval_health, runtime
from any2any_ros.nodes.map_services import MapServices
from any2any_ros.nodes.outputs import Outputs
from any2any_ros.nodes.rate import Rate
from any2any_ros.observation import Observation, Ranking
from any2any_ros.retrieval.assembler import Assembler
from any2any_ros.retrieval.calibration import open_map
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever

ANY_JUMP_BACK = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)


class RetrievalNode(runtime.ManagedNode):
    """Configure loads the map, activate subscribes; every moment of the sensors alive is one ranking."""

    def __init__(self) -> None:
        super().__init__("retrieval")
        self.config = parameters.declare(self, RetrievalNodeConfig)
        self.alive = parameters.declare(self, AliveConfig)
        self.k = parameters.declare(self, RetrievalConfig).k
        self.hit_radius = parameters.declare(self, PlaceConfig).hit_radius
        self.reference: ReferenceMap | None = None
        self.retriever: Retriever | None = None
        self.assembler = Assembler(self.alive)
        self.calibrated, self.error = False, "no map is loaded"
        self.answers, self.refused, self.last = Rate(), 0, Ranking((), ())
        self.seen_alive: tuple[str, ...] = ()
        self._subscription: Any = None

    def configure(self) -> None:
        runtime.limit_threads(1)
        self._map_services = MapServices(self)
        self._outputs = Outputs(self, self.hit_radius)
        if self.config.map:
            try:
                self.use_map(Path(self.config.map))
            except Any2AnyError as error:  # the node stays up: ~/load_map can still mend it
                self._complain(error)

    def use_map(self, folder: Path) -> int:
        """Load a map and rank against it from now on; on an error the old one stays. Return its places."""
        self.reference, self.retriever, self.calibrated = open_map(folder, self.hit_radius)
        self.assembler = Assembler(self.alive, self._timeouts(self.reference), self.reference.encoders)
        self.error = ""
        self.get_logger().info(
            f"map '{self.reference.name}': {len(self.reference)} places, {', '.join(self.reference.encoders)}"
            + ("" if self.calibrated else "; not calibrated: no probability, nothing accepted")
        )
        return len(self.reference)

    def _timeouts(self, reference: ReferenceMap) -> dict[str, float]:
        names = {m: f"source_timeouts.{m}" for m in reference.encoders}
        for name in names.values():
            if not self.has_parameter(name):
                self.declare_parameter(name, self.alive.source_timeout)
        return {m: float(self.get_parameter(name).value or 0.0) for m, name in names.items()}

    def activate(self) -> None:
        self._patience = self.create_timer(self.alive.wait, self._flush, clock=runtime.STEADY)
        self._patience.cancel()
        self._watch = self.create_timer(self.config.watch, self._look, clock=runtime.STEADY)
        self._jumps = self.get_clock().create_jump_callback(ANY_JUMP_BACK, post_callback=self._on_jump)
        self._subscription = self.create_subscription(msg.Embedding, "embeddings", self._receive, 50)

    def deactivate(self) -> None:
        if self._subscription is not None:
            self._jumps.unregister()
            self.destroy_timer(self._patience)
            self.destroy_timer(self._watch)
            self.destroy_subscription(self._subscription)
            self._subscription = None

    def cleanup(self) -> None:
        self._map_services.destroy()
        self._outputs.destroy()
        self.reference, self.retriever, self.error = None, None, "no map is loaded"

    def _receive(self, message: msg.Embedding) -> None:
        if self.reference is None:
            return
        try:
            embedding = messages.embedding(message)
            self.reference.check(embedding)
        except Any2AnyError as error:
            self.refused += 1
            self._complain(error)
            return
        for observation in self.assembler.add(embedding, self.now_ns()):
            self._answer(observation)
        if self.assembler.waiting and self._patience.is_canceled():
            self._patience.reset()

    def _flush(self) -> None:
        """Answer a moment that somebody kept waiting."""
        self._patience.cancel()
        observation = self.assembler.flush(self.now_ns())
        if observation is not None:
            self._answer(observation)

    def _look(self) -> None:
        """Notice who died and who came back; when nobody is left to ask for a ranking, publish that there is none."""
        was, self.seen_alive = self.seen_alive, self.assembler.alive(self.now_ns())
        for modality in sorted(set(was) - set(self.seen_alive)):
            self.get_logger().warning(f"{modality} is stale: no embedding within its source_timeout")
        for modality in sorted(set(self.seen_alive) - set(was)):
            self.get_logger().info(f"{modality} is alive")
        if was and not self.seen_alive:
            self._answer(Observation({}, self.now_ns()))

    def _answer(self, observation: Observation) -> None:
        assert self.retriever is not None and self.reference is not None
        self.last = self.retriever.rank(observation, self.k)
        self._outputs.publish(self.last, self.reference)
        self.answers.tick(self.now_ns())

    def _on_jump(self, jump: Any) -> None:
        self.get_logger().info("the clock jumped: sensors are heard afresh")
        self.assembler.reset()

    def _complain(self, error: Any2AnyError) -> None:
        self.error = str(error)
        self.get_logger().error(self.error, throttle_duration_sec=5.0)

    def status(self) -> list[DiagnosticStatus]:
        return [] if self._subscription is None else retrieval_health.of(self)


def main() -> int:
    return runtime.main(RetrievalNode)


if __name__ == "__main__":
    sys.exit(main())
