"""Starts place recognition that helps another localizer: AMCL, or one of your own, is told where it is when it is lost.

    ros2 launch any2any_ros nav2_localization.launch.py map:=/path/to/map grid:=/path/to/grid.yaml
    ros2 launch any2any_ros nav2_localization.launch.py map:=MAP localizer:=none localizer_pose:=pcl_pose

Needs nav2_lifecycle_manager, and for AMCL nav2_map_server and nav2_amcl. docs/nav2.md explains it. The processes are
listed in any2any_ros/nodes/topology.py; all other defaults are in any2any_ros/node_config.py.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration

from any2any_ros import plugins
from any2any_ros.nodes import launching, topology

ARGUMENTS = {
    "map": ("", "folder of the map of places"),
    "localizer": ("amcl", "amcl: start Nav2's map server and AMCL, too; none: another localizer is running"),
    "localizer_pose": ("", "topic of the localizer's pose with its covariance; empty: amcl_pose"),
    "grid": ("", "YAML file of the occupancy grid for AMCL, in the same frame as the map of places"),
    "nav2_params": ("", "YAML file of parameters of AMCL and the map server"),
    "modalities": ("", "modalities to encode, such as camera,lidar; empty: all modalities of the map"),
    "allow_modules": ("", "modules of your own that may be encoders, such as my_robot.thermal,my_robot.radar"),
    "params_file": ("", "YAML file of ROS parameters that override the defaults of our nodes"),
    "use_sim_time": ("false", "true: take the time from /clock"),
    "topics": ("", "topics to listen to, such as camera=/front/image_raw,lidar=/points; default: those of the map"),
    "odometry": ("", "topic of the odometry, or /tf:odom.base_link; empty: odom"),
    "image_transport": ("", "transport of the images: raw or compressed; empty: as in the map"),
    "dds_profile": ("robot", "Fast DDS transport: robot, loopback, or a file; empty: Fast DDS keeps its own"),
    "namespace": ("", "namespace of all nodes"),
}


def start(context):
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    for module in filter(None, values["allow_modules"].split(",")):
        plugins.allow_module(module)
    use_sim_time = values["use_sim_time"].lower() == "true"
    processes = topology.place_recognition(
        values["map"],
        [m for m in values["modalities"].split(",") if m],
        use_sim_time=use_sim_time,
        image_transport=values["image_transport"],
        topics=dict(pair.partition("=")[::2] for pair in values["topics"].split(",") if pair),
        odometry=values["odometry"],
    )
    processes += topology.localization(
        values["odometry"], initial_pose=True, localizer_pose=values["localizer_pose"], use_sim_time=use_sim_time
    )
    theirs = launching.amcl(values) if values["localizer"] == "amcl" else []
    return [*theirs, *launching.managed(processes, values)]


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=what)
        for name, (default, what) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
