"""Starts the processes of a topology without `ros2 launch`. Each can be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

import yaml

from any2any_ros.config import RESTARTS
from any2any_ros.nodes.programs import program
from any2any_ros.nodes.topology import Process

PATIENCE = 5.0  # s from SIGINT until a process that has not ended is killed


def _no_link(path: str, flags: int) -> int:
    """Open a file, but not through a symbolic link that somebody has put there."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


class Bringup:
    """Starts processes, as a context manager that ends them all."""

    def __init__(
        self,
        processes: Iterable[Process],
        environment: Mapping[str, str],
        params_file: Path | None = None,
        log_folder: Path | None = None,
    ) -> None:
        """environment: variables added to this process's own. params_file: YAML of ROS parameters that override.

        log_folder: gets one log file for each process; None: the processes print to the terminal.
        """
        self._processes = {p.name: p for p in processes}
        self._environment = {**os.environ, **environment}
        self._params_file, self._log_folder = params_file, log_folder
        self._scratch = tempfile.TemporaryDirectory(prefix="any2any-")
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._starts: Counter[str] = Counter()

    def __enter__(self) -> Bringup:
        try:
            for name in self._processes:
                self.start(name)
        except BaseException:  # nobody else would end those that have started
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str) -> None:
        """Start one process, for the first time or again."""
        log = None
        if self._log_folder is not None:
            self._log_folder.mkdir(parents=True, exist_ok=True)
            log = open(self._log_folder / f"{name}.log", "ab", opener=_no_link)  # noqa: SIM115 - the process keeps it open
        # In a new session, so that Ctrl-C in the terminal reaches this process only, which then ends all in order.
        self.running[name] = subprocess.Popen(
            self._command(self._processes[name]), stdout=log, stderr=log, start_new_session=True,
            env={**self._environment, RESTARTS: str(self._starts[name])},
        )  # fmt: skip
        self._starts[name] += 1
        if log is not None:
            log.close()

    def _command(self, process: Process) -> list[str]:
        # Parameters are passed in a file: on the command line, ROS would guess the type of each value.
        parameters = Path(self._scratch.name) / f"{process.name}.yaml"
        parameters.write_text(yaml.safe_dump({"/**": {"ros__parameters": dict(process.parameters)}}))
        command = [*program(f"any2any_ros.nodes.{process.executable}"), "--ros-args"]
        command += ["--enclave", process.enclave, "-r", f"__node:={process.name}", "--params-file", str(parameters)]
        command += ["-r", f"__ns:=/{process.namespace}"] if process.namespace else []
        command += [word for old, new in process.remappings for word in ("-r", f"{old}:={new}")]
        return command + (["--params-file", str(self._params_file)] if self._params_file else [])

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one process. After SIGKILL, wait until the process has ended."""
        self.running[name].send_signal(number)
        if number == signal.SIGKILL:
            self.running.pop(name).wait()

    def ended(self) -> dict[str, int]:
        """Return the exit codes of the processes that have ended by themselves, by name."""
        return {n: p.returncode for n, p in self.running.items() if p.poll() is not None}

    def forget(self, name: str) -> None:
        """Do not list a process that has ended any longer."""
        self.running.pop(name).wait()

    def stop(self) -> dict[str, int]:
        """End all processes, first by SIGINT, after `PATIENCE` by SIGKILL; return their exit codes by name."""
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        codes = {}
        for name, process in self.running.items():
            try:
                codes[name] = process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
        self.running.clear()
        self._scratch.cleanup()
        return codes
