"""Inputs guided by coverage: atheris (libFuzzer) keeps those that reach new lines, and changes them further."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

LONGEST = 512  # bytes of an input
SLICE = 60.0  # s that one boundary gets at a time
TIMEOUT = 120  # s for one input


def available() -> bool:
    """Return whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def run(name: str, seconds: float, failed: Path, corpus: Path, current: Path) -> None:
    """Fuzz one boundary for some seconds. Ends the process."""
    import atheris

    with atheris.instrument_imports(include=["any2any_ros"]):
        from .boundary import attempt
        from .registry import boundaries
        from .work import Report, prepare

        boundary = boundaries()[name]
    out = prepare()
    corpus.mkdir(parents=True, exist_ok=True)
    mark = open(current, "wb", buffering=0)  # noqa: SIM115 - until the process ends
    report, count = Report(name, failed, mark, out), 0

    def one(data: bytes) -> None:
        nonlocal count
        count += 1
        report.begin(count, data)
        report.end(count, data, attempt(boundary, data))

    if not any(corpus.iterdir()):
        for i in range(20):
            (corpus / f"seed-{i}").write_bytes(random.Random(i).randbytes(64))
    options = [f"-max_total_time={int(seconds)}", f"-max_len={LONGEST}", f"-timeout={TIMEOUT}", "-rss_limit_mb=0"]
    options += ["-detect_leaks=0", f"-artifact_prefix={failed}/"]
    atheris.Setup([sys.argv[0], str(corpus), *options], one)
    atheris.Fuzz()
