"""Things on tables and floors, in depth pictures that are cast ray by ray against boxes, in closed form."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from any2any_ros.errors import Any2AnyError
from any2any_ros.objects.proposals import Proposal, ProposalConfig, framed, points, propose, scaled
from any2any_ros.sim.tabletop.camera import looking

WIDTH, HEIGHT = 160, 120
INTRINSICS = np.array([[131.25, 0, 79.5], [0, 131.25, 59.5], [0, 0, 1]])
FLOOR = ((0, 0, -1), (40, 40, 1), 0.0)
TABLE = ((0, 0, 0.71), (1.4, 0.9, 0.04), 0.0)
TOP = 0.75
EYE = looking(np.array([-0.9, 0.0, 1.5]), np.array([0.0, 0.0, TOP]))
THINGS = [  # their feet, sizes and headings; none behind another
    ((-0.1, 0.25, TOP), (0.08, 0.08, 0.10), 0.0),
    ((-0.1, -0.25, TOP), (0.06, 0.15, 0.05), 0.6),
    ((0.1, 0.0, TOP), (0.10, 0.07, 0.12), -0.4),
]


def cast(pose, boxes, intrinsics=INTRINSICS, shape=(HEIGHT, WIDTH)):
    """Return the depth (H, W) of boxes: (foot's middle, size, heading), by the slab method; NaN where there is none."""
    row, column = np.indices(shape, dtype=float)
    k = intrinsics
    rays = np.stack([(column - k[0, 2]) / k[0, 0], (row - k[1, 2]) / k[1, 1], np.ones(shape)], axis=-1) @ pose[:3, :3].T
    depth = np.full(shape, np.inf)
    for (x, y, z), size, heading in boxes:
        c, s = np.cos(heading), np.sin(heading)
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        half = np.array(size) / 2
        origin, way = turn @ (pose[:3, 3] - [x, y, z + half[2]]), rays @ turn.T
        with np.errstate(divide="ignore"):
            sides = np.sort(np.stack([(-half - origin) / way, (half - origin) / way]), axis=0)
        enter, leave = sides[0].max(axis=-1), sides[1].min(axis=-1)
        depth = np.where((enter < leave) & (enter > 0), np.minimum(depth, enter), depth)
    return np.where(np.isfinite(depth), depth, np.nan).astype(np.float32)


def nearest(found, foot, size):
    """Return the proposal nearest to a thing, and how far off its middle is, in metres."""
    middle = np.array(foot) + [0, 0, size[2] / 2]
    best = min(found, key=lambda p: np.linalg.norm(p.centre - middle))
    return best, float(np.linalg.norm(best.centre - middle))


def test_points_of_a_level_floor_lie_on_it():
    depth = cast(EYE, [FLOOR])
    where = points(depth, INTRINSICS, EYE)
    assert where.shape == (HEIGHT, WIDTH, 3) and np.isfinite(depth).all()
    np.testing.assert_allclose(where[..., 2], 0, atol=1e-5)
    with_hole = depth.copy()
    with_hole[3, 4] = np.nan
    assert np.isnan(points(with_hole, INTRINSICS, EYE)[3, 4]).all()


@pytest.mark.parametrize("roll", [0.0, 0.5, -1.2, np.pi])
def test_each_thing_on_a_table_is_one_where_it_stands_and_as_large(roll):
    pose = looking(np.array([-0.9, 0.0, 1.5]), np.array([0.0, 0.0, TOP]), roll)
    found = propose(cast(pose, [FLOOR, TABLE, *THINGS]), INTRINSICS, pose)
    assert len(found) == 3
    for foot, size, heading in THINGS:
        best, off = nearest(found, foot, size)
        assert off < 0.02
        assert best.low[2] == pytest.approx(TOP, abs=0.004) and best.high[2] == pytest.approx(TOP + size[2], abs=0.01)
        c, s = abs(np.cos(heading)), abs(np.sin(heading))
        whole = np.array([c * size[0] + s * size[1], s * size[0] + c * size[1]])
        extent = (best.high - best.low)[:2]
        assert (extent < whole + 0.005).all() and (extent > whole - 0.035).all()  # of what faces away nothing is seen


def test_they_come_nearest_first():
    found = propose(cast(EYE, [FLOOR, TABLE, *THINGS]), INTRINSICS, EYE)
    away = [np.linalg.norm(p.centre - EYE[:3, 3]) for p in found]
    assert away == sorted(away) and len(away) == 3


def test_the_box_of_the_picture_is_around_the_thing_and_inside_of_the_picture():
    pose = looking(np.array([-0.5, 0.0, 1.3]), np.array([0.0, 0.1, TOP]))
    without = cast(pose, [FLOOR, TABLE])
    corner = ((-0.02, 0.46, TOP), (0.1, 0.1, 0.1), 0.0)  # hangs over the left edge of the picture
    for thing in (THINGS[2], corner):
        depth = cast(pose, [FLOOR, TABLE, thing])
        rows, columns = np.nonzero(depth < without - 1e-4)
        (found,) = propose(depth, INTRINSICS, pose)
        left, top, right, bottom = found.box
        assert 0 <= left < right <= WIDTH and 0 <= top < bottom <= HEIGHT
        assert left <= columns.min() + 1 and columns.max() - 1 < right
        assert top <= rows.min() + 1 and rows.max() - 4 < bottom  # what is hardly above the table may be cut off
        assert (right - left) < 1.6 * np.ptp(columns) and (bottom - top) < 2 * max(np.ptp(rows), np.ptp(columns))
    assert columns.min() == 0 and left == 0


def test_what_stands_on_the_floor_is_found_beside_the_table():
    boxes = [FLOOR, ((0, 0, 0.71), (0.8, 0.8, 0.04), 0.0), ((0, 0, 0), (0.1, 0.1, 0.71), 0.0)]
    pose = looking(np.array([-1.4, 0.6, 1.4]), np.array([0.0, 0.3, 0.4]))
    on_table, on_floor = ((0, 0, TOP), (0.09, 0.09, 0.12), 0.0), ((-0.3, 0.7, 0), (0.15, 0.15, 0.2), 0.0)
    found = propose(cast(pose, [*boxes, on_table, on_floor]), INTRINSICS, pose)
    assert len(found) == 2
    for thing in (on_table, on_floor):
        assert nearest(found, *thing[:2])[1] < 0.03


def test_the_legs_of_a_table_and_a_wall_are_no_things():
    legs = [((x, y, 0), (0.05, 0.05, 0.71), 0.0) for x in (-0.6, 0.6) for y in (-0.4, 0.4)]
    wall = ((1.5, 0, 0), (0.1, 8, 2.5), 0.0)
    pose = looking(np.array([-1.6, 0.5, 1.1]), np.array([0.0, 0.0, 0.45]))
    depth = cast(pose, [FLOOR, TABLE, *legs, wall])
    assert np.nanmax(depth) > 2 and len(propose(depth, INTRINSICS, pose)) == 0
    (found,) = propose(cast(pose, [FLOOR, TABLE, *legs, wall, THINGS[0]]), INTRINSICS, pose)
    assert nearest([found], *THINGS[0][:2])[1] < 0.03


def test_holes_and_noise_change_little():
    clean = cast(EYE, [FLOOR, TABLE, *THINGS])
    draw = np.random.default_rng(0)
    noisy = clean + draw.normal(0, 0.002, clean.shape).astype(np.float32)
    noisy[draw.random(clean.shape) < 0.15] = np.nan
    noisy[draw.random(clean.shape) < 0.02] = 0.0  # not measured, as some cameras say it
    noisy[draw.random(clean.shape) < 0.01] = np.inf
    found = propose(noisy, INTRINSICS, EYE)
    assert len(found) == 3
    assert all(nearest(found, *thing[:2])[1] < 0.025 for thing in THINGS)


def test_a_stripe_of_holes_does_not_make_two_of_one():
    depth = cast(EYE, [FLOOR, TABLE, THINGS[2]])
    (whole,) = propose(depth, INTRINSICS, EYE)
    middle = (whole.box[0] + whole.box[2]) // 2
    depth[:, middle] = np.nan
    (found,) = propose(depth, INTRINSICS, EYE)
    np.testing.assert_allclose(found.centre, whole.centre, atol=0.01)


def test_seen_at_a_grazing_angle_a_thin_thing_stays_whole():
    """Its pixels are farther from each other on the table than two things may be."""
    pose = looking(np.array([-1.2, 0.0, 1.25]), np.array([0.0, 0.0, TOP]))
    ruler = ((0.1, 0.0, TOP), (0.3, 0.05, 0.03), 0.0)
    (found,) = propose(cast(pose, [FLOOR, TABLE, ruler]), INTRINSICS, pose)
    assert nearest([found], *ruler[:2])[1] < 0.03


def test_a_bowl_is_one_though_its_inside_hides_behind_its_rim():
    side = 0.16
    walls = [
        ((0.0, s * side / 2, TOP), (side, 0.012, 0.06), 0.0) for s in (-1, 1)
    ] + [((s * side / 2, 0.0, TOP), (0.012, side + 0.012, 0.06), 0.0) for s in (-1, 1)]  # fmt: skip
    pose = looking(np.array([-0.8, 0.0, 1.2]), np.array([0.0, 0.0, TOP]))
    (found,) = propose(cast(pose, [FLOOR, TABLE, *walls]), INTRINSICS, pose)
    assert nearest([found], (0, 0, TOP), (side, side, 0.06))[1] < 0.02


def test_things_that_touch_are_one_and_things_apart_are_two():
    size = (0.07, 0.07, 0.08)
    pose = looking(np.array([-0.6, 0.0, 1.3]), np.array([0.0, 0.0, TOP]))
    for gap, count in ((0.0, 1), (0.05, 2)):
        pair = [((0, s * (0.07 + gap) / 2, TOP), size, 0.0) for s in (-1, 1)]
        assert len(propose(cast(pose, [FLOOR, TABLE, *pair]), INTRINSICS, pose)) == count


def test_a_cup_on_a_book_is_one_thing_with_it_though_the_book_is_a_support_itself():
    pose = looking(np.array([-0.45, 0.0, 1.2]), np.array([0.0, 0.0, TOP]))
    book, cup = ((0, 0, TOP), (0.25, 0.3, 0.03), 0.0), ((0.03, 0.0, TOP + 0.03), (0.06, 0.06, 0.09), 0.0)
    (found,) = propose(cast(pose, [FLOOR, TABLE, book, cup]), INTRINSICS, pose)
    assert found.low[2] == pytest.approx(TOP, abs=0.01) and found.high[2] == pytest.approx(TOP + 0.12, abs=0.01)


def test_what_stands_on_a_low_bench_is_not_taken_for_a_part_of_it():
    bench, cup = ((0.1, 0, 0), (0.5, 1.2, 0.3), 0.0), ((0.0, 0.1, 0.3), (0.08, 0.08, 0.1), 0.0)
    pose = looking(np.array([-0.9, 0.0, 1.1]), np.array([0.0, 0.0, 0.3]))
    (found,) = propose(cast(pose, [FLOOR, bench, cup]), INTRINSICS, pose)
    assert nearest([found], *cup[:2])[1] < 0.02


def test_too_small_too_large_and_too_far_is_nothing():
    pose = looking(np.array([-0.6, 0.0, 1.3]), np.array([0.0, 0.0, TOP]))
    crumb, slip = ((0, 0, TOP), (0.018, 0.018, 0.018), 0.0), ((0, 0, TOP), (0.2, 0.2, 0.006), 0.0)
    box = ((0.1, 0, TOP), (0.2, 0.5, 0.1), 0.0)
    for thing in (crumb, slip, box):
        assert propose(cast(pose, [FLOOR, TABLE, thing]), INTRINSICS, pose) == []
    larger = ProposalConfig(largest=0.6)
    assert len(propose(cast(pose, [FLOOR, TABLE, box]), INTRINSICS, pose, larger)) == 1
    depth = cast(EYE, [FLOOR, TABLE, *THINGS])
    assert propose(depth, INTRINSICS, EYE, ProposalConfig(reach=0.5)) == []
    assert propose(depth, INTRINSICS, EYE, ProposalConfig(points=2000)) == []


@pytest.mark.parametrize(
    "depth",
    [np.full((HEIGHT, WIDTH), nothing) for nothing in (np.nan, 0.0, np.inf, -1.0)]
    + [np.full((1, 1), 1.0), np.pad([[1.0]], 3, constant_values=np.nan)],
)  # fmt: skip
def test_of_nothing_nothing_is_found(depth):
    assert propose(depth.astype(np.float32), INTRINSICS, EYE) == []


def test_a_support_alone_and_things_without_support_are_nothing():
    assert propose(cast(EYE, [FLOOR, TABLE]), INTRINSICS, EYE) == []
    assert propose(cast(EYE, [FLOOR]), INTRINSICS, EYE) == []
    level = looking(np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 1.0]))
    assert propose(cast(level, [((1.5, 0, 0.9), (0.1, 0.1, 0.2), 0.0)]), INTRINSICS, level) == []
    assert propose(cast(level, [((1.5, 0, 0), (0.1, 9, 3), 0.0)]), INTRINSICS, level) == []


def test_looking_straight_down_works():
    down = np.diag([1.0, -1.0, -1.0, 1.0])
    down[:3, 3] = [0, 0, 1.5]
    found = propose(cast(down, [FLOOR, TABLE, *THINGS]), INTRINSICS, down)
    assert len(found) == 3 and all(nearest(found, *thing[:2])[1] < 0.012 for thing in THINGS)


def test_a_picture_four_times_as_wide_shows_the_same_things():
    larger = np.diag([4.0, 4.0, 1.0]) @ INTRINSICS + [[0, 0, 1.5], [0, 0, 1.5], [0, 0, 0]]
    depth = cast(EYE, [FLOOR, TABLE, *THINGS], larger, (4 * HEIGHT, 4 * WIDTH))
    began = time.perf_counter()
    found = propose(depth, larger, EYE)
    assert time.perf_counter() - began < 2  # some 0.05 s on a core of its own
    small = propose(cast(EYE, [FLOOR, TABLE, *THINGS]), INTRINSICS, EYE)
    for a, b in zip(found, small, strict=True):
        np.testing.assert_allclose(a.centre, b.centre, atol=0.012)
        np.testing.assert_allclose(a.box, np.multiply(b.box, 4), atol=12)


def moved(pose, turn, shift):
    """Return a camera's pose in a map that is turned around the vertical and shifted, and how it was moved."""
    c, s = np.cos(turn), np.sin(turn)
    world = np.array([[c, -s, 0, shift[0]], [s, c, 0, shift[1]], [0, 0, 1, shift[2]], [0, 0, 0, 1]])
    return world @ pose, world


numbers = st.floats(-1, 1)


@examples(max_examples=15)
@given(
    st.floats(-3.1, 3.1), st.tuples(st.floats(-20, 20), st.floats(-20, 20), st.floats(-2, 2)),
    st.lists(st.tuples(numbers, numbers, st.floats(0.04, 0.15), st.floats(0.04, 0.15), st.floats(0.03, 0.15), numbers),
             max_size=4),
    numbers, st.floats(-0.4, 0.4),
)  # fmt: skip
def test_where_the_map_begins_and_how_it_lies_changes_nothing_but_coordinates(turn, shift, drawn, aside, roll):
    eye = looking(np.array([-0.9, 0.3 * aside, 1.45]), np.array([0.0, 0.0, TOP]), roll)
    boxes = [((0.5 * x, 0.35 * y, TOP), (a, b, c), 3 * h) for x, y, a, b, c, h in drawn]
    depth = cast(eye, [FLOOR, TABLE, *boxes])  # what it sees is the same
    pose, world = moved(eye, turn, shift)
    here, there = (sorted(propose(depth, INTRINSICS, p), key=lambda found: found.box) for p in (eye, pose))
    assert [p.box for p in there] == [p.box for p in here]
    for a, b in zip(here, there, strict=True):
        assert b.high[2] - a.high[2] == pytest.approx(shift[2], abs=1e-3)
        moved_there = (world @ [*a.centre, 1])[:2]
        reach = np.linalg.norm((a.high - a.low)[:2]) / 2
        assert np.linalg.norm(b.centre[:2] - moved_there) <= reach  # corners along other axes, around the same points
        assert (b.high - b.low)[:2].max() <= 2.02 * reach


@pytest.mark.parametrize(("quarters", "shift"), [(0, (4.3, -7.7)), (1, (0.0, 0.0)), (2, (-8.1, 3.2)), (3, (0.1, 2.0))])
def test_quarter_turns_turn_the_boxes_exactly(quarters, shift):
    depth = cast(EYE, [FLOOR, TABLE, *THINGS])
    here = propose(depth, INTRINSICS, EYE)
    pose, world = moved(EYE, quarters * np.pi / 2, (*shift, 0.0))
    for a, b in zip(here, propose(depth, INTRINSICS, pose), strict=True):
        corners = np.array([(world @ [*corner, 1])[:3] for corner in (a.low, a.high)])
        np.testing.assert_allclose([b.low, b.high], [corners.min(axis=0), corners.max(axis=0)], atol=2e-3)


@given(*[st.integers(0, 99)] * 4, *[st.integers(1, 99)] * 2, st.floats(0, 2))
def test_a_framed_box_is_inside_of_the_picture_and_around_the_box(left, top, right, bottom, width, height, margin):
    shape = top + height + bottom, left + width + right
    box = (left, top, left + width, top + height)
    inside = framed(box, shape, ProposalConfig(margin=margin))
    assert 0 <= inside[0] <= box[0] and 0 <= inside[1] <= box[1]
    assert box[2] <= inside[2] <= shape[1] and box[3] <= inside[3] <= shape[0]


def test_boxes_scale():
    assert scaled((1, 2, 3, 4), 2) == (2, 4, 6, 8) and scaled((3, 5, 7, 9), 0.5) == (2, 2, 4, 4)
    assert framed((10, 10, 20, 30), (100, 100), ProposalConfig(margin=0.5)) == (0, 0, 30, 40)


def test_the_middle_of_a_thing():
    np.testing.assert_array_equal(Proposal((0, 0, 1, 1), np.zeros(3), np.array([1.0, 2, 4])).centre, [0.5, 1, 2])


@pytest.mark.parametrize("wrong", [{"clearance": 0.0}, {"apart": 0.0}, {"points": 0}, {"reach": 1e9}, {"support": 2.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(Any2AnyError, match=next(iter(wrong))):
        ProposalConfig(**wrong)
