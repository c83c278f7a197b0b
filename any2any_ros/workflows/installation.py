"""What is installed on this machine that the package can use."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from pathlib import Path

# module, distribution, what it is for, how to get it
PACKAGES = (
    ("rclpy", "rclpy", "every node", "pip install 'any2any_ros[ros]', or a sourced ROS 2"),
    ("any2any_ros.msg", "any2any_ros", "our messages", "pip install ., or colcon build"),
    ("faiss", "faiss-cpu", "search", "pip install faiss-cpu"),
    ("cv2", "opencv-python-headless", "camera", "pip install 'opencv-python-headless<5'"),
    ("rosbags", "rosbags", "bags", "pip install rosbags"),
    ("sklearn", "scikit-learn", "calibration", "pip install scikit-learn"),
    ("embreex", "embreex", "simulation", "pip install 'any2any_ros[sim]'"),
    ("onnxruntime", "onnxruntime", "sentence model", "pip install 'any2any_ros[text]'"),
    ("pocketsphinx", "pocketsphinx", "spoken commands", "pip install 'any2any_ros[speech]'"),
    ("matplotlib", "matplotlib", "pictures", "pip install 'any2any_ros[report]'"),
    ("jinja2", "jinja2", "reports", "pip install 'any2any_ros[report]'"),
    ("torch", "torch", "pretrained encoders, training", "pip install 'any2any_ros[pretrained]'"),
    ("transformers", "transformers", "pretrained encoders", "pip install 'any2any_ros[pretrained]'"),
    ("open3d", "open3d", "registration", "pip install 'any2any_ros[open3d]'"),
    ("tensorrt", "tensorrt", "TensorRT engines", "JetPack brings it"),
)


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
