"""Opens bags of ROS 2 and ROS 1 and reads their messages. Whatever is wrong with a bag is one Any2AnyError."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rosbags.convert.converter import is_same_wireformat
from rosbags.highlevel import AnyReader

from any2any_ros import limits, reading
from any2any_ros.cdr import typestore
from any2any_ros.data.bag_limits import ZSTD_MAGIC, limited_databases
from any2any_ros.data.bag_reader import BagReader
from any2any_ros.errors import Any2AnyError

LATEST_NS = 2**63 - 1  # the times of an mcap file can be larger, those of a program cannot
# How a bag's file begins, the ending of its name, and what it is.
FILES = (
    (b"#ROSBAG V", ".bag", "a ROS 1 bag"),
    (b"\x89MCAP0\r\n", ".mcap", "an mcap file"),
    (b"SQLite format 3\0", ".db3", "an SQLite database"),
)
ENDINGS = {ending: kind for _, ending, kind in FILES}
PACKED = (".zstd", ".zst")
LFS = b"version https://git-lfs"  # how the file begins that Git leaves where a large one should be
AGAIN = "Record it again"


def is_bag(path: Path) -> bool:
    """Return whether a file or a folder is a bag, whole or not, by its content or its name."""
    if path.is_dir():
        return (path / "metadata.yaml").exists() or any(_is_named_as_bag(file) for file in path.iterdir())
    return _is_named_as_bag(path) or _beginning(path).startswith(tuple(magic for magic, _, _ in FILES))


def _is_named_as_bag(file: Path) -> bool:
    name = file.with_suffix("") if file.suffix in PACKED else file
    return name.suffix in ENDINGS


def _beginning(file: Path) -> bytes:
    with reading.opened(file) as stream:
        return stream.read(64)


@contextmanager
def open_reader(path: Path) -> Iterator[BagReader]:
    """Open a bag for reading: a ROS 1 .bag, an .mcap or .db3 file, or a folder of them, with metadata.yaml or without.

    Of a file that is cut, all whole parts are read, and the reader's notes say so. Raises Any2AnyError when it is no
    bag, damaged, or empty.
    """
    try:
        reader = _opened(path)
        _check_types(reader)
    except Any2AnyError:
        raise
    except Exception as error:  # rosbags and its storage libraries raise many kinds on damaged files
        raise _unreadable(path, error, _cure(path, str(error))) from error
    try:
        if reader.message_count == 0:
            raise Any2AnyError(f"The bag {path} is empty", "no message was recorded", AGAIN)
        yield reader
    finally:
        reader.close()


def _opened(path: Path) -> BagReader:
    """Return an opened reader of the bag; of its files without metadata.yaml where some of them cannot be read."""
    parts, notes = _parts(path)
    files = _files(path)
    try:
        reader = _open(parts, notes)
        if reader.message_count or files in ([], parts):
            return reader
        reader.close()
        why = "it promises no message"  # a recorder that was killed wrote it when it began
    except Exception as error:
        alone = len(files) == 1 and not any(word in str(error) for word in ("files are missing", "Serialization"))
        if files in ([], parts) or alone:
            raise
        why = str(error)
    return _open(files, [*notes, f"The bag is read without its metadata.yaml, because of this: {why}"])


def _open(files: list[Path], notes: list[str]) -> BagReader:
    reader = BagReader(files, notes)
    with limited_databases():
        reader.open()
    return reader


def _parts(path: Path) -> tuple[list[Path], list[str]]:
    """Return what rosbags opens for the bag, and what a user should know of it."""
    if not path.is_dir():
        _refuse_file(path)
        return [path], _unsaved([path])
    files = _files(path)
    if (path / "metadata.yaml").exists():
        reading.content(path / "metadata.yaml", limits.YAML_BYTES)  # parsing it takes 300 times as much memory
        return [path], _unsaved(files)
    if len(files) < 2:
        _refuse_file(files[0] if files else path / "metadata.yaml")
    return files, [
        f"{path.name} has no metadata.yaml: its files are read without it. To make one: ros2 bag reindex {path.name}"
        if files[0].suffix != ".bag"
        else f"{path.name} is a folder of ROS 1 bags, which are read as one",
        *_unsaved(files),
    ]


def _files(path: Path) -> list[Path]:
    """Return the files of a bag's folder: those of its first kind, if it has several kinds."""
    files = sorted(file for file in path.iterdir() if file.suffix in ENDINGS) if path.is_dir() else []
    return [file for file in files if file.suffix == files[0].suffix]


def _unsaved(files: list[Path]) -> list[str]:
    """Return a line for each database whose last messages were not written into it, because its recorder was killed."""
    logs = [(file, file.with_name(f"{file.name}-wal")) for file in files if file.suffix == ".db3"]
    return [
        f"The last messages of {file.name} are in {log.name}, which is not read. To save them: "
        f"sqlite3 {file.name} 'PRAGMA wal_checkpoint(TRUNCATE)'"
        for file, log in logs
        if log.exists() and log.stat().st_size
    ]


def _refuse_file(file: Path) -> None:
    """Raise Any2AnyError when a file is not the kind of bag that its name says."""
    what, begin = f"Cannot read the bag {file}", _beginning(file)
    if not begin:
        raise Any2AnyError(what, "the file is empty", "Copy it again, or record it again")
    if begin.startswith(LFS):
        raise Any2AnyError(what, "it is a pointer of Git LFS to a bag that was not downloaded", "Run: git lfs pull")
    if begin.startswith(ZSTD_MAGIC):
        raise Any2AnyError(what, "it is packed by zstd, and no metadata.yaml says so", f"Run: zstd -d {file.name}")
    kind = next(((ending, is_a) for magic, ending, is_a in FILES if begin.startswith(magic)), None)
    if kind is None:
        raise Any2AnyError(what, f"it is not {ENDINGS.get(file.suffix, 'a bag')}", "Copy it again, or record it again")
    if kind[0] != file.suffix:
        raise Any2AnyError(what, f"it is {kind[1]}, and its name does not end in {kind[0]}", "Rename it")


def _cure(path: Path, reason: str) -> str:
    """Return what to do about a bag that cannot be opened, by rosbags' reason."""
    if path.suffix == ".bag":
        return f"Mend its index: rosbag reindex {path.name}; or record it again"
    if any(word in reason for word in ("database", "malformed")):
        return "Save what it holds: sqlite3 OLD.db3 .recover | sqlite3 NEW.db3; or record it again"
    if (path / "metadata.yaml").exists():
        return f"Write its metadata.yaml again: ros2 bag reindex {path.name}; or record it again"
    return "Give a folder with metadata.yaml, or a .mcap, .db3 or .bag file"


def _check_types(reader: AnyReader) -> None:
    """Raise TypeError when the bag counts or names things by something else: SQLite holds any type in any column."""
    counts = [c.msgcount for c in reader.connections]
    numbers = (reader.message_count, reader.start_time, reader.end_time, *counts)
    names = [name for c in reader.connections for name in (c.topic, c.msgtype)]
    if not (all(isinstance(n, int) for n in numbers) and all(isinstance(name, str) for name in names)):
        raise TypeError("the name of a topic, its type, or a count is of another kind")


def listed(reader: AnyReader) -> str:
    """Return the names of the topics, for an error."""
    return ", ".join(sorted({c.topic for c in reader.connections}))


def named(reader: AnyReader, topic: str) -> list[Any]:
    """Return the connections of a topic. Raises Any2AnyError, which lists what there is, when there are none."""
    connections = [c for c in reader.connections if c.topic.lstrip("/") == topic.lstrip("/")]
    if not connections:
        raise Any2AnyError(
            f"There is no topic {topic} in the bag {reader.paths[0]}",
            f"its topics are {listed(reader)}",
            "Name one of them",
        )
    return connections


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
        path = Path(str(reader.paths[0]))
        raise _unreadable(path, error, _cure(path, str(error))) from error


def decoded(
    reader: BagReader, connections: list[Any], refused: Callable[[Any, str], None] | None = None
) -> Iterator[tuple[Any, int, Any]]:
    """Yield (connection, time received in ns, message).

    refused: told (connection, why) of a message that cannot be decoded, which is then left out; None: it is an error.
    Raises Any2AnyError where the bag is damaged, and when it defines one of the types otherwise than this program.
    """
    for connection in connections:
        _refuse_definition(reader, connection)
    for connection, received, raw in serialised(reader, connections):
        try:
            limits.check_message(raw, connection.msgtype)
            message = reader.deserialize(raw, connection.msgtype)
        except Exception as error:
            if refused is None:
                raise _unreadable(Path(str(reader.paths[0])), error, AGAIN) from error
            refused(connection, str(error) or type(error).__name__)
            continue
        yield connection, received, message


def leave_out(connection: Any, why: str) -> None:
    """Do nothing about a message that cannot be decoded, when `decoded` tells of it."""


def _refuse_definition(reader: BagReader, connection: Any) -> None:
    """Raise Any2AnyError when a message of the connection has other fields than this program reads, or unknown ones."""
    ours, kind = typestore(), connection.msgtype
    what, bag = f"Topic {connection.topic} cannot be read", f"the bag {reader.paths[0]}"
    if connection.topic in reader.undecodable:
        raise Any2AnyError(what, f"{bag}, {reader.undecodable[connection.topic]}", AGAIN)
    if kind in ours.fielddefs and not _same_fields(reader, kind):
        why, remedy = f"{bag} defines {kind} with other fields than this program", "with the message packages of ROS"
        raise Any2AnyError(what, why, f"{AGAIN} {remedy}")


def _same_fields(reader: BagReader, kind: str) -> bool:
    """Return whether the bag defines a type as this program does. The header of ROS 1 has one field more."""
    try:
        if reader.is2:
            return reader.typestore.hash_rihs01(kind) == typestore().hash_rihs01(kind)
        return is_same_wireformat(reader.typestore, typestore(), kind, kind)
    except KeyError:  # of a type that it holds, and that the bag does not define
        return False


def _unreadable(path: Path, error: Exception, remedy: str) -> Any2AnyError:
    return Any2AnyError(f"Cannot read the bag {path}", str(error) or type(error).__name__, remedy)
