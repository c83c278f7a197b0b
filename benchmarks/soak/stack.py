"""The nodes as a user starts them, seen from outside: their processes, logs and memory.

`any2any bringup` starts those of place recognition. The grounding node is started by what bringup itself uses.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from any2any_ros.nodes import topology
from any2any_ros.nodes.bringup import Bringup
from any2any_ros.nodes.restarts import Restarts
from benchmarks.soak.table import TOPICS
from benchmarks.soak.world import World
from benchmarks.speed._process import memory

PARAMETERS = {
    "audio_encoder": {"ros__parameters": {"reliability": "reliable"}},  # so that a QoS can be wrong
    "grounding": {"ros__parameters": dict(TOPICS)},
}
GROUNDING = "grounding"
ENDED = re.compile(r"^(\w+) ended with (-?\d+)", re.MULTILINE)
NODE = re.compile(rb"__node:=(\w+)")
CRASH = re.compile(r"Traceback \(most recent call last\)|Fatal Python error|terminate called|Segmentation fault")
PATIENCE = 15.0  # s from the interrupt until bringup is ended by force


@dataclass(frozen=True)
class Ended:
    """A process that ended: when (monotonic, s), its name and exit code, and whether the campaign had killed it."""

    at: float
    name: str
    code: int
    killed: bool


class Stack:
    """`any2any bringup` and the grounding node, as a context manager that ends them."""

    def __init__(self, world: World, logs: Path, simulated: bool) -> None:
        self._world, self.logs, self._simulated = world, logs, simulated
        self._killed: list[str] = []
        self._read = 0
        self.ended: list[Ended] = []

    def __enter__(self) -> Stack:
        self.logs.mkdir(parents=True, exist_ok=True)
        parameters = self.logs / "parameters.yaml"
        parameters.write_text(yaml.safe_dump(PARAMETERS))
        processes = topology.object_grounding(str(self._world.model), hearing="none", use_sim_time=self._simulated)
        self._table = Bringup(processes, topology.environment("loopback"), parameters, self.logs)
        self._table.__enter__()
        self._restarts = Restarts([GROUNDING], time.monotonic())
        command = [sys.executable, "-m", "any2any_ros.cli.main", "bringup", str(self._world.map)]
        command += ["--dds-profile", "loopback", "--logs", str(self.logs), "--params", str(parameters)]
        command += ["--use-sim-time"] if self._simulated else []
        self._output = self.logs / "bringup.txt"
        with open(self._output, "wb") as output:
            # In a new session, so that Ctrl-C in the terminal reaches the campaign only, which then ends all in order.
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        return self

    def __exit__(self, *error: object) -> None:
        self.poll()
        self._table.__exit__(None, None, None)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.returncode:
            self.ended.append(Ended(time.monotonic(), "bringup", self.process.returncode, False))

    def pids(self) -> dict[str, int]:
        """Return the process ids of the nodes that run, by name."""
        found = {name: process.pid for name, process in self._table.running.items() if process.poll() is None}
        for child in _children(self.process.pid):
            try:
                name = NODE.search(Path(f"/proc/{child}/cmdline").read_bytes())
            except OSError:
                continue
            if name:
                found[name[1].decode()] = child
        return found

    def signal(self, name: str, number: int) -> None:
        """Send a signal to the process of a node, if it runs."""
        process = self.pids().get(name)
        if process is None:
            return
        if number == signal.SIGKILL:
            self._killed.append(name)
        os.kill(process, number)

    def poll(self) -> None:
        """Note which processes have ended since the last call, and start the grounding node again."""
        self._poll_grounding()
        text = self._output.read_text(errors="replace")
        whole = text.rfind("\n") + 1
        for name, code in ENDED.findall(text[self._read : whole]):
            self._note(name, int(code))
        self._read = whole

    def _poll_grounding(self) -> None:
        now = time.monotonic()
        for name, code in self._table.ended().items():
            if self._restarts.ended(name, now):
                self._note(name, code)
        for name in self._restarts.due(now):
            self._table.start(name)
            self._restarts.started(name, now)

    def _note(self, name: str, code: int) -> None:
        killed = name in self._killed and code == -signal.SIGKILL
        if killed:
            self._killed.remove(name)
        self.ended.append(Ended(time.monotonic(), name, code, killed))

    def memory(self) -> dict[str, tuple[int, int, int]]:
        """Return process id, PSS and RSS in bytes of every node, by name."""
        out = {}
        for name, process in self.pids().items():
            try:
                out[name] = (process, *memory(process))
            except (OSError, KeyError):  # it has just ended
                continue
        return out

    def crashes_in_logs(self) -> list[str]:
        """Return the lines of the logs that tell of a crash or an exception."""
        lines = []
        for file in sorted([*self.logs.glob("*.log"), self._output]):
            for line in file.read_text(errors="replace").splitlines():
                if CRASH.search(line):
                    lines.append(f"{file.name}: {line}")
        return lines


def _children(process: int) -> list[int]:
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(file.read_text().rpartition(")")[2].split()[1]) == process:
                found.append(int(file.parent.name))
        except OSError:  # it has ended meanwhile
            continue
    return found
