"""A beam does not pass a wall: the share of a submap that a scan looks through."""

import numpy as np
import pytest
from rooms import cast, room

from any2any_ros.submaps.growing import THROUGH
from any2any_ros.submaps.see_through import looked_through
from any2any_ros.submaps.surfaces import surfaces

NOTHING = np.empty(0, complex)


def points(walls, beams=360, at=0j):
    return surfaces(cast(walls, beams, at=at), 0.05, 25.0).points


@pytest.mark.parametrize("seed", range(8))
def test_the_room_where_it_is_is_not_looked_through_and_a_smaller_one_is(seed):
    here, small = room(seed, boxes=4), room(seed, boxes=0) * 0.5
    around = np.concatenate([points(here, at=at) + at for at in (0j, 0.4 + 0j, 0.3j)])
    assert looked_through(around, points(here)) < THROUGH / 2
    large = room(seed, boxes=0) * 1.5
    assert looked_through(points(small), points(large)) > 0.9
    assert looked_through(points(large), points(small)) == 0  # it is hidden


def test_it_agrees_with_brute_force():
    draw = np.random.default_rng(3)
    for _ in range(20):
        submap, scan = (draw.uniform(1, 9, n) * np.exp(1j * draw.uniform(-3, 3, n)) for n in (200, 50))
        seen = through = 0
        for point in submap:
            aside = np.abs(np.angle(scan) - np.angle(point))
            below, above = (
                np.where(side, aside, np.inf)
                for side in (np.angle(scan) < np.angle(point), np.angle(scan) >= np.angle(point))
            )
            if np.isinf(below).all() or np.isinf(above).all():
                continue
            end = min(abs(scan[below.argmin()]), abs(scan[above.argmin()]))
            if aside.min() < np.radians(1.5) and abs(point) < end + 0.5:
                seen += 1
                through += abs(point) < end - 0.6
        assert looked_through(submap, scan) == pytest.approx(through / max(seen, 1), abs=0.05)


@pytest.mark.parametrize(
    ("submap", "scan"),
    [
        (NOTHING, NOTHING),
        (NOTHING, np.ones(9, complex)),
        (np.ones(9, complex), NOTHING),
        (np.ones(9, complex), np.ones(1, complex)),
    ],
)
def test_where_there_is_nothing_nothing_is_looked_through(submap, scan):
    assert looked_through(submap, scan) == 0
