"""Runs MapClosures in its own environment (peer_map_closures.py): submaps in by stdin, closures out by stdout.

A message is the length of an .npz archive in eight bytes, and the archive.
"""

from __future__ import annotations

import importlib
import io
import sys
import time
from typing import IO, Any

import numpy as np

MOST = 50  # closures of a submap that is a query; of the others, which are only added, one


def send(stream: IO[bytes], **arrays: Any) -> None:
    """Write arrays. Raises OSError when nobody reads them any more."""
    archive = io.BytesIO()
    np.savez(archive, **arrays)
    stream.write(archive.tell().to_bytes(8, "little") + archive.getvalue())
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, Any]:
    """Read arrays. Raises EOFError when no more come."""
    size = stream.read(8)
    if len(size) < 8:
        raise EOFError("it ended without an answer")
    with np.load(io.BytesIO(stream.read(int.from_bytes(size, "little"))), allow_pickle=False) as archive:
        return dict(archive)


def main(cell: float) -> None:
    configs = importlib.import_module("map_closures.config")
    closures = importlib.import_module("map_closures.map_closures")
    pipeline = closures.MapClosures(configs.MapClosuresConfig(density_map_resolution=cell))
    number = 0
    while True:
        try:
            given = receive(sys.stdin.buffer)
        except EOFError:
            return
        points, most = given["points"].astype(np.float64), MOST if given["is_query"] else 1
        began = time.perf_counter()
        found = pipeline.get_top_k_closures(number, points, most)
        took = 1e3 * (time.perf_counter() - began)
        found = sorted(found, key=lambda one: -one.number_of_inliers)
        numbers = np.array([one.source_id for one in found], dtype=np.intp)
        # The pose of a closure takes points of the earlier submap into the frame of this one.
        poses = np.array([np.linalg.inv(np.asarray(one.pose)) for one in found]).reshape(-1, 4, 4)
        send(sys.stdout.buffer, numbers=numbers, poses=poses, milliseconds=took)
        number += 1


if __name__ == "__main__":
    main(float(sys.argv[1]))
