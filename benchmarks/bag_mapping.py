"""How fast a bag with a camera and a LiDAR becomes a map, and in how much memory, beside another version.

    python benchmarks/bag_mapping.py OTHER --frames 300 --pairs 10 --json FILE
    python benchmarks/bag_mapping.py --frames 10000 --pairs 1 --packed

OTHER is a checkout of the other version (git worktree add OTHER COMMIT); without it only this one is measured. Each
measurement is a process of its own that maps the same bag. The versions take turns, and who is first takes turns, too,
so what else runs on the machine meets both alike; the ratio is that of each pair. A frame is a picture of 1241 x 376
pixels and a cloud of 120,000 points, 3.3 MB. `--packed` lets 10,000 frames, which are 33 GB when they are read, fit on
any disk.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from printing import mean_and_deviation, print_table
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from any2any_ros import storage
from any2any_ros.cdr import typestore
from any2any_ros.data import bag_messages

HERE = Path(__file__).parents[1]
PERIOD = 100_000_000  # ns between two frames
MEASURE = """
import contextlib, importlib, io, json, resource, sys, time
module, function = sys.argv[1].split(":")
command = getattr(importlib.import_module(module), function)
with contextlib.redirect_stdout(io.StringIO()):
    assert command(["build-map", sys.argv[2], sys.argv[3]]) == 0  # a short bag, so that all is imported
    began = time.perf_counter()
    assert command(["build-map", sys.argv[4], sys.argv[5]]) == 0
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": time.perf_counter() - began, "peak MB": peak}))
"""


def make_bag(path: Path, frames: int, packed: bool = False) -> Path:
    """Write a bag of so many frames, each a little different from the one before."""
    draw, store = np.random.default_rng(0), typestore()
    picture = cv2.resize(
        draw.integers(0, 256, (12, 40, 3)).astype(np.uint8), (1241, 376), interpolation=cv2.INTER_NEAREST
    )
    distinct = 1000 if packed else 120_000  # points; the same ones again pack well
    cube = draw.uniform((-60, -60, -2, 0), (60, 60, 6, 1), (distinct, 4))
    points = np.tile(cube.astype(np.float32), (120_000 // distinct, 1))
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    if packed:
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        topics = {"camera/image_raw": "image", "lidar/points": "cloud"}
        makers = {topic: bag_messages.MAKERS[kind] for topic, kind in topics.items()}
        connections = {t: writer.add_connection(f"/{t}", kind, typestore=store) for t, (kind, _) in makers.items()}
        for i in range(frames):
            stamp = (i + 1) * PERIOD
            samples = (np.roll(picture, 7 * i, axis=1), points + np.float32(0.01 * (i % 1000)))
            for (topic, (kind, make)), sample in zip(makers.items(), samples, strict=True):
                message = make(store, sample, bag_messages.header(store, stamp, topic))
                writer.write(connections[topic], stamp, store.serialize_cdr(message, kind))
    return path


def measured(tree: Path, short: Path, bag: Path) -> dict[str, float]:
    """Map the bag with the command of a checkout, in a process of its own; return seconds and the peak of memory."""
    command = re.findall(r'(?m)^any2any = "(.+)"', (tree / "pyproject.toml").read_text())[0]
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        call = [sys.executable, "-c", MEASURE, command, str(short), f"{folder}/short", str(bag), f"{folder}/map"]
        done = subprocess.run(call, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", metavar="OTHER", type=Path, nargs="?", help="checkout of another version")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--packed", action="store_true", help="pack the chunks of the bag by zstd")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every measurement to this file")
    arguments = parser.parse_args()
    trees = {"this": HERE} | ({"other": arguments.other.resolve()} if arguments.other else {})
    results: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as folder:
        short, bag = (make_bag(Path(folder) / str(n), n, arguments.packed) for n in (2, arguments.frames))
        for pair in range(arguments.pairs):
            for name in list(trees) if pair % 2 else reversed(trees):
                results[name].append(measured(trees[name], short, bag))
    speeds = {name: [arguments.frames / row["seconds"] for row in rows] for name, rows in results.items()}
    print_table(
        ("version", "frames/s", "peak MB"),
        [(n, mean_and_deviation(speeds[n]), f"{max(r['peak MB'] for r in rows):.0f}") for n, rows in results.items()],
    )
    if arguments.other:
        ratios = [mine / its for mine, its in zip(speeds["this"], speeds["other"], strict=True)]
        print(f"this / other, of each pair: {mean_and_deviation(ratios)}, least {min(ratios):.3f}")
    if arguments.json:
        storage.write_json(arguments.json, results)


if __name__ == "__main__":
    main()
