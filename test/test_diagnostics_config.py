"""config/diagnostics.yaml groups the lines of each of our nodes, with and without a namespace, and each only once."""

from pathlib import Path

import pytest
import yaml

from any2any_ros.nodes import topology

ROOT = Path(__file__).parents[1]


def analyzers():
    content = yaml.safe_load((ROOT / "config" / "diagnostics.yaml").read_text())["/**"]["ros__parameters"]
    return [value for value in content.values() if isinstance(value, dict)]


@pytest.mark.parametrize("namespace", ["", "robot_a/"])
def test_each_node_has_one_group(namespace, untrained_model):
    processes = topology.place_recognition("", ["camera", "lidar", "laser_scan"])
    processes += [*topology.localization(), *topology.object_grounding(str(untrained_model))]
    for process in processes:
        line = f"{namespace}{process.name}: clock"
        groups = [a["path"] for a in analyzers() if any(part in line for part in a["contains"])]
        assert len(groups) == 1, line
