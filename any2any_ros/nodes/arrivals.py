"""Takes embeddings as they arrive, and decides which moment is answered next: each in turn, under overload the newest.

A moment waits while others are answered. When the one whose turn it is has waited for a fifth of `late`, the node is
slower than a sensor: of moments that are nearer to each other than `slop`, only the one of most sensors waits on. When
it has waited longer than `late`, the node is too slow for its sensors: all but the newest moment are skipped. What is
skipped is counted. So no answer is older than `late` and the time of one or two answers, however fast the embeddings
come; and a sensor that sends ten times as fast as others does not keep theirs from being answered.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import any2any_ros.msg as msg
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import messages
from any2any_ros.nodes.lifecycle import STEADY, ManagedNode
from any2any_ros.nodes.retrieval_health import Health
from any2any_ros.observation import Embedding, Observation
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.samples import NS

Waiting = tuple[Observation, int]  # a complete moment, and when it was that: system time, ns
WAITING = 200  # embeddings that the middleware keeps while a moment is answered: of five sensors at 10 Hz, those of 4 s


class Arrivals:
    """Subscribes to embeddings while it is open."""

    def __init__(
        self,
        node: ManagedNode,
        localizer: Localizer,
        health: Health,
        answer: Callable[[Observation], None],
        mounted: Callable[[Embedding], Embedding] = lambda embedding: embedding,
    ) -> None:
        """health: counts what is refused, missed and skipped. answer: ranks a moment and publishes the ranking.
        mounted: tells an embedding where its sensor is mounted."""
        self._node, self._localizer, self._health, self._answer = node, localizer, health, answer
        self._mounted = mounted
        self._subscription: Any = None
        self._moments: deque[Waiting] = deque()

    @property
    def topic(self) -> str:
        """Return the name of the topic; "" while it is closed."""
        return "" if self._subscription is None else str(self._subscription.topic_name)

    def open(self, wait: float, late: float) -> None:
        """wait: s that a moment waits for its sensors. late: s that a complete moment may wait to be answered."""
        self._late, self._slow = int(late * NS), int(late * NS / 5)
        self._wait = self._node.create_timer(wait, self._flush, clock=STEADY)
        self._wait.cancel()
        self._next = self._node.create_guard_condition(self._answer_next)
        self._subscription = self._node.create_subscription(msg.Embedding, "embeddings", self._receive, WAITING)

    def close(self) -> None:
        if self._subscription is not None:
            self._node.destroy_timer(self._wait)
            self._node.destroy_guard_condition(self._next)
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self.forget()

    def forget(self) -> None:
        """Forget the moments that wait, because the clock has jumped."""
        self._moments.clear()

    def keep(self, modalities: Iterable[str]) -> None:
        """Let the moments that wait be ranked in another map, which can use only these modalities of them."""
        moments = [(moment.only(modalities), complete_ns) for moment, complete_ns in self._moments]
        self._moments = deque(entry for entry in moments if entry[0].embeddings)

    def _receive(self, message: msg.Embedding, info: dict[str, Any]) -> None:
        """Take an embedding, and those that wait behind it."""
        embedding, more = self._take(message, info), list(self._rest())
        for waiting in more:
            self._take(*waiting)
        if self._moments:
            self._answer_next()
        elif embedding is not None and not more:  # there is time
            self._localizer.prefetch(embedding)

    def _rest(self) -> Iterator[tuple[msg.Embedding, dict[str, Any]]]:
        """Yield the embeddings that have arrived behind the one that the executor has taken."""
        with self._subscription.handle:
            for _ in range(WAITING):
                taken = self._subscription.handle.take_message(msg.Embedding, False)
                if taken is None:
                    return
                yield taken

    def _take(self, message: msg.Embedding, info: dict[str, Any]) -> Embedding | None:
        """Give an embedding to the localizer, and return it; None when it was refused."""
        self._health.missed.take(info)
        now = self._node.now_ns()
        try:
            embedding = self._mounted(messages.embedding(message))
            complete = self._localizer.receive(embedding, now)
        except Any2AnyError as error:
            self._health.refuse(message.modality, self._localizer, error, now)
            self._node.get_logger().error(str(error), throttle_duration_sec=5.0)
            return None
        received = info.get("received_timestamp") or time.time_ns()
        self._moments.extend((moment, received) for moment in complete)
        if not self._localizer.assembler.waiting:
            self._wait.cancel()
        elif complete or self._wait.is_canceled():  # the next moment has begun
            self._wait.reset()
        return embedding

    def _flush(self) -> None:
        """Complete the moment that has waited long enough for a sensor."""
        self._wait.cancel()
        before = len(self._moments)
        for waiting in list(self._rest()):  # the sensor's embedding may be among them
            self._take(*waiting)
        if len(self._moments) == before:
            moment = self._localizer.assembler.flush(self._node.now_ns())
            self._moments.extend([] if moment is None else [(moment, time.time_ns())])
        self._answer_next()

    def _answer_next(self) -> None:
        """Answer one moment; the executor comes back for the others, so that timers and services have their turn."""
        if not self._moments:
            return
        waited = time.time_ns() - self._moments[0][1]
        if waited > self._late:
            self._skip([self._moments[-1]])
        elif waited > self._slow:
            self._skip(richest(self._moments, self._localizer.assembler.slop_ns))
        try:
            self._answer(self._moments.popleft()[0])
        finally:
            if self._moments:
                self._next.trigger()

    def _skip(self, kept: list[Waiting]) -> None:
        """Count the moments that are not among the kept ones, and let them go."""
        for _ in range(len(self._moments) - len(kept)):
            self._health.skipped.tick(self._node.now_ns())
        self._moments = deque(kept)


def richest(moments: Iterable[Waiting], slop_ns: int) -> list[Waiting]:
    """Return moments, in their order, without those that are as near as `slop_ns` to one of more sensors, or to an
    earlier one of as many. A sensor counts when it measured as near as that to the moment."""

    def sensors(moment: Observation) -> int:
        return sum(abs(stamp - moment.stamp_ns) <= slop_ns for stamp in moment.stamps_ns.values())

    kept: list[Waiting] = []
    for entry in moments:
        if not kept or abs(entry[0].stamp_ns - kept[-1][0].stamp_ns) > slop_ns:
            kept.append(entry)
        elif sensors(entry[0]) > sensors(kept[-1][0]):
            kept[-1] = entry
    return kept
