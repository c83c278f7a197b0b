"""The base class of our nodes: lifecycle transitions, errors in the log, and diagnostics once a second."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy import time_source
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos_overriding_options import QoSOverridingOptions

from any2any_ros import plugins
from any2any_ros.errors import Any2AnyError, error_text
from any2any_ros.node_config import ManagedNodeConfig
from any2any_ros.nodes import parameters
from any2any_ros.nodes.clock import RobotClock
from any2any_ros.nodes.messages import time_message
from any2any_ros.nodes.process_health import ProcessHealth

CLOCK_READER = time_source.__file__  # reads /clock, and raises when a time on it is negative
OVERRIDABLE = QoSOverridingOptions.with_default_policies()
STEADY = Clock(clock_type=ClockType.STEADY_TIME)
ANY_JUMP_BACK = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)


class ManagedNode(LifecycleNode):
    """A lifecycle node that logs why a transition failed, and publishes its status on /diagnostics once a second.

    Subclasses override `configure`, `activate`, `deactivate`, `cleanup` and `status`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        config = parameters.declare(self, ManagedNodeConfig)
        self._autostart = config.autostart
        for module in config.allow_modules:
            plugins.allow_module(module)
        self.robot_clock, self._process = RobotClock(self.get_clock()), ProcessHealth()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._heartbeat = self.create_timer(1.0, self._diagnose, clock=STEADY)

    def create_subscription(self, *args: Any, **kwargs: Any) -> Any:
        """Subscribe. A user may override the QoS: `qos_overrides./TOPIC.subscription.reliability` and the like."""
        return super().create_subscription(*args, **{"qos_overriding_options": OVERRIDABLE} | kwargs)

    def create_lifecycle_publisher(self, *args: Any, **kwargs: Any) -> Any:
        """Make a publisher. A user may override its QoS, as that of a subscription."""
        return super().create_lifecycle_publisher(*args, **{"qos_overriding_options": OVERRIDABLE} | kwargs)

    def configure(self) -> None: ...
    def activate(self) -> None: ...
    def deactivate(self) -> None: ...
    def cleanup(self) -> None: ...

    def status(self) -> list[DiagnosticStatus]:
        """Return the lines for /diagnostics."""
        return []

    @property
    def label(self) -> str:
        """Return the node's name, with its namespace, for the diagnostics."""
        return str(self.get_fully_qualified_name()).lstrip("/")

    def autostart(self) -> None:
        """Configure and activate the node, unless autostart is false because a lifecycle manager does so."""
        if self._autostart and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def now_ns(self) -> int:
        """Return the time of the robot's clock in ns. It is simulated when use_sim_time is set."""
        return self.robot_clock.now_ns()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.configure) or super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.activate) or super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.deactivate) or super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.cleanup) or super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        undone = {"active": (self.deactivate, self.cleanup), "inactive": (self.cleanup,)}.get(state.label, ())
        for step in undone:
            self._attempt(step)
        return super().on_shutdown(state)

    def callback_failed(self, error: Exception) -> None:
        """Count and log an exception that a callback, a timer or a service raised; the node goes on."""
        frames = traceback.extract_tb(error.__traceback__)
        if any(frame.filename == CLOCK_READER for frame in frames):
            self.robot_clock.refused(error_text(error))
            return
        self._process.failed(error_text(error))
        place = "".join(f" ({Path(frame.filename).name}:{frame.lineno})" for frame in frames[-1:])
        self.get_logger().error(f"a callback failed: {error_text(error)}{place}", throttle_duration_sec=5.0)

    def _attempt(self, step: Callable[[], None]) -> TransitionCallbackReturn | None:
        """Run the work of one transition. Log an error; rclpy would swallow it."""
        try:
            step()
        except Any2AnyError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self.get_logger().error(f"{step.__name__} failed: {type(error).__name__}: {error}")
            return TransitionCallbackReturn.FAILURE
        return None

    def _diagnose(self) -> None:
        lines: list[DiagnosticStatus] = []
        try:
            lines = self.status()
        except Exception as error:  # the other lines are published all the same
            self.callback_failed(error)
        level, text = self.robot_clock.state()
        lines.append(diagnostic(level, f"{self.label}: clock", text))
        level, text, values = self._process.state()
        lines.append(diagnostic(level, f"{self.label}: process", text, **values))
        message = DiagnosticArray(status=lines)
        message.header.stamp = time_message(self.now_ns())
        self._diagnostics.publish(message)


def diagnostic(level: bytes, name: str, text: str, hardware_id: str = "", **values: Any) -> DiagnosticStatus:
    """Return one diagnostic line. values: its keys and values in order; floats get three decimals."""
    texts = {k: f"{v:.3f}" if isinstance(v, float) else str(v) for k, v in values.items()}
    pairs = [KeyValue(key=k, value=v) for k, v in texts.items()]
    return DiagnosticStatus(level=level, name=name, message=text, hardware_id=hardware_id, values=pairs)
