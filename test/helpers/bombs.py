"""Small messages and files that promise far more than a robot has memory for, and a process that may burst."""

from __future__ import annotations

import gc
import os
import resource
import struct
import traceback
import zipfile
import zlib
from collections.abc import Callable

from any2any_ros.errors import Any2AnyError

MB = 1 << 20
MOST = 1000 * MB  # what one process may take beyond what it had: an allocation above it fails


def outcome(call: Callable[[], object]) -> tuple[str, float]:
    """Return what Any2AnyError a call raises ("" for none), and how many MB it took at most.

    It runs in a forked process that cannot take more than `MOST`. Any other exception fails the test.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            gc.freeze()  # what the parent has left over, such as nodes of ROS, must not be freed here
            os.write(writing, _burst(call).encode()[:60_000])  # what a pipe takes without a reader
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        grown, _, text = stream.read().decode().partition("\n")
    assert os.waitpid(child, 0)[1] == 0, "the process died"
    assert not text.startswith("Traceback"), text
    return text, float(grown)


def _burst(call: Callable[[], object]) -> str:
    before, text = _status("VmRSS"), ""
    most = _status("VmSize") + MOST
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        call()
    except Any2AnyError as error:
        text = str(error)
    except BaseException:
        text = traceback.format_exc()
    return f"{(_status('VmHWM') - before) / MB}\n{text}"


def _status(name: str) -> int:
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1]) * 1024 for line in stream if line.startswith(name))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int) -> bytes:
    """Return a whole PNG of black pixels, a thousandth of them in bytes."""
    packer = zlib.compressobj(9)
    data = b"".join([*(packer.compress(bytes(1 + width)) for _ in range(height)), packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def npz(path, compression=zipfile.ZIP_STORED, **members):
    """Write an .npz file of members that are given as bytes."""
    with zipfile.ZipFile(path, "w", compression, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(shape, dtype, content=b""):
    """Return a .npy file whose header promises this array."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content
