"""Figures are whole SVG pictures, also of very little."""

import numpy as np
import pytest

from any2any_ros.demo import figures


@pytest.mark.parametrize("points", [[[0.1, 0.2, 5], [0.9, 0.8, 3]], [[0.5, 1.0, 1]], []])
def test_a_reliability_diagram(points):
    text = figures.reliability(points)
    assert text.startswith("<svg") and text.rstrip().endswith("</svg>") and "share that is right" in text


@pytest.mark.parametrize("points", [[[0.5, 1.0], [1.0, 0.7]], []])
def test_precision_by_share_shows_what_was_promised(points):
    text = figures.precision_by_share(points, 0.9)
    assert text.startswith("<svg") and "promised of accepted answers: 0.9" in text


def test_the_same_figure_is_the_same_text():
    """So that a page made twice from the same figures is the same page."""
    points = np.column_stack([np.linspace(0, 1, 9), np.linspace(1, 0.5, 9)])
    assert figures.precision_by_share(points, 0.9) == figures.precision_by_share(points, 0.9)
