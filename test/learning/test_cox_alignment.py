"""COX as an alignment: it serves a retriever, and a missing row stays missing."""

import numpy as np
import pytest
from cox_worlds import WIDTHS, some_pairs, world

from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.learning import cox
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment
from any2any_ros.retrieval.retriever import bare_retriever


def test_the_projection_is_where_the_known_features_are():
    x, here, known, there = world(7)
    model = cox.fit(x, known, some_pairs(here, there, per_class=3), there)
    for m in WIDTHS:
        mapped = model.project(x, m)
        assert mapped.shape == (len(x), WIDTHS[m]) and mapped.dtype == np.float32
        centre = np.array([known.embeddings[m][there == c].mean(axis=0) for c in range(4)])
        nearest = np.linalg.norm(mapped[:, None] - centre, axis=2).argmin(axis=1)
        assert (nearest == here).mean() > 0.9


def test_it_serves_a_retriever():
    x, here, known, there = world(8)
    alignments = cox.fit(x, known, some_pairs(here, there), there).alignments("thermal")
    assert set(alignments) == {("thermal", m) for m in WIDTHS}
    assert all(isinstance(a, Alignment) for a in alignments.values())
    test, label, _, _ = world(97, new=20)
    query = ObservationSet({"thermal": test}, np.full((20, 4, 4), np.nan), tuple(f"q{i}" for i in range(20)))
    retriever = bare_retriever(known, RawMean(), alignments)
    best = [int(retriever.rank(one).matches[0].id) for one in query]
    assert (there[best] == label).mean() > 0.9


def test_its_similarity_is_the_class_and_then_the_cosine():
    x, here, known, there = world(9)
    model = cox.fit(x, known, some_pairs(here, there), there)
    bridge, y = model.alignments("new")["new", "depth"], known.embeddings["depth"]
    found = bridge.query(x[:5]) @ bridge.reference(y[:6]).T
    p, q = model.posterior(x[:5]), model.known_posterior(y[:6], "depth")
    u = model.project(x[:5], "depth").astype(np.float64) - model.known_mean["depth"]
    u, v = u / model.known_spread["depth"], model.standardised_known(y[:6], "depth")
    for i in range(5):
        for j in range(6):
            cosine = u[i] @ v[j] / np.linalg.norm(u[i]) / np.linalg.norm(v[j])
            assert found[i, j] == pytest.approx(p[i] @ q[j] + cosine, abs=1e-4)


def test_a_missing_row_stays_missing():
    x, here, known, there = world(10)
    model = cox.fit(x, known, some_pairs(here, there), there)
    holes = x.copy()
    holes[3] = np.nan
    assert np.isnan(model.posterior(holes)[3]).all() and np.isnan(model.project(holes, "depth")[3]).all()
    bridge = model.alignments("new")["new", "depth"]
    assert np.isnan(bridge.query(holes)[3]).all() and np.isfinite(bridge.query(holes)[[0, 1, 2]]).all()
    with pytest.raises(Any2AnyError, match="missing"):
        model.classify(holes)
