"""How every node of ours starts, runs its lifecycle, tells how it is, and ends."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from any2any_ros.errors import Any2AnyError

STEADY = Clock(clock_type=ClockType.STEADY_TIME)
ANY_JUMP_BACK = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)


class ManagedNode(LifecycleNode):
    """A lifecycle node that says why a transition failed, and how it is at 1 Hz on /diagnostics.

    A node fills in `configure`, `activate`, `deactivate` and `cleanup`, and `status`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.declare_parameter("autostart", True)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._heartbeat = self.create_timer(1.0, self._diagnose, clock=STEADY)

    def configure(self) -> None: ...
    def activate(self) -> None: ...
    def deactivate(self) -> None: ...
    def cleanup(self) -> None: ...

    def status(self) -> list[DiagnosticStatus]:
        return []

    def autostart(self) -> None:
        """Configure and activate at once, unless a lifecycle manager does (autostart:=false)."""
        wanted = self.get_parameter("autostart").value
        if wanted and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def now_ns(self) -> int:
        """Return the robot's clock: simulated when use_sim_time is set."""
        return int(self.get_clock().now().nanoseconds)

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

    def _attempt(self, step: Callable[[], None]) -> TransitionCallbackReturn | None:
        """Run one transition's work; log what went wrong instead of swallowing it, as rclpy would."""
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
        message = DiagnosticArray(status=self.status())
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def status(level: bytes, name: str, text: str, hardware_id: str = "", **values: Any) -> DiagnosticStatus:
    """Return one diagnostic line; values in order, floats to three places."""
    shown = {k: f"{v:.3f}" if isinstance(v, float) else str(v) for k, v in values.items()}
    pairs = [KeyValue(key=k, value=v) for k, v in shown.items()]
    return DiagnosticStatus(level=level, name=name, message=text, hardware_id=hardware_id, values=pairs)


def limit_threads(count: int) -> None:
    """Let numerical libraries use `count` threads; more only fight with the robot's other processes."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(count)
    if "cv2" in sys.modules:  # it has threads of its own
        sys.modules["cv2"].setNumThreads(count)


class Stop:
    """Set by SIGINT or SIGTERM; a second signal ends the process at once."""

    def __init__(self) -> None:
        self._event = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._event.is_set():
            os._exit(128 + number)
        self._event.set()

    def set(self) -> None:
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()


def start(arguments: list[str] | None = None) -> None:
    """Initialise rclpy without its own signal handlers, with which a hung process survives SIGTERM."""
    # The PyPI wheels make the virtual environment a ROS prefix and do not say so themselves.
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)


def spin(node: Node, stop: Stop) -> None:
    """Run a node's callbacks until told to stop."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not stop:
            executor.spin_once(timeout_sec=0.1)
    finally:
        executor.shutdown()


class _Passed(logging.Handler):
    """What the library logs, in a node's log."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._logger = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self._logger.warning(record.getMessage())
        else:
            self._logger.info(record.getMessage())


@contextmanager
def passing(node: Node) -> Iterator[None]:
    """Let a node log what the library does meanwhile: what takes long says so there."""
    library, handler = logging.getLogger("any2any_ros"), _Passed(node)
    library.setLevel(logging.INFO)
    library.addHandler(handler)
    try:
        yield
    finally:
        library.removeHandler(handler)


def main(make_node: Callable[[], ManagedNode], arguments: list[str] | None = None) -> int:
    """Be the main() of a node's process; returns its exit code."""
    stop = Stop()
    start(arguments)
    try:
        node = make_node()
    except (Any2AnyError, ParameterException) as error:
        print(error, file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    try:
        with passing(node):
            node.autostart()
            spin(node, stop)
    finally:
        # Threads that encode would keep the process alive: end them before ROS goes.
        node.trigger_shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
