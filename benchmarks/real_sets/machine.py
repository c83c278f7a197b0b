"""The machine of a run, and its threads."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import Any


def one_thread() -> None:
    """Let numerical libraries use one thread, as the nodes do."""
    import cv2
    from threadpoolctl import threadpool_limits

    os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})
    threadpool_limits(1)
    cv2.setNumThreads(1)


def describe() -> dict[str, Any]:
    """Return the date, the processor, the version of Python, and how busy the machine is."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {"date": datetime.date.today().isoformat(), "cpu": cpu, "python": platform.python_version(),
            "load": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}  # fmt: skip
