"""What a trained model answers at whole tables, with objects it has never seen: python benchmarks/grounding.py MODEL

MODEL is a folder of `any2any train emma`. Each table (tabletop.scene) has eight objects, from another seed than the
training objects. A camera moves along the table, and the grounder remembers what it sees. Then it gets commands:

    for each object on the table, a description by one of the twelve writers; this object is right
    for four objects of classes that are not on the table; none is right
    for each class of which several objects are there, the class name only; any of them is right, and the best answer is
    to ask which one
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from any2any_ros.objects.camera_view import CameraView
from any2any_ros.objects.grounder import Grounder, Verdict
from any2any_ros.sim import tabletop
from any2any_ros.sim.tabletop import TableScene, TabletopConfig
from any2any_ros.sim.tabletop.catalogue import bodies
from any2any_ros.sim.tabletop.words import WRITERS

UNSEEN = TabletopConfig(seed=100)
PICTURES, ABSENT, SLIPS = 8, 4, 0.05  # pictures of a table, commands for absent objects, share of wrong words
NEAR = 0.08  # m, largest distance between a remembered object and the true one
Answer = tuple[str, Verdict, bool, float]  # kind of command, verdict, whether the first match is right, its probability


def answers(model: Path, seed: int) -> Iterator[Answer]:
    """Yield the answers to all commands at one table."""
    scene, draw = tabletop.scene(seed, UNSEEN), np.random.default_rng(seed)
    grounder = Grounder.open(model)
    for i in np.linspace(0, len(scene) - 1, PICTURES).astype(int):
        f = scene.frame(int(i))
        grounder.see(CameraView(f.stamp_ns, f.intrinsics, f.pose, f.rgb, f.depth))
    instance_of = truth(grounder, scene)
    kinds = Counter(t.label for t in scene.things)

    def answer(kind: str, text: str, right: set[str]) -> Answer:
        ranking = grounder.answer(grounder.command(text))
        first = instance_of.get(ranking.matches[0].id, "") if ranking.matches else ""
        return kind, grounder.verdict(ranking), first in right, ranking.probability

    for thing in scene.things:
        text = WRITERS[draw.integers(len(WRITERS))].describe(thing.body, SLIPS, draw)
        yield answer("described, object there", text, {thing.instance})
    others = [b for b in bodies(UNSEEN) if b.kind.label not in kinds]
    for row in draw.permutation(len(others))[:ABSENT]:
        text = WRITERS[draw.integers(len(WRITERS))].describe(others[row], SLIPS, draw)
        yield answer("described, object not there", text, set())
    for label in (label for label, count in kinds.items() if count > 1):
        right = {t.instance for t in scene.things if t.label == label}
        yield answer("class name only, several there", f"bring me the {label.replace('_', ' ')}", right)


def truth(grounder: Grounder, scene: TableScene) -> dict[str, str]:
    """Return id -> instance of the remembered objects that are really there."""
    instances = {}
    for known in grounder.memory.believed:
        apart = [float(np.linalg.norm(known.centre[:2] - (t.low + t.high)[:2] / 2)) for t in scene.things]
        if min(apart) < NEAR:
            instances[known.id] = scene.things[int(np.argmin(apart))].instance
    return instances


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the trained model")
    parser.add_argument("--tables", type=int, default=20, help="number of tables (default %(default)s)")
    arguments = parser.parse_args()
    by_kind: dict[str, list[Answer]] = defaultdict(list)
    for seed in tqdm(range(arguments.tables), desc="tables", disable=None):
        for answer in answers(arguments.model, seed):
            by_kind[answer[0]].append(answer)
    head = ("commands", "number", "first match right", "mean probability", "found", "of these right")
    print("| " + " | ".join((*head, "ambiguous", "not found")) + " |")
    print("|---" * 8 + "|")
    for kind, rows in by_kind.items():
        right, chances = np.mean([r[2] for r in rows]), np.mean([r[3] for r in rows])
        share = Counter(r[1] for r in rows)
        sure = [r[2] for r in rows if r[1] is Verdict.FOUND]
        shares = [f"{share[v] / len(rows):.3f}" for v in (Verdict.FOUND, Verdict.AMBIGUOUS, Verdict.NOT_FOUND)]
        precision = f"{np.mean(sure):.3f}" if sure else "–"
        cells = [kind, len(rows), f"{right:.3f}", f"{chances:.3f}", shares[0], precision, *shares[1:]]
        print("| " + " | ".join(map(str, cells)) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
