"""The view from a place in a submap, against a slow version and in a room."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import cast, room

from any2any_ros.submaps.surfaces import surfaces
from any2any_ros.submaps.synthetic import BEHIND, THICK, view

CLOUDS = st.lists(st.tuples(st.floats(0.1, 20), st.integers(0, 35)), max_size=60)


def placed(cloud):
    """Return points at a distance, in the middle of one of 36 sectors."""
    return np.array([r * np.exp(1j * (-np.pi + (s + 0.5) * np.pi / 18)) for r, s in cloud], dtype=complex)


@settings(deadline=None)
@given(CLOUDS, st.booleans())
def test_the_view_is_what_a_slow_search_finds(cloud, confirmed):
    seen = view(placed(cloud), 36, confirmed)
    in_sight = []
    for sector in range(36):
        distances = sorted(abs(p) for p, (_, s) in zip(placed(cloud), cloud, strict=True) if s == sector)
        first = next((a for a, b in pairwise(distances) if b - a <= BEHIND), np.inf)
        first = first if confirmed else min(distances, default=np.inf)
        assert seen.scan.ranges[sector] == np.float32(first)
        in_sight += [d for d in distances if d <= first + THICK]
    np.testing.assert_allclose(np.sort(np.abs(seen.points)), np.sort(in_sight))


def test_a_passer_by_is_not_seen_and_a_wall_hides_the_next_room():
    wall = [(5.0, s) for s in range(36)] + [(5.1, s) for s in range(36)]
    beyond = [(9.0, s) for s in range(36)] + [(9.1, s) for s in range(36)]
    seen = view(placed([*wall, *beyond, (1.0, 7)]), 36)
    np.testing.assert_allclose(seen.scan.ranges, 5.0)
    assert np.abs(seen.points).max() < 5.2


def test_the_view_of_one_scan_is_that_scan():
    scan = cast(room(3), 180)
    seen = view(surfaces(scan, 0.05, 25.0).points, 180, confirmed=False)
    assert seen.scan.angle_min == np.float64(scan.angle_min)
    np.testing.assert_allclose(seen.scan.ranges, scan.ranges, rtol=1e-6)


def test_a_view_of_nothing_is_empty():
    seen = view(np.empty(0, complex), 180)
    assert not np.isfinite(seen.scan.ranges).any() and len(seen.points) == 0
