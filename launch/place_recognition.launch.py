"""Where am I? One encoder process for every sensor, and the node that answers.

    ros2 launch any2any_ros place_recognition.launch.py map:=/path/to/map
    ros2 launch any2any_ros place_recognition.launch.py map:=MAP modalities:=camera,lidar image_transport:=compressed

The processes are listed in any2any_ros/nodes/topology.py; every default is there or in any2any_ros/config.py.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from any2any_ros.nodes import topology

ARGUMENTS = {
    "map": ("", "folder of the map"),
    "modalities": ("", "sensors to encode, e.g. camera,lidar; empty = all that the map knows"),
    "params_file": ("", "YAML of ROS parameters that override"),
    "use_sim_time": ("false", "take the time from /clock"),
    "image_transport": ("raw", "raw or compressed"),
    "dds_profile": ("robot", "Fast DDS transport: robot, loopback, a file, or empty to leave it alone"),
    "namespace": ("", "of all nodes"),
    "autostart": ("true", "false when a lifecycle manager starts the nodes"),
}


def start(context):
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    processes = topology.place_recognition(
        given["map"],
        [m for m in given["modalities"].split(",") if m],
        use_sim_time=given["use_sim_time"].lower() == "true",
        image_transport=given["image_transport"],
    )
    autostart = {"autostart": given["autostart"].lower() == "true"}
    overrides = [given["params_file"]] if given["params_file"] else []
    environment = topology.environment(given["dds_profile"])
    return [SetEnvironmentVariable(name, value) for name, value in environment.items()] + [
        Node(
            package="any2any_ros",
            executable=process.executable,
            name=process.name,
            namespace=given["namespace"],
            parameters=[dict(process.parameters), autostart, *overrides],
            output="screen",
            respawn=True,
            respawn_delay=1.0,
        )
        for process in processes
    ]


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=what)
        for name, (default, what) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
