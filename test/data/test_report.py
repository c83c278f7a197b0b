"""The report of a recording counts every message, keeps the first reason, and tells what a user should know."""

from __future__ import annotations

import numpy as np

from any2any_ros.data.report import SensorReport
from any2any_ros.observation import ObservationSet


def filled():
    report = SensorReport()
    points = report.topic("lidar", "/points", "sensor_msgs/msg/PointCloud2", 5)
    for reason in ("", "it is empty", "it is far away"):
        points.read()
        points.refused(reason) if reason else points.encoded()
    return report


def test_every_message_is_counted_and_the_first_reason_is_kept():
    report = filled()
    (row,) = report.as_dict()["topics"]
    assert row == {
        "modality": "lidar", "topic": "/points", "type": "sensor_msgs/msg/PointCloud2", "promised": 5,
        "messages_read": 3, "messages_encoded": 1, "messages_refused": 2, "first_reason": "it is empty",
        "moments_without_pose": 0,
    }  # fmt: skip
    assert report.first_reason == "lidar: it is empty"
    assert report.topic("lidar", "/points", "").messages_read == 3  # the same row


def test_the_table_has_a_line_for_each_topic_and_says_why():
    report = filled()
    report.without_pose(2, "before the first message of /odom")
    report.without_pose(0, "after the last one")
    report.note("It has no metadata.yaml"), report.note("It has no metadata.yaml")
    table = report.table().splitlines()
    assert table[0].split()[:4] == ["sensor", "topic", "type", "promised"]
    assert table[2].split() == ["lidar", "/points", "sensor_msgs/msg/PointCloud2", "5", "3", "1", "2", "0"]
    assert table[3:] == [
        "lidar (/points): 2 refused, the first because: it is empty",
        "lidar (/points): 5 messages were promised, and 3 came",
        "2 moments have no pose: before the first message of /odom",
        "It has no metadata.yaml",
    ]


def test_moments_without_a_pose_are_counted_for_the_sensors_that_saw_them():
    report, poses = filled(), np.tile(np.eye(4), (3, 1, 1))
    poses[1:] = np.nan
    seen = np.array([[1], [1], [np.nan]], np.float32)
    report.located(ObservationSet({"lidar": seen}, poses, ("a", "b", "c"), np.arange(3)))
    assert report.topic("lidar", "/points", "").moments_without_pose == 1


def test_a_recording_that_is_read_again_begins_a_new_report():
    report = filled()
    report.clear()
    assert report.table() == "" and report.first_reason == ""
