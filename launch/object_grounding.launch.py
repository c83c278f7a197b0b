"""Which one is meant? The node that remembers objects and finds the one that a command asks for, typed or spoken.

    ros2 launch any2any_ros object_grounding.launch.py model:=/path/to/model
    ros2 launch any2any_ros object_grounding.launch.py model:=MODEL objects:=/var/lib/objects hearing:=none

The processes are listed in any2any_ros/nodes/topology.py; every default is there or in any2any_ros/config.py.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from any2any_ros.nodes import topology

ARGUMENTS = {
    "model": ("", "folder of the model, from any2any train"),
    "objects": ("", "folder in which objects are kept from one start to the next; empty = nowhere"),
    "hearing": ("", "what turns speech into words: a file of hearing/, or none; empty = the node's own choice"),
    "params_file": ("", "YAML of ROS parameters that override"),
    "use_sim_time": ("false", "take the time from /clock"),
    "dds_profile": ("robot", "Fast DDS transport: robot, loopback, a file, or empty to leave it alone"),
    "namespace": ("", "of the node"),
    "autostart": ("true", "false when a lifecycle manager starts the node"),
}


def start(context):
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    processes = topology.object_grounding(
        given["model"],
        objects=given["objects"],
        hearing=given["hearing"],
        use_sim_time=given["use_sim_time"].lower() == "true",
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
