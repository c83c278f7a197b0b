"""What a small network that was trained on simulated towns finds on KITTI, beside the descriptors without weights.

    python benchmarks/learned_birds_eye.py DATA --json out/learned/results.json

DATA holds KITTI's bird's-eye images, as for benchmarks/real.py, whose protocol this is. The vector of a network ranks
the map in the place of the default encoder's. Each ranking is measured as it is, and with the alignment of the best
{candidates} places. PyTorch and the extra `sim` are needed.

A network learns from towns {first} to {last}, each driven twice in two seasons. All choices are made on towns {held},
which no network learns from: for each --view one network is trained with the first of --seeds, and the view whose
network finds most there is trained with the other seeds. KITTI is the test alone. Everything runs in one thread. The
images of the towns stay in out/learned.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from birds_eye_network import towns as towns_module
from birds_eye_network.towns import Town
from birds_eye_network.views import VIEWS
from real import find
from real_sets import kitti_bev, machine, road, scoring
from real_sets.real_set import RealSet

from any2any_ros import metrics
from any2any_ros.arrays import Array, Flags, Rows, unit
from any2any_ros.birds_eye import image, spectrum
from any2any_ros.birds_eye.image import Levels
from any2any_ros.encoders.birds_eye import BirdsEyeConfig, BirdsEyeEncoder
from any2any_ros.encoders.lidar import LidarConfig, LidarEncoder
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry.alignment import AlignmentConfig
from any2any_ros.progress import progress_bar
from any2any_ros.protocols import Seen
from any2any_ros.storage import write_atomically
from any2any_ros.tables import table
from any2any_ros.threads import threads

if TYPE_CHECKING:
    from birds_eye_network.network import Network

OUT = Path(__file__).resolve().parents[1] / "out/learned"
TRAINING, HELD_OUT = range(301, 307), range(401, 403)  # seeds of towns
SPECTRAL, POLAR, BOTH, UNTRAINED = "spectral", "polar", "both: birds_eye", "network, not trained"
TIMED = 100  # images by which the time of one is measured
COLUMNS = {
    "sequence": "sequence", "vector": "vector", "aligned": "aligned", "seeds": "seeds", "chance": "chance@1",
    "R@1": "R@1", "sd": "R@1 sd", "R@5": "R@5", "R@20": "R@20", "ms an image": "image_ms", "ms a ranking": "ranking_ms",
}  # fmt: skip
Row = dict[str, Any]
Describe = Callable[[Any], Array]  # images (N, SIZE, SIZE) -> vectors (N, D) of length 1


class Vectors(BirdsEyeEncoder):
    """Stands for the encoder of vectors of any length that have one part."""

    def __init__(self, dimension: int) -> None:
        super().__init__(BirdsEyeConfig(second="none"))
        self._dimension = dimension

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def parts(self) -> tuple[int, ...]:
        return ()


class WithHeights(kitti_bev.OfImages):
    """The default encoder for KITTI's images, with both parts: the second sees the clouds made of the images."""

    heights = LidarEncoder(LidarConfig())

    def see(self, sample: Array) -> Seen:
        """Return the vector and the image of a cloud (N, 4) that `kitti_bev.cloud` has made."""
        described: Seen = self._encoder.described(image.of_counts(kitti_bev.cells(sample)), self.heights.encode(sample))
        return described


def spectral(images: Sequence[Levels]) -> Array:
    """Return the first part of the default encoder's vectors (N, spectrum.DIMENSION) for images (N, SIZE, SIZE)."""
    rings = (spectrum.polar(spectrum.transform(spectrum.bright(levels))) for levels in images)
    return unit(np.stack([spectrum.descriptor(each) for each in rings]))


def in_town(describe: Describe, town: Town) -> float:
    """Return R@1 of the second drive's images among the first drive's, without alignment."""
    vectors = describe(town.images)
    references, queries, right = task(town)
    first = (vectors[queries] @ vectors[references].T).argmax(axis=1)
    found = np.take_along_axis(right, first[:, None], axis=1)
    return metrics.recall_at_k(found[right.any(axis=1)], 1)


def task(town: Town) -> tuple[Rows, Rows, Flags]:
    """Return the rows of references (R,) and queries (Q,), and which references are right (Q, R)."""
    references, queries = (np.flatnonzero(town.lap == lap) for lap in towns_module.LAPS)
    return references, queries, town.apart(queries, references) < kitti_bev.HIT


def chance(town: Town) -> float:
    """Return R@1 of a random order."""
    references, _, right = task(town)
    count = right.sum(axis=1)[right.any(axis=1)]
    return metrics.chance(count, np.full(len(count), len(references)), 1)


def in_towns(describe: Describe, towns: Sequence[Town]) -> list[float]:
    """Return R@1 in each of the towns."""
    return [in_town(describe, town) for town in towns]


def networks(
    arguments: argparse.Namespace, learnt_on: Sequence[Town], held_out: Sequence[Town]
) -> tuple[dict[str, Network], list[Row]]:
    """Return the networks of the view that finds most in the towns held out, by name; and a row for each trained."""
    from birds_eye_network.training import trained

    views, seeds = arguments.view or list(VIEWS), arguments.seeds
    made: dict[tuple[str, int], Network] = {}
    rows: list[Row] = []

    def train(view: str, seed: int) -> None:
        began = time.process_time()
        network = made[view, seed] = trained(view, seed, learnt_on, arguments.steps, progress_bar)
        spent = time.process_time() - began
        found = in_towns(network.describe, held_out)
        rows.append({"view": view, "seed": seed, "R@1": float(np.mean(found)), "towns": found, "seconds": spent,
                     "MB": network.megabytes})  # fmt: skip
        print(table([rows[-1]], {k: k for k in rows[-1] if k != "towns"}), flush=True)

    for view in views:
        train(view, seeds[0])
    best = max(rows, key=lambda row: float(row["R@1"]))["view"]
    for seed in seeds[1:]:
        train(best, seed)
    return {f"network ({best}), seed {seed}": made[best, seed] for seed in seeds}, rows


def on_sequence(real: RealSet, learnt: Mapping[str, Network]) -> Iterator[Row]:
    """Yield a row for each vector, without alignment and with it, on one sequence of KITTI."""
    encoder = BirdsEyeEncoder()
    seeing: dict[str, Any] = {"lidar": WithHeights(encoder)}
    observed = real.recording.observe(seeing, real.keyframe, progress_bar)
    images = [image.unpack(packed) for packed in observed.birds_eye["lidar"]]
    both, first = observed.embeddings["lidar"], spectrum.DIMENSION
    columns = {SPECTRAL: both[:, :first], POLAR: both[:, first:], BOTH: both}
    times = _milliseconds_without_weights(real, images)
    for name, network in learnt.items():
        columns[name] = network.describe(images)
        times[name] = milliseconds(network.describe, [[levels] for levels in images[:TIMED]])
    for name, vectors in columns.items():
        built = {"lidar": encoder if name == BOTH else Vectors(vectors.shape[1])}
        for aligned in (0, AlignmentConfig.candidates):
            shown = observed.birds_eye if aligned else {}
            frames = replace(observed, embeddings={"lidar": vectors}, birds_eye=shown)
            found = scoring.row(real, name, True, road.ranked(real, built, frames, progress_bar))
            yield {
                "sequence": real.name, "vector": name, "aligned": aligned, "queries": len(real.queries),
                "chance@1": scoring.chance(real)["1"], **{f"R@{k}": share for k, share in found.recall.items()},
                "blocks": found.blocks, "image_ms": times[name], "ranking_ms": (found.milliseconds or (np.nan,))[0],
            }  # fmt: skip


def _milliseconds_without_weights(real: RealSet, images: Sequence[Levels]) -> dict[str, float]:
    drive = real.recording.drive
    clouds = [drive.sample("lidar", i) for i in range(min(TIMED, len(drive)))]
    times = {
        SPECTRAL: milliseconds(spectral, [[levels] for levels in images[:TIMED]]),
        POLAR: milliseconds(WithHeights.heights.encode, clouds),
    }
    return times | {BOTH: sum(times.values())}


def milliseconds(describe: Callable[[Any], Any], samples: Sequence[Any]) -> float:
    """Return the median time of one sample, on the CPU: other processes do not count."""
    spent = []
    for sample in samples:
        began = time.process_time()
        describe(sample)
        spent.append(time.process_time() - began)
    return 1e3 * float(np.median(spent))


def summary(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with the mean over the seeds of a network, and the standard deviation of R@1."""
    out: list[Row] = []
    keys = [(r["sequence"], r["aligned"], r["vector"].partition(", seed")[0]) for r in rows]
    for key in sorted(dict.fromkeys(keys), key=lambda key: key[:2]):
        these = [row for row, k in zip(rows, keys, strict=True) if k == key]
        mean = {k: float(np.mean([r[k] for r in these])) for k in ("R@1", "R@5", "R@20", "image_ms", "ranking_ms")}
        spread = {"R@1 sd": float(np.std([r["R@1"] for r in these], ddof=1))} if len(these) > 1 else {}
        seeds = {"seeds": len(these)} if "seed" in these[0]["vector"] else {}
        out.append(these[0] | {"vector": key[2]} | mean | spread | seeds)
    return out


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    text = (__doc__ or "").format(
        candidates=AlignmentConfig.candidates, first=TRAINING[0], last=TRAINING[-1],
        held=f"{HELD_OUT[0]} to {HELD_OUT[-1]}",
    )  # fmt: skip
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("data", type=Path, help="folder that holds KITTI's bird's-eye images")
    made.add_argument("--sequence", action="append", default=[], metavar="NAME", help="repeat; default: all")
    made.add_argument("--view", action="append", choices=VIEWS, help="what a network sees; repeat; default: all")
    made.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of weights and batches; default: 0 1")
    made.add_argument("--steps", type=int, default=400, help="of each training; default: 400")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    return made


def measured(arguments: argparse.Namespace) -> Row:
    """Return all figures: of the towns held out, and of KITTI. Raises Any2AnyError when something is missing."""
    from birds_eye_network.training import untrained

    reals = [kitti_bev.read(path) for _, path in find(arguments.data, [kitti_bev.KIND], arguments.sequence)]
    learnt_on, held_out = (
        [towns_module.simulated(seed, OUT, progress_bar) for seed in seeds] for seeds in (TRAINING, HELD_OUT)
    )
    learnt, trainings = networks(arguments, learnt_on, held_out)
    view = next(iter(learnt.values())).view
    compared = {UNTRAINED: untrained(view, arguments.seeds[0], learnt_on), **learnt}
    others = {SPECTRAL: in_towns(spectral, held_out), "chance": [chance(town) for town in held_out]}
    without = [{"view": name, "towns": towns, "R@1": float(np.mean(towns))} for name, towns in others.items()]
    found = {"machine": machine.describe(), "steps": arguments.steps, "held out": [*trainings, *without]}
    print(f"Towns held out, R@1:\n{table(found['held out'], {k: k for k in ('view', 'seed', 'R@1', 'seconds', 'MB')})}")
    rows = [row for real in reals for row in on_sequence(real, compared)]
    return found | {"chosen": view, "rows": rows, "summary": summary(rows)}


def main() -> int:
    arguments = parser().parse_args()
    machine.one_thread()
    try:
        with threads(1):
            found = measured(arguments)
    except (Any2AnyError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(found["summary"], COLUMNS))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(arguments.json, lambda stream: stream.write(json.dumps(found, indent=1).encode()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
