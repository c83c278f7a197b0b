"""MapClosures as a peer: what its submaps hold, and what becomes of its answers. The package is a stand-in here."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import tiny_real_sets
from hypothesis import given
from hypothesis import strategies as st
from real_sets import kitti_bev, laser2d, scoring
from real_sets import peer_map_closures as map_closures
from real_sets.peer_map_closures import Closures, Submap, Track

from any2any_ros.errors import Any2AnyError
from any2any_ros.progress import silent

STAND_IN = '''
"""Every submap is compared with all earlier ones by how many points it has."""
import numpy as np
class MapClosuresConfig:
    def __init__(self, density_map_resolution):
        self.cell = density_map_resolution
class One:
    def __init__(self, source, inliers):
        self.source_id, self.number_of_inliers, self.pose = source, inliers, np.eye(4)
class MapClosures:
    def __init__(self, config):
        self.sizes = []
    def get_top_k_closures(self, number, points, k):
        if len(points) == 13:
            raise RuntimeError("an unlucky submap")
        found = [One(i, 1000 - abs(size - len(points))) for i, size in enumerate(self.sizes)]
        self.sizes.append(len(points))
        return found[:k]
'''


@pytest.fixture
def real(tmp_path):
    return kitti_bev.read(tiny_real_sets.kitti_bev(tmp_path, tiny_real_sets.ring(90)))


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Let the worker find a stand-in for the package, in this Python."""
    home = tmp_path / "packages" / "map_closures"
    home.mkdir(parents=True)
    for name in ("__init__", "config", "map_closures"):
        (home / f"{name}.py").write_text(STAND_IN)
    worker = tmp_path / "worker.py"
    path = f"import sys; sys.path.insert(0, {str(home.parent)!r})\n"
    worker.write_text(map_closures.WORKER.read_text().replace("import importlib\n", f"import importlib\n{path}"))
    monkeypatch.setattr(map_closures, "WORKER", worker)
    monkeypatch.setattr(map_closures, "_environment", lambda: sys.executable)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]))
def test_each_cell_has_a_column_of_what_was_seen_in_it(seed, pixels):
    draw = np.random.default_rng(seed)
    seen = np.column_stack([draw.uniform(-3, 3, (90, 2)), np.zeros(90)])
    points = map_closures.columns(seen, Submap(10.0, 1.0, 1.0, 1.0, pixels))
    for x in range(-3, 3):
        for y in range(-3, 3):
            count = min(map_closures.TALLEST, np.sum((np.floor(seen[:, :2]) == [x, y]).all(axis=1)))
            here = points[(np.floor(points[:, :2]) == [x, y]).all(axis=1)]
            column = np.repeat((0.5 + np.arange(count)) / pixels, pixels**2)
            np.testing.assert_allclose(np.sort(here[:, 2]), column, rtol=1e-6)
    assert map_closures.columns(seen[:0], Submap(10.0, 1.0, 1.0, 1.0, pixels)).shape == (0, 3)


def test_a_submap_shows_standing_posts_once(real):
    """Posts that stand still fall together, however the robot turns between the frames."""
    settings = Submap(length=15.0, between=0.0, step=3.0, cell=1.0, pixels=1)
    row, track = int(real.queries[-1]), Track.of(real)
    points = map_closures.submap(track, row, settings)
    pose = scoring.real_poses(real)[row]
    ground = points[:, :2] @ pose[:2, :2].T + pose[:2, 3]
    apart = np.linalg.norm(ground[:, None] - tiny_real_sets.posts(), axis=-1).min(axis=1)
    alone = map_closures.submap(track, row, replace(settings, length=0.0))
    assert apart.max() < 1.4 and len(np.unique(points[:, :2], axis=0)) > len(np.unique(alone[:, :2], axis=0))


def test_submaps_are_made_of_queries_and_of_references_some_metres_apart(real):
    rows = map_closures.wanted_rows(real, Track.of(real), 9.0)
    assert set(real.queries) <= set(rows) and (np.diff(rows) > 0).all()
    only = [r for r in rows if r not in set(real.queries)]
    ground = scoring.real_poses(real)[only][:, :2, 3]
    assert 0 < len(only) < len(real.references) and np.linalg.norm(np.diff(ground, axis=0), axis=1).min() >= 9.0


def test_answers_are_what_is_allowed_in_the_peers_order(real):
    rows = map_closures.wanted_rows(real, Track.of(real), 3.0)
    poses = scoring.real_poses(real)
    found = []
    for number, row in enumerate(rows.tolist()):
        earlier = np.arange(number)[::-1]
        relative = np.linalg.inv(poses[rows[earlier]]) @ poses[row] if number else np.empty((0, 4, 4))
        found.append(Closures(earlier, relative, float(number)))
    answers = map_closures.ranked(real, rows, found, "a note")
    for i, query in enumerate(real.queries.tolist()):
        known = [r for r in rows[rows < query][::-1].tolist() if real.allowed[i, r]][:20]
        np.testing.assert_array_equal(answers.best[i, : len(known)], known)
        np.testing.assert_allclose(answers.poses[i], poses[query], atol=1e-9)
    assert answers.note == "a note" and answers.milliseconds[0] == np.flatnonzero(rows == real.queries[0])[0]


def test_the_worker_answers_each_submap(real, stand_in):
    answers = map_closures.PEER.answer(real, silent)
    assert (answers.best[:, 0] >= 0).all() and (answers.milliseconds >= 0).all() and "true poses" in answers.note
    assert map_closures.PEER.suits(real) and not map_closures.PEER.ours


def test_a_log_is_a_drive_too(tmp_path, stand_in):
    real = laser2d.read(tiny_real_sets.laser_log(tmp_path, tiny_real_sets.ring(120)))
    assert map_closures.PEER.suits(real)
    assert (map_closures.PEER.answer(real, silent).best[:, 0] >= 0).all()


def test_a_worker_that_dies_is_an_error_with_its_last_words(stand_in):
    clouds = ((np.zeros((count, 3), np.float32), True) for count in (5, 13, 5))
    with pytest.raises(Any2AnyError, match="an unlucky submap"):
        list(map_closures._matched(sys.executable, 0.5, clouds))


def test_an_environment_that_cannot_be_made_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(map_closures, "HOME", tmp_path / "new")
    monkeypatch.setattr(map_closures.sys, "executable", "/bin/false")
    with pytest.raises(Any2AnyError, match="Cannot install map-closures"):
        map_closures._environment()
