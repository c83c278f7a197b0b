"""What map.json says of a map: its encoders, its parts, and where it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from any2any_ros import encoders
from any2any_ros.arrays import Float64
from any2any_ros.declared import NOT_NEGATIVE, POSITIVE
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry import clouds
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval.sensor_topic import SensorTopic

PLACES_FILE = re.compile(r"places-[0-9a-f]{16}\.npz")
# Left out where there is nothing to say.
OPTIONAL = (
    "topics",
    "origin",
    "mounting",
    "base_frame",
    "mountings",
    "identity",
)


@dataclass(frozen=True)
class EncoderRecord:
    """The encoder of one modality: enough to build it again, and to refuse the vectors of another encoder.

    space: name of the embedding space that it shares with other encoders; empty: none.
    """

    plug: str
    fingerprint: str
    dimension: Annotated[int, POSITIVE]
    settings: Mapping[str, Any] = field(default_factory=dict)
    space: str = ""

    @property
    def parts(self) -> tuple[int, ...]:
        """Lengths of the parts of its vectors; (): one part, or an encoder that cannot be built here."""
        try:
            return self.build().parts
        except Any2AnyError:
            return ()

    @property
    def cell(self) -> float:
        """Side of a cell of its bird's-eye images, in metres; 0: it makes none."""
        return float(self.settings.get("cell", 0.0))

    @classmethod
    def of(cls, encoder: Encoder) -> EncoderRecord:
        """Return the record of an encoder."""
        settings = asdict(encoder.config)
        name = encoders.ENCODERS.name_of(encoder)
        return cls(name, encoder.fingerprint, encoder.dimension, settings, encoder.space)

    def build(self) -> Encoder:
        """Build the encoder.

        Raises Any2AnyError where this is not possible, where its module is not allowed, and when it is another one by
        now: vectors of two encoders, or of two versions of one, cannot be compared.
        """
        built = encoders.rebuild(self.plug, self.settings)
        if built.fingerprint != self.fingerprint:
            raise Any2AnyError(
                f"Encoder '{self.plug}' is not the one that made the stored vectors",
                f"it is {built.fingerprint} now, they were made by {self.fingerprint}",
                "Build the map (or train the model) again, or install the version and the weights that made it",
            )
        return built


@dataclass(frozen=True)
class MapHeader:
    """The content of map.json. count: of the places. places: name of their file. parts: see map_folder.py. topics: in a
    map from a bag. origin, base_frame, identity: see ReferenceMap. mountings: of the sensors, by modality, as
    geometry/clouds.py writes them; mounting: the same of the LiDAR, in an older map."""

    format: int
    name: str
    frame_id: str
    count: Annotated[int, NOT_NEGATIVE]
    encoders: dict[str, EncoderRecord]
    places: str
    parts: dict[str, str]
    topics: dict[str, SensorTopic] = field(default_factory=dict)
    origin: tuple[float, float, float] | None = None
    mounting: str = ""
    identity: str = ""
    base_frame: str = ""
    mountings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not PLACES_FILE.fullmatch(self.places):
            raise ValueError(f"'{self.places}' is no name of a file of places")
        if not self.frame_id:
            raise ValueError("its frame_id is empty")
        if self.mounting:
            self.mountings.setdefault(clouds.LIDAR, self.mounting)
        self.sensor_mountings()

    def sensor_mountings(self) -> dict[str, Float64]:
        """Return the pose (4, 4) of each sensor in the robot's frame, by modality, where it is known."""
        return {m: clouds.mounting(text) for m, text in self.mountings.items()}
