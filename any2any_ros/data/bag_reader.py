"""rosbags' reader of bags, made to read what is whole: of cut files, with unknown types, with other settings."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, cast

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import reader as rosbag2
from rosbags.rosbag2 import storage_mcap
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.storage_mcap import (
    ChunkInfo,
    McapReader,
    Msg,
    decompress,
    deserialize_qqqi,
    deserialize_uint64,
    read_exact,
    read_string,
)
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from any2any_ros.cdr import typestore
from any2any_ros.data.bag_limits import ZSTD_MAGIC, unpacked

MESSAGE, CHUNK = 0x05, 0x06  # kinds of records of an mcap file; chunks hold the messages
RECORD = Struct("<BQ")  # kind and length, before each record
HEAD = Struct("<HIQQ")  # channel, number, time received and sent, before the data of a message
TOO_SHORT = "it is cut before its first whole part"
IDL = "=" * 80 + "\nIDL: "  # how a definition of several types in IDL begins


class BagReader(AnyReader):
    """A reader of one bag in one or more files, of ROS 1 or ROS 2.

    notes: lines that a user should know of, such as that a file is cut. undecodable: topic -> why it cannot be decoded.
    """

    def __init__(self, paths: Sequence[Path], notes: Collection[str] = ()) -> None:
        super().__init__(paths)
        self.notes, self.undecodable = list(notes), dict[str, str]()

    def _open(self) -> None:
        assert self.stack is not None
        self.readers = self._whole_files(self.stack)
        for reader in self.readers:
            self._accept_other_settings(reader)
            self.notes += [storage.cut for storage in _storages(reader) if getattr(storage, "cut", "")]
        self.connections = [connection for reader in self.readers for connection in reader.connections]
        unknown = self._define_types()
        for c in sorted(self.connections, key=lambda connection: connection.topic):
            form = getattr(c.ext, "serialization_format", "cdr")
            if form != "cdr":
                self.undecodable[c.topic] = f"its messages are {form}, not CDR"
            elif c.msgtype in unknown:
                self.undecodable[c.topic] = f"{c.msgtype}: {unknown[c.msgtype]}"
        self.notes += [f"Topic {topic} cannot be read: {why}" for topic, why in self.undecodable.items()]

    def _whole_files(self, stack: ExitStack) -> list[Any]:
        """Open the files; leave out those that cannot be opened, if others can: the last one of a killed recorder."""
        readers, errors = [], []
        for reader in self.readers:
            try:
                readers.append(stack.enter_context(reader))
            except Exception as error:
                errors.append(error)
                self.notes.append(f"{Path(str(reader.path)).name} is left out: {error}")
        if not readers:
            raise errors[0]
        return readers

    @staticmethod
    def _accept_other_settings(reader: Any) -> None:
        """Let the files of a bag have the settings that its metadata.yaml says.

        The QoS of a topic is often rewritten there, and rosbags would find no message of the topic then.
        """
        said = {(c.topic, c.msgtype): c for c in reader.connections}
        for storage in _storages(reader):
            for i, c in enumerate(storage.connections):
                if (c.topic, c.msgtype) in said:
                    storage.connections[i] = c._replace(ext=said[c.topic, c.msgtype].ext, digest="")

    def _define_types(self) -> dict[str, str]:
        """Take the definition of each type from the bag, or from ROS 2 where the bag has none.

        Return the types without a definition, each with the reason.
        """
        ours, defined, digests = typestore().fielddefs, dict[str, Any](), dict[str, str]()
        unknown: dict[str, str] = {}
        for c in self.connections:
            try:
                found = _definition(c)
                defined.update(found)
                if found and c.digest:
                    digests[c.msgtype] = c.digest
            except Exception:  # a parser may raise anything
                unknown[c.msgtype] = "its definition in the bag cannot be parsed"
        missing = {c.msgtype for c in self.connections} - set(defined) - set(unknown)
        if missing & set(ours):
            defined = {**ours, **defined}
        unknown |= dict.fromkeys(missing - set(ours), "the bag does not define it")
        self.typestore = get_typestore(Stores.EMPTY)
        self.typestore.register(defined)
        for kind, digest in digests.items():
            with suppress(Exception):  # a type that it holds may be undefined
                if self._digest(kind) == digest:
                    continue
            unknown[kind] = "the bag defines it otherwise than it was recorded"
        return unknown

    def _digest(self, kind: str) -> str:
        return self.typestore.hash_rihs01(kind) if self.is2 else self.typestore.generate_msgdef(kind)[1]

    def messages(
        self, connections: Collection[Connection] = (), start: int | None = None, stop: int | None = None
    ) -> Generator[tuple[Connection, int, bytes], None, None]:
        """Yield (connection, time received in ns, serialised message) of the connections, or of all."""
        for connection, received, raw in super().messages(connections, start, stop):
            # Without metadata.yaml nothing says that messages are packed. CDR begins with a zero.
            packed = self.is2 and bytes(raw[:4]) == ZSTD_MAGIC
            yield connection, received, unpacked(raw) if packed else raw

    def deserialize(self, rawdata: bytes | memoryview, typ: str) -> object:
        """Return a message, whose large fields are views of `rawdata`; rosbags would copy bytes."""
        return super().deserialize(cast("bytes", memoryview(rawdata)), typ)


def _storages(reader: Any) -> list[Any]:
    """Return the files of a ROS 2 bag, each with its own connections."""
    storage = getattr(reader, "storage", None)
    return [] if storage is None else getattr(storage, "storages", [storage])


def _definition(connection: Connection) -> dict[str, Any]:
    """Return the definition of a connection's type and of those that it holds; {} where the bag has none."""
    text, form = connection.msgdef.data, connection.msgdef.format
    if form == MessageDefinitionFormat.NONE:
        return {}
    if form == MessageDefinitionFormat.MSG:
        return dict(get_types_from_msg(text, connection.msgtype))
    parts = [part.split("\n", 1)[1] for part in text.split(IDL)[1:]] if text.startswith(IDL) else [text]
    return {name: fields for part in parts for name, fields in get_types_from_idl(part).items()}


class WholeMcap(McapReader):
    """An mcap file, of which all whole records are read where its end is missing.

    cut: what a user should know of that; "" when the file has an end.
    """

    cut = ""

    def _open(self) -> None:
        try:
            super()._open()
        except (ReaderError, TypeError) as error:  # TypeError: a record was expected where the file ends
            if not self.data_start:
                raise error if isinstance(error, ReaderError) else ReaderError(TOO_SHORT) from error
            self._open_cut()

    def _open_cut(self) -> None:
        chunks = self._whole_records()
        for state in (self.schemas, self.channels, self.connections):
            state.clear()
        self.meta_scan()
        assert self.statistics is not None
        found = self.statistics
        if not found.message_count:
            raise ReaderError(TOO_SHORT)
        counts = found.channel_message_counts
        self.connections = [c._replace(msgcount=counts.get(c.id, 0)) for c in self.connections]
        self.chunks = [chunk._replace(channel_count=counts) for chunk in chunks]
        self.metadata = self.metadata._replace(
            duration=found.end_time - found.start_time + 1, start_time=found.start_time, end_time=found.end_time + 1,
            message_count=found.message_count,
        )  # fmt: skip
        name, size = Path(str(self.path)).name, self.path.stat().st_size
        self.cut = (
            f"{name} is cut: {found.message_count} messages in its first {self.data_end:,} of {size:,} bytes are read. "
            f"To mend it: mcap recover {name} -o whole.mcap"
        )

    def _whole_records(self) -> list[ChunkInfo]:
        """Find where the last whole record ends, and return the chunks before it."""
        assert self.bio is not None
        bio, chunks = self.bio, []
        bio.seek(0, 2)
        size, self.data_end = bio.tell(), self.data_start
        bio.seek(self.data_start)
        while len(head := bio.read(9)) == 9:
            begin, length = bio.tell() - 9, deserialize_uint64(head[1:])[0]
            if begin + 9 + length > size:
                break
            if head[0] == CHUNK:
                chunks.append(self._chunk(begin, length))
            bio.seek(begin + 9 + length)
            self.data_end = bio.tell()
        return chunks

    def _chunk(self, begin: int, length: int) -> ChunkInfo:
        assert self.bio is not None
        first, last, unpacked_size, _ = deserialize_qqqi(read_exact(self.bio, 28))
        compression = read_string(self.bio)
        packed_size = deserialize_uint64(read_exact(self.bio, 8))[0]
        return ChunkInfo(first, last, begin, 9 + length, {}, 0, compression, packed_size, unpacked_size, {})


def _messages_of(
    chunk: ChunkInfo, channel_map: dict[int, Connection], start: int, stop: int, bio: BinaryIO
) -> Generator[Msg, None, None]:
    """Yield the messages of a chunk in the order of time, as views of it. rosbags copies each message twice.

    The first one bears the time of the chunk and no data: chunks are merged by it before they are read.
    """
    yield Msg(chunk.message_start_time, 0, None, None)
    bio.seek(chunk.chunk_start_offset + 9 + 24)
    crc = int.from_bytes(read_exact(bio, 4), "little")
    bio.seek(chunk.chunk_start_offset + 9 + 40 + len(chunk.compression))
    packed = read_exact(bio, chunk.compressed_size)
    data = memoryview(decompress(packed, chunk.compression, chunk.uncompressed_size, crc))
    messages, at = [], 0
    while at < len(data):
        kind, length = RECORD.unpack_from(data, at)
        at += RECORD.size
        if length > len(data) - at:
            raise ReaderError("a record is longer than its chunk")
        if kind == MESSAGE:
            channel, _, received, _ = HEAD.unpack_from(data, at)
            if start <= received < stop and channel in channel_map:
                content = cast("bytes", data[at + HEAD.size : at + length])
                messages.append(Msg(received, chunk.chunk_start_offset, channel_map[channel], content))
        at += length
    yield from sorted(messages, key=lambda message: message.timestamp)


storage_mcap.msgsrc = _messages_of
rosbag2.DirectoryReader.STORAGE_PLUGINS = {**rosbag2.DirectoryReader.STORAGE_PLUGINS, "mcap": WholeMcap}
rosbag2.Reader.STORAGE_PLUGINS = {**rosbag2.Reader.STORAGE_PLUGINS, ".mcap": WholeMcap}
