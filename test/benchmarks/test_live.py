"""What is made of a drive's rankings, and where its traffic may go; no node is started here."""

import copy
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from any2any_ros.ranking import Match, Ranking
from benchmarks.speed import _live, _outcome, _process
from benchmarks.speed._outcome import Outcome
from benchmarks.speed.end_to_end import latencies, right

MS, S = 10**6, 10**9


def ranking(stamp, **stamps):
    names = tuple(sorted(stamps))
    return Ranking((), names, stamp_ns=stamp, stamps_ns=tuple(stamps[m] for m in names))


def test_only_a_ranking_of_the_moments_own_messages_answers_a_pair():
    outcome = Outcome(sent=[S, 2 * S, 3 * S, 4 * S])
    outcome.answers = [
        (ranking(S, camera=S, lidar=S), S + 20 * MS),
        (ranking(S, camera=S, lidar=S), S + 90 * MS),  # again: the first one counts
        (ranking(2 * S, camera=2 * S, lidar=S), 2 * S + 60 * MS),  # the LiDAR's message was the one before
        (ranking(3 * S, camera=3 * S), 3 * S + 9 * MS),
        (ranking(5 * S, camera=5 * S, lidar=5 * S), 5 * S + 9 * MS),  # nobody sent it: the warm-up
    ]
    assert _outcome.answered(outcome, _outcome.complete(["camera", "lidar"])) == {S: 20 * MS}
    assert list(_outcome.answered(outcome, _outcome.complete(["camera"]))) == [S, 2 * S, 3 * S]
    assert latencies(outcome, 4) == [20.0, float("inf"), float("inf"), float("inf")]


def test_an_answer_is_right_when_it_names_the_place_of_the_frame_sent():
    def answer(stamp, place):
        match = Match(f"place/{place:05d}", 0.9, 1.0, np.eye(4), np.zeros((1, 1)))
        return Ranking((match,), ("camera",), stamp_ns=stamp), stamp + 1

    outcome = Outcome(sent=list(range(100, 112)))  # after ten frames comes the first again
    outcome.answers = [
        answer(100, 1),
        answer(101, 7),
        answer(109, 10),
        answer(110, 1),
        (Ranking((), (), stamp_ns=111), 9),
    ]
    assert right(outcome, 12) == 3 and right(outcome, 2) == 1


def test_what_is_sent_after_the_kill_is_not_measured():
    outcome = Outcome(sent=[S, 2 * S])
    outcome.answers = [(ranking(s, camera=s, lidar=s), s + 5 * MS) for s in outcome.sent]
    assert latencies(outcome, 1) == [5.0]


def test_a_death_is_noticed_with_the_first_moment_ranked_without_it():
    outcome = Outcome(killed_ns=10 * S)
    outcome.answers = [
        (ranking(9 * S, camera=9 * S), 9 * S),  # before
        (ranking(11 * S, camera=11 * S, lidar=9 * S), 11 * S),
        (ranking(12 * S, camera=12 * S), 12 * S + 40 * MS),
        (ranking(13 * S, camera=13 * S), 13 * S),
    ]
    assert _outcome.noticed_after(outcome, "lidar") == 2.04
    assert _outcome.noticed_after(outcome, "camera") == float("inf")


def test_memory_is_read_in_bytes():
    text = "55e0-7ffd ---p 0 00:00 0 [rollup]\nRss:     12 kB\nPss:      7 kB\nPss_Dirty:  5 kB\nShared_Clean: 3 kB\n"
    assert _process.parse_rollup(text) == (7 * 1024, 12 * 1024)


def test_segments_of_a_process_are_found_and_its_ports_are_not():
    line = "7f00-7f01 rw-s 00000000 00:1a 34  /dev/shm/{}\n"
    names = (
        "fastrtps_2361d97f4680c312",
        "fastrtps_2361d97f4680c312",
        "fastrtps_port7911",
        "sem.fastrtps_port7911_mutex",
    )
    assert _process.segments("".join(map(line.format, names))) == {Path("/dev/shm/fastrtps_2361d97f4680c312")}


def test_memory_and_time_of_this_process():
    import os

    pss, rss = _process.memory(os.getpid())
    assert 10**6 < pss <= rss
    before = _process.cpu_seconds(os.getpid())
    assert sum(i * i for i in range(2_000_000)) and _process.cpu_seconds(os.getpid()) > before >= 0


def test_the_default_profile_has_fast_dds_own_sizes_and_stays_on_loopback(tmp_path):
    text = Path(_live._profile("default", tmp_path)).read_text()
    assert "<segment_size>524288<" in text and "16777216" not in text and "4194304" not in text
    assert re.findall(r"<address>(.*)</address>", text) == ["127.0.0.1"]
    assert _live._profile("loopback", tmp_path) == "loopback"


def test_an_outcome_comes_back_from_another_process():
    outcome = Outcome(sent=[7], ready={"retrieval": 1.0}, memory={"retrieval": (1, 2)})
    outcome.answers = [(ranking(7, camera=7), 9)]
    found = _process.apart(copy.copy, outcome)
    assert found is not outcome and (found.sent, found.ready, found.memory) == ([7], {"retrieval": 1.0}, outcome.memory)
    assert found.answers[0][0].modalities == ("camera",) and found.answers[0][1] == 9


def test_the_stamp_is_written_where_readers_look():
    pytest.importorskip("rclpy", reason="no ROS 2")
    from any2any_ros.nodes import messages
    from benchmarks.speed._player import write_stamp

    message = bytearray(struct.pack("<4sII6s", b"\0\1\0\0", 0, 0, b"frame\0"))
    write_stamp(message, 1_763_000_000_123_456_789)
    assert messages.raw_stamp_ns(bytes(message)) == 1_763_000_000_123_456_789
    assert message[12:] == b"frame\0" and len(message) == 18


def test_a_players_messages_are_a_drivers():
    pytest.importorskip("rclpy", reason="no ROS 2")
    from rclpy.serialization import deserialize_message

    from any2any_ros import samples
    from any2any_ros.nodes import messages
    from benchmarks.speed import _player

    points = np.random.default_rng(0).normal(size=(3, 50, 4)).astype(np.float32)
    cloud, text = _player.part("lidar", points[1:]), _player.part("text", ["a mill", "two mills"])
    assert (cloud.topic, cloud.stamped, len(cloud.raw)) == ("lidar/points", True, 2)
    assert (text.topic, text.stamped, len(text.raw)) == ("caption", False, 2)
    _player.write_stamp(cloud.raw[1], 5 * S + 7)
    read = deserialize_message(bytes(cloud.raw[1]), messages.message_class(cloud.type_name))
    assert samples.stamp_ns(read) == 5 * S + 7 and read.header.frame_id == "lidar"
    np.testing.assert_array_equal(samples.decode(cloud.type_name, read, "cloud"), points[2])
    assert deserialize_message(bytes(text.raw[0]), messages.message_class(text.type_name)).data == "a mill"
