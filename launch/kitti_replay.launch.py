"""A recorded drive, answered: place_recognition.launch.py beside `any2any replay` and, if wanted, RViz.

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
    "rate": ("1.0", "times as fast as it was recorded"),
    "loop": ("false", "begin again at the end"),
    "kill": ("", "sensors to silence, e.g. camera@20s-40s lidar@30s-50s"),
    "rviz": ("false", "also show it"),
    "params_file": ("", "YAML of ROS parameters that override"),
    "dds_profile": ("loopback", "Fast DDS transport: robot, loopback, a file, or empty to leave it alone"),
}


def start(context):
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    nodes = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name("place_recognition.launch.py"))),
        launch_arguments={
            "map": given["map"],
            "params_file": given["params_file"],
            "dds_profile": given["dds_profile"],
            "use_sim_time": "true",
        }.items(),
    )
    command = ["any2any", "replay", given["bag"], "--rate", given["rate"], "--dds-profile", given["dds_profile"]]
    command += ["--loop"] if given["loop"].lower() == "true" else []
    command += [word for outage in given["kill"].split() for word in ("--kill", outage)]
    replay = ExecuteProcess(cmd=command, output="screen")
    over = RegisterEventHandler(
        OnProcessExit(target_action=replay, on_exit=[EmitEvent(event=Shutdown(reason="the bag is over"))])
    )
    picture = Node(
        package="rviz2", executable="rviz2", arguments=["-d", str(share.find("rviz", "place_recognition.rviz"))]
    )
    return [nodes, replay, over, *([picture] if given["rviz"].lower() == "true" else [])]


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=what)
        for name, (default, what) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
