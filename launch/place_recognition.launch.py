"""Starts place recognition: one encoder process for each sensor, and the retrieval node.

    ros2 launch any2any_ros place_recognition.launch.py map:=/path/to/map
    ros2 launch any2any_ros place_recognition.launch.py map:=MAP modalities:=camera,lidar image_transport:=compressed
    ros2 launch any2any_ros place_recognition.launch.py map:=MAP localization:=true publish_tf:=true

The processes are listed in any2any_ros/nodes/topology.py; all other defaults are in any2any_ros/node_config.py.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration

from any2any_ros import plugins
from any2any_ros.nodes import launching, topology

ARGUMENTS = {
    "map": ("", "folder of the map"),
    "modalities": ("", "modalities to encode, such as camera,lidar; empty: all modalities of the map"),
    "allow_modules": ("", "modules of your own that may be encoders, such as my_robot.thermal,my_robot.radar"),
    "params_file": ("", "YAML file of ROS parameters that override the defaults"),
    "use_sim_time": ("false", "true: take the time from /clock"),
    "topics": ("", "topics to listen to, such as camera=/front/image_raw,lidar=/points; default: those of the map"),
    "odometry": ("", "topic of the odometry, or /tf:odom.base_link, for encoders that use it; empty: odom"),
    "localization": ("false", "true: also say where the robot is, by several answers along its way"),
    "publish_tf": ("false", "true: with localization, publish the transform map -> odom"),
    "initial_pose": ("false", "true: with localization, tell another localizer on initialpose"),
    "image_transport": ("", "transport of the images: raw or compressed; empty: as in the map"),
    "dds_profile": ("robot", "Fast DDS transport: robot, loopback, or a file; empty: Fast DDS keeps its own"),
    "namespace": ("", "namespace of all nodes"),
    "autostart": ("true", "false: a lifecycle manager starts the nodes"),
}


def start(context):
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    for module in filter(None, values["allow_modules"].split(",")):
        plugins.allow_module(module)
    if alone := launching.without_map(values):
        return alone
    processes = topology.place_recognition(
        values["map"],
        [m for m in values["modalities"].split(",") if m],
        use_sim_time=values["use_sim_time"].lower() == "true",
        image_transport=values["image_transport"],
        topics=dict(pair.partition("=")[::2] for pair in values["topics"].split(",") if pair),
        odometry=values["odometry"],
    )
    if values["localization"].lower() == "true":
        wanted = {name: values[name].lower() == "true" for name in ("publish_tf", "initial_pose", "use_sim_time")}
        processes += topology.localization(values["odometry"], **wanted)
    return launching.actions(processes, values)


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=what)
        for name, (default, what) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
