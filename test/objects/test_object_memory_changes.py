"""Objects that are gone are forgotten, and pieces of one object are joined."""

import numpy as np
from sightings import all_gone, memory, sighting, vector

# --- gone -----------------------------------------------------------------------------------------------------------


def test_what_was_seen_gone_often_enough_is_forgotten():
    known = memory(gone=3)
    for stamp in (1, 2):
        known.see([sighting(0.0), sighting(1.0)], stamp)
    for stamp in (3, 4, 5):
        assert len(known) == 2
        known.see([sighting(1.0)], stamp, all_gone)
    assert [o.id for o in known.believed] == ["object-1"]
    (new,) = known.see([sighting(0.0)], 6)
    assert new.id == "object-2"


def test_seen_once_it_counts_from_the_start():
    known = memory(gone=2)
    for _ in range(4):
        known.see([sighting(0.0)], 1)
        known.see([], 2, all_gone)
    assert len(known) == 1


def test_only_what_the_picture_does_not_show_is_asked_about():
    known, asked = memory(gone=1), []

    def seen_gone(objects):
        asked.append([o.id for o in objects])
        return [o.id == "object-2" for o in objects]

    known.see([sighting(0.0), sighting(1.0), sighting(2.0)], 1)
    known.see([sighting(1.0)], 2, seen_gone)
    assert asked == [["object-0", "object-2"]] and [o.id for o in known.everything] == ["object-0", "object-1"]


def test_beyond_its_capacity_it_forgets_what_was_not_seen_for_longest():
    known = memory(capacity=3)
    for stamp, x in enumerate([0.0, 1.0, 2.0, 0.0, 3.0], start=1):
        known.see([sighting(x)], stamp)
    assert [o.id for o in known.everything] == ["object-0", "object-2", "object-3"]
    known.see([sighting(float(x)) for x in range(10, 15)], 9)
    assert len(known.everything) == 3


# --- pieces ---------------------------------------------------------------------------------------------------------


def test_pieces_of_what_is_then_seen_whole_are_joined():
    known = memory(merge=0.02)
    for stamp in (1, 2, 3):
        left, _ = known.see([sighting(-0.06, size=0.06, camera=vector(1)), sighting(0.06, size=0.06)], stamp)
    assert len(known) == 2
    for stamp in range(4, 12):
        (whole,) = known.see([sighting(0.0, size=0.2, depth=vector(2))], stamp)
        if stamp == 4:
            assert len(known) == 2  # once may be a mistake: things that touch from this side
    assert len(known.everything) == 1 and whole is known.everything[0] and whole is left
    assert (whole.low <= -0.06).all() and (whole.high >= 0.06).all()
    assert whole.counts == {"camera": 6, "depth": 8} and whole.seen_ns == 11
    mean = 3 * (vector(1).astype(float) + vector(0))
    np.testing.assert_allclose(whole.sums["camera"], mean, atol=1e-6)


def test_what_is_returned_is_remembered():
    draw = np.random.default_rng(1)
    known = memory(merge=0.05)
    for stamp in range(30):
        seen = [sighting(*draw.uniform(0, 0.5, 2), size=draw.uniform(0.02, 0.3)) for _ in range(4)]
        found = known.see(seen, stamp)
        assert all(any(f is o for o in known.everything) for f in found)
        assert len({o.id for o in known.everything}) == len(known.everything)


def test_a_small_thing_beside_a_long_one_in_the_same_picture_stays_its_own():
    """The box of a spoon that lies askew has much room in it."""
    known = memory()
    for stamp in (1, 2, 3):
        found = known.see([sighting(0.0, size=0.3), sighting(0.1, 0.05, size=0.04)], stamp)
    assert len(known) == 2 and found[0] is not found[1]
