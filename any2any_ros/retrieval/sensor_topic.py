"""The topic that a sensor of a map was recorded on, so that a robot listens there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from any2any_ros import names

COMPRESSED = "sensor_msgs/msg/CompressedImage"
RAW = "sensor_msgs/msg/Image"
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

        transport: raw or compressed; "", and a topic of anything else, changes nothing.
        """
        if self.type == RAW and transport == "compressed":
            return replace(self, name=f"{self.name}{SUFFIX}", type=COMPRESSED)
        if self.type == COMPRESSED and transport == "raw":
            return replace(self, name=self.name.removesuffix(SUFFIX), type=RAW)
        return self
