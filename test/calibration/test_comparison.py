"""Which fusion is chosen."""

import pytest

from any2any_ros.calibration import comparison
from any2any_ros.retrieval.large import LARGE


@pytest.mark.parametrize(
    ("recalls", "expected"),
    [
        ({"any2any": 0.70, "likelihood_ratio": 0.70, "mixture": 0.70}, "mixture"),  # as of a single sensor
        ({"any2any": 0.703, "likelihood_ratio": 0.702, "mixture": 0.70}, "mixture"),
        ({"any2any": 0.71, "likelihood_ratio": 0.708, "mixture": 0.70}, "likelihood_ratio"),
        ({"any2any": 0.72, "likelihood_ratio": 0.70, "mixture": 0.70}, "any2any"),
        ({"any2any": 0.72, "min_max": 0.72}, "any2any"),
    ],
)
def test_a_lead_that_is_luck_does_not_displace_a_likelihood(recalls, expected):
    assert best_fusion(recalls, 1000) == expected


@pytest.mark.parametrize(
    ("recalls", "expected"),
    [
        ({"any2any": 0.70, "likelihood_ratio": 0.70, "mixture": 0.90}, "likelihood_ratio"),
        ({"any2any": 0.71, "likelihood_ratio": 0.70, "z_score": 0.90}, "any2any"),
        ({"raw_mean": 0.5, "min_max": 0.9}, "raw_mean"),
        ({"mixture": 0.9}, "mixture"),  # somebody asked for it
    ],
)
def test_of_a_large_map_what_is_searched_by_bounds_is_chosen(recalls, expected):
    assert best_fusion(recalls, LARGE) == expected


def best_fusion(recalls, places):
    table = [{"fusion": name, "recall@1": recall, "recall@5": 0.9} for name, recall in recalls.items()]
    return table[comparison.best(table, places)]["fusion"]
