"""Publishes the answers to commands, and the remembered objects as markers for RViz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from geometry_msgs.msg import Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

import any2any_ros.msg as msg
from any2any_ros.nodes import messages
from any2any_ros.nodes.lifecycle import ManagedNode
from any2any_ros.objects.grounder import Verdict
from any2any_ros.objects.remembered_object import RememberedObject
from any2any_ros.ranking import Ranking

GREEN, AMBER, GREY = (0.1, 0.7, 0.2, 0.6), (1.0, 0.65, 0.0, 0.6), (0.5, 0.5, 0.5, 0.3)


class ObjectOutputs:
    """The publishers of `object_matches` (every answer) and `object_markers` (while there is a subscriber)."""

    def __init__(self, node: ManagedNode, frame_id: str) -> None:
        self._node, self._frame_id = node, frame_id
        self._matches = node.create_lifecycle_publisher(msg.Ranking, "object_matches", 10)
        self._markers = node.create_lifecycle_publisher(MarkerArray, "object_markers", 1)

    def destroy(self) -> None:
        for publisher in (self._matches, self._markers):
            self._node.destroy_lifecycle_publisher(publisher)

    def show(self, objects: Sequence[RememberedObject], stamp_ns: int) -> None:
        """Draw the remembered objects."""
        if self._markers.get_subscription_count():
            self._markers.publish(boxes(objects, {}, self._header(stamp_ns)))

    def publish_answer(self, ranking: Ranking, verdict: Verdict, objects: Sequence[RememberedObject]) -> None:
        """Publish an answer and draw it: the object is green when it was found; amber when several may be meant."""
        self._matches.publish(messages.ranking_message(ranking, self._frame_id))
        if self._markers.get_subscription_count():
            colours = {Verdict.FOUND: GREEN, Verdict.AMBIGUOUS: AMBER}
            meant = ranking.matches[: 1 if verdict is Verdict.FOUND else None]
            coloured = {m.id: colours[verdict] for m in meant} if verdict in colours else {}
            self._markers.publish(boxes(objects, coloured, self._header(ranking.stamp_ns)))

    def _header(self, stamp_ns: int) -> Header:
        return Header(stamp=messages.time_message(stamp_ns), frame_id=self._frame_id)


def boxes(objects: Sequence[RememberedObject], colours: Mapping[str, tuple[float, ...]], header: Header) -> MarkerArray:
    """Return each object's box and its name. colours: RGBA by id; an object without a colour is grey."""
    drawn = [Marker(header=header, action=Marker.DELETEALL)]
    for i, known in enumerate(objects):
        x, y, z = known.centre.tolist()
        size = dict(zip("xyz", (known.high - known.low).clip(0.01).tolist(), strict=True))
        pose = Pose(orientation=Quaternion(w=1.0))
        pose.position.x, pose.position.y, pose.position.z = x, y, z
        colour = ColorRGBA(**dict(zip("rgba", colours.get(known.id, GREY), strict=True)))
        drawn.append(
            Marker(header=header, ns="objects", id=i, type=Marker.CUBE, pose=pose, scale=Vector3(**size), color=colour)
        )
        label = Marker(header=header, ns="names", id=i, type=Marker.TEXT_VIEW_FACING, pose=pose, text=known.id)
        label.scale.z, label.color = 0.04, ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
        drawn.append(label)
    return MarkerArray(markers=drawn)
