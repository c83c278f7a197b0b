"""A real drive through a bag and the real nodes: do they answer as the library does, and how fast?

    python benchmarks/real_nodes.py KITTI_BEV/02 --every 3 --queries 200
    python benchmarks/real_nodes.py fhw-corrected.log.gz

The images of a sequence (real_sets/kitti_bev.py) become clouds, whose columns of voxels stand as high as the image has
counted, and two bags: the map's frames and the queries, 10 a second. Of a laser log, the first half of the way is the
map, and the scans of the second half are the queries, 4 a second, with odometry. `build-map` makes the map of the first
bag. The second is replayed to the nodes that `bringup` starts. Each answer is compared with that of the library, which
ranks the same samples without a bag, without nodes and without messages.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from real_sets import kitti_bev
from real_sets.real_set import Frames
from tqdm import tqdm

import any2any_ros
from any2any_ros.arrays import Array, Flags, Float64, Int64
from any2any_ros.data import bags, carmen, splits
from any2any_ros.data.drive import Drive, travelled
from any2any_ros.data.sources import IN_BUILDINGS
from any2any_ros.demo import town_live
from any2any_ros.demo.town_live import LiveRun, LiveSetup
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS
from any2any_ros.workflows.build_map import MapOptions

GROUND = -1.7  # m, of the sensor's height: one point in each square of ground
ABOVE = 1.0  # m above it, where the first voxel of a column stands


class Driven(Frames):
    """Frames that a LiDAR of 10 Hz has seen, one after the other."""

    @property
    def stamps_ns(self) -> Int64:
        return np.asarray((self.rows + 10) * (NS // 10), dtype=np.int64)


def standing(image: Array) -> Array:
    """Return points (N, 4) float32 whose bird's-eye image counts what the image (S, S) uint8 has counted."""
    counted = kitti_bev.counts(image)
    row, column = np.nonzero(counted)
    middle = image.shape[0] // 2
    ground = np.column_stack([middle - row, middle - column]) * kitti_bev.CELL
    each = counted[row, column]
    height = np.concatenate([np.arange(n) for n in each]) if len(each) else np.empty(0)
    above = np.column_stack([np.repeat(ground, each, axis=0), GROUND + ABOVE + kitti_bev.CELL * height])
    below = np.column_stack([ground, np.full(len(ground), GROUND)])
    points = np.concatenate([above, below])
    return np.column_stack([points, np.zeros(len(points))]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Case:
    """A drive that becomes a map with a place every `keyframe` metres, another one whose samples are queries, and the
    radius of a hit in metres."""

    modality: str
    mapped: Drive
    asked: Drive
    keyframe: float
    hit: float

    def right(self, places: Float64) -> Flags:
        """Return which of the places with these poses (R, 4, 4) are right for each query (Q, R)."""
        return splits.positives(self.asked.poses, places, self.hit)


def of_images(folder: Path, every: int, queries: int) -> Case:
    """Return the case of a folder of KITTI's images."""
    read, images = kitti_bev.read(folder), np.load(folder / "bev.npz")["bev"]
    frames = cast(Frames, read.recording.drive)
    standing_frames = Driven(frames.name, frames.poses, {"lidar": lambda i: standing(images[i])}, frames.rows)
    mapped, asked = (standing_frames.take(rows) for rows in (read.references[::every], read.queries[:queries]))
    return Case("lidar", mapped, asked, 0.0, kitti_bev.HIT)


def of_log(log: Path) -> Case:
    """Return the case of a laser log."""
    drive = carmen.read(log)
    drive = replace(drive, stamps_ns=np.arange(1, len(drive) + 1) * (NS // 4))
    first = travelled(drive.poses) < travelled(drive.poses)[-1] / 2
    return Case("laser_scan", drive.take(first), drive.take(~first), IN_BUILDINGS.keyframe, IN_BUILDINGS.hit_radius)


def live(map_folder: Path, asked: Drive, scratch: Path) -> LiveRun:
    """Replay the queries to the nodes of the map."""
    bag = bags.write(asked, scratch / "queries", progress=_bar)
    return town_live.drive(LiveSetup(map_folder, bag, scratch / "logs"), progress=sys.stderr.isatty())


def compared(
    run: LiveRun, asked: Drive, library: list[tuple[str, ...]], right: Flags, ids: list[str]
) -> dict[str, Any]:
    """Return how the answers of the nodes compare with the library's. library: ids of the matches of each query.

    Recall counts queries that have a right place.
    """
    answered, same, first, hits, milliseconds = 0, 0, 0, [], []
    possible = np.asarray(right.any(axis=1))
    for ranking, at in run.received.rankings:
        frame = town_live.frame_of(ranking, asked)
        if frame is None or not ranking.matches:
            continue
        found = tuple(match.id for match in ranking.matches)
        answered, same = answered + 1, same + (found == library[frame])
        first += found[:1] == library[frame][:1]
        hits += [bool(right[frame, ids.index(found[0])])] if possible[frame] else []
        milliseconds.append(1e3 * (at - run.published[int(asked.stamps_ns[frame])]))
    of_library = [bool(right[i, ids.index(found[0])]) for i, found in enumerate(library) if possible[i]]
    return {
        "queries": len(asked),
        "references": len(ids),
        "answered": answered,
        "first match identical": first,
        "all matches identical": same,
        "recall@1": float(np.mean(hits)),
        "recall@1 of the library": float(np.mean(of_library)),
        "chance@1": float(right[possible].mean()),
        "stamp to ranking, ms": [float(np.percentile(milliseconds, q)) for q in (50, 99)] if milliseconds else [],
    }


def measure(case: Case) -> dict[str, Any]:
    """Return the figures of one case."""
    asked = case.asked
    with tempfile.TemporaryDirectory(prefix="real-nodes-") as name:
        scratch = Path(name)
        bag = bags.write(case.mapped, scratch / "map-bag", progress=_bar)
        options = MapOptions(keyframe=case.keyframe)
        place_map = any2any_ros.build_map(bag, scratch / "map", options=options, progress=_bar)
        places = place_map.reference.places
        library = []
        for i in tqdm(range(len(asked)), "the library ranks", disable=not sys.stderr.isatty()):
            step = any2any_ros.Step(int(asked.stamps_ns[i]), asked.odometry(i))
            ranking = place_map.rank({case.modality: asked.sample(case.modality, i)}, step=step)
            library.append(tuple(match.id for match in ranking.matches))
        return compared(
            live(scratch / "map", asked, scratch), asked, library, case.right(places.poses), list(places.ids)
        )


def _bar(items: Any, what: str) -> Any:
    return tqdm(items, what, disable=not sys.stderr.isatty(), leave=False)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drive", type=Path, help="folder with bev.npz and pose.txt, or a CARMEN log")
    parser.add_argument("--every", type=int, default=3, help="one of so many frames becomes a place (default 3)")
    parser.add_argument("--queries", type=int, default=200, help="first queries that are replayed (default 200)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    try:
        log = arguments.drive.is_file()
        case = of_log(arguments.drive) if log else of_images(arguments.drive, arguments.every, arguments.queries)
        figures = measure(case)
    except Any2AnyError as error:
        print(f"real_nodes: {error}", file=sys.stderr)
        return 2
    for key, value in figures.items():
        print(f"{key}: {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
