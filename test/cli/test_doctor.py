"""`any2any doctor` where there is no ROS: it still tells what is installed, and what is missing."""

import json

import pytest

from any2any_ros.cli import doctor
from any2any_ros.errors import Any2AnyError
from any2any_ros.workflows import installation


@pytest.fixture
def without_ros(monkeypatch):
    def prepare():
        raise Any2AnyError("ROS 2 is not ready", "there is no module rclpy", "Install it")

    monkeypatch.setattr(doctor.session, "require_ros", prepare)


def test_every_package_is_told_with_its_remedy_when_absent(monkeypatch):
    rows = {row["package"]: row for row in installation.packages()}
    assert rows["faiss"]["version"][0].isdigit() and rows["faiss"]["remedy"] == ""
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: None)
    for row in installation.packages():
        assert row["version"] == "absent" and row["remedy"] and row["for"]


def test_works_without_ros_and_says_so(any2any, without_ros, tmp_path):
    done = any2any("doctor", "--json", tmp_path / "doctor.json")
    assert done.code == 0 and "ROS 2 is not ready: there is no module rclpy. Install it" in done.out
    assert "faiss" in done.out and "ROS_DOMAIN_ID" in done.out
    found = json.loads((tmp_path / "doctor.json").read_text())
    assert set(found) == {"packages", "accelerators", "environment", "topics"} and found["topics"] == []


def test_the_environment_names_a_missing_transport_profile(monkeypatch):
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "ROS_DOMAIN_ID"):
        monkeypatch.delenv(name, raising=False)
    assert "images and clouds are lost" in installation.environment()["Fast DDS profile"]
    assert installation.environment()["ROS_DOMAIN_ID"] == "0 (default)"
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/mine.xml")
    assert installation.environment()["Fast DDS profile"] == "/mine.xml"


def test_a_topic_that_is_not_well_is_exit_code_1(any2any, monkeypatch):
    bad = {
        "topic": "/scan",
        "type": "LaserScan",
        "hertz": 0.0,
        "publishers": 1,
        "for": "laser_scan",
        "verdict": "silent",
    }
    monkeypatch.setattr(doctor.session, "require_ros", lambda: None)
    monkeypatch.setattr(doctor, "_topics", lambda profile, seconds: [bad])
    done = any2any("doctor")
    assert done.code == 1 and "/scan" in done.out and "silent" in done.out
    monkeypatch.setattr(doctor, "_topics", lambda profile, seconds: [bad | {"verdict": "ok"}])
    assert any2any("doctor").code == 0
    monkeypatch.setattr(doctor, "_topics", lambda profile, seconds: [])
    silent = any2any("doctor", "--seconds", 3)
    assert silent.code == 0 and "No topic that an encoder reads appeared in 3 s" in silent.out
