"""The whole system as processes: a drive is replayed to it, sensors and processes die, and every answer is checked."""

import dataclasses
import signal

import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.data import bags, carmen, kitti
from any2any_ros.data.drive import encode, keyframes
from any2any_ros.demo import town_answers, town_live
from any2any_ros.demo.town_live import LiveSetup
from any2any_ros.node_config import ReplayConfig
from any2any_ros.nodes.replay import Outage
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.workflows import build_map

TIMEOUT = 1.2  # s; a message comes every 0.5 s


def make_map(drive, folder):
    made = {m: encoders.build(m) for m in drive.modalities}
    reference = build_map.as_map(encode(drive, made), made, folder.name)
    reference_map.save(reference, folder)
    return reference


def params(folder, **retrieval):
    if not retrieval:
        return None
    lines = [f"    {name}: {value}" for name, value in retrieval.items()]
    file = folder / "params.yaml"
    file.write_text("\n".join(["retrieval:", "  ros__parameters:", *lines]) + "\n")
    return file


def driven(drive, folder, *outages, rate=1.0, during=lambda system, seconds: None, **retrieval):
    """Replay a drive to the nodes of the map in folder/map."""
    bags.write(drive, folder / "bag")
    setup = LiveSetup(
        folder / "map", folder / "bag", folder / "logs", params(folder, **retrieval), ReplayConfig(rate=rate)
    )
    return town_live.drive(setup, tuple(map(Outage.parse, outages)), during=during)


@pytest.fixture(scope="module")
def ring(laps, tmp_path_factory):
    """A map of the ring's first round, and the second round's drive, whole but for the frames it lacks."""
    folder = tmp_path_factory.mktemp("ring")
    make_map(kitti.read(laps, "00"), folder / "map")
    return folder, kitti.read(laps, "01")


def test_no_ranking_is_skipped_while_sensors_die_and_return(ring, tmp_path):
    folder, drive = ring
    (tmp_path / "map").symlink_to(folder / "map")
    deaths = ("camera@2s-4s", "lidar@3s-5s", "camera@7s-9s", "lidar@7s-9s", "audio@7s-9s", "text@7s-9s")
    run = driven(drive, tmp_path, *deaths, source_timeout=TIMEOUT)
    continuity = town_live.continuity(run, drive, 0.5, TIMEOUT)
    assert continuity["answered"] == continuity["frames"] == 24 - 4  # but for the two seconds in which nobody lives
    assert continuity["all_in_time"]
    by_sensor = {(d["sensor"], d["from"]): d for d in continuity["deaths"]}
    assert by_sensor["camera", 2.0]["first_ranking_used"] == ["audio", "lidar", "text"]
    assert by_sensor["camera", 7.0]["first_ranking_used"] == []  # an answer that says that nobody is left

    retriever = Retriever.open(folder / "map", 5.0)
    answers = town_answers.judge(run, drive, retriever, 5.0)
    assert len(answers) == 20 and all(a.agrees for a in answers)  # identical ids, in the library's order
    assert np.mean([a.hit for a in answers]) > 0.7  # chance 0.04
    alive_at_the_end = answers[-1].ranking.modalities
    assert alive_at_the_end == ("audio", "camera", "lidar", "text")
    assert all(0 <= a.latency < 2 for a in answers)


def test_killing_an_encoder_process_is_killing_its_sensor(ring, tmp_path):
    folder, drive = ring
    (tmp_path / "map").symlink_to(folder / "map")
    done = {}

    def strike(system, seconds):
        if seconds > 3.0 and "killed" not in done:
            system.kill("lidar_encoder", signal.SIGKILL)
            done["killed"] = seconds
        if seconds > 7.0 and "started" not in done:
            system.start("lidar_encoder")
            done["started"] = seconds

    run = driven(drive, tmp_path, during=strike, source_timeout=TIMEOUT)
    assert town_live.continuity(run, drive, 0.5, TIMEOUT)["answered"] == 24
    used = [("lidar" in r.modalities) for r, _ in run.received.rankings if r.modalities]
    first = used.index(True)  # on a busy machine its first messages take longer than the camera's
    died, back = used.index(False, first), len(used) - 1 - used[::-1].index(False)
    assert first <= 2 and all(used[first:died]) and not any(used[died : back + 1]) and all(used[back + 1 :])
    seconds = [(r.stamp_ns - run.start_ns) / 1e9 for r, _ in run.received.rankings if r.modalities]
    assert done["killed"] <= seconds[died] <= done["killed"] + TIMEOUT + 0.5 + 0.1
    assert back + 1 < len(used)  # it came back


def test_real_camera_and_lidar_every_frame_answered(shared_data, tmp_path):
    drive = kitti.read(shared_data / "kitti_raw")
    make_map(drive, tmp_path / "map")
    run = driven(drive, tmp_path, rate=2.0, wait=0.3)
    rankings = {r.stamp_ns: r for r, _ in run.received.rankings if r.modalities}
    assert len(rankings) == len(drive) == 12
    for stamp, name in zip(drive.stamps_ns, drive.ids(), strict=True):
        assert rankings[int(stamp)].modalities == ("camera", "lidar")
        assert rankings[int(stamp)].matches[0].id == name


def test_real_laser_log_ranks_the_same_through_ros_as_in_the_library(shared_data, tmp_path):
    log = carmen.read(shared_data / "laser2d" / "fhw-corrected.log.gz")
    log = log.take(keyframes(log.poses, 0.5))
    first, second = log.take(np.arange(len(log) // 2)), log.take(np.arange(len(log) // 2, len(log)))
    make_map(first, tmp_path / "map")
    # In the log's own time this would take minutes.
    second = second.take(np.arange(120))
    second = dataclasses.replace(second, stamps_ns=np.arange(1, len(second) + 1) * 100_000_000)
    run = driven(second, tmp_path, rate=1.0, slop=0.01)
    rankings = {r.stamp_ns: r for r, _ in run.received.rankings if r.modalities}
    retriever = Retriever.open(tmp_path / "map", 2.0)
    queries = encode(second, {"laser_scan": encoders.build("laser_scan")})
    # An encoder keeps the newest scan only: on a busy machine one may be overtaken by the next. None is altered.
    assert len(second) == 120 and len(rankings) >= 114
    row = {int(stamp): i for i, stamp in enumerate(second.stamps_ns)}
    for stamp, ranking in rankings.items():
        expected = [m.id for m in retriever.rank(queries.observation(row[stamp]), 5).matches]
        assert [m.id for m in ranking.matches] == expected
