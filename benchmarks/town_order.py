"""Whether the simulated town ranks simple descriptors as reality does: KITTI for LiDAR, picture sets for the camera.

    python benchmarks/town_order.py DATA                     writes docs/town.md and out/town_order/results.json
    python benchmarks/town_order.py DATA --only lidar --towns 1 --json F --page P
    python benchmarks/town_order.py --reality F              real figures from an earlier --json, towns anew

DATA is searched for real sets as benchmarks/real.py searches it (KITTI's bird's-eye images, pairs of pictures,
Nordland). The towns are those of `any2any simulate --seed N`. Their clouds are made into images by KITTI's rule and
their pictures are made small, so that a descriptor gets the same from both. KITTI comes back to a street minutes later,
so its descriptors are compared in towns whose second lap is driven right after the first (the settings AGAIN), and in
the default towns, too. Of the pictures every third town is such a one, as of the picture sets Gardens Point is. A
setting of all towns may be changed: `--set parked=0.9`. On an idle core four minutes for reality, and three a town.
Exit codes: 0 no pair that reality separates is reversed in the towns; 1 some are; 2 nothing could be measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import real as real_data
from order import camera, lidar, page, towns
from order.compare import REVERSES
from order.descriptors import Descriptor, cosine
from real_sets import kitti_bev, machine, nordland, pictures, road, scoring
from real_sets.real_set import Options, RealSet

from any2any_ros.arrays import Rows
from any2any_ros.birds_eye.image import INSIDE
from any2any_ros.config import fields
from any2any_ros.encoders.birds_eye import BirdsEyeEncoder
from any2any_ros.errors import Any2AnyError
from any2any_ros.progress import Counted, progress_bar
from any2any_ros.sim.town.settings import TownConfig
from any2any_ros.storage import write_atomically

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out/town_order"
SEEDS = (11, 12, 13, 14, 15)  # of the towns, in this order; those of benchmarks/confidence.py
TOWNS = 3
SAME_DAY = SEEDS[2::3]  # towns whose pictures are of one day: of the picture sets it is one of three, Gardens Point
DESCRIPTORS: Mapping[str, tuple[Descriptor, ...]] = {"lidar": lidar.DESCRIPTORS, "camera": camera.DESCRIPTORS}
REAL: Mapping[str, tuple[Any, ...]] = {"lidar": (kitti_bev,), "camera": (pictures, nordland)}
ALIGNED = "spectral + alignment"  # all of `birds_eye`
# As KITTI was driven: the same weather and parked cars, free streets, on the right-hand side.
AGAIN = ("change=0", "traffic=0", "parked_stay=1", "lane=1.2", "offset=0.8")


def samples(real: RealSet, modality: str, rows: Rows) -> list[Any]:
    """Return what descriptors take of these frames: counts (S, S) uint8 of LiDAR, pictures as they are."""
    drive = real.recording.drive
    said = f"{real}: reading"
    read = (drive.sample(modality, int(row)) for row in progress_bar(Counted(rows, len(rows)), said))
    if modality != "lidar":
        return [np.asarray(sample) for sample in read]
    return [np.where(INSIDE, kitti_bev.cells(np.asarray(cloud)), 0).astype(np.uint8) for cloud in read]


def measure(real: RealSet, modality: str) -> dict[str, Any]:
    """Return what a set is, chance, and the hits (Q,) of each descriptor."""
    asked, known = (samples(real, modality, rows) for rows in (real.queries, real.references))
    hits = {}
    for descriptor in progress_bar(DESCRIPTORS[modality], f"{real}: descriptors"):
        hits[descriptor.name] = descriptor.hits(real, asked, known).astype(int).tolist()
    if modality == "lidar":
        answers = road.answer(real, {"lidar": BirdsEyeEncoder()}, progress_bar)
        hits[ALIGNED] = scoring.right_answers(real, answers)[:, 0].astype(int).tolist()
    print(f"{real}: " + ", ".join(f"{name} {np.mean(of):.3f}" for name, of in hits.items()), flush=True)
    return _described(real) | {"hits": hits}


def with_heights(town: towns.Town) -> dict[str, Any]:
    """Return the hits of the parts of `birds_eye` where clouds keep their heights, which KITTI's images lack."""
    real, hits = town.lidar, {}
    for name, vectors in towns.heights_parts(town):
        descriptor = Descriptor(name, "", cosine(np.asarray))
        found = descriptor.hits(real, vectors[real.queries], vectors[real.references])
        hits[name] = found.astype(int).tolist()
    print(f"{real} with heights: " + ", ".join(f"{name} {np.mean(of):.3f}" for name, of in hits.items()), flush=True)
    return _described(real) | {"hits": hits}


def _described(real: RealSet) -> dict[str, Any]:
    return {"name": str(real), "queries": len(real.queries), "references": len(real.references),
            "protocol": real.protocol, "chance": scoring.chance(real)["1"]}  # fmt: skip


def reality(data: Path, modality: str) -> list[dict[str, Any]]:
    """Return the figures of all real sets of one sensor below a folder."""
    kinds = REAL[modality]
    found = real_data.find(data, [kind.KIND for kind in kinds])
    return [measure(kind.read(path, Options()), modality) for kind, path in found]


def simulated(seed: int, options: argparse.Namespace, modalities: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the figures of one town, by sensor: "town", and of LiDAR "season" and, of both, those with heights."""
    found: dict[str, dict[str, Any]] = {m: {} for m in modalities}
    for drive, changed in (("town", AGAIN), ("season", ())):
        sensors = [m for m in modalities if m == "lidar" or (seed in SAME_DAY) == (drive == "town")]
        if not sensors:
            continue
        town = towns.simulate(configured([*changed, *options.set], seed), sensors, options.workers, progress_bar)
        if "camera" in sensors:
            found["camera"]["town"] = measure(town.camera, "camera")
        if "lidar" in sensors:
            tall = "heights" if drive == "town" else "season_heights"
            found["lidar"] |= {drive: measure(town.lidar, "lidar"), tall: with_heights(town)}
    return found


def configured(assigned: Sequence[str], seed: int) -> TownConfig:
    """Return the settings of a town. assigned: "NAME=VALUE". Raises Any2AnyError for an unknown name."""
    defaults: dict[str, Any] = {field.name: field.default for field in fields(TownConfig)}
    given: dict[str, Any] = {"seed": seed}
    for word in assigned:
        name, _, value = word.partition("=")
        if name not in defaults:
            raise Any2AnyError(f"Cannot understand '{word}'", f"a town has no setting '{name}'", "Write parked=0.9")
        given[name] = type(defaults[name])(value)
    return TownConfig(**given)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("data", type=Path, nargs="?", help="folder that holds the real data")
    made.add_argument("--reality", type=Path, metavar="FILE", help="take the real figures from this file of --json")
    made.add_argument("--only", choices=tuple(DESCRIPTORS), help="one sensor")
    made.add_argument("--towns", type=int, choices=range(1, len(SEEDS) + 1), default=TOWNS, metavar="N",
                      help="number of towns, 1 to 5; default %(default)s")  # fmt: skip
    made.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the towns; repeat")
    made.add_argument("--workers", type=int, default=1, help="processes that drive through the towns")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the results here; default out/town_order/")
    made.add_argument("--page", type=Path, metavar="FILE",
                      help="write the page here; default docs/town.md after a whole run")  # fmt: skip
    return made


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure reality and the towns. Raises Any2AnyError when something is missing."""
    modalities = [options.only] if options.only else list(DESCRIPTORS)
    seeds = SEEDS[: options.towns]
    configured([*AGAIN, *options.set], seeds[0])  # a wrong setting is refused before anything is measured
    if options.reality:
        known = json.loads(options.reality.read_text())["sensors"]
        real_figures = {m: known[m]["reality"] for m in modalities}
    elif options.data:
        real_figures = {m: reality(options.data, m) for m in modalities}
    else:
        raise Any2AnyError("There is nothing to compare with", "neither DATA nor --reality was given", "Give one")
    driven = [simulated(seed, options, modalities) for seed in seeds]
    sensors = {m: {"reality": real_figures[m]} | {key: [town[m][key] for town in driven] for key in driven[0][m]}
               for m in modalities}  # fmt: skip
    flags = " ".join(f"--{word.replace('_', '-').replace('=', ' ')}" for word in AGAIN)
    return {"sensors": sensors, "settings": options.set, "again": flags}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    machine.one_thread()
    began, described = time.monotonic(), machine.describe()
    try:
        results = run(options)
    except Any2AnyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    whole = options.data and not (options.only or options.set or options.reality) and options.towns == TOWNS
    names = {str(options.data): "DATA", str(options.reality): "REALITY", str(options.json): "FILE"}
    said = " ".join(names.get(word, word) for word in arguments or sys.argv[1:])
    command = f"python benchmarks/town_order.py {said}"
    results |= {"command": command, "machine": described, "seconds": time.monotonic() - began}
    what = {m: {d.name: d.what for d in of} for m, of in DESCRIPTORS.items()}
    what["lidar"][ALIGNED] = "all of `birds_eye`: the best places are aligned, the best alignment wins"
    written = page.write(results, what)
    pages = options.page or (ROOT / "docs/town.md" if whole else OUT / "town.md")
    for path, text in ((options.json or OUT / "results.json", json.dumps(results)), (pages, written)):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda stream, text=text: stream.write(text.encode()))  # type: ignore[misc]
    print(written)
    return int(any(pair.verdict == REVERSES and not pair.disputed for pair in page.all_pairs(results)))


if __name__ == "__main__":
    sys.exit(main())
