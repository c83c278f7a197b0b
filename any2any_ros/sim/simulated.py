"""What the two simulators share: worker processes, and folders that are never written over something else.

Each simulated folder holds its story: a JSON file with the format and the settings that made it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2

from any2any_ros.errors import Any2AnyError
from any2any_ros.temporary_files import remove_litter


def story_head(version: int, config: Any) -> dict[str, Any]:
    """Return the beginning of a story: format and settings."""
    return {"format": version, "settings": asdict(config)}


def reusable(folder: Path, kind: str, head: dict[str, Any], overwrite: bool) -> bool:
    """Return whether the folder already holds this world. kind: "town", for instance.

    head: how its story must begin. overwrite: whether a world of other settings may be replaced. Raises Any2AnyError
    when the folder holds something else.
    """
    remove_litter(folder.parent)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    story = folder / f"{kind}.json"
    if not story.is_file():
        raise Any2AnyError(
            f"The {kind} cannot be written to {folder}",
            f"something that is no simulated {kind} is there",
            "Name another folder",
        )
    content = json.loads(story.read_text("utf-8"))
    if all(content.get(name) == value for name, value in head.items()):
        return True
    if not overwrite:
        raise Any2AnyError(
            f"The {kind} cannot be written to {folder}",
            f"a {kind} with other settings is there",
            "Name another folder, or overwrite it",
        )
    return False


@contextmanager
def mapper(workers: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """Give a function do(job, jobs, chunksize=n) that maps lazily and in order, here or in `workers` processes."""
    if workers <= 1:
        yield lambda job, jobs, chunksize: map(job, jobs)
        return
    spawn = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(workers, spawn, _settle_worker) as pool:
        yield pool.map


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that start now use one thread for linear algebra: more threads would only slow each other down."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _settle_worker() -> None:
    """Let the parent handle Ctrl-C, leave the other cores to the other workers, and end when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def write_picture(path: Path, pixels: Any) -> None:
    """Write a PNG. Raises OSError when that fails."""
    if not cv2.imwrite(str(path), pixels):
        raise OSError(f"Cannot write {path}: is the disk full?")
