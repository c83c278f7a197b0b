"""Real rclpy over real Fast DDS, on loopback, on a domain of this run's own."""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from any2any_ros.nodes import topology
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap

PATIENCE = 10.0  # s that anything may take before a test fails

os.environ.update(topology.environment("loopback"), ROS_DOMAIN_ID=str(random.randint(1, 100)))


class Bench:
    """Nodes under test and a peer that talks to them, all spun by the test's own thread."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        from any2any_ros.nodes import runtime

        runtime.start([])
        self._executor = SingleThreadedExecutor()
        self._nodes: list[Any] = []
        self.peer = self.add(rclpy.create_node("peer"))
        self.heard: dict[str, list[Any]] = {}
        self._strangers: list[tuple[Any, Any]] = []

    def add(self, node: Any) -> Any:
        self._executor.add_node(node)
        self._nodes.append(node)
        return node

    def node(self, cls: type[Any], start: bool = True, **parameters: Any) -> Any:
        """Make a node of ours with these parameters, configured and active."""
        from rclpy.parameter import Parameter

        # What `--ros-args -p` would say; our nodes take no arguments of their own.
        overrides = [Parameter(name.replace("__", "."), value=value) for name, value in parameters.items()]
        node = self.add(_with_overrides(cls, overrides))
        if start:
            node.autostart()
        return node

    def publisher(self, message_class: Any, topic: str, qos: Any = 10) -> Any:
        """Give a publisher that already has its subscriber."""
        publisher = self.peer.create_publisher(message_class, topic, qos)
        self.until(lambda: publisher.get_subscription_count() > 0)
        return publisher

    def listen(self, message_class: Any, topic: str, qos: Any = 10) -> list[Any]:
        """Collect what is published on a topic from now on."""
        heard: list[Any] = self.heard.setdefault(topic, [])
        subscription = self.peer.create_subscription(message_class, topic, heard.append, qos)
        self.until(lambda: subscription.get_publisher_count() > 0)
        # Both ends must know of each other: a publisher that does not yet sends past its listener.
        speakers = [p for node in self._nodes for p in node.publishers if p.topic_name == subscription.topic_name]
        self.until(lambda: all(p.get_subscription_count() > 0 for p in speakers))
        return heard

    def stranger(self) -> Any:
        """Give a node of another participant: one participant cannot hold two types of one topic."""
        import rclpy

        context = rclpy.Context()
        rclpy.init(context=context)
        node = rclpy.create_node("stranger", context=context)
        self._strangers.append((node, context))
        return node

    def call(self, service_class: Any, name: str, **request: Any) -> Any:
        client = self.peer.create_client(service_class, name)
        self.until(client.service_is_ready)
        future = client.call_async(service_class.Request(**request))
        self.until(future.done)
        return future.result()

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Spin until the condition holds; fail after `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds} s: {condition}")
            self._executor.spin_once(timeout_sec=0.02)

    def spin(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.01)

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        for node in self._nodes:
            if hasattr(node, "trigger_shutdown"):
                node.trigger_shutdown()
            node.destroy_node()
        for node, context in self._strangers:
            node.destroy_node()
            rclpy.shutdown(context=context)
        rclpy.try_shutdown()


def _with_overrides(cls: type[Any], overrides: list[Any]) -> Any:
    from rclpy.lifecycle import LifecycleNode

    plain = LifecycleNode.__init__

    def with_overrides(self: Any, name: str, **kwargs: Any) -> None:
        plain(self, name, parameter_overrides=overrides, **kwargs)

    LifecycleNode.__init__ = with_overrides
    try:
        return cls()
    finally:
        LifecycleNode.__init__ = plain


@pytest.fixture
def no_former_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without the nodes of former tests, which a reference cycle may keep.

    One would be seen by its name, and a new node of its name would log by its publisher.
    """
    gc.collect()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(random.randint(101, 200)))


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def places(count: int = 20, spacing: float = 10.0, dimension: int = 8) -> ObservationSet:
    """Return places on a line, each with a camera and a lidar vector unlike all others."""
    draw = np.random.default_rng(0)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = spacing * np.arange(count)
    columns = {}
    for modality in ("camera", "lidar"):
        vectors = draw.normal(size=(count, dimension)).astype(np.float32)
        columns[modality] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return ObservationSet(columns, poses, tuple(f"place/{i:02d}" for i in range(count)))


@pytest.fixture
def small_map(tmp_path: Path) -> tuple[Path, ReferenceMap]:
    """Give a map of 20 places with camera and lidar, of encoders that exist in name only."""
    found = places()
    encoders = {m: EncoderRecord(m, f"{m}-test", 8) for m in found.modalities}
    reference = ReferenceMap(found, encoders, "small")
    reference_map.save(reference, tmp_path / "map")
    return tmp_path / "map", reference


@pytest.fixture(scope="session")
def street_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a calibrated map of a street, made from bags with /tf."""
    import mounted_drives

    return Path(mounted_drives.street_map(tmp_path_factory.mktemp("street")))
