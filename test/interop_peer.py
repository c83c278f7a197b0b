"""One end of test_interop.py: sends or receives an Embedding with the messages of the Python that runs it."""

import json
import sys

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

import any2any_ros
from any2any_ros.msg import Embedding

TOPIC = "interop"
# A subscriber that starts late still gets the message.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def send(node: Node) -> None:
    publisher = node.create_publisher(Embedding, TOPIC, LATCHED)
    publisher.publish(Embedding(modality="lidar", encoder="é", vector=[0.5, -2.0], encode_seconds=0.25))
    sys.stdin.read()  # until the test closes it


def receive(node: Node) -> None:
    received: list[Embedding] = []
    node.create_subscription(Embedding, TOPIC, received.append, LATCHED)
    while not received:
        rclpy.spin_once(node, timeout_sec=0.1)
    message = received[0]
    report = {
        "package": any2any_ros.__path__[0],
        "hashes": [str(end.topic_type_hash) for end in node.get_publishers_info_by_topic(f"/{TOPIC}")],
        "message": [message.modality, message.encoder, list(message.vector), message.encode_seconds],
    }
    print(json.dumps(report))


rclpy.init()
node = Node(f"interop_{sys.argv[1]}")
{"send": send, "receive": receive}[sys.argv[1]](node)
node.destroy_node()
rclpy.shutdown()
