"""The machine of a measurement, its load, and the versions of libraries."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = ("numpy", "scipy", "scikit-learn", "faiss-cpu", "opencv-python-headless", "onnxruntime", "torch",
             "transformers", "ros-rclpy", "ros-fastrtps")  # fmt: skip
BUSY = 1.0  # the page warns above this load


def describe() -> dict[str, Any]:
    """Return the machine and its present load."""
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "ram_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "python": platform.python_version(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "gpu": gpu(),
        "load_before": os.getloadavg()[0],
    }


def _field(file: str, name: str) -> str:
    lines = Path(file).read_text().split("\n") if Path(file).exists() else []
    return next((text.partition(":")[2].strip() for text in lines if text.startswith(name)), "")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def gpu() -> str:
    """Return the name of the first NVIDIA GPU; "" without one."""
    if shutil.which("nvidia-smi") is None:
        return ""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout.split("\n")[0].strip() if done.returncode == 0 else ""
