"""Figures of answers: recall, blocks, times, and pose errors, by hand on made-up answers."""

import numpy as np
import pytest
import tiny_real_sets
from hypothesis import given
from hypothesis import strategies as st
from real_sets import answers_picture, kitti_bev, page, pictures, published, scoring
from real_sets.methods import TOP, Answers

from any2any_ros.errors import Any2AnyError


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return kitti_bev.read(tiny_real_sets.kitti_bev(tmp_path_factory.mktemp("bev"), tiny_real_sets.ring(90)))


def answers_of(real, best, poses=None):
    filled = np.full((len(real.queries), TOP), -1)
    filled[:, : best.shape[1]] = best
    poses = np.full((len(real.queries), 4, 4), np.nan) if poses is None else poses
    return Answers(filled, np.arange(1.0, 1 + len(real.queries)), poses)


def test_recall_counts_the_first_k(real):
    wrong, right = (~real.right).argmax(axis=1), real.right.argmax(axis=1)
    best = np.column_stack([wrong, wrong, right])
    best[0] = right[0], wrong[0], wrong[0]
    row = scoring.row(real, "made up", True, answers_of(real, best))
    assert row.recall == {"1": pytest.approx(1 / len(best)), "5": 1.0, "20": 1.0}
    assert row.hits == (1, *[0] * (len(best) - 1)) and row.role == "ours"
    assert len(row.blocks) == 5 and row.blocks[1:] == (0.0,) * 4 and row.yaw is None


def test_an_empty_answer_is_never_right(real):
    relevant = scoring.right_answers(real, answers_of(real, np.full((len(real.queries), 1), -1)))
    assert not relevant.any()


@given(st.floats(-3.1, 3.1), st.floats(-9, 9), st.floats(-9, 9))
def test_pose_errors_are_those_that_were_made(real, turn, x, y):
    off = np.eye(4)
    off[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    off[:2, 3] = x, y
    said = scoring.real_poses(real)[real.queries] @ off
    right = np.arange(len(real.queries)) % 2 == 0
    yaw, position = scoring.pose_errors(real, answers_of(real, np.zeros((len(said), 1), int), said), right)
    assert len(yaw) == right.sum()
    np.testing.assert_allclose(yaw, abs(np.degrees(turn)), atol=1e-6)
    np.testing.assert_allclose(position, np.hypot(x, y), atol=1e-6)


def test_a_pose_is_near_by_heading_and_position(real):
    right = real.right.argmax(axis=1)[:, None]
    said = scoring.real_poses(real)[real.queries].copy()
    said[::2, 0, 3] += 0.6  # too far
    assert scoring.row(real, "made up", True, answers_of(real, right, said)).near == pytest.approx(
        (np.arange(len(said)) % 2 == 1).mean()
    )
    assert scoring.row(real, "made up", True, answers_of(real, right)).near is None


def test_chance_is_what_a_random_order_finds(real):
    draw = np.random.default_rng(0)
    found = []
    for _ in range(300):
        order = np.argsort(np.where(real.allowed, draw.random(real.allowed.shape), 2.0), axis=1)[:, :5]
        found.append(np.take_along_axis(real.right, order, axis=1).any(axis=1).mean())
    assert np.mean(found) == pytest.approx(scoring.chance(real)["5"], abs=0.01)


def test_published_rows_are_those_of_the_paper():
    rows = {p.method: p.recall for p in published.of("kitti_bev", "02")}
    assert rows["PointNetVLAD"] == pytest.approx(0.623) and len(rows) == 5
    assert published.of("kitti_bev", "08") == () and published.of("vpr", "sped")[0].recall == 0.92


def test_the_page_has_a_line_for_each_method_and_hides_empty_columns(real):
    right = real.right.argmax(axis=1)[:, None]
    rows = [
        scoring.row(real, "made up", True, answers_of(real, right, scoring.real_poses(real)[real.queries])),
        scoring.failed("a peer", False, str(Any2AnyError("Cannot install it", "no network", "Connect"))),
        scoring.published(published.of("kitti_bev", "00")[4]),
    ]
    found = {"kind": "kitti_bev", "name": "x", "licence": "free", "protocol": "ours", "queries": 9, "references": 8,
             "chance": scoring.chance(real), "rows": [row.plain() for row in rows]}  # fmt: skip
    machine = {"date": "2026-12-01", "cpu": "A processor", "python": "3.11", "load": 3.2, "cores": 2}
    text = page.write({"command": "make real", "seconds": 120, "machine": machine, "sets": [found]})
    assert "| kitti_bev x | 9 | " in text and "| 1.000 made up | – | .997 BEVPlace" in text
    assert "| **made up** | ours | 1.000 | 1.000 | 1.000 | 1.000 ± .000 |" in text
    assert "not measured: Cannot install it: no network" in text and "Licence: free." in text
    assert "yaw p50/p95" in text and "0° / 0°" in text and "| 1.000 |  |" in text
    assert "The machine was busy" in text and "load 3.2 on 2 cores" in text
    alone = page.table([rows[2].plain()])
    assert "yaw" not in alone and "ms p50" not in alone and alone.count("\n") == 2


def test_answers_are_drawn(real, tmp_path):
    best = real.right.argmax(axis=1)[:, None]
    answers_picture.write(real, "a/b c", answers_of(real, best), tmp_path / "new")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["kitti_bev-ring-a_b_c.png"]
    pairs = pictures.read(tiny_real_sets.picture_pairs(tmp_path, 4))
    answers_picture.write(pairs, "camera", answers_of(pairs, np.array([[0], [1], [-1], [0]])), tmp_path / "new")
    assert (tmp_path / "new" / "vpr-pairs-camera.png").stat().st_size > 1000
