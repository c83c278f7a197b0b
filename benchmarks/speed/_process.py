"""Memory and CPU time of a process, and work done in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def apart(work: Callable[..., T], *arguments: Any) -> T:
    """Call `work` in a new process, which has its own memory and reads its own Fast DDS profile."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process in seconds."""
    ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def memory(process: int) -> tuple[int, int]:
    """Return (PSS, RSS) in bytes. PSS divides shared pages among the processes that share them; RSS counts them all."""
    return parse_rollup(Path(f"/proc/{process}/smaps_rollup").read_text())


def parse_rollup(text: str) -> tuple[int, int]:
    kilobytes: Mapping[str, int] = {name: int(n) for name, n in re.findall(r"^(Pss|Rss):\s+(\d+) kB$", text, re.M)}
    return 1024 * kilobytes["Pss"], 1024 * kilobytes["Rss"]


def segments(maps: str) -> set[Path]:
    """Return the shared-memory segments of Fast DDS. maps: text of /proc/PID/maps of a process."""
    return {Path(name) for name in re.findall(r"/dev/shm/fastrtps_[0-9a-f]{16}\b", maps)}
