"""Finding places: index, fusion, calibration.

The index is compared with the plain Faiss index that it wraps. Fusion is exact top-5 over 100,000 places of three
modalities, nine pairs (benchmarks/fusion_at_scale.py: places, methods and clock; CPU time). It is compared with plain
similarity and top-k, the α·k heuristic, and reciprocal-rank fusion. Every exact answer is compared with brute force in
float64. The calibrators of single pairs are compared with those of scikit-learn on 100,000 similarities.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np

from any2any_ros.fusion.any2any import Any2Any, Calibrator
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.protocols import Fusion
from any2any_ros.retrieval.index import ExactIndex
from benchmarks import fusion_at_scale
from benchmarks.speed._clock import clock, timed
from benchmarks.speed._rows import Row
from benchmarks.speed._section import main

PLACES, DIMENSION, K = 100_000, 256, 5
PLAIN = "plain similarity + top-k"
TITLES = {"nine pairs": "9 pairs", "30 % missing": "9 pairs, 30 % of the vectors missing"}


def rows(quick: bool) -> Iterator[Row]:
    yield _index(20 if quick else 100)
    yield from _calibrators(20 if quick else 100)
    yield from _fusion(queries=2 if quick else 4, rounds=2 if quick else 4)


def _index(rounds: int) -> Row:
    """Return the row of the five best places of one query among 100,000."""
    faiss.omp_set_num_threads(1)
    draw = np.random.default_rng(0)
    vectors = draw.standard_normal((PLACES, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ours, theirs = ExactIndex(DIMENSION), faiss.IndexFlatIP(DIMENSION)
    for index in (ours, theirs):
        index.add(vectors)
    query = vectors[:1].copy()
    spent = clock([lambda: ours.search(query, K), lambda: theirs.search(query, K)], rounds)
    return timed("exact index: 5 best of 1e5 × 256", spent, "faiss.IndexFlatIP")


def _calibrators(rounds: int) -> Iterator[Row]:
    """Yield the rows of turning the similarities of a pair into evidence."""
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

    similarity, label = fusion_at_scale.calibration(1)
    value, right = similarity[..., 0, 0].ravel().astype(np.float64), label.ravel()
    value, right = value[~np.isnan(value)], right[~np.isnan(value)]
    queries = np.random.default_rng(2).choice(value, PLACES)
    staircase, isotonic = Calibrator.fit(value, right), IsotonicRegression(out_of_bounds="clip").fit(value, right)
    spent = clock([lambda: staircase.probability(queries), lambda: isotonic.predict(queries)], rounds)
    steps = f"{staircase.gamma.size} steps beside {isotonic.X_thresholds_.size}"
    yield timed("conformal stage 1: 1e5 similarities", spent, "IsotonicRegression.predict", note=steps)
    ratio = LikelihoodRatio.fit(similarity[..., :1, :1], label)
    logistic, column = LogisticRegression().fit(value[:, None], right), queries[:, None]
    spent = clock(
        [lambda: ratio.pair_probability(queries[:, None, None]), lambda: logistic.predict_proba(column)], rounds
    )
    yield timed("likelihood ratio of a pair: 1e5 similarities", spent, "LogisticRegression.predict_proba")


def _fusion(queries: int, rounds: int) -> Iterator[Row]:
    pairs = fusion_at_scale.calibration(1)
    fusions: dict[str, Fusion] = {cls.plug: cls.fit(*pairs) for cls in (Any2Any, LikelihoodRatio)}
    arguments = argparse.Namespace(queries=queries, rounds=rounds, k=K, seed=0)
    report = fusion_at_scale.measure(PLACES, fusions, arguments)
    for title, table in report["tables"].items():
        yield from fusion_rows(TITLES[title], table)


def fusion_rows(title: str, table: dict[str, dict[str, Any]]) -> Iterator[Row]:
    """Yield the rows of a table of fusion_at_scale: both exact fusions, and any2any compared with each rival."""
    for name in ("any2any", "likelihood_ratio"):
        bar = "≤ 1.15 ×" if name == "any2any" and title == "9 pairs" else ""
        row = table[name]
        yield Row(f"{name}, exact, {title}, 1e5 places", row["ms"], "ms", rival=PLAIN, ratio=row["ratio"], bar=bar,
                  rival_value=table["plain"]["ms"], note=f"{row['identical']} identical to brute force")  # fmt: skip
    if title != "9 pairs":
        return
    rivals = {f"α·k, α = {alpha}": f"alpha {alpha}" for alpha in fusion_at_scale.ALPHAS}
    for shown, name in (rivals | {"reciprocal-rank fusion": "reciprocal rank"}).items():
        row = table[name]
        recall = f"its recall of the exact 5: {row['recall']:.2f}" if "recall" in row else ""
        yield Row(f"any2any, exact, {title}, 1e5 places", table["any2any"]["ms"], "ms", rival=shown,
                  rival_value=row["ms"], note=recall)  # fmt: skip


if __name__ == "__main__":
    main(rows, __file__)
