"""What the launch files share: the actions that start processes and keep them running."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from any2any_ros.config import BAD_PARAMETERS
from any2any_ros.nodes import topology
from any2any_ros.nodes.topology import Process


def actions(processes: Iterable[Process], values: Mapping[str, str]) -> list[Any]:
    """Return the launch actions that start these processes.

    values: of the launch arguments; `namespace`, `autostart`, `params_file` and `dds_profile` are read. A process that
    ends is started again, unless its parameters are wrong.
    """
    from launch.actions import SetEnvironmentVariable
    from launch_ros.actions import Node

    autostart = {"autostart": values["autostart"].lower() == "true"}
    overrides = [values["params_file"]] if values["params_file"] else []
    environment = topology.environment(values["dds_profile"])
    return [SetEnvironmentVariable(name, value) for name, value in environment.items()] + [
        Node(
            package="any2any_ros",
            executable=process.executable,
            name=process.name,
            namespace=process.namespace,
            remappings=process.remappings,
            parameters=[dict(process.parameters), autostart, *overrides],
            ros_arguments=["--enclave", process.enclave],
            output="screen",
            respawn=True,
            respawn_delay=1.0,
            on_exit=_give_up,
        )
        for process in topology.within(processes, values["namespace"])
    ]


def _give_up(event: Any, context: Any) -> list[Any]:
    """Do not start a process again whose parameters are wrong: it would end again at once, for ever."""
    from launch.actions import EmitEvent
    from launch.events import matches_action
    from launch.events.process import ShutdownProcess

    if event.returncode != BAD_PARAMETERS:
        return []
    return [EmitEvent(event=ShutdownProcess(process_matcher=matches_action(event.action)))]
