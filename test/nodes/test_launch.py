"""The launch files, by launch_testing, where that is installed (it is in no package index; on a robot it is)."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from any2any_ros import encoders
from any2any_ros.data import bags, kitti
from any2any_ros.data.drive import encode
from any2any_ros.retrieval import reference_map
from any2any_ros.workflows import build_map

HERE = Path(__file__).parent / "launch_tests"
ABSENT = [name for name in ("launch", "launch_ros", "launch_testing") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(ABSENT), reason=f"{', '.join(ABSENT)} not installed: source a ROS 2 with them and run this again"
)


@pytest.fixture(scope="module")
def ring(laps, tmp_path_factory):
    """A map and a bag of a short drive."""
    folder, drive = tmp_path_factory.mktemp("ring"), kitti.read(laps, "00")
    made = {m: encoders.build(m) for m in drive.modalities}
    reference_map.save(build_map.as_map(encode(drive, made), made, "ring"), folder / "map")
    bags.write(drive, folder / "bag")
    return folder


@pytest.mark.parametrize("name", ["place_recognition", "kitti_replay"])
def test_launch_file(name, ring):
    launch(name, [f"map:={ring / 'map'}"] + ([f"bag:={ring / 'bag'}"] if name == "kitti_replay" else []))


@pytest.mark.skipif(importlib.util.find_spec("nav2_common") is None, reason="nav2_common is not installed: no Nav2")
def test_nav2_localization(ring):
    launch("nav2_localization", [f"map:={ring / 'map'}"])


def test_object_grounding(untrained_model):
    launch("object_grounding", [f"model:={untrained_model}"])


RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from any2any_ros import share
source = PythonLaunchDescriptionSource(str(share.find("launch", "place_recognition.launch.py")))
arguments = dict(word.split(":=") for word in sys.argv[1:])
service = LaunchService(argv=[])
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments.items())])
)
sys.exit(service.run())
"""


def test_a_process_with_wrong_parameters_is_not_started_again(ring, tmp_path):
    """All of them end, and so does the launch."""
    (tmp_path / "p.yaml").write_text("retrieval: [")
    words = [f"map:={ring / 'map'}", "modalities:=text", "dds_profile:=loopback", f"params_file:={tmp_path / 'p.yaml'}"]
    done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True, timeout=60)
    assert done.stdout.count("ROS cannot start") + done.stderr.count("ROS cannot start") == 2


AROUND = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import EmitEvent, ExecuteProcess, IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from any2any_ros import share
source = PythonLaunchDescriptionSource(str(share.find("launch", "place_recognition.launch.py")))
arguments = {"map": sys.argv[1], "dds_profile": "loopback"}
other = ExecuteProcess(cmd=["sh", "-c", "sleep 8; echo the rest of the robot"], output="screen")
end = RegisterEventHandler(OnProcessExit(target_action=other, on_exit=[EmitEvent(event=Shutdown())]))
service = LaunchService(argv=[])
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments.items()), other, end])
)
sys.exit(service.run())
"""


def test_a_launch_file_that_includes_ours_survives_a_missing_map(tmp_path):
    words = [sys.executable, "-c", AROUND, str(tmp_path / "nowhere")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert "the rest of the robot" in said and "only the retrieval node is started" in said
    assert "it has no map.json" in said


def launch(name, arguments):
    command = [sys.executable, "-m", "launch_testing.launch_test", str(HERE / f"{name}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
