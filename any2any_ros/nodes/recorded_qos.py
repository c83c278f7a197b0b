"""The QoS settings that a replay offers: those that were recorded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import QosDurability, QosReliability

DEPTH = 10
LATCHED = 1000  # messages of a topic, at most, that are kept for late subscribers


def offered(connections: Iterable[Any]) -> QoSProfile:
    """Return the QoS settings for a topic that these connections of a bag recorded.

    Where several publishers offered different ones, the stronger are returned, reliable and kept for late subscribers:
    every subscriber of theirs accepts them.
    """
    connections = list(connections)
    recorded = [qos for c in connections for qos in getattr(c.ext, "offered_qos_profiles", ())]
    kept = [qos for qos in recorded if qos.durability == QosDurability.TRANSIENT_LOCAL]
    latched = bool(kept) or any(getattr(c.ext, "latching", 0) for c in connections)  # latching: in ROS 1
    unreliable = recorded and all(qos.reliability == QosReliability.BEST_EFFORT for qos in recorded)
    depth = sum(max(1, min(qos.depth, LATCHED)) for qos in kept)
    return QoSProfile(
        depth=min(max(DEPTH, depth), LATCHED),
        reliability=ReliabilityPolicy.BEST_EFFORT if unreliable else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
