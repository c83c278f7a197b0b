"""The topic that a sensor of a map was recorded on, so that a robot listens there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from any2any_ros import names
from any2any_ros.errors import Any2AnyError

COMPRESSED = "sensor_msgs/msg/CompressedImage"
RAW = "sensor_msgs/msg/Image"
TRANSPORTS = ("", "raw", "compressed")
SUFFIX = "/compressed"  # that image_transport appends to the topic of the raw pictures


@dataclass(frozen=True)
class SensorTopic:
    """A topic: its name, its ROS type, and the frame of its messages, "" where they have none.

    The type also says the transport: pictures of type CompressedImage are compressed.
    """

    name: str
    type: str
    frame_id: str = ""

    def __post_init__(self) -> None:
        names.topic(self.name)
        names.message_type(self.type)

    def over(self, transport: str) -> SensorTopic:
        """Return the topic of the same pictures over another transport, as image_transport names it.

        transport: raw or compressed; "", and a topic of anything else, changes nothing. Raises Any2AnyError for
        another.
        """
        if transport not in TRANSPORTS:
            known = ", ".join(filter(None, TRANSPORTS))
            raise Any2AnyError(
                f"'{transport}' is no transport of images", f"there are {known}", "Correct image_transport"
            )
        if self.type == RAW and transport == "compressed":
            return replace(self, name=f"{self.name}{SUFFIX}", type=COMPRESSED)
        if self.type == COMPRESSED and transport == "raw":
            return replace(self, name=self.name.removesuffix(SUFFIX), type=RAW)
        return self
