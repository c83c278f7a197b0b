"""The similarity of what was seen to every reference: NaN exactly where a side is missing."""

import numpy as np
import pytest

from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import csa
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment
from any2any_ros.retrieval.index import ExactIndex
from any2any_ros.retrieval.similarity import SameSpace, SimilarityMatrix, same_modality

WIDTH = {"audio": 3, "camera": 6, "lidar": 4}


def random_set(seed, n, modalities=("audio", "camera", "lidar"), missing=0.3):
    draw = np.random.default_rng(seed)
    columns = {}
    for m in modalities:
        columns[m] = draw.normal(size=(n, WIDTH[m])).astype(np.float32)
        columns[m][draw.random(n) < missing] = np.nan
    return ObservationSet(columns, np.tile(np.eye(4), (n, 1, 1)), tuple(f"{seed}/{i}" for i in range(n)))


def cosine(a, b):
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def oracle(queries, reference, pairs):
    """Return (Q, R, Mq, Mr) by asking for every entry by itself."""
    rows, columns = sorted({q for q, _ in pairs}), sorted({r for _, r in pairs})
    out = np.full((len(queries), len(reference), len(rows), len(columns)), np.nan)
    for i, j in np.ndindex(len(queries), len(reference)):
        for (q, r), measure in pairs.items():
            if queries.present(q)[i] and reference.present(r)[j]:
                value = measure(queries.embeddings[q][i].astype(float), reference.embeddings[r][j].astype(float))
                out[i, j, rows.index(q), columns.index(r)] = value
    return out


def test_the_same_modality_is_compared_by_its_cosine():
    queries, reference = random_set(0, 5), random_set(1, 8)
    matrix = SimilarityMatrix(reference, same_modality(reference.modalities))
    assert matrix.query_modalities == matrix.reference_modalities == ("audio", "camera", "lidar")
    expected = oracle(queries, reference, {(m, m): cosine for m in reference.modalities})
    found = matrix(queries)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_modalities_are_compared_across_by_an_alignment():
    draw = np.random.default_rng(0)
    shared = draw.normal(size=(100, 2))
    fitted = csa.fit(shared @ draw.normal(size=(2, 6)), shared @ draw.normal(size=(2, 4)))
    assert isinstance(fitted, Alignment) and isinstance(SameSpace(), Alignment)
    queries, reference = random_set(2, 4), random_set(3, 6)
    matrix = SimilarityMatrix(reference, {("camera", "lidar"): fitted, ("audio", "audio"): SameSpace()})
    measure = {
        ("camera", "lidar"): lambda a, b: fitted.similarity(a[None], b[None])[0, 0],
        ("audio", "audio"): cosine,
    }
    assert (matrix.query_modalities, matrix.reference_modalities) == (("audio", "camera"), ("audio", "lidar"))
    np.testing.assert_allclose(matrix(queries), oracle(queries, reference, measure), atol=1e-5)


def test_added_references_are_as_if_they_had_always_been_there():
    whole = random_set(4, 9)
    at_once = SimilarityMatrix(whole, same_modality(whole.modalities))
    grown = SimilarityMatrix(whole.take(range(4)), same_modality(whole.modalities))
    for rows in ([4], [5, 6], [7, 8]):
        grown.add(whole.take(rows))
    queries = random_set(5, 3)
    assert len(grown) == len(at_once) == 9
    np.testing.assert_array_equal(grown(queries), at_once(queries))


def test_added_references_without_a_modality_miss_it():
    reference = random_set(6, 3, missing=0)
    matrix = SimilarityMatrix(reference, same_modality(reference.modalities))
    matrix.add(random_set(7, 2, modalities=("lidar",), missing=0))
    found = matrix(random_set(8, 1, missing=0))[0]
    assert np.isnan(found[3:, :2, :2]).all() and np.isfinite(found[:, 2, 2]).all()


def test_a_modality_that_nobody_knows_is_ignored():
    reference = random_set(9, 3, modalities=("lidar",), missing=0)
    matrix = SimilarityMatrix(reference, same_modality(("camera", "lidar")))  # camera: not in the map
    assert matrix.query_modalities == ("lidar",)
    found = matrix(random_set(10, 2, modalities=("audio", "camera"), missing=0))
    assert found.shape == (2, 3, 1, 1) and np.isnan(found).all()


@pytest.mark.parametrize("queries", [0, 2])
def test_an_empty_map_has_no_columns_to_answer(queries):
    empty = ObservationSet({"lidar": np.empty((0, 4))}, np.empty((0, 4, 4)), ())
    matrix = SimilarityMatrix(empty, same_modality(("lidar",)))
    assert matrix(random_set(0, queries, missing=0)).shape == (queries, 0, 1, 1)
    matrix.add(random_set(1, 2, missing=0))
    assert matrix(random_set(0, queries, missing=0)).shape == (queries, 2, 1, 1)


def test_no_modality_at_all_is_no_crash():
    nothing = ObservationSet({}, np.tile(np.eye(4), (2, 1, 1)), ("a", "b"))
    assert SimilarityMatrix(nothing, {})(random_set(0, 3)).shape == (3, 2, 0, 0)


def test_a_vector_of_zeros_is_like_nothing():
    reference = ObservationSet({"lidar": np.zeros((1, 4))}, np.tile(np.eye(4), (1, 1, 1)), ("a",))
    matrix = SimilarityMatrix(reference, same_modality(("lidar",)))
    assert matrix(random_set(0, 1, missing=0)).item() == 0


def test_a_query_of_another_width_is_refused_by_name():
    reference = random_set(0, 3)
    matrix = SimilarityMatrix(reference, same_modality(reference.modalities))
    wrong = ObservationSet({"camera": np.ones((1, 5))}, np.tile(np.eye(4), (1, 1, 1)), ("q",))
    with pytest.raises(Any2AnyError, match=r"'camera' embedding does not fit the map.*5 dimensions.*6"):
        matrix(wrong)


def test_the_callers_arrays_are_not_touched():
    queries, reference = random_set(0, 4), random_set(1, 4)
    before = {m: v.copy() for m, v in queries.embeddings.items()}
    SimilarityMatrix(reference, same_modality(reference.modalities))(queries)
    for m, v in before.items():
        np.testing.assert_array_equal(queries.embeddings[m], v)


def test_prefetching_changes_no_similarity_and_compares_a_vector_once(monkeypatch):
    queries, reference = random_set(4, 6, missing=0.0), random_set(5, 8)
    fresh, prefetching = (SimilarityMatrix(reference, same_modality(reference.modalities)) for _ in range(2))
    for i in range(len(queries)):
        for modality, rows in queries.embeddings.items():
            prefetching.prefetch(modality, rows[i])
        np.testing.assert_array_equal(prefetching(queries.take([i])), fresh(queries.take([i])))
    monkeypatch.setattr(ExactIndex, "similarity", lambda *_: pytest.fail("compared twice"))
    prefetching(queries.take([len(queries) - 1]))


def test_a_place_added_after_prefetching_is_compared_too():
    queries, reference, more = random_set(6, 1, missing=0.0), random_set(7, 3), random_set(8, 2, missing=0.0)
    matrix = SimilarityMatrix(reference, same_modality(reference.modalities))
    matrix.prefetch("camera", queries.embeddings["camera"][0])
    matrix.add(more)
    whole = SimilarityMatrix(ObservationSet.concatenate([reference, more]), same_modality(reference.modalities))
    np.testing.assert_array_equal(matrix(queries), whole(queries))


def test_prefetching_ignores_a_modality_that_the_map_lacks():
    SimilarityMatrix(random_set(1, 3), same_modality(("camera",))).prefetch("radar", np.ones(2, dtype=np.float32))
