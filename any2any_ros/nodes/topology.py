"""Which processes make the system, as data: `ros2 launch` and `any2any bringup` both start what is listed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from any2any_ros import samples, share
from any2any_ros.encoders import ENCODERS
from any2any_ros.objects import grounding_model
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.reference_map import EncoderRecord

PROFILES = {"loopback": "fastdds_loopback.xml", "robot": "fastdds_robot.xml"}
COMPRESSED = "sensor_msgs/msg/CompressedImage"


@dataclass(frozen=True)
class Process:
    """One node's process: executable of this package, node name, parameters beyond the defaults."""

    executable: str
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def place_recognition(
    map_folder: str,
    modalities: Iterable[str] = (),
    *,
    use_sim_time: bool = False,
    image_transport: str = "raw",
) -> list[Process]:
    """Return one encoder process for each modality, and the retrieval process.

    modalities: which sensors to encode; none means all that the map knows. With a map, each encoder runs with the
    settings that made the map, so that their vectors compare. Raises Any2AnyError on a map that cannot be read.
    """
    records = reference_map.load(Path(map_folder)).sensors if map_folder else {}
    wanted = tuple(modalities) or tuple(sorted(records))
    shared = {"use_sim_time": use_sim_time}
    encoders = [_encoder(m, records.get(m), image_transport, shared) for m in wanted]
    return [*encoders, Process("retrieval_node", "retrieval", shared | {"map": map_folder})]


def _encoder(modality: str, record: EncoderRecord | None, image_transport: str, shared: Mapping[str, Any]) -> Process:
    plug = record.plug if record else modality
    parameters: dict[str, Any] = {"encoder": plug, "modality": modality, **shared}
    parameters |= {f"settings.{k}": v for k, v in (record.settings if record else {}).items()}
    cls = ENCODERS.find(plug)
    if image_transport == "compressed" and COMPRESSED in samples.types_of(cls.accepts):
        parameters |= {"message_type": COMPRESSED, "topic": f"{cls.topic}/compressed"}
    return Process("encoder_node", f"{modality}_encoder", parameters)


def object_grounding(model: str, *, objects: str = "", hearing: str = "", use_sim_time: bool = False) -> list[Process]:
    """Return the process that remembers objects and finds the one that is meant.

    model: folder of `any2any train`. objects: folder in which they are kept from one start to the next; "" = nowhere.
    hearing: what turns speech into words; "" = the node's own choice. Raises Any2AnyError on a model that cannot be
    read.
    """
    grounding_model.load(Path(model))
    given = {"model": model, "objects": objects, "hearing": hearing}
    parameters = {"use_sim_time": use_sim_time, **{name: value for name, value in given.items() if value}}
    return [Process("grounding_node", "grounding", parameters)]


def environment(dds_profile: str = "robot") -> dict[str, str]:
    """Return what every process needs in its environment: a transport that loses no image, and one thread.

    dds_profile: "robot", "loopback" (nothing leaves this machine), a path, or "" to leave the middleware alone.
    """
    out = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if dds_profile:
        path = str(share.find("config", PROFILES[dds_profile])) if dds_profile in PROFILES else dds_profile
        # Jazzy reads the first name, Kilted and later the second.
        out |= {"FASTRTPS_DEFAULT_PROFILES_FILE": path, "FASTDDS_DEFAULT_PROFILES_FILE": path}
    if dds_profile == "loopback":
        out["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    return out
