"""What each kind of fault does. An action begins a fault and returns what ends it."""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from rclpy.qos import QoSProfile, ReliabilityPolicy

import any2any_ros.msg as msg
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import messages
from any2any_ros.observation import Embedding
from any2any_ros.retrieval import reference_map
from benchmarks.soak.drivers import NS
from benchmarks.soak.kinds import CYCLE
from benchmarks.soak.robot import Robot
from benchmarks.soak.schedule import Fault
from benchmarks.soak.world import MAY_OPEN

End = Callable[[], None]
Action = Callable[[Robot, Fault], End]

LATE = 0.5  # s
HALF_A_MINUTE = 30.0371  # s: no moment gets the stamp of another one
NONSENSE = 3.0  # s from one nonsensical time to the next
LOOP = 5.0  # s from one beginning of the bag to the next
FEW_BYTES = 4096  # to which a file may still grow when the disk is full
BURN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(10**5))"
STAMPS: tuple[Callable[[int], int], ...] = (
    lambda stamp: 0,
    lambda stamp: stamp - 100 * NS,
    lambda stamp: stamp + 100 * NS,
    lambda stamp: (2**31 - 1) * NS,
    lambda stamp: -(2**31) * NS,
)


def _with(thing: Any, **values: Any) -> End:
    """Set attributes; return what sets them back."""
    before = {name: getattr(thing, name) for name in values}
    vars(thing).update(values)
    return lambda: vars(thing).update(before)


def _sensor_silent(robot: Robot, fault: Fault) -> End:
    return _with(robot.drivers[fault.sensor], silent=True)


def _driver_gone(robot: Robot, fault: Fault) -> End:
    driver = robot.drivers[fault.sensor]
    driver.close()
    return lambda: driver.open(driver.reliable)


def _all_silent(robot: Robot, fault: Fault) -> End:
    ends = [_with(driver, silent=True) for driver in robot.drivers.values()]

    def end() -> None:
        for one in ends:
            one()

    return end


def _encoder_killed(robot: Robot, fault: Fault) -> End:
    robot.stack.signal(f"{fault.sensor}_encoder", signal.SIGKILL)
    return lambda: None


def _encoder_frozen(robot: Robot, fault: Fault) -> End:
    robot.stack.signal(f"{fault.sensor}_encoder", signal.SIGSTOP)
    return lambda: robot.stack.signal(f"{fault.sensor}_encoder", signal.SIGCONT)


def _retrieval_killed(robot: Robot, fault: Fault) -> End:
    robot.stack.signal("retrieval", signal.SIGKILL)
    return lambda: None


def _late(robot: Robot, fault: Fault) -> End:
    return _with(robot.drivers[fault.sensor], delay=lambda: LATE)


def _duplicated(robot: Robot, fault: Fault) -> End:
    return _with(robot.drivers[fault.sensor], copies=2)


def _reordered(robot: Robot, fault: Fault) -> End:
    delays = itertools.cycle((2.5 * CYCLE, 0.02, 0.02))  # by chance, a short fault could leave all in order
    return _with(robot.drivers[fault.sensor], delay=lambda: next(delays))


def _garbage(robot: Robot, fault: Fault) -> End:
    return _with(robot.drivers[fault.sensor], garbage=0.5)


def _bad_stamps(robot: Robot, fault: Fault) -> End:
    return _with(robot.drivers[fault.sensor], stamp=lambda stamp: STAMPS[int(robot.rng.integers(len(STAMPS)))](stamp))


def _wrong_qos(robot: Robot, fault: Fault) -> End:
    driver = robot.drivers[fault.sensor]
    driver.open(not driver.reliable)
    return lambda: driver.open(driver.reliable)


def _ten_times(robot: Robot, fault: Fault) -> End:
    return _with(robot.drivers[fault.sensor], times=10)


def _false_fingerprint(robot: Robot, fault: Fault) -> End:
    return _rogue(robot, fault, "another-encoder-1", ReliabilityPolicy.RELIABLE)


def _no_fingerprint(robot: Robot, fault: Fault) -> End:
    return _rogue(robot, fault, "", ReliabilityPolicy.RELIABLE)


def _wrong_qos_embeddings(robot: Robot, fault: Fault) -> End:
    return _rogue(robot, fault, "another-encoder-1", ReliabilityPolicy.BEST_EFFORT)


def _rogue(robot: Robot, fault: Fault, encoder: str, reliability: ReliabilityPolicy) -> End:
    """Send random vectors as if they were the camera's."""
    publisher = robot.rogue.create_publisher(msg.Embedding, "embeddings", QoSProfile(depth=10, reliability=reliability))
    dimension = reference_map.load(robot.world.map).encoders["camera"].dimension

    def send() -> None:
        vector = robot.rng.normal(size=dimension).astype("f4")
        embedding = Embedding("camera", vector, robot.clock.now_ns(), "", encoder)
        publisher.publish(messages.embedding_message(embedding, 0.0))

    robot.agenda.every(CYCLE, send, until=fault.end)
    return lambda: robot.rogue.destroy_publisher(publisher)


def _cpu_starved(robot: Robot, fault: Fault) -> End:
    count = 2 * len(os.sched_getaffinity(0))
    burning = [subprocess.Popen([sys.executable, "-S", "-c", BURN], start_new_session=True) for _ in range(count)]

    def end() -> None:
        for process in burning:
            process.kill()
            process.wait()

    return end


def _map_swaps(robot: Robot, fault: Fault) -> End:
    maps = [str(robot.world.other), str(robot.world.map)]

    def swap() -> None:
        if all(call.code is not None for call in robot.calls):  # only one map is loaded at a time
            maps.reverse()
            robot.call("load_map", maps[1], "done")

    robot.agenda.every(1.0, swap, until=fault.end - 1.0)
    return lambda: robot.call("load_map", str(robot.world.map), "done")


def _broken_maps(robot: Robot, fault: Fault) -> End:
    maps = [robot.world.broken[int(i)] for i in robot.rng.permutation(len(robot.world.broken))]

    def offer() -> None:
        folder = maps.pop() if maps else robot.world.broken[0]
        robot.call("load_map", str(folder), "any" if folder.name in MAY_OPEN else "refused")

    robot.agenda.every((fault.end - fault.start) / len(maps), offer, until=fault.end)
    return lambda: robot.call("load_map", str(robot.world.map), "done")


def _disk_full(robot: Robot, fault: Fault) -> End:
    """Let no file of the retrieval node grow: writing fails as on a full disk, and no privilege is needed."""
    process, saved = robot.stack.pids().get("retrieval", 0), robot.world.scratch / "saved"
    if not saved.exists():
        shutil.copytree(robot.world.map, saved)
    _limit(process, FEW_BYTES)
    until = fault.end - 1.0
    robot.agenda.every(2.0, lambda: robot.call("save_map", str(saved), "refused"), until)

    def end() -> None:
        try:
            reference_map.load(saved)
        except Any2AnyError as error:
            robot.findings.append(f"a save that failed has damaged the old map: {error}")
        _limit(process, resource.RLIM_INFINITY)
        robot.call("save_map", str(saved), "done")

    return end


def _limit(process: int, size: int) -> None:
    try:
        hard = resource.prlimit(process, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process, resource.RLIMIT_FSIZE, (min(size, hard) if hard != -1 else size, hard))
    except (ProcessLookupError, ValueError):
        return


def _grounding_killed(robot: Robot, fault: Fault) -> End:
    robot.stack.signal("grounding", signal.SIGKILL)
    return lambda: None


def _table_silent(robot: Robot, fault: Fault) -> End:
    return _with(robot.table, silent=True)


def _table_garbage(robot: Robot, fault: Fault) -> End:
    return _with(robot.table, garbage=0.5)


def _clock_back(robot: Robot, fault: Fault) -> End:
    robot.clock.jump(-HALF_A_MINUTE)
    return lambda: None


def _clock_ahead(robot: Robot, fault: Fault) -> End:
    robot.clock.jump(HALF_A_MINUTE)
    return lambda: None


def _clock_stopped(robot: Robot, fault: Fault) -> End:
    back = _with(robot.clock, stopped=True)

    def end() -> None:
        back()
        robot.clock.jumped()

    return end


def _clock_nonsense(robot: Robot, fault: Fault) -> End:
    def tell() -> None:
        robot.clock.tell(int(robot.rng.choice([0, -5 * NS, -(2**31) * NS])))
        robot.clock.jumped()

    robot.agenda.every(NONSENSE, tell, until=fault.end)
    return lambda: None


def _bag_loops(robot: Robot, fault: Fault) -> End:
    robot.agenda.every(LOOP, lambda: robot.clock.jump(-LOOP), until=fault.end)
    return lambda: None


ACTIONS: dict[str, Action] = {
    "sensor_silent": _sensor_silent, "driver_gone": _driver_gone, "all_silent": _all_silent,
    "encoder_killed": _encoder_killed, "encoder_frozen": _encoder_frozen, "retrieval_killed": _retrieval_killed,
    "late": _late, "duplicated": _duplicated, "reordered": _reordered, "garbage": _garbage, "bad_stamps": _bad_stamps,
    "wrong_qos": _wrong_qos, "ten_times": _ten_times, "wrong_qos_embeddings": _wrong_qos_embeddings,
    "false_fingerprint": _false_fingerprint, "no_fingerprint": _no_fingerprint, "cpu_starved": _cpu_starved,
    "map_swaps": _map_swaps, "broken_maps": _broken_maps, "disk_full": _disk_full, "clock_back": _clock_back,
    "clock_ahead": _clock_ahead, "clock_stopped": _clock_stopped, "clock_nonsense": _clock_nonsense,
    "bag_loops": _bag_loops, "grounding_killed": _grounding_killed, "table_silent": _table_silent,
    "table_garbage": _table_garbage,
}  # fmt: skip
