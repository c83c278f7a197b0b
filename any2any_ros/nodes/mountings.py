"""Where the sensors of the live robot are mounted: by /tf_static, and by /tf where that does not say it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes.lifecycle import ManagedNode, diagnostic
from any2any_ros.nodes.rate import Rate
from any2any_ros.nodes.sensor_health import recent
from any2any_ros.nodes.sensor_odometry import CAPACITY, LATCHED, fill
from any2any_ros.observation import Embedding
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.samples import NS

OLDEST = 1 * NS  # ns: a mounting that moves, and was not published for this long, is unknown


class Mountings:
    """Tells embeddings where their sensors are mounted on the robot.

    Sensors count of which the map knows where they were mounted when it was made. One that /tf does not know is taken
    for mounted as then; that is counted, and the diagnostics warn of it.
    """

    def __init__(self, node: ManagedNode, localizer: Localizer) -> None:
        self._node, self._localizer = node, localizer
        self._subscriptions: list[Any] = []
        self.unknown: dict[str, Rate] = {}  # embeddings without a mounting, by modality
        self._frames: dict[str, str] = {}  # of the sensors, by modality

    def open(self, base_frame: str) -> None:
        """Subscribe to /tf_static. base_frame: the robot's; "": as in the map."""
        from any2any_ros.geometry.transforms import TransformBuffer  # SciPy, which a map without frames does not need

        self._base_frame, self._buffer = base_frame, TransformBuffer(CAPACITY)
        make = self._node.create_subscription
        self._subscriptions = [make(TFMessage, "/tf_static", self._receive_static, LATCHED)]

    def close(self) -> None:
        """Unsubscribe, and forget all transforms."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    @property
    def base_frame(self) -> str:
        """Return the robot's frame; "" where nothing says it."""
        reference = self._localizer.reference
        return (self._base_frame or ("" if reference is None else reference.base_frame)).lstrip("/")

    def of(self, embedding: Embedding) -> Embedding:
        """Return an embedding with the mounting of its sensor, where that is known."""
        reference, modality = self._localizer.reference, embedding.modality
        if reference is None or modality not in self._mounted() or not self.base_frame:
            return embedding
        self._frames[modality] = embedding.frame_id
        pose = self._pose(embedding.frame_id, embedding.stamp_ns)
        if pose is None:
            self.unknown.setdefault(modality, Rate()).tick(self._node.now_ns())
            self._listen_to_moving()
            return embedding
        return replace(embedding, mounting=pose)

    def _mounted(self) -> set[str]:
        """Return the modalities that are compared with those whose mountings the map knows."""
        reference = self._localizer.reference
        known = {} if reference is None else reference.places.mountings
        return {q for q, r in reference.pairs if r in known} if reference is not None and known else set()

    def _pose(self, frame: str, stamp_ns: int) -> Float64 | None:
        """Return the pose (4, 4) of a sensor's frame in the robot's at a time, or shortly before; None if unknown."""
        if not frame:
            return None
        try:
            last = None if frame.lstrip("/") == self.base_frame else self._buffer.known_until(self.base_frame, frame)
        except Any2AnyError:  # no way leads from one to the other
            return None
        if last is not None and last < stamp_ns - OLDEST:
            return None
        return self._buffer.pose(self.base_frame, frame, stamp_ns if last is None else min(stamp_ns, last))

    def _listen_to_moving(self) -> None:
        """Subscribe to /tf, which has many messages, and rarely a mounting."""
        if len(self._subscriptions) == 1:
            make = self._node.create_subscription
            self._subscriptions.append(make(TFMessage, "/tf", self._receive_moving, QoSProfile(depth=100)))

    def _receive_static(self, message: TFMessage) -> None:
        fill(self._buffer, message)

    def _receive_moving(self, message: TFMessage) -> None:
        fill(self._buffer, message, moving=True)

    def status(self, name: str) -> list[DiagnosticStatus]:
        """Return one diagnostic line; none for a map that does not know where its sensors were mounted. name: of the
        node."""
        reference, base = self._localizer.reference, self.base_frame
        if reference is None or not reference.places.mountings or not base:
            return []
        now = self._node.now_ns()
        lost = [m for m, rate in self.unknown.items() if recent(rate, now)]
        said = (f"'{m}' ({self._frames[m] or 'no frame_id'})" for m in lost)
        text = f"/tf does not say where {', '.join(said)} is mounted on {base}: taken for mounted as in the map"
        level = DiagnosticStatus.WARN if lost else DiagnosticStatus.OK
        text = text if lost else f"poses are those of {base}"
        counts = {m: rate.count for m, rate in self.unknown.items()}
        return [diagnostic(level, f"{name}: frames", text, base_frame=base, unknown=counts)]
