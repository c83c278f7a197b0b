"""Run by launch_test: object_grounding.launch.py brings up the node of a model."""

import unittest

import launch_testing.actions
import launch_testing.asserts
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from any2any_ros import share


def generate_test_description():
    source = PythonLaunchDescriptionSource(str(share.find("launch", "object_grounding.launch.py")))
    arguments = {"model": LaunchConfiguration("model"), "hearing": "none", "dds_profile": "loopback"}
    return LaunchDescription(
        [
            DeclareLaunchArgument("model"),
            IncludeLaunchDescription(source, launch_arguments=arguments.items()),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class WhileRunning(unittest.TestCase):
    def test_the_node_comes_up(self, proc_output):
        proc_output.assertWaitFor("hears text; 0 objects are remembered", timeout=20)


@launch_testing.post_shutdown_test()
class Afterwards(unittest.TestCase):
    def test_every_process_ended_by_itself(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
