"""The process of a node: start, signals, spinning, and shutdown."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import rclpy
from rclpy._rclpy_pybind11 import RCLError, UnknownROSArgsError
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from any2any_ros.config import BAD_PARAMETERS, PARENT
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes.lifecycle import ManagedNode


def limit_threads(count: int) -> None:
    """Let numerical libraries use `count` threads. More would compete with the robot's other processes."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(count)
    if "cv2" in sys.modules:  # OpenCV has its own thread pool
        sys.modules["cv2"].setNumThreads(count)


class Stop:
    """Becomes true on SIGINT or SIGTERM, and when the process that started this one has ended.

    A second signal ends the process at once. The starter gives its process id in the environment variable PARENT; it is
    not watched where another process, such as a debugger, stands between the two.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._parent = os.getppid() if os.environ.get(PARENT) == str(os.getppid()) else 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._event.is_set():
            os._exit(128 + number)
        self._event.set()

    def set(self) -> None:
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set() or bool(self._parent and os.getppid() != self._parent)


def start(arguments: list[str] | None = None) -> None:
    """Initialise rclpy without its own signal handlers: with them, a process that hangs survives SIGTERM.

    Raises Any2AnyError when a parameter file, an argument or an environment variable of ROS is wrong.
    """
    # The wheels from PyPI make the virtual environment a ROS prefix, but do not set this variable.
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except (RCLError, UnknownROSArgsError) as error:
        why = str(error).split(", at /")[0].removeprefix("failed to initialize rcl: ")  # without lines of ROS's sources
        remedy = "Correct the parameter file, the arguments after --ros-args, or the variables of ROS"
        raise Any2AnyError("ROS cannot start", why, remedy) from error


def spin(node: ManagedNode, stop: Stop) -> None:
    """Run a node's callbacks until `stop` is set. What a callback raises is reported, and ends nothing."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not stop:
            try:
                executor.spin_once(timeout_sec=0.1)
            except Exception as error:
                node.callback_failed(error)
    finally:
        executor.shutdown()


class _NodeLogHandler(logging.Handler):
    """Writes the records of Python's logging to a node's log."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._logger = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self._logger.warning(record.getMessage())
        else:
            self._logger.info(record.getMessage())


@contextmanager
def library_logs(node: Node) -> Iterator[None]:
    """Write what the library logs to the node's log, such as the progress of long work."""
    library, handler = logging.getLogger("any2any_ros"), _NodeLogHandler(node)
    library.setLevel(logging.INFO)
    library.addHandler(handler)
    try:
        yield
    finally:
        library.removeHandler(handler)


def main(make_node: Callable[[], ManagedNode], arguments: list[str] | None = None) -> int:
    """Run a node until a signal comes; return the exit code: 0, 1 when ROS makes no node, or BAD_PARAMETERS."""
    stop = Stop()
    try:
        start(arguments)
        node = make_node()
    except (Any2AnyError, ParameterException) as error:
        print(error, file=sys.stderr)
        rclpy.try_shutdown()
        return BAD_PARAMETERS
    except RCLError as error:  # no shared memory is left, or SROS 2 is wanted and cannot be had
        print(
            Any2AnyError(
                "ROS cannot make the node", str(error), "Correct the variables of ROS, or free what is used up"
            ),
            file=sys.stderr,
        )
        rclpy.try_shutdown()
        return 1
    try:
        with library_logs(node):
            node.autostart()
            spin(node, stop)
    finally:
        # Worker threads would keep the process alive: the shutdown transition ends them before ROS shuts down.
        with suppress(RCLError):  # the node was shut down already
            node.trigger_shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
