"""What a ranking becomes on the wire: matches, the place to drive by, and markers to look at."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, PoseWithCovariance, PoseWithCovarianceStamped, Vector3
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

import any2any_ros.msg as msg
from any2any_ros.nodes import messages
from any2any_ros.nodes.runtime import ManagedNode
from any2any_ros.observation import Ranking
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.samples import NS

GREEN, AMBER, GREY = (0.1, 0.7, 0.2), (1.0, 0.65, 0.0), (0.5, 0.5, 0.5)
ROUGHLY = np.pi / 6  # rad: a place tells the heading roughly
REFINED = (0.25, np.radians(3.0))  # m, rad: ten times what simulated scans are off by, for real ones that are worse
FEW = 2000  # markers of a place set beyond which only the best are shown


class Outputs:
    """The publishers of `matches`, `place` (accepted answers only) and `markers` (when somebody looks)."""

    def __init__(self, node: ManagedNode, hit_radius: float) -> None:
        self._node, self._hit_radius = node, hit_radius
        self._matches = node.create_lifecycle_publisher(msg.Ranking, "matches", 10)
        self._place = node.create_lifecycle_publisher(PoseWithCovarianceStamped, "place", 10)
        self._markers = node.create_lifecycle_publisher(MarkerArray, "markers", 1)

    def publish(self, ranking: Ranking, reference: ReferenceMap) -> None:
        latency = max(0.0, (self._node.now_ns() - ranking.stamp_ns) / NS)
        self._matches.publish(messages.ranking_message(ranking, reference.frame_id, latency))
        drawn = (ranking, reference.frame_id, self._hit_radius)
        if ranking.accepted and np.isfinite(ranking.matches[0].pose).all():
            self._place.publish(place(*drawn))
        if self._markers.get_subscription_count():
            self._markers.publish(markers(*drawn))

    def destroy(self) -> None:
        for publisher in (self._matches, self._place, self._markers):
            self._node.destroy_lifecycle_publisher(publisher)


def place(ranking: Ranking, frame_id: str, hit_radius: float) -> PoseWithCovarianceStamped:
    """Return the first match's pose; its covariance is how the place set spreads, and never below what a match, or a
    refined pose, is good for."""
    best = ranking.matches[0]
    spread = _positions(ranking) - best.pose[:3, 3]
    # A hit may lie anywhere within hit_radius: half of it is about one standard deviation.
    metres, radians = REFINED if best.refined else (hit_radius / 2, ROUGHLY)
    if best.refined:  # the reference that it was refined from, and its neighbours, say nothing against it
        spread[np.linalg.norm(spread, axis=1) < hit_radius] = 0
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = spread.T @ spread / max(len(spread), 1) + metres**2 * np.eye(3)
    covariance[3:, 3:] = np.eye(3) * radians**2
    return PoseWithCovarianceStamped(
        header=_header(ranking, frame_id),
        pose=PoseWithCovariance(
            pose=messages.pose_message(ranking.matches[0].pose), covariance=covariance.ravel().tolist()
        ),
    )


def markers(ranking: Ranking, frame_id: str, hit_radius: float) -> MarkerArray:
    """Return the place set as dots and the matches as discs: green when accepted, amber when not, the best largest."""
    header = _header(ranking, frame_id)
    colour = GREEN if ranking.accepted else AMBER
    found = [Marker(header=header, action=Marker.DELETEALL)]
    dots = Marker(header=header, ns="place_set", type=Marker.POINTS, scale=Vector3(x=0.5, y=0.5, z=0.5))
    dots.color, dots.points = _colour(GREY, 0.8), [_point(p) for p in _positions(ranking)[:FEW]]
    dots.pose.orientation.w = 1.0
    found.append(dots)
    for rank, match in enumerate(ranking.matches):
        if np.isfinite(match.pose).all():
            size = 2 * hit_radius / (1 + rank)
            disc = Marker(header=header, ns="matches", id=rank, type=Marker.CYLINDER)
            disc.pose, disc.scale = messages.pose_message(match.pose), Vector3(x=size, y=size, z=0.2)
            disc.color = _colour(colour, 0.8 / (1 + rank))
            found.append(disc)
    return MarkerArray(markers=found)


def _positions(ranking: Ranking) -> NDArray[np.float64]:
    """Return where the place set is (n, 3), as far as that is known."""
    known = np.isfinite(ranking.place_positions).all(axis=1)
    return np.asarray(ranking.place_positions[known])


def _header(ranking: Ranking, frame_id: str) -> Header:
    return Header(stamp=messages.time_message(ranking.stamp_ns), frame_id=frame_id)


def _colour(rgb: tuple[float, float, float], alpha: float) -> ColorRGBA:
    return ColorRGBA(r=rgb[0], g=rgb[1], b=rgb[2], a=alpha)


def _point(position: NDArray[np.float64]) -> Point:
    x, y, z = position.tolist()
    return Point(x=x, y=y, z=z)
