"""Lists the processes of the system. `ros2 launch` and `any2any bringup` both start what is listed here."""

from __future__ import annotations

import os
import site
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from any2any_ros import names, plugins, samples, share
from any2any_ros.config import PARENT
from any2any_ros.encoders import ENCODERS
from any2any_ros.objects import grounding_model
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.reference_map import EncoderRecord

PROFILES = {"loopback": "fastdds_loopback.xml", "robot": "fastdds_robot.xml"}
COMPRESSED = "sensor_msgs/msg/CompressedImage"


@dataclass(frozen=True)
class Process:
    """The process of one node: the executable in this package, the node's name, and parameters besides the defaults."""

    executable: str
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def enclave(self) -> str:
        """Return the name under which SROS 2 has the rights of the process (config/sros2/policy.xml)."""
        return f"/any2any_ros/{self.name}"


def place_recognition(
    map_folder: str,
    modalities: Iterable[str] = (),
    *,
    use_sim_time: bool = False,
    image_transport: str = "raw",
) -> list[Process]:
    """Return one encoder process for each modality, and the retrieval process.

    modalities: which to encode; empty: all of the map. With a map, each encoder gets the settings that made the map, so
    that its vectors can be compared. image_transport: raw or compressed. Raises Any2AnyError on an unreadable
    map, and for a modality whose name is not valid.
    """
    records = reference_map.load(Path(map_folder)).sensors if map_folder else {}
    wanted = [names.modality(m) for m in modalities] or sorted(records)
    shared = _shared(use_sim_time)
    encoders = [_encoder(m, records.get(m), image_transport, shared) for m in wanted]
    return [*encoders, Process("retrieval_node", "retrieval", shared | {"map": map_folder})]


def _encoder(modality: str, record: EncoderRecord | None, image_transport: str, shared: Mapping[str, Any]) -> Process:
    plug = record.plug if record else modality
    parameters: dict[str, Any] = {"encoder": plug, "modality": modality, **shared}
    parameters |= {f"settings.{k}": v for k, v in (record.settings if record else {}).items()}
    cls = ENCODERS.find_recorded(plug)
    if image_transport == "compressed" and COMPRESSED in samples.types_of(cls.accepts):
        parameters |= {"message_type": COMPRESSED, "topic": f"{cls.topic}/compressed"}
    # The name of a node must not start with a digit.
    name = f"encoder_{modality}" if modality[0].isdigit() else f"{modality}_encoder"
    return Process("encoder_node", name, parameters)


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
