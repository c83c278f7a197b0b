"""Processes of ours: they start, end on any signal, can be killed and started again, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import runtime, topology
from any2any_ros.nodes.bringup import Bringup, program


def wait(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def said(folder, name):
    log = folder / f"{name}.log"
    return log.read_text() if log.exists() else ""


@pytest.fixture
def system(small_map, tmp_path):
    processes = [
        topology.Process("retrieval_node", "retrieval", {"map": str(small_map[0])}),
        topology.Process("encoder_node", "text_encoder", {"encoder": "text"}),
    ]
    with Bringup(processes, topology.environment("loopback"), log_folder=tmp_path / "logs") as made:
        made.logs = tmp_path / "logs"
        wait(lambda: "20 places" in said(made.logs, "retrieval") and "caption" in said(made.logs, "text_encoder"))
        yield made


def test_they_end_gently_and_soon(system):
    began = time.monotonic()
    assert system.stop() == {"retrieval": 0, "text_encoder": 0}
    assert time.monotonic() - began < 10


def test_sigterm_ends_them_too(system):
    for name in ("retrieval", "text_encoder"):
        system.kill(name, signal.SIGTERM)
    wait(lambda: system.ended() == {"retrieval": 0, "text_encoder": 0}, 5)


@pytest.fixture
def hostile_folder(tmp_path, monkeypatch):
    """A working directory with files that Python and Fast DDS would read; all leave a file or a line when they do."""
    (tmp_path / "cwd" / "any2any_ros" / "msg").mkdir(parents=True)
    modules = ("json.py", "numpy.py", "yaml.py", "rclpy.py", "any2any_ros/__init__.py", "any2any_ros/msg/__init__.py")
    for module in modules:
        (tmp_path / "cwd" / module).write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\n")
    (tmp_path / "cwd" / "DEFAULT_FASTRTPS_PROFILES.xml").write_text("<no xml")
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("PYTHONPATH", f":{os.environ.get('PYTHONPATH', '')}")  # as `$PYTHONPATH:/my/folder` often gives
    return tmp_path


def test_files_in_the_working_directory_are_not_run(hostile_folder, monkeypatch):
    (hostile_folder / "own" / "my_robot").mkdir(parents=True)
    plug = "from any2any_ros.encoders.text import TextEncoder\n\n\nclass Words(TextEncoder):\n    plug = 'text'\n"
    (hostile_folder / "own" / "my_robot" / "words.py").write_text(plug)
    monkeypatch.setenv("PYTHONPATH", f":{hostile_folder / 'own'}{os.environ['PYTHONPATH']}")
    process = topology.Process("encoder_node", "text_encoder", {"encoder": "my_robot.words"})
    with Bringup([process], topology.environment("loopback"), log_folder=hostile_folder) as system:
        wait(lambda: "caption ->" in said(hostile_folder, "text_encoder"))
        assert system.stop() == {"text_encoder": 0}
    assert not (hostile_folder / "imported").exists()
    assert "XML" not in said(hostile_folder, "text_encoder")


def test_a_log_that_is_a_link_is_not_written(tmp_path):
    (tmp_path / "text_encoder.log").symlink_to(tmp_path / "target")
    process = topology.Process("encoder_node", "text_encoder", {"encoder": "text"})
    with pytest.raises(OSError, match="symbolic links"):
        Bringup([process], topology.environment("loopback"), log_folder=tmp_path).__enter__()
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("safe_path", [False, True], ids=["Python 3.10", "Python 3.11"])
def test_how_a_module_is_run(hostile_folder, safe_path):
    (hostile_folder / "own").mkdir()
    (hostile_folder / "own" / "said.py").write_text("import json, sys\nprint(__name__, json.dumps(sys.argv[1:]))\n")
    command = [*program("said", safe_path), "--ros-args", "-r", "x"]
    environment = {**os.environ, "PYTHONPATH": str(hostile_folder / "own")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == '__main__ ["--ros-args", "-r", "x"]\n' and not (hostile_folder / "imported").exists()


def test_one_is_killed_and_started_again(system):
    system.kill("text_encoder")
    assert system.ended() == {} and list(system.running) == ["retrieval"]
    system.start("text_encoder")
    wait(lambda: said(system.logs, "text_encoder").count("caption ->") == 2)
    assert system.ended() == {}


def test_one_that_hangs_is_ended_in_the_end(system):
    os.kill(system.running["text_encoder"].pid, signal.SIGSTOP)
    assert system.stop() == {"retrieval": 0, "text_encoder": -signal.SIGKILL}


def test_a_wrong_parameter_ends_the_process_with_2(small_map, tmp_path):
    process = topology.Process("retrieval_node", "retrieval", {"map": "", "source_timeout": "soon"})
    with Bringup([process], topology.environment("loopback"), log_folder=tmp_path) as system:
        wait(lambda: system.ended() == {"retrieval": 2})
    assert "'source_timeout' cannot be 'soon'" in said(tmp_path, "retrieval")


def test_overrides_reach_the_nodes(small_map, tmp_path):
    overrides = tmp_path / "p.yaml"
    overrides.write_text("retrieval:\n  ros__parameters:\n    source_timeout: -1.0\n")
    process = topology.Process("retrieval_node", "retrieval", {"map": str(small_map[0])})
    with Bringup([process], topology.environment("loopback"), overrides, tmp_path) as system:
        wait(lambda: system.ended() == {"retrieval": 2})
    assert "source_timeout" in said(tmp_path, "retrieval")


WRONG = {
    "no YAML": "retrieval: [",
    "a tab": "retrieval:\n\tros__parameters:\n    k: 5\n",
    "an alias": "a: &a [1]\nb: *a\n",
    "no parameters": "retrieval:\n  k: 5\n",
    "two types": "retrieval:\n  ros__parameters:\n    k: [1, a]\n",
    "bytes": "\x00\xff",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_parameter_file_that_is_none_is_told_on_one_line(tmp_path, text):
    (tmp_path / "p.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(Any2AnyError, match=r"ROS cannot start: .*Correct the parameter file") as error:
        runtime.start(["--ros-args", "--params-file", str(tmp_path / "p.yaml")])
    assert len(str(error.value).splitlines()) == 1 and "/project/" not in str(error.value)


@pytest.mark.parametrize("arguments", [["-r", "__node:=a/b"], ["-p", "k"], ["--bogus"], ["--log-level", "loud"]])
def test_an_argument_that_is_none_of_ros_is_told_on_one_line(arguments):
    with pytest.raises(Any2AnyError, match=r"ROS cannot start: .*arguments after --ros-args"):
        runtime.start(["--ros-args", *arguments])


def test_a_process_with_wrong_parameters_is_not_started_again(small_map, tmp_path):
    """One node's value is wrong: the others go on. The file is no YAML: all end, and so does bringup, with 2."""
    for name, text, ending in (("one", ONE, None), ("all", "retrieval: [", 2)):
        (tmp_path / f"{name}.yaml").write_text(text)
        command = [sys.executable, "-m", "any2any_ros.cli.main", "bringup", str(small_map[0]), "--modality", "camera"]
        command += ["--params", str(tmp_path / f"{name}.yaml"), "--logs", str(tmp_path / name)]
        with open(tmp_path / f"{name}.out", "w") as out:
            process = subprocess.Popen([*command, "--dds-profile", "loopback"], stdout=out)
        try:
            wait(lambda out=out: "its parameters are wrong" in Path(out.name).read_text(), 30)
            if ending is None:
                wait(lambda: "map 'small'" in said(tmp_path / "one", "retrieval"), 30)
                process.send_signal(signal.SIGINT)
            assert process.wait(30) == (ending or 0)
        finally:
            process.kill()
        assert Path(out.name).read_text().count("camera_encoder ended with 2") == 1
        assert said(tmp_path / name, "camera_encoder").count("cannot") == 1


ONE = "camera_encoder:\n  ros__parameters:\n    silent_after: -1.0\n"
