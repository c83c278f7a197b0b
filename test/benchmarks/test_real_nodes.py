"""The clouds that a benchmark makes of KITTI's images for the real nodes."""

import numpy as np
import pytest
import real_nodes
from hypothesis import given
from hypothesis import strategies as st
from real_sets import kitti_bev
from rooms import hall_log

from any2any_ros.birds_eye import image
from any2any_ros.ranking import Match, Ranking


def pictures(seed):
    """Return an image as KITTI's are: up to 10 points in a cell, few cells with any."""
    draw = np.random.default_rng(seed)
    counted = draw.integers(1, 11, (151, 151)) * (draw.random((151, 151)) < 0.05)
    counted[75, 75] = 10  # so that the cap is 10
    return np.round(255 * counted / 10).astype(np.uint8)


@given(st.integers(0, 10_000))
def test_a_standing_cloud_has_the_image_that_it_was_made_of(seed):
    picture = pictures(seed)
    middle = slice(13, 138)
    expected = image.of_counts(kitti_bev.counts(picture)[middle, middle].T[::-1, ::-1])
    seen, _ = image.of_points(real_nodes.standing(picture), kitti_bev.CELL)
    np.testing.assert_array_equal(seen, expected)


def test_an_empty_image_is_a_cloud_without_points():
    assert real_nodes.standing(np.zeros((151, 151), np.uint8)).shape == (0, 4)


class Run:
    """What nodes answered: the first match of each frame, at once and after 20 ms."""

    def __init__(self, frames, firsts):
        self.published = {int(stamp): 1.0 for stamp in frames.stamps_ns}
        answers = [
            (Ranking((Match(id, 0.5, 1.0, np.eye(4), np.ones((1, 1))),), ("lidar",), stamp_ns=int(stamp)), 1.02)
            for id, stamp in zip(firsts, frames.stamps_ns, strict=True)
        ]
        self.received = type("Received", (), {"rankings": answers})


def test_answers_are_compared_frame_by_frame():
    frames = real_nodes.Driven("02", np.tile(np.eye(4), (3, 1, 1)), {}, np.arange(3))
    right = np.array([[True, False], [True, False], [False, True]])
    figures = real_nodes.compared(Run(frames, ["a", "b", "b"]), frames, [("a",), ("a",), ("b",)], right, ["a", "b"])
    assert figures["answered"] == 3 and figures["all matches identical"] == figures["first match identical"] == 2
    assert figures["recall@1"] == pytest.approx(2 / 3) and figures["recall@1 of the library"] == 1.0
    assert figures["stamp to ranking, ms"] == pytest.approx([20, 20])


def test_a_folder_without_the_layout_is_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["real_nodes", str(tmp_path)])
    assert real_nodes.main() == 2 and "bev.npz" in capsys.readouterr().err


def test_the_first_half_of_a_logs_way_is_the_map_and_the_second_asks(tmp_path):
    case = real_nodes.of_log(hall_log(tmp_path))
    assert len(case.mapped) + len(case.asked) == 40 and case.asked.poses[0, 0, 3] >= case.mapped.poses[-1, 0, 3]
    assert case.asked.odometry(0) is not None and (np.diff(case.asked.stamps_ns) == 250_000_000).all()
    assert case.right(case.mapped.poses)[0, -1] and not case.right(case.mapped.poses)[-1, 0]
