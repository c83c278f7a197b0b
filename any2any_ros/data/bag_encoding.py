"""Encodes the messages of a bag, each sensor in a thread of its own, while the next messages are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

from any2any_ros import samples
from any2any_ros.data.bag_odometry import NO_ODOMETRY, BagOdometry, frame_of
from any2any_ros.data.report import TopicReport
from any2any_ros.encoders import see
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Embedding
from any2any_ros.protocols import Encoder, gathered

AHEAD = 8  # messages that are read, and not yet used: some for each sensor, and together no more than 1 GB
Message = tuple[Any, int, int, Any]  # connection, time received and time of the sensor in ns, message


def modalities_of(connection: Any, wanted: Mapping[str, str]) -> list[str]:
    """Return the modalities of a topic. wanted: modality -> topic without its leading slash."""
    return [m for m, topic in wanted.items() if topic == connection.topic.lstrip("/")]


def embeddings(
    messages: Iterable[Message],
    wanted: Mapping[str, str],
    encoders: Mapping[str, Encoder],
    rows: Mapping[str, TopicReport],
    odometry: BagOdometry = NO_ODOMETRY,
) -> Iterator[tuple[int, Embedding]]:
    """Yield (time received in ns, embedding) in the order of the messages.

    A message that its encoder refuses is left out, and counted in `rows`, by modality. A sensor's messages are encoded
    in their order, because encoders of sound and of submaps gather them.
    """
    waiting: deque[tuple[int, Future[Embedding | None]]] = deque()
    with ExitStack() as threads:
        workers = {m: threads.enter_context(ThreadPoolExecutor(1, f"encode {m}")) for m in wanted}
        for connection, received, stamp, message in messages:
            for m in modalities_of(connection, wanted):
                job = partial(_encoded, encoders[m], rows[m], odometry)
                task = workers[m].submit(job, connection.msgtype, stamp, message)
                waiting.append((received, task))
            while len(waiting) > AHEAD:
                yield from _finished(*waiting.popleft())
        while waiting:
            yield from _finished(*waiting.popleft())


def _finished(received: int, task: Future[Embedding | None]) -> list[tuple[int, Embedding]]:
    embedding = task.result()
    return [] if embedding is None else [(received, embedding)]


def _encoded(
    encoder: Encoder, row: TopicReport, odometry: BagOdometry, kind: str, stamp: int, message: Any
) -> Embedding | None:
    row.read()
    try:
        pose = odometry.pose(stamp, frame_of(message)) if encoder.uses_odometry else None
        sample = gathered(encoder, samples.decode(kind, message, encoder.accepts), stamp, pose)
        if sample is None:
            return None
        seen = see(encoder, sample)
    except Any2AnyError as error:
        row.refused(str(error))
        return None
    row.encoded()
    return Embedding(row.modality, seen.vector, stamp, encoder=encoder.fingerprint, birds_eye=seen.birds_eye)
