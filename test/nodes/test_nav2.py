"""Our processes beside a localizer, activated as Nav2 does: a robot is carried away, and the localizer is told once."""

from dataclasses import replace

import numpy as np
import pytest
from nav2_robot import Manager, Robot

from any2any_ros import msg
from any2any_ros.nodes import messages, topology
from any2any_ros.nodes.bringup import Bringup

LOCALIZED, LOST = msg.Localization.LOCALIZED, msg.Localization.LOST
REST = 1.0  # s between two initial poses


@pytest.fixture
def robot(bench, street_map, tmp_path):
    processes = [*topology.place_recognition(str(street_map)), *topology.localization(initial_pose=True)]
    settings = {"autostart": False, "rest": REST}
    processes = [replace(p, parameters={**p.parameters, **_known(p, settings)}) for p in processes]
    with Bringup(processes, topology.environment("loopback"), log_folder=tmp_path / "logs"):
        Manager(bench, [process.name for process in processes])
        yield Robot(bench)


def _known(process, settings):
    return settings if process.name == "localization" else {"autostart": settings["autostart"]}


def test_a_localizer_is_told_once_for_each_relocalization_and_never_while_it_is_healthy(robot, bench):
    told = robot.localizer.told
    assert robot.drive(6)[-1] == LOCALIZED  # it was switched on somewhere
    assert len(told) == 1 and robot.localizer.off(robot.true) < 0.5
    assert told[0].header.frame_id == "map" and 0 < told[0].pose.covariance[0] < 1

    assert set(robot.drive(8)) == {LOCALIZED}
    assert len(told) == 1  # it is healthy

    for place in (90.0, 40.0):  # kidnapped, twice
        bench.spin(REST)
        robot.carry(place)
        count = len(told)
        states = robot.drive(10)
        assert states[-1] == LOCALIZED and len(told) == count + 1, states
        assert robot.localizer.off(robot.true) < 0.5
        assert np.hypot(*(np.array(_at(told[-1])) - (place, -0.5))) < 20 + 0.5

    bench.spin(REST)
    robot.carry(100.0)
    robot.localizer.pose = robot.true.copy()  # it finds by itself where it is
    assert robot.drive(8)[-1] == LOCALIZED
    assert len(told) == 3


def _at(message):
    return messages.pose_array(message.pose.pose)[:2, 3]
