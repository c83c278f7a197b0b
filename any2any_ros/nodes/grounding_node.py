"""Object grounding as a node: pictures in, objects remembered, commands answered.

ros2 run any2any_ros grounding_node --ros-args -p model:=/path/to/model
ros2 action send_goal /retrieve_object any2any_ros/action/RetrieveObject "{text: bring me the blue mug}"
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError, error_text
from any2any_ros.hearing import TRANSCRIBERS, endpoint
from any2any_ros.hearing.endpoint import EndpointConfig
from any2any_ros.node_config import GroundingNodeConfig
from any2any_ros.nodes import parameters, runtime
from any2any_ros.nodes.cameras import Cameras
from any2any_ros.nodes.inbox import Inbox
from any2any_ros.nodes.lifecycle import ManagedNode, diagnostic
from any2any_ros.nodes.listener import Listener
from any2any_ros.nodes.object_outputs import ObjectOutputs
from any2any_ros.nodes.object_saving import ObjectSaving
from any2any_ros.nodes.retrieve_object import RetrieveObject
from any2any_ros.objects.camera_view import CameraView
from any2any_ros.objects.grounder import Grounder, Verdict
from any2any_ros.objects.object_memory import MemoryConfig
from any2any_ros.objects.proposals import ProposalConfig
from any2any_ros.protocols import Transcriber
from any2any_ros.ranking import Ranking
from any2any_ros.samples import Sound


class GroundingNode(ManagedNode):
    """Loads the model and the objects when configured, subscribes when activated, saves the objects now and then."""

    def __init__(self) -> None:
        super().__init__("grounding")
        self.config = parameters.declare(self, GroundingNodeConfig)
        self._memory = parameters.declare(self, MemoryConfig, "memory")
        self._proposals = parameters.declare(self, ProposalConfig, "proposals")
        self._lock = threading.Lock()  # the grounder is used by the thread that sees and by the one that answers
        self._seconds, self._views = 0.0, 0
        self._active, self._saving = False, ObjectSaving(self.config.objects, self.config.save_period)

    def configure(self) -> None:
        runtime.limit_threads(1)
        if not self.config.model:
            raise Any2AnyError("There is no model", "parameter model is empty", "Train one: any2any train emma")
        self.grounder = Grounder.open(Path(self.config.model), memory=self._memory, proposals=self._proposals)
        if self.config.objects and (Path(self.config.objects) / "map.json").exists():
            self.grounder.load_objects(Path(self.config.objects))
        endpointer = endpoint.build(parameters.declare(self, EndpointConfig))
        self._cameras = Cameras(self, self.config, self._on_view)
        self._outputs = ObjectOutputs(self, self.config.frame_id)
        self._action = RetrieveObject(self, self.config.frame_id, self.config.listen, self._answer, self._listen)
        self._listener = Listener(self, endpointer, self._transcriber(), self._action.hear)
        known, modalities = len(self.grounder.memory), ", ".join(self.grounder.model.command_modalities)
        self.get_logger().info(f"commands may have the modalities {modalities}; {known} objects are remembered")

    def _transcriber(self) -> Transcriber | None:
        """Return the transcriber; None without one. Typed commands need none."""
        if self.config.hearing == "none":
            return None
        try:
            cls: Any = TRANSCRIBERS.find(self.config.hearing)
            transcriber: Transcriber = cls(parameters.declare(self, cls.Config, "settings"))
            return transcriber
        except Any2AnyError as error:
            self.get_logger().warning(f"spoken commands are not transcribed: {error}")
            return None

    def activate(self) -> None:
        self._inbox = Inbox(1, self._see)
        self._cameras.open()
        self._listener.open(self.config.speech_topic)
        self._action.active = self._active = True

    def deactivate(self) -> None:
        if self._active:
            self._active = False
            self._action.stop()
            self._cameras.close()
            self._listener.close()
            self._inbox.close()

    def cleanup(self) -> None:
        self._action.destroy()
        self._outputs.destroy()
        self._saving.save(self.grounder.memory)
        del self.grounder

    def _on_view(self, view: CameraView) -> None:
        self._inbox.put(view)

    def _see(self, views: list[CameraView]) -> None:
        """Give the newest view to the grounder. Runs in the inbox's thread."""
        began = time.perf_counter()
        try:
            with self._lock:
                self.grounder.see(views[-1])
                objects = self.grounder.memory.believed
        except Exception as error:  # one bad picture must not end the thread
            self.get_logger().warning(error_text(error), throttle_duration_sec=5.0)
            return
        self._seconds, self._views = time.perf_counter() - began, self._views + 1
        self._outputs.show(objects, views[-1].stamp_ns)
        with self._lock:
            self._saving.save_now_and_then(self.grounder.memory, self.get_logger().warning)

    def _listen(self, wanted: bool) -> None:
        self._listener.wanted = wanted

    def _answer(self, words: str, sound: Sound | None) -> tuple[Ranking, Verdict, str, Float64 | None]:
        with self._lock:
            ranking = self.grounder.answer(self.grounder.command(words, sound, self.now_ns()), self.config.k)
            verdict = self.grounder.verdict(ranking)
            self._outputs.publish_answer(ranking, verdict, self.grounder.memory.believed)
            goal = self.grounder.goal(ranking, self.config.approach)
            return ranking, verdict, self.grounder.in_words(ranking, verdict), goal

    def status(self) -> list[DiagnosticStatus]:
        if not self._active:
            return []
        cameras, now = self._cameras, self.now_ns()
        (level, text), refused = cameras.state(), cameras.refused.count + self.grounder.refused
        values: Any = {f"{k}_rate": rate.hertz(now) for k, rate in cameras.views.rates.items()}
        return [
            diagnostic(
                level, f"{self.label}: objects", text, objects=len(self.grounder.memory), looks=self._views,
                look_seconds=self._seconds, refused=refused, last_error=cameras.error,
                dropped=cameras.views.dropped + self._inbox.dropped, missed=cameras.missed,
                sounds_refused=self._listener.refused, sounds_missing=self._listener.missing,
                last_sound_error=self._listener.error, **values,
            )
        ]  # fmt: skip


def main() -> int:
    return runtime.main(GroundingNode)


if __name__ == "__main__":
    sys.exit(main())
