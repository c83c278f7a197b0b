"""EMMA's heads: they compare what is there, serve the retriever, and need no PyTorch."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from incomplete_objects import objects, random_heads

from any2any_ros import storage
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.objects.heads import EMMA
from any2any_ros.protocols import Alignment
from any2any_ros.retrieval.retriever import bare_retriever


def test_distance_is_the_mean_over_pairs_that_are_there():
    heads = random_heads()
    query, reference = objects(1, n=9, missing=0.5)[0].only(["text", "speech"]), objects(2, n=11, missing=0.5)[0]
    reference = reference.only(["camera", "depth"])
    found = heads.distance(query, reference)
    assert found.shape == (9, 11) and found.dtype == np.float32
    for i, j in itertools.product(range(9), range(11)):
        pairs = [
            1 - float(heads.project(q, query.embeddings[q][[i]])[0] @ heads.project(r, reference.embeddings[r][[j]])[0])
            for q in ("text", "speech")
            for r in ("camera", "depth")
            if query.present(q)[i] and reference.present(r)[j]
        ]
        assert found[i, j] == (pytest.approx(np.mean(pairs), abs=1e-5) if pairs else pytest.approx(np.nan, nan_ok=True))
    assert np.isnan(found).any() and not np.isnan(found).all()


def test_modalities_without_a_head_and_sets_with_nothing_are_not_compared():
    heads, (data, _) = random_heads(modalities=("text", "camera")), objects(0, n=5, missing=0)
    np.testing.assert_array_equal(
        heads.distance(data.only(["text", "speech"]), data.only(["camera", "depth"])),
        heads.distance(data.only(["text"]), data.only(["camera"])),
    )
    assert np.isnan(heads.distance(data.only(["speech"]), data.only(["camera"]))).all()
    assert heads.distance(data.take([]), data).shape == (0, 5)


def test_the_retriever_ranks_by_the_heads():
    heads = random_heads()
    data, _ = objects(1, n=30, missing=0.3)
    alignments = heads.alignments(["text", "speech"], ["camera", "depth"])
    assert set(alignments) == set(itertools.product(["text", "speech"], ["camera", "depth"]))
    assert all(isinstance(a, Alignment) for a in alignments.values())
    query, reference = data.only(["text", "speech"]), data.only(["camera", "depth"])
    distance = heads.distance(query, reference)
    retriever = bare_retriever(reference, RawMean(), alignments)
    _, scores = Scorer.of(retriever).scores(query)
    np.testing.assert_allclose(1 - scores, distance, atol=1e-5)
    row = int(np.flatnonzero(~np.isnan(distance).all(axis=1))[0])
    ranking = retriever.rank(query.observation(row), k=5)
    assert [m.id for m in ranking.matches] == [data.ids[j] for j in np.argsort(distance[row])[:5]]


def test_heads_are_saved_and_read_again_and_need_no_torch(tmp_path):
    heads, (data, _) = random_heads(), objects(0, n=3, missing=0)
    storage.save(heads, tmp_path / "emma")
    again = storage.load(tmp_path / "emma", EMMA)
    assert isinstance(again, EMMA) and again.modalities == heads.modalities
    expected = heads.distance(data.only(["text"]), data.only(["camera"]))
    np.testing.assert_array_equal(again.distance(data.only(["text"]), data.only(["camera"])), expected)
    code = """
import sys
sys.modules["torch"] = None
import numpy as np
from pathlib import Path
from any2any_ros import storage
from any2any_ros.objects.heads import EMMA
heads = storage.load(Path(sys.argv[1]), EMMA)
assert heads.project("text", np.ones((2, 8))).shape == (2, 7)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "emma")]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": "."}, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_vector_at_the_origin_stays_there():
    """No direction is better than a NaN."""
    heads = random_heads(modalities=("text",))
    heads = EMMA(heads.mean, heads.spread, {k: 0 * w for k, w in heads.weights.items()},
                 {k: 0 * b for k, b in heads.biases.items()})  # fmt: skip
    assert (heads.project("text", np.ones((2, 8))) == 0).all()


@pytest.mark.parametrize(
    ("x", "why"),
    [
        (np.ones((2, 9)), r"shape is \(2, 9\); it takes \(N, 8\)"),
        (np.ones(8), r"shape is \(8,\)"),
        (np.full((1, 8), np.inf), "infinite"),
    ],
)
def test_vectors_of_another_encoder_are_refused(x, why):
    with pytest.raises(Any2AnyError, match=why):
        random_heads().project("text", x)


def test_a_modality_without_a_head_is_named():
    heads = random_heads(modalities=("text", "camera"))
    with pytest.raises(Any2AnyError, match="no head for 'smell': there are heads for camera, text"):
        heads.project("smell", np.ones((1, 3)))
    with pytest.raises(Any2AnyError, match="no head for 'depth'"):
        heads.alignments(["text"], ["camera", "depth"])
