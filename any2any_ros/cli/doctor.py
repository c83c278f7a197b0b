"""Tell what is installed, which sensor topics come and how often, and why one does not.

    any2any doctor
    any2any doctor --seconds 10 --json doctor.json

Exit code 0 when nothing is wrong, 1 when something is: a topic that does not come, a QoS mismatch, a skewed clock.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
from pathlib import Path
from typing import Any

from any2any_ros import storage, tables
from any2any_ros.cli import _ros
from any2any_ros.errors import Any2AnyError

# module, distribution, what it is for, how to get it
PACKAGES = (
    ("rclpy", "rclpy", "every node", "pip install 'any2any_ros[ros]', or a sourced ROS 2"),
    ("any2any_ros.msg", "any2any_ros", "our messages", "pip install ., or colcon build"),
    ("faiss", "faiss-cpu", "search", "pip install faiss-cpu"),
    ("cv2", "opencv-python-headless", "camera", "pip install 'opencv-python-headless<5'"),
    ("rosbags", "rosbags", "bags", "pip install rosbags"),
    ("sklearn", "scikit-learn", "calibration", "pip install scikit-learn"),
    ("matplotlib", "matplotlib", "pictures", "pip install 'any2any_ros[report]'"),
    ("jinja2", "jinja2", "reports", "pip install 'any2any_ros[report]'"),
    ("embreex", "embreex", "simulation", "pip install 'any2any_ros[sim]'"),
    ("onnxruntime", "onnxruntime", "sentence model", "pip install 'any2any_ros[text]'"),
    ("pocketsphinx", "pocketsphinx", "spoken commands", "pip install 'any2any_ros[speech]'"),
    ("torch", "torch", "pretrained encoders, training", "pip install 'any2any_ros[pretrained]'"),
    ("transformers", "transformers", "pretrained encoders", "pip install 'any2any_ros[pretrained]'"),
    ("open3d", "open3d", "registration", "pip install 'any2any_ros[open3d]'"),
    ("tensorrt", "tensorrt", "TensorRT engines", "JetPack brings it"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to listen (default %(default)g)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was found there")
    _ros.add_profile_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    found: dict[str, Any] = {
        "packages": packages(), "accelerators": accelerators(), "environment": environment(), "topics": []
    }  # fmt: skip
    print(tables.table(found["packages"], {"package": "package", "version": "version", "for": "for", "": "remedy"}))
    print(f"\naccelerators: {', '.join(found['accelerators']) or 'none; the CPU does it all'}")
    print("\n".join(f"{key}: {value}" for key, value in found["environment"].items()))
    try:
        _ros.prepare()
        found["topics"] = _topics(arguments.dds_profile, arguments.seconds)
        print("\n" + _told(found["topics"], arguments.seconds))
    except Any2AnyError as error:
        print(f"\n{error}")
    if arguments.json:
        storage.write_json(arguments.json, found)
    return 1 if any(topic["verdict"] != "ok" for topic in found["topics"]) else 0


def packages() -> list[dict[str, str]]:
    rows = []
    for module, distribution, purpose, remedy in PACKAGES:
        try:
            here = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            here = False
        rows.append(
            {"package": module, "version": _version(distribution) if here else "absent", "for": purpose,
             "remedy": "" if here else remedy}
        )  # fmt: skip
    return rows


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "here"  # installed by apt or colcon


def accelerators() -> list[str]:
    """Name the GPUs and runtimes that could encode."""
    found = []
    if Path("/etc/nv_tegra_release").exists():
        found.append("Jetson")
    if importlib.util.find_spec("torch") is not None:
        import torch

        found += [f"torch: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    if importlib.util.find_spec("onnxruntime") is not None:
        import onnxruntime

        found += [f"onnxruntime: {p}" for p in onnxruntime.get_available_providers() if p != "CPUExecutionProvider"]
    return [name for name in found if "Azure" not in name]


def environment() -> dict[str, str]:
    profile = os.environ.get("FASTRTPS_DEFAULT_PROFILES_FILE") or os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE")
    return {
        "ROS_DOMAIN_ID": os.environ.get("ROS_DOMAIN_ID", "0 (default)"),
        "RMW_IMPLEMENTATION": os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp (default)"),
        "Fast DDS profile": profile or "none: half of best-effort images and clouds are lost; see docs/install.md",
    }


def _topics(profile: str, seconds: float) -> list[dict[str, Any]]:
    from any2any_ros.nodes import inspection

    with _ros.node("doctor", profile) as node:
        found = inspection.inspect(node, seconds)
    return [
        {"topic": t.name, "type": t.type_name, "hertz": t.hertz, "publishers": t.publishers, "for": t.for_whom,
         "verdict": t.verdict()}
        for t in found
    ]  # fmt: skip


def _told(topics: list[dict[str, Any]], seconds: float) -> str:
    if not topics:
        return f"No topic that an encoder reads appeared in {seconds:g} s: is a driver running, on this ROS_DOMAIN_ID?"
    columns = {"topic": "topic", "type": "type", "Hz": "hertz", "for": "for", "verdict": "verdict"}
    return tables.table(topics, columns)
