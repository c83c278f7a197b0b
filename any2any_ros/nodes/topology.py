"""Lists the processes of the system. `ros2 launch` and `any2any bringup` both start what is listed here."""

from __future__ import annotations

import os
import site
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from any2any_ros import names, plugins, samples, share
from any2any_ros.config import PARENT
from any2any_ros.encoders import ENCODERS, default
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects import grounding_model
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.sensor_topic import SensorTopic

PICTURES = ("image", "thermal")  # what image_transport compresses as JPEG or PNG
PROFILES = {"loopback": "fastdds_loopback.xml", "robot": "fastdds_robot.xml"}


@dataclass(frozen=True)
class Process:
    """The process of one node: the executable in this package, the node's name, parameters besides the defaults, its
    namespace."""

    executable: str
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    namespace: str = ""

    @property
    def remappings(self) -> list[tuple[str, str]]:
        """Return the remappings of topics: a robot with a namespace has its own /tf, as in Nav2."""
        return [("/tf", "tf"), ("/tf_static", "tf_static")] if self.namespace else []

    @property
    def enclave(self) -> str:
        """Return the name under which SROS 2 has the rights of the process (config/sros2/policy.xml)."""
        return f"/any2any_ros/{self.name}"


def place_recognition(
    map_folder: str,
    modalities: Iterable[str] = (),
    *,
    use_sim_time: bool = False,
    image_transport: str = "",
    topics: Mapping[str, str] | None = None,
    odometry: str = "",
) -> list[Process]:
    """Return one encoder process for each modality, and the retrieval process.

    modalities: which to encode; empty: all of the map. With a map, each encoder gets the settings that made the map,
    so that its vectors can be compared. It listens to its entry in `topics` (modality -> topic), else to the topic that
    the map was recorded on, else to its own default. image_transport: raw or compressed; "": as in the map, else raw.
    odometry: topic or two frames of /tf, for encoders that put samples together; "": the default of their node. Raises
    Any2AnyError on an unreadable map, for a name that is not valid, and for the topic of another modality.
    """
    reference = reference_map.load(Path(map_folder)) if map_folder else None
    records, recorded = (reference.sensors, reference.topics) if reference else ({}, {})
    wanted = [names.modality(m) for m in modalities] or sorted(records)
    told, shared = topics or {}, _shared(use_sim_time)
    if not set(told) <= set(wanted):
        why = f"what is started encodes {', '.join(wanted) or 'nothing'}"
        raise Any2AnyError(f"No topic is needed for {', '.join(sorted(set(told) - set(wanted)))}", why, "Leave it out")
    encoders = []
    for m in wanted:
        plug, settings = (records[m].plug, records[m].settings) if m in records else (default(m), {})
        parameters = {"encoder": plug, "modality": m, **{f"settings.{k}": v for k, v in settings.items()}}
        parameters |= _subscription(ENCODERS.find_recorded(plug), recorded.get(m), told.get(m), image_transport)
        if reference and m in reference.places.mountings:
            parameters["base_frame"] = reference.base_frame
        if odometry and ENCODERS.find_recorded(plug).uses_odometry:
            names.odometry(odometry)
            parameters["odometry"] = odometry
        # The name of a node must not start with a digit.
        name = f"encoder_{m}" if m[0].isdigit() else f"{m}_encoder"
        encoders.append(Process("encoder_node", name, parameters | shared))
    return [*encoders, retrieval(map_folder, use_sim_time)]


def retrieval(map_folder: str, use_sim_time: bool = False) -> Process:
    """Return the retrieval process. map_folder: it stays up when there is no map, and can load another."""
    return Process("retrieval_node", "retrieval", _shared(use_sim_time) | {"map": map_folder})


def _subscription(
    encoder: type[Encoder], recorded: SensorTopic | None, told: str | None, image_transport: str
) -> dict[str, str]:
    """Return the parameters that say where an encoder node listens; none for its default topic.

    recorded: the topic in the map's recording. told: the name of another topic.
    """
    usual = SensorTopic(encoder.topic, samples.types_of(encoder.accepts)[0])
    heard = recorded or usual
    heard = heard if told is None else replace(heard, name=told)
    over = heard.over(image_transport)
    heard = over if encoder.accepts in PICTURES else heard
    if (heard.name.lstrip("/"), heard.type) == (usual.name, usual.type):
        return {}
    # Relative names, unless the user says otherwise: a namespace may stand before them.
    return {"topic": heard.name.lstrip("/") if told is None else heard.name, "message_type": heard.type}


def within(processes: Iterable[Process], namespace: str) -> list[Process]:
    """Return the processes in a namespace, "": none. Raises Any2AnyError for one that is not valid."""
    space = namespace.strip("/")
    if space:
        names.topic(space)
    return [replace(p, namespace=space, parameters=_once(p.parameters, space)) for p in processes]


def _once(parameters: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """Return the parameters with an absolute topic where the map was recorded in the same namespace."""
    topic = str(parameters.get("topic", ""))
    absolute = bool(namespace) and topic.startswith(f"{namespace}/")
    return {**parameters, **({"topic": f"/{topic}"} if absolute else {})}


def object_grounding(model: str, *, objects: str = "", hearing: str = "", use_sim_time: bool = False) -> list[Process]:
    """Return the process of the grounding node.

    model: folder written by `any2any train`. objects: folder where objects are saved between two runs; "": they are
    not saved. hearing: transcriber of spoken commands; "": the node's default. Raises Any2AnyError when the model
    cannot be read.
    """
    grounding_model.load(Path(model))
    arguments = {"model": model, "objects": objects, "hearing": hearing}
    parameters = {**_shared(use_sim_time), **{name: value for name, value in arguments.items() if value}}
    return [Process("grounding_node", "grounding", parameters)]


def localization(
    odometry: str = "",
    *,
    publish_tf: bool = False,
    initial_pose: bool = False,
    localizer_pose: str = "",
    use_sim_time: bool = False,
) -> list[Process]:
    """Return the process that says where the robot is by several rankings.

    odometry: topic or two frames of /tf; "": the default of the node. publish_tf: whether it publishes map -> odom.
    initial_pose: whether it tells another localizer. localizer_pose: topic of that localizer's pose; "": the default of
    the node. Raises Any2AnyError for a name that is not valid.
    """
    parameters: dict[str, Any] = {"publish_tf": publish_tf, "initial_pose": initial_pose}
    if localizer_pose:
        parameters["localizer_pose"] = names.topic(localizer_pose)
    if odometry:
        names.odometry(odometry)
        parameters["odometry"] = odometry
    return [Process("localization_node", "localization", _shared(use_sim_time) | parameters)]


def _shared(use_sim_time: bool) -> dict[str, Any]:
    """Return the parameters of all nodes."""
    modules = list(plugins.allowed_modules())
    return {"use_sim_time": use_sim_time, **({"allow_modules": modules} if modules else {})}


def environment(dds_profile: str = "robot") -> dict[str, str]:
    """Return the environment variables that every process needs: a transport that loses no image, one thread, and the
    id of this process, which starts them: when it ends, however, they end too.

    dds_profile: "robot", "loopback" (nothing leaves this machine), a path, or "": Fast DDS keeps its own settings.
    """
    out = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", PARENT: str(os.getpid())}
    out |= {"PYTHONPATH": _python_path(), "LD_LIBRARY_PATH": os.pathsep.join(_folders("LD_LIBRARY_PATH"))}
    if dds_profile:
        out["SKIP_DEFAULT_XML_FILE"] = "1"  # or Fast DDS also reads DEFAULT_FASTRTPS_PROFILES.xml there
        path = str(share.find("config", PROFILES[dds_profile])) if dds_profile in PROFILES else dds_profile
        # Jazzy reads the first name, Kilted and later the second.
        out |= {"FASTRTPS_DEFAULT_PROFILES_FILE": path, "FASTDDS_DEFAULT_PROFILES_FILE": path}
    if dds_profile == "loopback":
        out["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    return out


def _python_path() -> str:
    """Return the PYTHONPATH with which a process finds the same package as this one, in a checkout too."""
    folders, home = _folders("PYTHONPATH"), str(Path(__file__).absolute().parents[2])
    installed = home in (*site.getsitepackages(), site.getusersitepackages(), *folders)
    return os.pathsep.join(folders if installed else [home, *folders])


def _folders(variable: str) -> list[str]:
    """Return the folders that a variable lists. An empty one is left out: it is the working directory, which may hold
    anything."""
    return list(filter(None, os.environ.get(variable, "").split(os.pathsep)))
