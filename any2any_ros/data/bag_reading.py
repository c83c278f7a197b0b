"""Opens ROS 2 bags and reads their messages. Whatever is wrong with a bag is one Any2AnyError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader

from any2any_ros import limits, reading
from any2any_ros.cdr import typestore
from any2any_ros.data.bag_limits import limited_databases
from any2any_ros.errors import Any2AnyError

LATEST_NS = 2**63 - 1  # the times of an mcap file can be larger, those of a program cannot


@contextmanager
def open_reader(path: Path) -> Iterator[AnyReader]:
    """Open the bag at `path` for reading. Raises Any2AnyError when it is no bag, damaged, or empty."""
    try:
        if path.is_dir():
            reading.content(path / "metadata.yaml", limits.YAML_BYTES)  # parsing it takes 300 times as much memory
        reader = AnyReader([path], default_typestore=typestore())
        with limited_databases():
            reader.open()
        _check_types(reader)
    except Exception as error:  # rosbags and its storage libraries raise many kinds on damaged files
        raise _unreadable(path, error, "Give the folder with metadata.yaml; record it again") from error
    try:
        if reader.message_count == 0:
            raise Any2AnyError(f"The bag {path} is empty", "no message was recorded", "Record it again")
        yield reader
    finally:
        reader.close()


def _check_types(reader: AnyReader) -> None:
    """Raise TypeError when the bag counts or names things by something else: SQLite holds any type in any column."""
    numbers = (reader.message_count, reader.start_time, reader.end_time)
    names = [name for c in reader.connections for name in (c.topic, c.msgtype)]
    if not (all(isinstance(n, int) for n in numbers) and all(isinstance(name, str) for name in names)):
        raise TypeError("the name of a topic, its type, or a count is of another kind")


def serialised(
    reader: AnyReader, connections: list[Any], start_ns: int | None = None, stop_ns: int | None = None
) -> Iterator[tuple[Any, int, bytes]]:
    """Yield (connection, time received in ns, serialised message); all connections for an empty list.

    Raises Any2AnyError where the bag is damaged.
    """
    try:
        for connection, received, raw in reader.messages(connections, start_ns, stop_ns):
            if not 0 <= received <= LATEST_NS:
                raise ValueError(f"a message was received {received} ns after 1970")
            yield connection, received, raw
    except Exception as error:
        raise _unreadable(Path(str(reader.paths[0])), error, "Record it again") from error


def decoded(reader: AnyReader, connections: list[Any]) -> Iterator[tuple[Any, int, Any]]:
    """Yield (connection, time received in ns, message).

    Raises Any2AnyError where the bag is damaged, and when it defines one of the types otherwise than this program.
    """
    for connection in connections:
        _refuse_definition(reader, connection)
    for connection, received, raw in serialised(reader, connections):
        try:
            limits.check_message(raw, connection.msgtype)
            message = reader.deserialize(raw, connection.msgtype)
        except Exception as error:
            raise _unreadable(Path(str(reader.paths[0])), error, "Record it again") from error
        yield connection, received, message


def _refuse_definition(reader: AnyReader, connection: Any) -> None:
    """Raise Any2AnyError when a message of the connection has other fields than this program reads."""
    ours, kind = typestore(), connection.msgtype
    if kind in ours.fielddefs and reader.is2 and reader.typestore.hash_rihs01(kind) != ours.hash_rihs01(kind):
        raise Any2AnyError(
            f"Topic {connection.topic} cannot be read",
            f"the bag {reader.paths[0]} defines {kind} with other fields than this program",
            "Record it again with the message packages of ROS 2",
        )


def _unreadable(path: Path, error: Exception, remedy: str) -> Any2AnyError:
    return Any2AnyError(f"Cannot read the bag {path}", str(error) or type(error).__name__, remedy)
