"""Ground truth of pictures: each form says the same, names and numbers are found, and damage is named."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_sets import ground_truth

from any2any_ros.errors import Any2AnyError

QUERIES = [Path("query") / name for name in ("a.jpg", "b.jpg", "c.jpg")]
REFERENCES = [Path("ref") / f"place_{i}.png" for i in range(5)]
RIGHT = np.zeros((3, 5), dtype=bool)
RIGHT[0, 1] = RIGHT[0, 2] = RIGHT[2, 4] = True

FORMS = {
    "ground_truth.csv": "query,reference\na.jpg,place_1.png,place_2.png\nc.jpg,place_4\n",
    "ground_truth.tsv": "a\tplace_1\na\tplace_2\nc\tplace_4",
    "gt.txt": "0 1 2\n2 4\n",
    "groundtruth.json": json.dumps({"a.jpg": ["place_1.png", 2], "c": "ref/place_4.png"}),
    "gt.json": json.dumps([[1, 2], [], [4]]),
    "ground_truth.txt": "query/a.jpg;ref/place_1.png;ref/place_2.png\nquery/c.jpg;ref/place_4.png",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_says_the_same(tmp_path, name):
    (tmp_path / name).write_text(FORMS[name])
    assert ground_truth.find_file(tmp_path) == tmp_path / name
    np.testing.assert_array_equal(ground_truth.read_right(tmp_path / name, QUERIES, REFERENCES), RIGHT)


def test_arrays_are_a_table_or_pairs(tmp_path):
    file = tmp_path / "ground_truth.npy"
    for array in (RIGHT.astype(np.uint8), np.argwhere(RIGHT)):
        np.save(file, array)
        np.testing.assert_array_equal(ground_truth.read_right(file, QUERIES, REFERENCES), RIGHT)


@given(st.integers(0, 2**32 - 1))
def test_a_table_that_is_written_by_numbers_comes_back(tmp_path_factory, seed):
    right = np.random.default_rng(seed).random((3, 5)) < 0.4
    file = tmp_path_factory.mktemp("gt") / "gt.csv"
    file.write_text("".join(f"{q},{','.join(map(str, np.flatnonzero(row)))}\n" for q, row in enumerate(right)))
    np.testing.assert_array_equal(ground_truth.read_right(file, QUERIES, REFERENCES), right)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("gt.csv", "a.jpg,place_9.png\n", "ref/ has no picture 'place_9.png'"),
        ("gt.csv", "0,1\nz.jpg,1\n", "query/ has no picture 'z.jpg'"),
        ("gt.csv", "0,5\n", "ref/ has no picture '5'"),
        ("gt.json", "[[1]", "gt.json"),
        ("gt.json", "3", "gt.json"),
    ],
)
def test_damage_is_named(tmp_path, name, text, why):
    (tmp_path / name).write_text(text)
    with pytest.raises(Any2AnyError) as raised:
        ground_truth.read_right(tmp_path / name, QUERIES, REFERENCES)
    assert why in str(raised.value) and "a line a query" in str(raised.value)


def test_pickled_arrays_are_refused(tmp_path):
    file = tmp_path / "gt.npy"
    np.save(file, np.array([[0, [1, 2]]], dtype=object), allow_pickle=True)
    with pytest.raises(Any2AnyError, match="allow_pickle"):
        ground_truth.read_right(file, QUERIES, REFERENCES)


def test_arrays_of_another_shape_are_refused(tmp_path):
    file = tmp_path / "gt.npy"
    np.save(file, np.zeros((4, 5)))
    with pytest.raises(Any2AnyError, match="neither"):
        ground_truth.read_right(file, QUERIES, REFERENCES)


def test_a_folder_without_one_has_none(tmp_path):
    assert ground_truth.find_file(tmp_path) is None
