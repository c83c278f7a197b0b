"""What the guard says, as messages."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseWithCovariance, PoseWithCovarianceStamped, TransformStamped, Vector3
from std_msgs.msg import Header

import any2any_ros.msg as msg
from any2any_ros.localization.guard import Localization
from any2any_ros.localization.one_shot import Verdict
from any2any_ros.nodes import messages, outputs


def localization_message(found: Localization, frame_id: str) -> msg.Localization:
    """Return where the robot is as a message. frame_id: of the map."""
    return msg.Localization(
        header=Header(stamp=messages.time_message(found.stamp_ns), frame_id=frame_id),
        state=int(found.state),
        why=found.why,
        pose=_pose(found),
        probability=found.probability,
        places=list(found.places),
    )


def initial_pose(found: Localization, frame_id: str) -> PoseWithCovarianceStamped:
    """Return where the robot is for another localizer."""
    header = Header(stamp=messages.time_message(found.stamp_ns), frame_id=frame_id)
    return PoseWithCovarianceStamped(header=header, pose=_pose(found))


def transform(found: Localization, stamp_ns: int, parent: str, child: str) -> TransformStamped:
    """Return the transform from the map's frame to the odometry's. The robot must be localized."""
    assert found.from_odometry is not None
    pose = messages.pose_message(found.from_odometry)
    out = TransformStamped(header=Header(stamp=messages.time_message(stamp_ns), frame_id=parent), child_frame_id=child)
    out.transform.translation = Vector3(x=pose.position.x, y=pose.position.y, z=pose.position.z)
    out.transform.rotation = pose.orientation
    return out


def verdict_pose(verdict: Verdict, frame_id: str) -> PoseWithCovarianceStamped:
    """Return where the robot is by one search; NaN when it is not localized. frame_id: of the map."""
    header = Header(stamp=messages.time_message(verdict.stamp_ns), frame_id=frame_id)
    return PoseWithCovarianceStamped(header=header, pose=_pose(verdict))


def nowhere() -> PoseWithCovarianceStamped:
    """Return a pose that is not known: NaN."""
    return PoseWithCovarianceStamped(pose=_unknown())


def _unknown() -> PoseWithCovariance:
    nothing = np.full((4, 4), np.nan)
    return PoseWithCovariance(pose=messages.pose_message(nothing), covariance=[float("nan")] * 36)


def _pose(found: Localization | Verdict) -> PoseWithCovariance:
    if found.pose is None or found.covariance is None:
        return _unknown()
    covariance = outputs.spatial(found.covariance, found.pose)
    return PoseWithCovariance(pose=messages.pose_message(found.pose), covariance=covariance.ravel().tolist())
