"""Starts object grounding: the node that remembers objects and finds the one that a typed or spoken command means.

    ros2 launch any2any_ros object_grounding.launch.py model:=/path/to/model
    ros2 launch any2any_ros object_grounding.launch.py model:=MODEL objects:=/var/lib/objects hearing:=none

The processes are listed in any2any_ros/nodes/topology.py; all other defaults are in any2any_ros/node_config.py.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration

from any2any_ros import plugins
from any2any_ros.nodes import launching, topology

ARGUMENTS = {
    "model": ("", "folder of the model, written by any2any train"),
    "objects": ("", "folder where objects are saved between two runs; empty: they are lost when the launch ends"),
    "hearing": ("", "transcriber of spoken commands: a file of hearing/, or none; empty: the node's default"),
    "allow_modules": ("", "modules of your own that may be encoders, such as my_robot.thermal,my_robot.radar"),
    "params_file": ("", "YAML file of ROS parameters that override the defaults"),
    "use_sim_time": ("false", "true: take the time from /clock"),
    "dds_profile": ("robot", "Fast DDS transport: robot, loopback, or a file; empty: Fast DDS keeps its own"),
    "namespace": ("", "namespace of the node"),
    "autostart": ("true", "false: a lifecycle manager starts the node"),
}


def start(context):
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    for module in filter(None, values["allow_modules"].split(",")):
        plugins.allow_module(module)
    processes = topology.object_grounding(
        values["model"],
        objects=values["objects"] or launching.session_folder(),
        hearing=values["hearing"],
        use_sim_time=values["use_sim_time"].lower() == "true",
    )
    return launching.actions(processes, values)


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=what)
        for name, (default, what) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
