"""COX: a new modality from few pairs, labels or none; what it refuses, and what it does for a retriever."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros import storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.learning import cox
from any2any_ros.learning.cox import COX, CoxConfig
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment
from any2any_ros.retrieval.retriever import bare_retriever

WIDTHS = {"camera": 9, "depth": 5, "lidar": 7}
NEW = 8


def world(seed, new=150, known=120, classes=4, modalities=tuple(WIDTHS), noise=0.4):
    """Return new features and classes, known observations and classes: each sensor sees the class in its own way."""
    law, draw = np.random.default_rng(0), np.random.default_rng(seed)
    kinds = 2.5 * law.normal(size=(classes, 4))
    mirrors = {m: law.normal(size=(4, w)) for m, w in {"new": NEW, **WIDTHS}.items()}

    def seen(m, label):
        what = kinds[label] + 0.5 * draw.normal(size=(len(label), 4))
        return what @ mirrors[m] + noise * draw.normal(size=(len(label), mirrors[m].shape[1]))

    there, here = np.arange(known) % classes, np.arange(new) % classes
    columns = {m: seen(m, there) for m in modalities}
    poses = np.full((known, 4, 4), np.nan)
    return seen("new", here), here, ObservationSet(columns, poses, tuple(f"{i}" for i in range(known))), there


def some_pairs(here, there, per_class=1, classes=None):
    """Return (P, 2): `per_class` new samples of each class with a known one of it."""
    wanted = np.unique(here) if classes is None else classes
    rows = [(i, j) for c in wanted for i, j in zip(np.flatnonzero(here == c)[:per_class],
                                                  np.flatnonzero(there == c)[:per_class], strict=True)]  # fmt: skip
    return np.array(rows)


def right(model, seed=99, **kwargs):
    """Return how often new samples that it was not fitted on are of the class it says."""
    x, label, _, _ = world(seed, **kwargs)
    return float((model.classify(x) == label).mean())


def test_a_pair_of_each_class_is_enough_where_the_sensors_agree():
    x, here, known, there = world(1)
    model = cox.fit(x, known, some_pairs(here, there), there)
    assert right(model) > 0.9  # chance 1/4
    assert model.modalities == ("camera", "depth", "lidar") and 0.5 < model.agreement <= 1
    assert np.isnan(model.chance_alignment)


def test_a_class_without_a_pair_is_found_by_what_is_left_over():
    x, here, known, there = world(2)
    model = cox.fit(x, known, some_pairs(here, there, classes=[0, 1, 2]), there)
    test, label, _, _ = world(98)
    assert (model.classify(test)[label == 3] == 3).mean() > 0.8


def test_labels_alone_do_as_well():
    x, here, known, there = world(3)
    model = cox.fit(x, known, None, there, labelled={int(i): int(here[i]) for i in range(8)})
    assert right(model) > 0.9


def test_words_are_classes_too():
    x, here, known, there = world(3)
    words = np.array(["door", "hall", "lift", "stair"])
    model = cox.fit(x, known, some_pairs(here, there), words[there], labelled={5: "hall"})
    found = model.classify(x)
    assert set(found) <= set(words) and (found == words[here]).mean() > 0.9


@pytest.mark.parametrize("connection", ["ridge", "variational"])
def test_the_same_seed_gives_the_same_result(connection):
    if connection == "variational":
        pytest.importorskip("torch", reason="PyTorch is absent: make torch")
    x, here, known, there = world(4)
    config = CoxConfig(connection=connection, steps=5)
    one, two = (cox.fit(x, known, some_pairs(here, there), there, config) for _ in range(2))
    for f in fields(COX):
        a, b = getattr(one, f.name), getattr(two, f.name)
        pairs = [(a[k], b[k]) for k in a] if isinstance(a, dict) else [(a, b)]
        assert all(np.array_equal(p, q, equal_nan=np.asarray(p).dtype.kind == "f") for p, q in pairs), f.name
    assert right(one) > 0.8


def test_it_is_stored_and_read_again(tmp_path):
    x, here, known, there = world(5)
    model = cox.fit(x, known, some_pairs(here, there), there.astype(str))
    storage.save(model, tmp_path / "cox")
    again = storage.load(tmp_path / "cox", COX)
    assert again.plug == "cox"
    np.testing.assert_array_equal(again.posterior(x), model.posterior(x))
    np.testing.assert_array_equal(again.project(x, "lidar"), model.project(x, "lidar"))
    np.testing.assert_array_equal(again.classify(x), model.classify(x))


def test_applying_and_fitting_by_ridge_take_no_torch():
    code = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ImportError(name)

sys.meta_path.insert(0, Absent())
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_cox import *
x, here, known, there = world(6)
assert right(cox.fit(x, known, some_pairs(here, there), there)) > 0.9
try:
    cox.fit(x, known, some_pairs(here, there), there, CoxConfig(connection="variational"))
except Any2AnyError as error:
    assert "ridge" in str(error)
else:
    raise AssertionError
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# --- as an alignment ------------------------------------------------------------------------------------------


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


# --- without pairs --------------------------------------------------------------------------------------------


def aligned_world(seed, **kwargs):
    """Return a world whose new sensor has the camera's features, with an offset and a unit of its own."""
    _, here, known, there = world(seed, **kwargs)
    law = np.random.default_rng(0)
    kinds, _, mirror = 2.5 * law.normal(size=(4, 4)), law.normal(size=(4, NEW)), law.normal(size=(4, WIDTHS["camera"]))
    draw = np.random.default_rng((seed, 1))
    seen = (kinds[here] + 0.5 * draw.normal(size=(len(here), 4))) @ mirror
    return 3 * seen + 7, here, known, there


def test_aligned_features_need_neither_pair_nor_label():
    x, here, known, there = aligned_world(11)
    model = cox.fit(x, known, None, there)
    assert (model.classify(x) == here).mean() > 0.9
    assert model.chance_alignment == pytest.approx(0.01)
    assert set(model.modalities) == set(WIDTHS)  # also those it was never aligned with


@pytest.mark.parametrize("confident", [1, 10**6])  # fewer than classes, more than agreements
def test_how_many_are_sure_may_be_anything(confident):
    x, here, known, there = aligned_world(12)
    model = cox.fit(x, known, np.empty((0, 2), dtype=int), there, CoxConfig(confident=confident))
    assert (model.classify(x) == here).mean() > 0.9


def test_a_space_of_its_own_is_not_identifiable():
    x, _, known, there = world(13)
    with pytest.raises(Any2AnyError, match="nothing says which class is which: it has 8 features"):
        cox.fit(x, known, None, there)


def test_the_same_width_is_no_alignment():
    """Features turned at random are refused: nineteen times of twenty at least, of one in a hundred allowed."""
    x, _, known, there = aligned_world(14)
    refused = 0
    for seed in range(20):
        turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(9, 9)))
        refused += refusal((x - x.mean(axis=0)) / x.std(axis=0) @ turn, known, there, seed)
    assert refused >= 19


def refusal(new, known, there, seed):
    """Return whether COX says that features without pairs are not aligned."""
    try:
        cox.fit(new, known, None, there, CoxConfig(seed=seed))
    except Any2AnyError as error:
        return "turned at random" in str(error)
    return False


# --- what may be odd ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modalities", [("depth",), ("camera", "depth"), tuple(WIDTHS)])
@pytest.mark.parametrize("explore", [True, False])
def test_any_number_of_known_modalities(modalities, explore):
    x, here, known, there = world(15, modalities=modalities)
    model = cox.fit(x, known, some_pairs(here, there, per_class=2), there, CoxConfig(explore=explore))
    assert right(model) > 0.8 and model.modalities == tuple(sorted(modalities))


def test_nobody_agrees_and_everybody_does():
    """Classes at random for half of the known modalities: agreement is rare. One known modality agrees with itself."""
    x, here, known, there = world(16)
    draw = np.random.default_rng(0)
    noise = {m: draw.normal(size=v.shape) for m, v in known.embeddings.items()}
    confused = ObservationSet(noise, known.poses, known.ids)
    for explore in (True, False):
        model = cox.fit(x, confused, some_pairs(here, there), there, CoxConfig(explore=explore))
        assert model.agreement < 1 and np.isfinite(model.posterior(x)).all()
    alone = cox.fit(x, known.only(["lidar"]), some_pairs(here, there), there)
    assert alone.agreement == 1


@pytest.mark.parametrize("explore", [True, False])
def test_all_disagree_and_there_is_no_label(explore):
    """A second camera shows of every class what the first shows of the next one: no agreement, and no anchor."""
    x, _, known, there = aligned_world(24)
    following = [np.flatnonzero(there == (c + 1) % 4)[i // 4] for i, c in enumerate(there)]
    camera = known.embeddings["camera"]
    twins = ObservationSet({"camera": camera, "twin": camera[following]}, known.poses, known.ids)
    model = cox.fit(x, twins, None, there, CoxConfig(explore=explore, rounds=1))
    assert model.agreement < 1 and np.isfinite(model.posterior(x)).all()


def test_two_rows_and_a_single_pair():
    x, _, known, there = world(17, new=2)
    model = cox.fit(x, known, [(0, 0)], there)
    assert model.classify(x)[0] == there[0] and np.isfinite(model.posterior(x)).all()


def test_features_that_never_change():
    x, here, known, there = world(18)
    x[:, 0] = 1e6
    flat = {**known.embeddings, "depth": np.full((len(known), 5), 3.0)}
    model = cox.fit(x, ObservationSet(flat, known.poses, known.ids), some_pairs(here, there), there)
    assert (model.classify(x) == here).mean() > 0.8
    same = cox.fit(np.zeros((20, 3)), known, [(0, 0), (1, 1)], there)
    assert np.isfinite(same.posterior(np.zeros((1, 3)))).all()


def test_known_modalities_with_holes():
    """A pair whose partner lacks a modality, a class that a modality has never seen, one that nobody recorded."""
    x, here, known, there = world(19)
    columns = {m: v.copy() for m, v in known.embeddings.items()}
    columns["camera"][::3] = np.nan
    columns["depth"][there == 2] = np.nan
    columns["sonar"] = np.full((len(known), 3), np.nan)
    holes = ObservationSet(columns, known.poses, known.ids)
    model = cox.fit(x, holes, some_pairs(here, there, per_class=2), there)
    assert right(model) > 0.9 and model.modalities == tuple(WIDTHS)
    assert np.isfinite(model.project(x, "depth")).all()


def test_one_new_sample_with_several_partners():
    x, here, known, there = world(20)
    pairs = np.concatenate([some_pairs(here, there), [(0, j) for j in np.flatnonzero(there == here[0])[:5]]])
    assert right(cox.fit(x, known, pairs, there)) > 0.9


def test_the_unit_of_a_feature_does_not_matter():
    x, here, known, there = world(21)
    pairs = some_pairs(here, there)
    one, two = cox.fit(x, known, pairs, there), cox.fit(1000 * x - 5, known, pairs, there)
    np.testing.assert_allclose(one.posterior(x), two.posterior(1000 * x - 5), atol=1e-3)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 25), st.integers(1, 6), st.integers(2, 5), st.booleans())
def test_whatever_is_given_posteriors_are_posteriors(seed, count, width, classes, explore):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(count, width)) * draw.integers(0, 2, width)
    m = int(draw.integers(classes, 30))
    label = np.concatenate([np.arange(classes), draw.integers(0, classes, m - classes)])
    columns = {k: draw.normal(size=(m, w)) for k, w in list(WIDTHS.items())[: draw.integers(1, 4)]}
    known = ObservationSet(columns, np.full((m, 4, 4), np.nan), tuple(map(str, range(m))))
    pairs = np.stack([draw.integers(0, count, 3), draw.integers(0, m, 3)], axis=1)
    model = cox.fit(x, known, pairs, label, CoxConfig(explore=explore, rounds=1))
    posterior = model.posterior(x)
    assert posterior.shape == (count, classes) and (posterior >= 0).all()
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    assert 0 <= model.agreement <= 1


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"new": np.zeros(5)}, "cannot be connected"),
        ({"new": np.full((5, 2), np.nan)}, "not all are finite"),
        ({"new": np.zeros((1, 2))}, "at least two rows"),
        ({"labels": np.zeros(120)}, "1 classes"),
        ({"labels": np.arange(3)}, r"labels of shape \(3,\)"),
        ({"pairs": [(0, 500)]}, "pairs cannot be used"),
        ({"pairs": [(-1, 0)]}, "pairs cannot be used"),
        ({"pairs": [(0.5, 0.5)]}, "whole numbers"),
        ({"pairs": [1, 2, 3]}, "pairs cannot be used"),
        ({"labelled": {500: 1}}, "new sample 500"),
        ({"labelled": {1: 77}}, "class 77"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, what):
    x, here, known, there = world(22)
    given = {"new": x, "known": known, "pairs": some_pairs(here, there), "labels": there} | change
    with pytest.raises(Any2AnyError, match=what):
        cox.fit(**given)


def test_what_it_was_not_taught_is_refused():
    x, here, known, there = world(23)
    model = cox.fit(x, known, some_pairs(here, there), there)
    with pytest.raises(Any2AnyError, match="does not know 'sonar'"):
        model.project(x, "sonar")
    for wrong in (x[:, :3], x[0], np.full((1, NEW), np.inf)):
        with pytest.raises(Any2AnyError, match="cannot take 'new' features"):
            model.posterior(wrong)
    with pytest.raises(Any2AnyError, match="cannot take 'depth' features"):
        model.known_posterior(x, "depth")
    with pytest.raises(Any2AnyError, match="a modality that was recorded"):
        cox.fit(x, known.only([]), None, there)
