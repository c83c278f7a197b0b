"""Spoken commands to the grounding node."""

import array

import numpy as np
import pytest
from grounding_robot import Result, Robot, looks, save_model

from any2any_ros import msg
from any2any_ros.data import gold
from any2any_ros.nodes import messages
from any2any_ros.samples import NS
from any2any_ros.sim.tabletop import voices


@pytest.fixture(scope="module")
def frames():
    return looks()


@pytest.fixture
def model(tmp_path):
    return save_model(tmp_path / "model")


@pytest.fixture
def robot(bench, model):
    return Robot(bench, model)


def speak(robot, samples, rate=16000, after=1.5):
    """Say it to the robot in chunks of 0.1 s, in a quiet room, with a pause after it."""
    draw, size = np.random.default_rng(0), rate // 10
    whole = np.concatenate([np.zeros(rate // 2), samples, np.zeros(int(after * rate))])
    whole = whole + 0.001 * draw.normal(size=len(whole))
    publisher = robot.bench.publisher(msg.AudioStamped, "speech/audio")
    for i in range(0, len(whole) - size + 1, size):
        pcm = np.clip(32768 * whole[i : i + size], -32768, 32767).astype("<i2")
        message = msg.AudioStamped(sample_rate=rate, channels=1, encoding="S16LE", data=array.array("B", pcm.tobytes()))
        message.header.stamp = messages.time_message(NS + round((i + size) / rate * NS))
        publisher.publish(message)
        robot.bench.spin(0.005)


def test_a_spoken_command_is_answered(bench, model, frames, tmp_path):
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is absent: pip install 'any2any_ros[speech]'")
    if not voices.available():
        pytest.skip("espeak-ng is absent: apt install espeak-ng")
    voices.say("bring me the blue mug", 0, tmp_path / "said.wav", np.random.default_rng(0))
    robot = Robot(bench, model, hearing="sphinx")
    robot.see(frames[0])
    robot.see(frames[1])
    handle = robot.send(timeout=30.0)
    sound = gold.sound(tmp_path / "said.wav")
    speak(robot, sound.samples, sound.rate)
    _, result = robot.ends(handle)
    assert (result.error_code, result.heard) == (Result.NOT_CALIBRATED, "bring me the blue mug")
    assert "heard" in robot.feedback


@pytest.mark.parametrize("kind", ["silence", "noise", "hum"])
def test_what_is_no_speech_is_no_command(robot, frames, kind):
    robot.see(frames[0])
    robot.see(frames[1])
    time, draw = np.arange(16000) / 16000, np.random.default_rng(1)
    sound = {"silence": 0 * time, "noise": 0.1 * draw.normal(size=16000), "hum": 0.3 * np.sin(2 * np.pi * 120 * time)}[
        kind
    ]
    handle = robot.send(timeout=4.0)
    speak(robot, sound)
    _, result = robot.ends(handle)
    assert result.error_code in (Result.NOTHING_HEARD, Result.NOT_UNDERSTOOD) and not result.heard


def test_ten_minutes_of_talk_are_no_command_and_no_flood(robot, frames):
    """Without a pause it is cut where the longest utterance ends; the node answers on."""
    robot.see(frames[0])
    robot.see(frames[1])
    handle = robot.send(timeout=60.0)
    draw, rate = np.random.default_rng(2), 8000
    talk = draw.normal(size=600 * rate) * (0.1 + 0.1 * np.sin(np.arange(600 * rate) / 700))
    publisher = robot.bench.publisher(msg.AudioStamped, "speech/audio")
    for i in range(0, len(talk), 5 * rate):
        pcm = np.clip(32768 * talk[i : i + 5 * rate], -32768, 32767).astype("<i2")
        message = msg.AudioStamped(sample_rate=rate, channels=1, encoding="S16LE", data=array.array("B", pcm.tobytes()))
        message.header.stamp = messages.time_message(NS + round((i / rate + 5) * NS))
        publisher.publish(message)
        robot.bench.spin(0.005)
    _, result = robot.ends(handle)
    assert result.error_code == Result.NOT_UNDERSTOOD and "say it again" in result.error_msg
    assert robot.ask("the mug")[1].error_code == Result.NOT_CALIBRATED
