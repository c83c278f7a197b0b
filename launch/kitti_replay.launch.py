"""Replays a recorded drive: starts place_recognition.launch.py, `any2any replay` and, on request, RViz.

    ros2 launch any2any_ros kitti_replay.launch.py map:=MAP bag:=my_bag
    ros2 launch any2any_ros kitti_replay.launch.py map:=MAP bag:=my_bag kill:="camera@20s-40s lidar@30s-50s" rviz:=true

Make the bag with: any2any bag KITTI my_bag --sequence 00
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from any2any_ros import share

ARGUMENTS = {
    "map": ("", "folder of the map"),
    "bag": ("", "folder of the rosbag2"),
    "rate": ("1.0", "speed of the replay, relative to the recording"),
    "loop": ("false", "true: start again at the end"),
    "kill": ("", "sensors to silence and when, such as camera@20s-40s lidar@30s-50s"),
    "rviz": ("false", "true: also start RViz"),
    "allow_modules": ("", "modules of your own that may be encoders, such as my_robot.thermal,my_robot.radar"),
    "params_file": ("", "YAML file of ROS parameters that override the defaults"),
    "dds_profile": ("loopback", "Fast DDS transport: robot, loopback, or a file; empty: Fast DDS keeps its own"),
}


def start(context):
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    nodes = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name("place_recognition.launch.py"))),
        launch_arguments={
            "map": values["map"],
            "allow_modules": values["allow_modules"],
            "params_file": values["params_file"],
            "dds_profile": values["dds_profile"],
            "use_sim_time": "true",
        }.items(),
    )
    command = ["any2any", "replay", values["bag"], "--rate", values["rate"], "--dds-profile", values["dds_profile"]]
    command += ["--loop"] if values["loop"].lower() == "true" else []
    command += [word for outage in values["kill"].split() for word in ("--kill", outage)]
    replay = ExecuteProcess(cmd=command, output="screen")
    shutdown = RegisterEventHandler(
        OnProcessExit(target_action=replay, on_exit=[EmitEvent(event=Shutdown(reason="the replay has ended"))])
    )
    rviz = Node(
        package="rviz2", executable="rviz2", arguments=["-d", str(share.find("rviz", "place_recognition.rviz"))]
    )
    return [nodes, replay, shutdown, *([rviz] if values["rviz"].lower() == "true" else [])]


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=what)
        for name, (default, what) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
