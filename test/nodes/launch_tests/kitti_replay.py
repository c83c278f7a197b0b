"""Run by launch_test: kitti_replay.launch.py replays a bag to the nodes, silences a sensor, and begins again."""

import unittest

import launch_testing.actions
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from any2any_ros import share


def generate_test_description():
    source = PythonLaunchDescriptionSource(str(share.find("launch", "kitti_replay.launch.py")))
    arguments = {n: LaunchConfiguration(n) for n in ("map", "bag")} | {
        "rate": "4", "kill": "camera@2s-9s", "loop": "true",
    }  # fmt: skip
    return LaunchDescription(
        [
            DeclareLaunchArgument("map"),
            DeclareLaunchArgument("bag"),
            IncludeLaunchDescription(source, launch_arguments=arguments.items()),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class WhileRunning(unittest.TestCase):
    def test_a_sensor_dies_and_the_bag_begins_again(self, proc_output):
        for line in ("camera is alive", "camera is stale", "the clock jumped"):
            proc_output.assertWaitFor(line, timeout=30)
