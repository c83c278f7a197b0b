"""The settings that a running retrieval node takes: k, the filter, and after which silence a sensor is stale."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rclpy.node import Node

from any2any_ros.config import RetrievalConfig
from any2any_ros.nodes import parameters
from any2any_ros.retrieval.localizer import Localizer


class LiveSettings:
    """Hands parameters that are set to the localizer. What has no effect is refused, and then nothing is changed."""

    def __init__(self, node: Node, localizer: Localizer, ranking: RetrievalConfig, source_timeout: float) -> None:
        """ranking, source_timeout: in use, and the default of the sensors', in seconds."""
        self._node, self._localizer, self._ranking = node, localizer, ranking
        self._source_timeout, self._seconds = source_timeout, dict[str, float]()
        parameters.let_change(node, self._change)

    def timeouts(self, modalities: Iterable[str]) -> dict[str, float]:
        """Return the source_timeout of each modality, in seconds (parameters.source_timeouts)."""
        self._seconds = parameters.source_timeouts(self._node, self._source_timeout, modalities)
        return self._seconds

    def _change(self, values: dict[str, Any]) -> None:
        ranking, seconds = parameters.changed(self._ranking, values), parameters.changed_timeouts(values, self._seconds)
        self._localizer.change(ranking)
        self._localizer.assembler.set_timeouts(seconds)
        self._ranking, self._seconds = ranking, seconds
