"""What the launch files share: the actions that start processes and keep them running."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from any2any_ros.config import BAD_PARAMETERS
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import topology
from any2any_ros.nodes.topology import Process
from any2any_ros.retrieval import reference_map


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


def managed(processes: Iterable[Process], values: Mapping[str, str]) -> list[Any]:
    """Return the launch actions of these processes, and of Nav2's lifecycle manager, which activates them.

    values: of the launch arguments, as for `actions`. Our nodes make no bond with the manager, so bonds are off.
    """
    listed = list(processes)
    manager = {"node_names": [process.name for process in listed], "bond_timeout": 0.0}
    return [*actions(listed, {**values, "autostart": "false"}), _manager("lifecycle_manager_any2any", manager, values)]


def amcl(values: Mapping[str, str]) -> list[Any]:
    """Return the launch actions of Nav2's map server and AMCL, and of a lifecycle manager of their own.

    values: of the launch arguments; `grid`, `nav2_params`, `use_sim_time` and `namespace` are read. AMCL begins without
    a pose, until it is told one on initialpose.
    """
    from launch_ros.actions import Node

    parts: dict[str, dict[str, Any]] = {
        "map_server": {"yaml_filename": values["grid"]},
        "amcl": {"set_initial_pose": False},
    }
    overrides = [values["nav2_params"]] if values["nav2_params"] else []
    remappings = [("/tf", "tf"), ("/tf_static", "tf_static")]
    nodes = [
        Node(
            package=f"nav2_{name}",
            executable=name,
            name=name,
            namespace=values["namespace"],
            remappings=remappings,
            parameters=[*overrides, {**parameters, **_clock(values)}],
            output="screen",
        )
        for name, parameters in parts.items()
    ]
    return [*nodes, _manager("lifecycle_manager_amcl", {"node_names": list(parts)}, values)]


def _manager(name: str, parameters: Mapping[str, Any], values: Mapping[str, str]) -> Any:
    from launch_ros.actions import Node

    return Node(
        package="nav2_lifecycle_manager",
        executable="lifecycle_manager",
        name=name,
        namespace=values["namespace"],
        parameters=[{"autostart": True, **parameters, **_clock(values)}],
        output="screen",
    )


def _clock(values: Mapping[str, str]) -> dict[str, bool]:
    return {"use_sim_time": values["use_sim_time"].lower() == "true"}


def without_map(values: Mapping[str, str]) -> list[Any]:
    """Return the launch actions of the retrieval node alone, where its map cannot be opened; [] where it can.

    values: of the launch arguments. The error is logged. A launch file that includes ours goes on, and the node waits
    for ~/load_map, with the error in /diagnostics. Without encoders nothing is ranked.
    """
    from launch.logging import get_logger

    try:
        if values["map"]:
            reference_map.load(Path(values["map"]))
        return []
    except Any2AnyError as error:
        get_logger("any2any_ros").error(f"only the retrieval node is started: {error}")
        use_sim_time = values["use_sim_time"].lower() == "true"
        return actions([topology.retrieval(values["map"], use_sim_time)], values)


def session_folder() -> str:
    """Return a new folder for what a process that is started again must find; it is removed when the launch ends."""
    folder = tempfile.mkdtemp(prefix="any2any-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _give_up(event: Any, context: Any) -> list[Any]:
    """Do not start a process again whose parameters are wrong: it would end again at once, for ever."""
    from launch.actions import EmitEvent
    from launch.events import matches_action
    from launch.events.process import ShutdownProcess

    if event.returncode != BAD_PARAMETERS:
        return []
    return [EmitEvent(event=ShutdownProcess(process_matcher=matches_action(event.action)))]
