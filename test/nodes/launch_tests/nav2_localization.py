"""Run by launch_test: Nav2's lifecycle manager brings up our nodes, beside another localizer."""

import unittest

import launch_testing.actions
import launch_testing.asserts
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from any2any_ros import share


def generate_test_description():
    source = PythonLaunchDescriptionSource(str(share.find("launch", "nav2_localization.launch.py")))
    arguments = {"map": LaunchConfiguration("map"), "dds_profile": "loopback", "localizer": "none"}
    return LaunchDescription(
        [
            DeclareLaunchArgument("map"),
            IncludeLaunchDescription(source, launch_arguments=arguments.items()),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class WhileRunning(unittest.TestCase):
    def test_every_node_comes_up(self, proc_output):
        for line in ("map 'ring': 24 places", "/camera/image_raw ->", "/lidar/points ->", "/caption ->"):
            proc_output.assertWaitFor(line, timeout=20)


@launch_testing.post_shutdown_test()
class Afterwards(unittest.TestCase):
    def test_every_process_ended_by_itself(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
