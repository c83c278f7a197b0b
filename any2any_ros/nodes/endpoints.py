"""Who publishes a topic and who subscribes to it, and why nothing comes through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible


def sensor_qos(depth: int, reliability: str) -> QoSProfile:
    """Return the QoS of the subscription to a sensor. reliability: "reliable" or "best_effort"."""
    reliable = reliability == "reliable"
    return QoSProfile(
        depth=depth, reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    )


def mismatches(node: Node, topic: str, subscriber: str = "") -> Iterator[str]:
    """Yield a sentence for every publisher and subscriber of a topic whose QoS settings are incompatible.

    subscriber: name of the only node to look at; "": all.
    """
    subscriptions = [s for s in node.get_subscriptions_info_by_topic(topic) if subscriber in ("", s.node_name)]
    for publisher in node.get_publishers_info_by_topic(topic) if subscriptions else ():
        for subscription in subscriptions:
            fits, why = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
            if fits == QoSCompatibility.ERROR:
                yield f"{subscription.node_name} cannot receive from {publisher.node_name}: {_short(why)}"


def own_mismatch(node: Node, topic: str) -> str:
    """Return which publishers of a topic this node cannot receive from, and why; "" when there are none."""
    found = dict.fromkeys(mismatches(node, topic, node.get_name()))
    return f"QoS mismatch on {topic}: {'; '.join(found)}" if found else ""


def why_silent(node: Node, topic: str, type_name: str) -> str:
    """Return why no message of this type arrives from a topic, apart from a QoS mismatch."""
    types = sorted({publisher.topic_type for publisher in node.get_publishers_info_by_topic(topic)})
    if not types:
        return "nobody publishes this topic"
    if types != [type_name]:
        return f"the topic carries {', '.join(types)}, this node reads {type_name}"
    return "there is a publisher, but no message arrives"


def _short(why: Any) -> str:
    return str(why).replace("ERROR: ", "").rstrip(";").strip()
