"""Publishes a ranking: as a Ranking message, as the pose of its best match, and as markers for RViz."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, PoseWithCovariance, PoseWithCovarianceStamped, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

import any2any_ros.msg as msg
from any2any_ros.arrays import Float64, Floats
from any2any_ros.nodes import messages
from any2any_ros.nodes.aligned_points import AlignedPoints
from any2any_ros.nodes.lifecycle import ManagedNode
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.samples import NS

GREEN, AMBER, GREY = (0.1, 0.7, 0.2), (1.0, 0.65, 0.0), (0.5, 0.5, 0.5)
HEADING_DEVIATION = np.pi / 6  # rad: how far the robot's heading may be from that of a place it was matched with
# m and rad, standard deviations of a refined pose: ten times the errors on simulated scans: real scans are worse.
REFINED_DEVIATION = (0.25, np.radians(3.0))
LEANING = np.radians(3.0)  # rad, standard deviation of roll and pitch: a road is not always even
PLANAR = (0, 1, 5)  # of x y z roll pitch yaw: what moves on the ground
MOST_MARKERS = 2000  # a larger place set is drawn only in part: its most probable places


class Outputs:
    """The publishers of `matches`, `place` (accepted answers only) and `markers` (while there is a subscriber)."""

    def __init__(self, node: ManagedNode, hit_radius: float) -> None:
        """hit_radius: metres within which a match is right."""
        self._node, self._hit_radius = node, hit_radius
        self._matches = node.create_lifecycle_publisher(msg.Ranking, "matches", 10)
        self._place = node.create_lifecycle_publisher(PoseWithCovarianceStamped, "place", 10)
        self._markers = node.create_lifecycle_publisher(MarkerArray, "markers", 1)

    def publish(self, ranking: Ranking, reference: ReferenceMap) -> None:
        """Publish a ranking of the places of `reference`."""
        frame_id = reference.frame_id
        self._matches.publish(messages.ranking_message(ranking, frame_id, latency(self._node, ranking)))
        if ranking.accepted and np.isfinite(ranking.matches[0].pose).all():
            self._place.publish(place(ranking, frame_id, self._hit_radius))
        if self._markers.get_subscription_count():
            self._markers.publish(markers(ranking, frame_id, self._hit_radius))

    def destroy(self) -> None:
        for publisher in (self._matches, self._place, self._markers):
            self._node.destroy_lifecycle_publisher(publisher)


class RefinedOutputs:
    """The publishers of `refined_matches`, `refined_place` (accepted answers with a refined pose only), and
    `aligned_points` (the scan where that pose puts it, while there is a subscriber).

    For one release both are also published under their old names, `checked_matches` and `checked_place`.
    """

    def __init__(self, node: ManagedNode, hit_radius: float) -> None:
        """hit_radius: metres within which a match is right."""
        self._node, self._hit_radius = node, hit_radius
        self._matches = [
            node.create_lifecycle_publisher(msg.Ranking, name, 10) for name in ("refined_matches", "checked_matches")
        ]
        self._places = [
            node.create_lifecycle_publisher(PoseWithCovarianceStamped, name, 10)
            for name in ("refined_place", "checked_place")
        ]
        self._points = AlignedPoints(node)

    def publish(self, ranking: Ranking, reference: ReferenceMap, points: Floats) -> None:
        """Publish a refined ranking of the places of `reference`. points (N, 3): of the scan, in the robot's frame."""
        answer = messages.ranking_message(ranking, reference.frame_id, latency(self._node, ranking))
        for publisher in self._matches:
            publisher.publish(answer)
        if ranking.matches and ranking.matches[0].refined:
            self._points.publish(points, ranking.matches[0].pose, _header(ranking, reference.frame_id))
        if ranking.accepted and ranking.matches[0].refined:
            pose = place(ranking, reference.frame_id, self._hit_radius)
            for publisher in self._places:
                publisher.publish(pose)

    def destroy(self) -> None:
        for publisher in (*self._matches, *self._places):
            self._node.destroy_lifecycle_publisher(publisher)
        self._points.destroy()


def latency(node: ManagedNode, ranking: Ranking) -> float:
    """Return the seconds from the ranking's stamp to now, on the robot's clock; at least 0."""
    return max(0.0, (node.now_ns() - ranking.stamp_ns) / NS)


def place(ranking: Ranking, frame_id: str, hit_radius: float) -> PoseWithCovarianceStamped:
    """Return the best match's pose with a covariance, about the axes of the map's frame.

    It is the one that was calibrated. Without, and for a pose by scans, it is the spread of the place set around the
    pose, plus the deviation of a match or of a refined pose.
    """
    best = ranking.matches[0]
    if best.refined or np.isnan(best.covariance).any():
        covariance = np.zeros((6, 6))
        covariance[:3, :3], covariance[3:, 3:] = _guessed(ranking, hit_radius)
    else:
        covariance = spatial(best.covariance, best.pose)
    pose = PoseWithCovariance(pose=messages.pose_message(best.pose), covariance=covariance.ravel().tolist())
    return PoseWithCovarianceStamped(header=_header(ranking, frame_id), pose=pose)


def spatial(planar: Float64, pose: Float64) -> Float64:
    """Return the covariance (6, 6) about the map's axes, of one (3, 3) of x, y and yaw in the frame of a robot.

    pose (4, 4): of the robot in the map. ROS wants x y z roll pitch yaw; the height is taken for as certain as the
    position on the ground.
    """
    turn = np.eye(3)
    turn[:2, :2] = pose[:2, :2]
    covariance, turned = np.zeros((6, 6)), turn @ planar @ turn.T
    covariance[np.ix_(PLANAR, PLANAR)] = turned
    covariance[2, 2] = turned[:2, :2].trace() / 2
    covariance[3, 3] = covariance[4, 4] = LEANING**2
    return covariance


def _guessed(ranking: Ranking, hit_radius: float) -> tuple[Float64, Float64]:
    """Return covariances (3, 3) of position and rotation of the best match, where none was calibrated."""
    best = ranking.matches[0]
    spread = _positions(ranking) - best.pose[:3, 3]
    # A match is right anywhere within hit_radius: half of it is about one standard deviation.
    metres, radians = REFINED_DEVIATION if best.refined else (hit_radius / 2, HEADING_DEVIATION)
    if best.refined:  # the place that was refined, and its neighbours, do not contradict the pose
        spread[np.linalg.norm(spread, axis=1) < hit_radius] = 0
    position = spread.T @ spread / max(len(spread), 1) + metres**2 * np.eye(3)
    return np.asarray(position), np.eye(3) * radians**2


def markers(ranking: Ranking, frame_id: str, hit_radius: float) -> MarkerArray:
    """Return the place set as dots and the matches as discs.

    Discs are green when the answer is accepted, amber otherwise; the best match has the largest disc.
    """
    header = _header(ranking, frame_id)
    colour = GREEN if ranking.accepted else AMBER
    drawn = [Marker(header=header, action=Marker.DELETEALL)]
    dots = Marker(header=header, ns="place_set", type=Marker.POINTS, scale=Vector3(x=0.5, y=0.5, z=0.5))
    dots.color, dots.points = _colour(GREY, 0.8), [_point(p) for p in _positions(ranking)[:MOST_MARKERS]]
    dots.pose.orientation.w = 1.0
    drawn.append(dots)
    for rank, match in enumerate(ranking.matches):
        if np.isfinite(match.pose).all():
            size = 2 * hit_radius / (1 + rank)
            disc = Marker(header=header, ns="matches", id=rank, type=Marker.CYLINDER)
            disc.pose, disc.scale = messages.pose_message(match.pose), Vector3(x=size, y=size, z=0.2)
            disc.color = _colour(colour, 0.8 / (1 + rank))
            drawn.append(disc)
    return MarkerArray(markers=drawn)


def _positions(ranking: Ranking) -> Float64:
    """Return the positions (n, 3) of the place set, without places whose position is unknown."""
    known = np.isfinite(ranking.place_positions).all(axis=1)
    return np.asarray(ranking.place_positions[known])


def _header(ranking: Ranking, frame_id: str) -> Header:
    return Header(stamp=messages.time_message(ranking.stamp_ns), frame_id=frame_id)


def _colour(rgb: tuple[float, float, float], alpha: float) -> ColorRGBA:
    return ColorRGBA(r=rgb[0], g=rgb[1], b=rgb[2], a=alpha)


def _point(position: Float64) -> Point:
    x, y, z = position.tolist()
    return Point(x=x, y=y, z=z)
