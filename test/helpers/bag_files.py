"""Messages in bags, for the tests of data/bags.py."""

from __future__ import annotations

from rosbags.rosbag2 import StoragePlugin, Writer

from any2any_ros import cdr

STORE = cdr.typestore()
MODALITIES = ("audio", "camera", "lidar", "text")


def written(path, *topics):
    """Write a bag of (topic, type, [(received ns, message)]) and return its path."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        queue = []
        for topic, msgtype, content in topics:
            connection = writer.add_connection(topic, msgtype, typestore=STORE)
            queue += [(t, connection, STORE.serialize_cdr(message, msgtype)) for t, message in content]
        for t, connection, raw in sorted(queue, key=lambda item: item[0]):
            writer.write(connection, t, raw)
    return path


def text(words):
    return STORE.types["std_msgs/msg/String"](data=words)
